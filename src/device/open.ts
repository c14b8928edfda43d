/**
 * Bringing a device up and down (`ip link set dev up`).
 *
 *     devOpen:  PRE_UP (may be vetoed) -> START -> driver's open -> IFF_UP -> UP
 *     devClose: GOING_DOWN -> START off -> what waits to be sent is dropped -> driver's stop -> IFF_UP off -> DOWN
 */
import { Errno } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { isValidMac } from '../wire/eth.ts';
import { NetdevEvent } from './net.ts';
import { ARPHRD_ETHER, IFF_UP, LINK_STATE_START, type NetDevice, netifDevicePresent } from './net_device.ts';

/**
 * 0 (also if it is up), or the negative errno of who refused. What the driver's open throws (a Port's SetupError) passes
 * through; the device is down then. (`dev_open`)
 */
export function devOpen(dev: NetDevice): number {
  if ((dev.flags & IFF_UP) !== 0) return 0;
  if (!netifDevicePresent(dev)) return -Errno.ENODEV;
  const verdict = dev.net.notify(NetdevEvent.PRE_UP, dev);
  if (verdict < 0) return verdict;
  dev.state |= LINK_STATE_START;
  let error: number = -Errno.EADDRNOTAVAIL;
  try {
    if (dev.type !== ARPHRD_ETHER || isValidMac(dev.devAddr)) error = dev.ops.open(dev);
  } finally {
    if (error < 0) dev.state &= ~LINK_STATE_START;
  }
  if (error < 0) return error;
  dev.flags |= IFF_UP;
  dev.net.notify(NetdevEvent.UP, dev);
  return 0;
}

/** Nothing to do if it is down. (`dev_close`) */
export function devClose(dev: NetDevice): void {
  if ((dev.flags & IFF_UP) === 0) return;
  dev.net.notify(NetdevEvent.GOING_DOWN, dev);
  dev.state &= ~LINK_STATE_START;
  for (const txq of dev.txQueues) txq.qdisc?.purge(DropReason.QUEUE_PURGE);
  dev.ops.stop?.(dev);
  dev.flags &= ~IFF_UP;
  dev.net.notify(NetdevEvent.DOWN, dev);
}
