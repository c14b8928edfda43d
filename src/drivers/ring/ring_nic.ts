// hot
/**
 * The driver of the textbook card: what a NAPI driver is, with nothing but the steps that every one has.
 *
 *     interrupt   read the cause; none: not ours.  acknowledge, mask, napi_schedule
 *     poll        tx: free what the card has sent, wake the queue if a quarter of the ring is free
 *                 rx: up to `budget` frames: buffer -> sk_buff -> eth_type_trans -> napi.receive; give the card new buffers
 *                 fewer than budget: napi_complete_done, unmask; a cause that came meanwhile interrupts at once
 *     startXmit   a descriptor for the head and one for each fragment; tail; stop before the ring could overflow
 *
 * Thresholds: stopped with fewer than MAX_SKB_FRAGS + 1 descriptors free, woken with twice as many, so that a frame never
 * finds too few. A poll with budget 0 (netpoll) does the transmit half. A card that is stuck is reset (txTimeout).
 */
import { Errno, NETDEV_TX_BUSY, NETDEV_TX_OK, SetupError } from '../../base/status.ts';
import { allocEtherdev, ethTypeTrans } from '../../device/eth.ts';
import { NETIF_F_HW_CSUM, NETIF_F_RXHASH, NETIF_F_SG } from '../../device/features.ts';
import { napiConsumeSkb } from '../../device/kfree_skb.ts';
import {
  napiCompleteDone,
  napiDisable,
  napiEnable,
  napiScheduleOwned,
  napiSchedulePrep,
  netifNapiAdd,
} from '../../device/napi_struct.ts';
import type { Net } from '../../device/net.ts';
import {
  type DeviceOps,
  IFF_PROMISC,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOn,
  STAT_MULTICAST,
  STAT_RX_BYTES,
  STAT_RX_DROPPED,
  STAT_RX_ERRORS,
  STAT_RX_PACKETS,
  STAT_TX_BYTES,
  STAT_TX_DROPPED,
  STAT_TX_ERRORS,
  STAT_TX_PACKETS,
} from '../../device/net_device.ts';
import {
  type NetdevQueue,
  netdevTxResetQueue,
  netdevTxSentQueue,
  netifTxqCompletedWake,
  netifTxqMaybeStop,
  netifTxStartAllQueues,
  netifTxStopAllQueues,
  netifTxWakeAllQueues,
} from '../../device/netdev_queue.ts';
import { registerNetdevice } from '../../device/register.ts';
import { CHECKSUM_PARTIAL } from '../../skb/checksum_state.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { skbLinearize } from '../../skb/frags.ts';
import { NET_SKB_PAD } from '../../skb/pool.ts';
import { MAX_SKB_FRAGS } from '../../skb/shared_info.ts';
import { PACKET_MULTICAST, type SkBuff, skbHeadlen, skbPut, skbReserve } from '../../skb/sk_buff.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { RingHardware } from './hardware.ts';
import {
  CAUSE_ALL,
  CAUSE_LINK,
  CTRL_ENABLE,
  CTRL_RESET,
  DESC_CSUM,
  DESC_EOP,
  DESC_HASH,
  DESC_LEN,
  DESC_LENGTH,
  Q_CAUSE,
  Q_MASK,
  Q_RX_HEAD,
  Q_TX_HEAD,
  qreg,
  REG_CTRL,
  REG_MAC_HIGH,
  REG_MAC_LOW,
  REG_RX_MODE,
  REG_STATUS,
  RX_MODE_PROMISC,
  STATUS_LINK,
} from './registers.ts';
import { ringEthtoolOps } from './ring_ethtool.ts';
import { RingQueue } from './ring_queue.ts';

/** Descriptors of a ring: as many as lie in one slot of 2048 bytes. */
const RING_SIZE = 128;
const TX_STOP = MAX_SKB_FRAGS + 1;
const TX_WAKE = 2 * MAX_SKB_FRAGS;

/** The driver's `priv`. */
class RingNic {
  readonly hw: RingHardware;
  readonly queues: RingQueue[] = [];
  /** Resets that a stuck transmitter made necessary. */
  resets = 0;

  constructor(hw: RingHardware) {
    this.hw = hw;
  }
}

export interface RingNicOptions {
  /** `eth%d` if absent. */
  readonly name?: string;
  /** Descriptors of each ring, a power of two from 64 to what lies in a slot; 128 if absent. */
  readonly ring?: number;
}

/** Set-up: makes and registers the device of a card. Throws SetupError `ERR_NETPOLL_NAME`. */
export function createRingNic(net: Net, hw: RingHardware, options: RingNicOptions = {}): NetDevice {
  const { machine } = net;
  const name = options.name ?? 'eth%d';
  const nic = new RingNic(hw);
  const dev = allocEtherdev(net, { name, ops: RING_OPS, priv: nic, txQueues: hw.queues });
  const size = Math.min(options.ring ?? RING_SIZE, Math.floor(machine.arena.slotSize / DESC_LEN));
  dev.ethtoolOps = ringEthtoolOps(hw, size);
  dev.devAddr.set(hw.mac);
  dev.features |= NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXHASH;
  for (let index = 0; index < hw.queues; index++) {
    const queue = new RingQueue(dev, index, size);
    const cpu = machine.cpus[index % machine.cpus.length]!;
    queue.napi = netifNapiAdd(dev, (_napi, budget) => ringPoll(nic, queue, budget));
    queue.line = machine.requestIrq(`${name}-TxRx-${index}`, cpu, () => ringInterrupt(nic, queue));
    nic.queues.push(queue);
  }
  netifCarrierOff(dev);
  hw.connect(machine.arena, (index) => nic.queues[index]!.line!.raise());
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  return dev;
}

const RING_OPS: DeviceOps = {
  open(dev) {
    const nic = dev.priv as RingNic;
    if (!ringStart(dev, nic)) return -Errno.ENOMEM;
    for (let i = 0; i < nic.queues.length; i++) napiEnable(nic.queues[i]!.napi!);
    netifTxStartAllQueues(dev);
    ringUnmask(nic);
    return 0;
  },

  stop(dev) {
    const nic = dev.priv as RingNic;
    netifTxStopAllQueues(dev);
    for (let i = 0; i < nic.queues.length; i++) napiDisable(nic.queues[i]!.napi!);
    ringStop(dev, nic);
    netifCarrierOff(dev);
  },

  startXmit(skb, dev, txq) {
    return ringStartXmit(skb, dev, txq);
  },

  /** The card does not send any more: what it has is lost, it starts anew. */
  txTimeout(dev) {
    const nic = dev.priv as RingNic;
    nic.resets++;
    dev.stats.add(STAT_TX_ERRORS);
    netifTxStopAllQueues(dev);
    ringStop(dev, nic);
    if (!ringStart(dev, nic)) return;
    netifTxWakeAllQueues(dev);
    ringUnmask(nic);
  },

  setRxMode(dev) {
    (dev.priv as RingNic).hw.write(REG_RX_MODE, (dev.flags & IFF_PROMISC) !== 0 ? RX_MODE_PROMISC : 0);
  },

  /** The interrupt handler of every queue, with interrupts off. */
  pollController(dev) {
    const nic = dev.priv as RingNic;
    for (let i = 0; i < nic.queues.length; i++) ringInterrupt(nic, nic.queues[i]!);
  },

  link(dev) {
    return ringLink(dev, dev.priv as RingNic);
  },
};

/** Memory, addresses, rings; the card runs, its interrupts are masked. False: no memory. */
function ringStart(dev: NetDevice, nic: RingNic): boolean {
  const { hw } = nic;
  const { arena } = dev.net.machine;
  const mac = dev.devAddr;
  hw.write(REG_CTRL, CTRL_RESET);
  hw.write(REG_MAC_HIGH, ((mac[0]! << 24) | (mac[1]! << 16) | (mac[2]! << 8) | mac[3]!) >>> 0);
  hw.write(REG_MAC_LOW, ((mac[4]! << 24) | (mac[5]! << 16)) >>> 0);
  hw.write(REG_RX_MODE, (dev.flags & IFF_PROMISC) !== 0 ? RX_MODE_PROMISC : 0);
  for (let i = 0; i < nic.queues.length; i++) {
    if (nic.queues[i]!.setUp(hw, arena)) continue;
    for (let done = 0; done < i; done++) nic.queues[done]!.tearDown(arena);
    return false;
  }
  hw.write(REG_CTRL, CTRL_ENABLE);
  ringLink(dev, nic);
  return true;
}

/** The card stands still; all memory is given back, frames that were not sent are dropped. */
function ringStop(dev: NetDevice, nic: RingNic): void {
  const { skbs, arena } = dev.net.machine;
  nic.hw.write(REG_CTRL, CTRL_RESET);
  for (let i = 0; i < nic.queues.length; i++) {
    const queue = nic.queues[i]!;
    for (let at = 0; at < queue.size; at++) {
      const id = queue.txSkb[at]!;
      queue.txSkb[at] = -1;
      if (id >= 0) skbs.kfree(skbs.byId(id), DropReason.QUEUE_PURGE);
    }
    netdevTxResetQueue(dev.txQueues[i]!);
    queue.tearDown(arena);
  }
}

function ringUnmask(nic: RingNic): void {
  for (let i = 0; i < nic.queues.length; i++) nic.hw.write(qreg(i, Q_MASK), CAUSE_ALL);
}

function ringLink(dev: NetDevice, nic: RingNic): boolean {
  const up = (nic.hw.read(REG_STATUS) & STATUS_LINK) !== 0;
  if (up) netifCarrierOn(dev);
  else netifCarrierOff(dev);
  return up;
}

/** Acknowledge, mask, schedule: nothing else happens in an interrupt. */
function ringInterrupt(nic: RingNic, queue: RingQueue): void {
  const { hw } = nic;
  const cause = hw.read(qreg(queue.index, Q_CAUSE));
  if (cause === 0) return;
  hw.write(qreg(queue.index, Q_CAUSE), cause);
  if ((cause & CAUSE_LINK) !== 0) ringLink(queue.dev, nic);
  if (!napiSchedulePrep(queue.napi!)) return;
  hw.write(qreg(queue.index, Q_MASK), 0);
  napiScheduleOwned(queue.napi!);
}

/** Bound: `budget` frames received, a ring's worth of frames freed. */
function ringPoll(nic: RingNic, queue: RingQueue, budget: number): number {
  ringTx(nic, queue, budget);
  if (budget === 0) return 0;
  const work = ringRx(nic, queue, budget);
  if (work < budget && napiCompleteDone(queue.napi!, work)) nic.hw.write(qreg(queue.index, Q_MASK), CAUSE_ALL);
  return work;
}

/** Frees what the card has sent, up to its head. */
function ringTx(nic: RingNic, queue: RingQueue, budget: number): void {
  const { net } = queue.dev;
  const { skbs } = net.machine;
  const head = nic.hw.read(qreg(queue.index, Q_TX_HEAD));
  let packets = 0;
  let bytes = 0;
  while (queue.txDirty !== head) {
    const id = queue.txSkb[queue.txDirty]!;
    queue.txSkb[queue.txDirty] = -1;
    queue.txDirty = queue.next(queue.txDirty);
    if (id < 0) continue;
    const skb = skbs.byId(id);
    packets++;
    bytes += skb.len;
    napiConsumeSkb(net, skb, budget);
  }
  if (packets > 0) netifTxqCompletedWake(queue.dev.txQueues[queue.index]!, packets, bytes, queue.free(), TX_WAKE);
}

/** Hands up what the card has filled, and gives it new buffers. */
function ringRx(nic: RingNic, queue: RingQueue, budget: number): number {
  const { dev, napi } = queue;
  const { arena, skbs } = dev.net.machine;
  const head = nic.hw.read(qreg(queue.index, Q_RX_HEAD));
  let work = 0;
  while (work < budget && queue.rxNext !== head) {
    const at = queue.rxNext;
    const desc = queue.rxBase + at * DESC_LEN;
    const len = arena.view.getUint32(desc + DESC_LENGTH, true);
    const buf = queue.rxBuf[at]!;
    const start = arena.start(buf);
    queue.rxNext = queue.next(at);
    work++;
    // Without a new buffer, or an sk_buff, the frame is lost and its buffer stays: the ring never runs dry.
    const fresh = len < ETH_HLEN ? -1 : arena.alloc();
    const skb = fresh < 0 ? null : skbs.build(buf, start, start + arena.slotSize);
    if (skb === null) {
      if (fresh >= 0) arena.release(fresh);
      dev.stats.add(len < ETH_HLEN ? STAT_RX_ERRORS : STAT_RX_DROPPED);
      continue;
    }
    queue.rxBuf[at] = fresh;
    skbReserve(skb, NET_SKB_PAD);
    skbPut(skb, len);
    skb.hash = arena.view.getUint32(desc + DESC_HASH, true);
    skb.queueMapping = queue.index + 1;
    skb.napiId = napi!.id;
    skb.protocol = ethTypeTrans(skb, dev);
    dev.stats.add(STAT_RX_PACKETS);
    dev.stats.add(STAT_RX_BYTES, len);
    if (skb.pktType === PACKET_MULTICAST) dev.stats.add(STAT_MULTICAST);
    napi!.receive(skb);
  }
  queue.refill(nic.hw, arena);
  return work;
}

/** OK: the ring has the frame. BUSY: the queue should have been stopped; it is now. */
function ringStartXmit(skb: SkBuff, dev: NetDevice, txq: NetdevQueue): number {
  const nic = dev.priv as RingNic;
  const queue = nic.queues[txq.index]!;
  const { info, arena } = skb.pool;
  const s = skb.shinfo;
  if (info.fragList(s) !== null && !skbLinearize(skb)) {
    // The card has no way to say that a frame goes on in another frame.
    dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.TX_ERROR);
    return NETDEV_TX_OK;
  }
  const frags = info.nrFrags[s]!;
  if (queue.free() < frags + 1) {
    netifTxqMaybeStop(txq, queue.txFree, frags + 1, TX_WAKE);
    return NETDEV_TX_BUSY;
  }
  let last = queue.txNext;
  const partial = skb.ipSummed === CHECKSUM_PARTIAL;
  const sums = partial ? ((skb.csumStart - skb.data) << 16) | skb.csumOffset : 0;
  const flags = (frags === 0 ? DESC_EOP : 0) | (partial ? DESC_CSUM : 0);
  queue.put(arena, skb.data, skbHeadlen(skb), flags, sums);
  for (let i = 0; i < frags; i++) {
    const at = s * MAX_SKB_FRAGS + i;
    last = queue.txNext;
    queue.put(arena, info.fragOffset[at]!, info.fragLen[at]!, i === frags - 1 ? DESC_EOP : 0);
  }
  queue.txSkb[last] = skb.id;
  dev.stats.add(STAT_TX_PACKETS);
  dev.stats.add(STAT_TX_BYTES, skb.len);
  netdevTxSentQueue(txq, skb.len);
  queue.kick(nic.hw);
  netifTxqMaybeStop(txq, queue.txFree, TX_STOP, TX_WAKE);
  return NETDEV_TX_OK;
}
