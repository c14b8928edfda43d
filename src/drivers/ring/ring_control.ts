/**
 * Starting, stopping and changing the textbook card: everything of its driver that is done once in a while, in process context.
 *
 *     ringStart    reset, address, filter, rings with a buffer in every descriptor, moderation, enable
 *     ringStop     reset: the card stands still; what was not sent is dropped, all memory goes back
 *     ringChange   another number of queues or descriptors: stop, change, start; the old ones again where memory is out
 */
import { Errno } from '../../base/status.ts';
import { NETIF_F_HW_VLAN_CTAG_RX } from '../../device/features.ts';
import { napiDisable, napiEnable } from '../../device/napi_struct.ts';
import {
  IFF_ALLMULTI,
  IFF_PROMISC,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOn,
  netifRunning,
} from '../../device/net_device.ts';
import {
  netdevTxResetQueue,
  netifScheduleQueue,
  netifTxStartAllQueues,
  netifTxStopAllQueues,
} from '../../device/netdev_queue.ts';
import { netifSetRealNumQueues } from '../../device/real_num_queues.ts';
import { listedAddrs } from '../../device/rx_mode.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { rssIndirDefault } from '../../wire/toeplitz.ts';
import { macHigh, macLow } from './filter.ts';
import type { RingHardware } from './hardware.ts';
import {
  CAUSE_ALL,
  CTRL_ENABLE,
  CTRL_RESET,
  CTRL_VLAN_STRIP,
  FILTER_ENTRIES,
  Q_MASK,
  Q_RX_HEAD,
  qreg,
  REG_CTRL,
  REG_FILTER,
  REG_MAC_HIGH,
  REG_MAC_LOW,
  REG_RX_MODE,
  REG_STATUS,
  RX_MODE_ALLMULTI,
  RX_MODE_PROMISC,
  STATUS_LINK,
} from './registers.ts';
import type { RingCoalesce } from './ring_coalesce.ts';
import type { RingQueue } from './ring_queue.ts';

/** The driver's `priv`. */
export class RingNic {
  readonly hw: RingHardware;
  /** As many as the card has; the first `active` are in use. */
  readonly queues: RingQueue[] = [];
  readonly coalesce: RingCoalesce;
  active: number;
  /** Resets that a stuck transmitter made necessary. */
  resets = 0;

  constructor(hw: RingHardware, coalesce: RingCoalesce) {
    this.hw = hw;
    this.coalesce = coalesce;
    this.active = hw.queues;
  }
}

/** The card runs, its interrupts are masked. False: no memory, nothing is held. */
export function ringStart(dev: NetDevice, nic: RingNic): boolean {
  const { hw } = nic;
  const { arena } = dev.net.machine;
  hw.write(REG_CTRL, CTRL_RESET);
  hw.write(REG_MAC_HIGH, macHigh(dev.devAddr));
  hw.write(REG_MAC_LOW, macLow(dev.devAddr));
  ringRxMode(dev, nic);
  for (let q = 0; q < nic.active; q++) {
    if (nic.queues[q]!.setUp(hw, arena)) continue;
    for (let done = 0; done < q; done++) nic.queues[done]!.tearDown(arena);
    return false;
  }
  nic.coalesce.write(nic.active);
  ringEnable(dev, nic);
  ringLink(dev, nic);
  return true;
}

/** The card moves frames, and takes VLAN tags out if it is to. */
export function ringEnable(dev: NetDevice, nic: RingNic): void {
  const strip = (dev.features & NETIF_F_HW_VLAN_CTAG_RX) !== 0 ? CTRL_VLAN_STRIP : 0;
  nic.hw.write(REG_CTRL, CTRL_ENABLE | strip);
}

export function ringStop(dev: NetDevice, nic: RingNic): void {
  const { skbs, arena } = dev.net.machine;
  for (let q = 0; q < nic.active; q++) {
    const queue = nic.queues[q]!;
    // What the card has filled and nobody has looked at goes with the ring.
    const waiting = nic.hw.read(qreg(q, Q_RX_HEAD)) - queue.rxNext;
    queue.rxFlushed += waiting < 0 ? waiting + queue.rxSize : waiting;
  }
  nic.hw.write(REG_CTRL, CTRL_RESET);
  for (let q = 0; q < nic.active; q++) {
    const queue = nic.queues[q]!;
    for (let at = 0; at < queue.txSkb.length; at++) {
      const id = queue.txSkb[at]!;
      queue.txSkb[at] = -1;
      if (id < 0) continue;
      queue.txFlushed++;
      skbs.kfree(skbs.byId(id), DropReason.QUEUE_PURGE);
    }
    netdevTxResetQueue(dev.txQueues[q]!);
    queue.tearDown(arena);
  }
}

/** From stopped to running, instances and queues too. 0, or -ENOMEM. */
export function ringUp(dev: NetDevice, nic: RingNic): number {
  if (!ringStart(dev, nic)) return -Errno.ENOMEM;
  for (let q = 0; q < nic.active; q++) napiEnable(nic.queues[q]!.napi!);
  netifTxStartAllQueues(dev);
  ringUnmask(nic);
  return 0;
}

export function ringDown(dev: NetDevice, nic: RingNic): void {
  netifTxStopAllQueues(dev);
  for (let q = 0; q < nic.active; q++) napiDisable(nic.queues[q]!.napi!);
  ringStop(dev, nic);
  netifCarrierOff(dev);
}

/** Other sizes of the rings, another number of queues. Without memory for it: as before, and -ENOMEM. */
export function ringChange(dev: NetDevice, nic: RingNic, rx: number, tx: number, active: number): number {
  const { rxSize, txSize } = nic.queues[0]!;
  const before = { rx: rxSize, tx: txSize, active: nic.active };
  const running = netifRunning(dev);
  if (running) ringDown(dev, nic);
  shape(dev, nic, rx, tx, active);
  if (!running) return 0;
  if (ringUp(dev, nic) === 0) {
    resume(dev);
    return 0;
  }
  shape(dev, nic, before.rx, before.tx, before.active);
  // What was given back a moment ago is there.
  ringUp(dev, nic);
  resume(dev);
  return -Errno.ENOMEM;
}

/** What waits in the qdiscs since the queues were stopped has nobody else to have it sent. */
function resume(dev: NetDevice): void {
  for (const txq of dev.txQueues) netifScheduleQueue(txq);
}

function shape(dev: NetDevice, nic: RingNic, rx: number, tx: number, active: number): void {
  for (const queue of nic.queues) {
    queue.rxSize = rx;
    queue.txSize = tx;
  }
  if (active === nic.active) return;
  nic.active = active;
  netifSetRealNumQueues(dev, active, active);
  rssIndirDefault(nic.hw.indirection, active);
}

export function ringUnmask(nic: RingNic): void {
  for (let q = 0; q < nic.active; q++) nic.hw.write(qreg(q, Q_MASK), CAUSE_ALL);
}

export function ringLink(dev: NetDevice, nic: RingNic): boolean {
  const up = (nic.hw.read(REG_STATUS) & STATUS_LINK) !== 0;
  if (up) netifCarrierOn(dev);
  else netifCarrierOff(dev);
  return up;
}

/** Flags and lists into the filter. Addresses that find no entry: every unicast frame, or every group. */
export function ringRxMode(dev: NetDevice, nic: RingNic): void {
  const [unicast, groups] = [listedAddrs(dev.uc), listedAddrs(dev.mc)];
  const promisc = (dev.flags & IFF_PROMISC) !== 0 || unicast.length > FILTER_ENTRIES;
  const room = promisc ? FILTER_ENTRIES : FILTER_ENTRIES - unicast.length;
  const allmulti = (dev.flags & IFF_ALLMULTI) !== 0 || groups.length > room;
  const entries = [...(promisc ? [] : unicast), ...(allmulti ? [] : groups)];
  for (let entry = 0; entry < FILTER_ENTRIES; entry++) {
    const mac = entries[entry];
    nic.hw.write(REG_FILTER + 2 * entry, mac === undefined ? 0 : macHigh(mac));
    nic.hw.write(REG_FILTER + 2 * entry + 1, mac === undefined ? 0 : macLow(mac));
  }
  nic.hw.write(REG_RX_MODE, (promisc ? RX_MODE_PROMISC : 0) | (allmulti ? RX_MODE_ALLMULTI : 0));
}
