/**
 * How the host world's devices moderate their interrupts, unless somebody says otherwise: adaptive (drivers/nic/nic_coalesce.ts).
 */
import { Errno, SetupError } from '../base/status.ts';
import type { CoalesceParams } from '../device/coalesce.ts';
import { ethtoolSetCoalesce } from '../device/ethtool.ts';
import type { NetDevice } from '../device/net_device.ts';
import type { Port } from '../drivers/nic/port.ts';
import { PacketPort } from './packet/packet_port.ts';

/**
 * Who brings fewer than 20,000 frames a second interrupts for each; above 100,000 the queue is polled every 250 us. A timer of such a grain
 * costs about as much as a thousand frames do on a virtual machine, where it is an exit or two, so more seldom is cheaper still; but 250 us
 * of a million frames a second are what every port's kernel side can hold several times over.
 */
export const HOST_COALESCE: Partial<CoalesceParams> = {
  adaptiveRx: true,
  pktRateLow: 20_000,
  rxUsecsLow: 0,
  rxUsecs: 50,
  pktRateHigh: 100_000,
  rxUsecsHigh: 250,
};

/** A packet port with a ring of blocks: its kernel side hands frames over in blocks, at most one a millisecond, and holds ten thousands of them. */
export const PACKET_COALESCE: Partial<CoalesceParams> = {
  adaptiveRx: true,
  pktRateLow: 0,
  pktRateHigh: 200_000,
  rxUsecsHigh: 4000,
};

/**
 * Sets these and then `changes`; a port without interrupts has nothing to moderate. Throws SetupError
 * `ERR_NETPOLL_COALESCE` for what the device does not take.
 */
export function setHostCoalesce(dev: NetDevice, port: Port, changes: Partial<CoalesceParams>): void {
  if (!port.caps.hasIrq) return;
  const usual = port instanceof PacketPort && !port.wakesPerFrame ? PACKET_COALESCE : HOST_COALESCE;
  const error = ethtoolSetCoalesce(dev, { ...usual, ...changes });
  if (error === 0) return;
  const known = (dev.ethtoolOps?.supportedCoalesceParams ?? []).join(', ');
  const why = error === -Errno.EOPNOTSUPP ? `it takes ${known}` : 'out of range';
  throw new SetupError(
    'ERR_NETPOLL_COALESCE',
    `cannot set the coalescing of ${port.name} to ${JSON.stringify(changes)}: ${why}`,
  );
}
