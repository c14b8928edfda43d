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
import { ethHwAddrSet } from '../../device/dev_addr.ts';
import { allocEtherdev, ethTypeTrans } from '../../device/eth.ts';
import {
  NETIF_F_HW_CSUM,
  NETIF_F_HW_VLAN_CTAG_RX,
  NETIF_F_HW_VLAN_CTAG_TX,
  NETIF_F_RXHASH,
  NETIF_F_SG,
} from '../../device/features.ts';
import { napiConsumeSkb } from '../../device/kfree_skb.ts';
import { napiCompleteDone, napiScheduleOwned, napiSchedulePrep, netifNapiAdd } from '../../device/napi_struct.ts';
import type { Net } from '../../device/net.ts';
import {
  type DeviceOps,
  type NetDevice,
  netifCarrierOff,
  netifRunning,
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
  netdevTxSentQueue,
  netifTxqCompletedWake,
  netifTxqMaybeStop,
  netifTxStopAllQueues,
  netifTxWakeAllQueues,
} from '../../device/netdev_queue.ts';
import { netifSetRealNumQueues } from '../../device/real_num_queues.ts';
import { registerNetdevice } from '../../device/register.ts';
import { CHECKSUM_PARTIAL } from '../../skb/checksum_state.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { NET_SKB_PAD } from '../../skb/pool.ts';
import { pskbPullTail } from '../../skb/pull_tail.ts';
import { skbRecordRxQueue } from '../../skb/rx_queue.ts';
import { MAX_SKB_FRAGS } from '../../skb/shared_info.ts';
import { PACKET_MULTICAST, type SkBuff, skbHeadlen, skbPut, skbReserve } from '../../skb/sk_buff.ts';
import { ETH_HLEN, isValidMac } from '../../wire/eth.ts';
import { macHigh, macLow } from './filter.ts';
import type { RingHardware } from './hardware.ts';
import {
  CAUSE_ALL,
  CAUSE_LINK,
  CAUSE_RX,
  CAUSE_RX_MISSED,
  CAUSE_TX,
  DESC_CSUM,
  DESC_EOP,
  DESC_FLAGS,
  DESC_HASH,
  DESC_LEN,
  DESC_LENGTH,
  DESC_VLAN,
  Q_CAUSE,
  Q_MASK,
  Q_RX_HEAD,
  Q_TX_HEAD,
  qreg,
  REG_MAC_HIGH,
  REG_MAC_LOW,
} from './registers.ts';
import { RingCoalesce } from './ring_coalesce.ts';
import {
  RingNic,
  ringDown,
  ringEnable,
  ringLink,
  ringRxMode,
  ringStart,
  ringStop,
  ringUnmask,
  ringUp,
} from './ring_control.ts';
import { ringEthtoolOps } from './ring_ethtool.ts';
import { RingQueue } from './ring_queue.ts';

const TX_STOP = MAX_SKB_FRAGS + 1;
const TX_WAKE = 2 * MAX_SKB_FRAGS;
const RING_FEATURES = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXHASH | NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX;

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
  const nic = new RingNic(hw, new RingCoalesce(machine, hw));
  const dev = allocEtherdev(net, { name, ops: RING_OPS, priv: nic, txQueues: hw.queues });
  // As many descriptors as lie in one slot: 128 in 2048 bytes.
  const sizeMax = Math.floor(machine.arena.slotSize / DESC_LEN);
  const size = Math.min(options.ring ?? sizeMax, sizeMax);
  dev.ethtoolOps = ringEthtoolOps(nic, sizeMax);
  dev.devAddr.set(hw.mac);
  dev.hwFeatures = RING_FEATURES;
  dev.features = RING_FEATURES;
  dev.vlanFeatures = NETIF_F_SG | NETIF_F_HW_CSUM;
  dev.unicastFilter = true;
  netifSetRealNumQueues(dev, hw.queues, hw.queues);
  for (let index = 0; index < hw.queues; index++) {
    const queue = new RingQueue(dev, index, sizeMax);
    queue.rxSize = size;
    queue.txSize = size;
    const cpu = machine.here[index % machine.here.length]!;
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
    return ringUp(dev, nic);
  },

  stop(dev) {
    ringDown(dev, dev.priv as RingNic);
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
    ringRxMode(dev, dev.priv as RingNic);
  },

  /** Another address is the card's at once. */
  setMacAddress(dev, mac) {
    if (!isValidMac(mac)) return -Errno.EADDRNOTAVAIL;
    ethHwAddrSet(dev, mac);
    const { hw } = dev.priv as RingNic;
    hw.write(REG_MAC_HIGH, macHigh(mac));
    hw.write(REG_MAC_LOW, macLow(mac));
    return 0;
  },

  /** Taking VLAN tags out is a bit of the card's; all else is done for each frame. */
  setFeatures(dev, features) {
    const changed = (dev.features ^ features) & NETIF_F_HW_VLAN_CTAG_RX;
    dev.features = features;
    if (changed !== 0 && netifRunning(dev)) ringEnable(dev, dev.priv as RingNic);
    return 0;
  },

  /** The interrupt handler of every queue, with interrupts off. */
  pollController(dev) {
    const nic = dev.priv as RingNic;
    for (let i = 0; i < nic.active; i++) ringInterrupt(nic, nic.queues[i]!);
  },

  link(dev) {
    return ringLink(dev, dev.priv as RingNic);
  },
};

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
  const { hw } = nic;
  // What completes from here on interrupts again; what has completed is looked at now.
  hw.write(qreg(queue.index, Q_CAUSE), budget === 0 ? CAUSE_TX : CAUSE_RX | CAUSE_TX | CAUSE_RX_MISSED);
  ringTx(nic, queue, budget);
  if (budget === 0) return 0;
  const work = ringRx(nic, queue, budget);
  if (work < budget && napiCompleteDone(queue.napi!, work)) {
    nic.coalesce.sample(queue);
    hw.write(qreg(queue.index, Q_MASK), CAUSE_ALL);
  }
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
    queue.txDirty = queue.nextTx(queue.txDirty);
    if (id < 0) continue;
    const skb = skbs.byId(id);
    packets++;
    bytes += skb.len;
    napiConsumeSkb(net, skb, budget);
  }
  if (packets === 0) return;
  queue.txPackets += packets;
  queue.txBytes += bytes;
  netifTxqCompletedWake(queue.dev.txQueues[queue.index]!, packets, bytes, queue.free(), TX_WAKE);
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
    queue.rxNext = queue.nextRx(at);
    work++;
    // Without a new buffer, or an sk_buff, the frame is lost and its buffer stays: the ring never runs dry.
    const fresh = len < ETH_HLEN ? -1 : arena.alloc();
    const skb = fresh < 0 ? null : skbs.build(buf, start, start + arena.slotSize);
    if (skb === null) {
      if (fresh >= 0) arena.release(fresh);
      queue.rxLost++;
      dev.stats.add(len < ETH_HLEN ? STAT_RX_ERRORS : STAT_RX_DROPPED);
      continue;
    }
    queue.rxBuf[at] = fresh;
    skbReserve(skb, NET_SKB_PAD);
    skbPut(skb, len);
    if ((dev.features & NETIF_F_RXHASH) !== 0) skb.hash = arena.view.getUint32(desc + DESC_HASH, true);
    const flags = arena.view.getUint32(desc + DESC_FLAGS, true);
    if ((flags & DESC_VLAN) !== 0) skb.vlanTci = flags >>> 16;
    skbRecordRxQueue(skb, queue.index);
    skb.napiId = napi!.id;
    skb.protocol = ethTypeTrans(skb, dev);
    dev.stats.add(STAT_RX_PACKETS);
    dev.stats.add(STAT_RX_BYTES, len);
    queue.rxPackets++;
    queue.rxBytes += len;
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
  if (info.fragList(skb.shinfo) !== null && !pskbPullTail(skb, skb.dataLen)) {
    // The card has no way to say that a frame goes on in another frame.
    dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.TX_ERROR);
    return NETDEV_TX_OK;
  }
  const s = skb.shinfo;
  const frags = info.nrFrags[s]!;
  if (queue.free() < frags + 1) {
    netifTxqMaybeStop(txq, queue.txFree, frags + 1, TX_WAKE);
    return NETDEV_TX_BUSY;
  }
  let last = queue.txNext;
  const partial = skb.ipSummed === CHECKSUM_PARTIAL;
  const sums = partial ? ((skb.csumStart - skb.data) << 16) | skb.csumOffset : 0;
  const tag = skb.vlanTci < 0 ? 0 : (skb.vlanTci << 16) | DESC_VLAN;
  const flags = (frags === 0 ? DESC_EOP : 0) | (partial ? DESC_CSUM : 0) | tag;
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
