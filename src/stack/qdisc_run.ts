// hot
/**
 * Running a qdisc: from what waits to the driver.
 *
 *     qdiscRun   one CPU at a time, at most 64 frames, the rest by NET_TX softirq
 *       |  1. gsoSkb empty: dequeue a frame, and as many behind it as byte queue limits have room for; validate each
 *       |     (GSO, checksum), which may make several of one
 *       |  2. lock the queue; while it is not stopped: taps, driver, with xmitMore set while more follow
 *       |  3. BUSY, stopped or locked: what is left stays in gsoSkb, first in line, `requeues`
 *     netTxAction   the softirq: every qdisc on this CPU's output queue
 *
 * A frame is validated once: what comes back from the driver goes out again as it is.
 */
import { devXmitComplete, NET_XMIT_DROP, NET_XMIT_SUCCESS, NETDEV_TX_BUSY } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { type NetDevice, STAT_TX_DROPPED } from '../device/net_device.ts';
import { type NetdevQueue, txTrylock, txUnlock } from '../device/netdev_queue.ts';
import { NOOP_OPS, type Qdisc } from '../device/qdisc.ts';
import { Softirq } from '../machine/softirq.ts';
import { CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { PACKET_OUTGOING, type SkBuff, skbIsGso } from '../skb/sk_buff.ts';
import type { Transmit, ValidateXmit } from './transmit.ts';

/** Frames that one run hands to the driver (`dev_tx_weight`). */
export const DEV_TX_WEIGHT = 64;

/** Through the qdisc: straight on if nothing is in the way, else behind the others. (`__dev_xmit_skb`) */
export function devXmitSkb(tx: Transmit, skb: SkBuff, qdisc: Qdisc, txq: NetdevQueue): number {
  if (qdisc.deactivated) {
    qdisc.drops++;
    skb.pool.kfree(skb, DropReason.QDISC_DROP);
    return NET_XMIT_DROP;
  }
  if (qdisc.ops.canBypass === true && qdisc.qlen === 0 && !qdisc.running && !txq.frozenOrStopped) {
    bypass(tx, skb, qdisc, txq);
    return NET_XMIT_SUCCESS;
  }
  const status = qdisc.ops.enqueue!(skb, qdisc);
  if (qdisc.ops !== NOOP_OPS) qdiscRun(tx, qdisc, txq);
  return status;
}

/** Nothing waits and nobody is at it: to the driver without the detour. What it does not take is first in line. (`TCQ_F_CAN_BYPASS`) */
function bypass(tx: Transmit, skb: SkBuff, qdisc: Qdisc, txq: NetdevQueue): void {
  const { gsoSkb } = qdisc;
  qdisc.running = true;
  if (isPlain(skb) && txTrylock(txq, tx.net.machine.cpu.id)) {
    bypassPlain(tx, skb, qdisc, txq);
    return;
  }
  if (tx.validateXmit === null) gsoSkb.queueTail(skb);
  else tx.validateXmit(skb, qdisc.dev, gsoSkb);
  const waiting = gsoSkb.length;
  for (let piece = gsoSkb.peek(); piece !== null; piece = piece.next) qdisc.added(piece);
  const all = waiting > 0 && directXmit(tx, qdisc, txq) === waiting;
  qdisc.running = false;
  // What was queued meanwhile, by who was called from inside the driver.
  if (qdisc.qlen > 0 && (all || waiting === 0)) qdiscRun(tx, qdisc, txq);
}

/** As bypass, for a frame that validation would leave as it is; the caller has the queue. */
function bypassPlain(tx: Transmit, skb: SkBuff, qdisc: Qdisc, txq: NetdevQueue): void {
  const { len } = skb;
  const sent = devXmitComplete(devHardStartXmit(tx, skb, txq, false));
  if (sent) {
    qdisc.packets++;
    qdisc.bytes += len;
  } else {
    qdisc.added(skb);
    qdisc.gsoSkb.queueTail(skb);
  }
  txUnlock(txq);
  if (!sent) putBack(tx, qdisc, txq);
  qdisc.running = false;
  if (sent && qdisc.qlen > 0) qdiscRun(tx, qdisc, txq);
}

/** In one piece, not a super-frame, its checksum there, no tag beside it: every device takes it. */
function isPlain(skb: SkBuff): boolean {
  return skb.dataLen === 0 && skb.vlanTci < 0 && skb.ipSummed !== CHECKSUM_PARTIAL && !skbIsGso(skb);
}

/** Sends what waits; bound: DEV_TX_WEIGHT frames. */
export function qdiscRun(tx: Transmit, qdisc: Qdisc, txq: NetdevQueue): void {
  if (qdisc.running || qdisc.deactivated) return;
  qdisc.running = true;
  let quota = DEV_TX_WEIGHT;
  while (quota > 0 && !txq.frozenOrStopped) {
    const waiting = qdisc.gsoSkb.length > 0 ? qdisc.gsoSkb.length : dequeueBurst(tx, qdisc, txq, quota);
    if (waiting === 0) break;
    const sent = directXmit(tx, qdisc, txq);
    quota -= sent;
    if (sent < waiting) break;
  }
  qdisc.running = false;
  if (quota <= 0 && qdisc.qlen > 0 && !txq.frozenOrStopped) netifSchedule(tx.net, qdisc);
}

/**
 * Moves the next frames to gsoSkb, which is empty; gives how many there are then. One, and behind it as many as byte queue
 * limits have room for: a driver without limits gets one at a time, and so does one queue of several.
 */
function dequeueBurst(tx: Transmit, qdisc: Qdisc, txq: NetdevQueue, quota: number): number {
  let room = txq.dev.realNumTxQueues === 1 ? txq.dql.available : 0;
  let moved = 0;
  do {
    const skb = qdisc.ops.dequeue(qdisc);
    if (skb === null) break;
    room -= skb.len;
    moved++;
    if (tx.validateXmit === null) qdisc.gsoSkb.queueTail(skb);
    else validate(tx, tx.validateXmit, skb, qdisc);
  } while (room > 0 && moved < quota);
  // Every one of them may have been dropped by validation: then the next are tried.
  return moved > 0 && qdisc.gsoSkb.length === 0 ? dequeueBurst(tx, qdisc, txq, quota) : qdisc.gsoSkb.length;
}

/** The frame as the driver can take it: itself, several, or none, on gsoSkb. */
function validate(tx: Transmit, validateXmit: ValidateXmit, skb: SkBuff, qdisc: Qdisc): void {
  qdisc.removed(skb);
  const pieces = tx.piecesAt(0);
  validateXmit(skb, qdisc.dev, pieces);
  for (let piece = pieces.dequeue(); piece !== null; piece = pieces.dequeue()) {
    qdisc.added(piece);
    qdisc.gsoSkb.queueTail(piece);
  }
}

/** Gives gsoSkb to the driver while it takes it; returns how many it took. (`sch_direct_xmit`) */
function directXmit(tx: Transmit, qdisc: Qdisc, txq: NetdevQueue): number {
  const { gsoSkb } = qdisc;
  const { machine } = tx.net;
  if (!txTrylock(txq, machine.cpu.id)) {
    // Netpoll, or another CPU, is inside the driver, and does not look at this queue when it leaves.
    requeued(qdisc, txq);
    netifSchedule(tx.net, qdisc);
    return 0;
  }
  let sent = 0;
  while (!txq.frozenOrStopped) {
    const skb = gsoSkb.dequeue();
    if (skb === null) break;
    const { len } = skb;
    if (!devXmitComplete(devHardStartXmit(tx, skb, txq, gsoSkb.length > 0))) {
      gsoSkb.queueHead(skb);
      break;
    }
    qdisc.qlen--;
    qdisc.backlog -= len;
    qdisc.packets++;
    qdisc.bytes += len;
    sent++;
  }
  txUnlock(txq);
  if (gsoSkb.length > 0) putBack(tx, qdisc, txq);
  return sent;
}

/** gsoSkb holds what the driver did not take: one that says BUSY without stopping its queue is asked again, after others had a turn. */
function putBack(tx: Transmit, qdisc: Qdisc, txq: NetdevQueue): void {
  requeued(qdisc, txq);
  if (!txq.frozenOrStopped) netifSchedule(tx.net, qdisc);
}

function requeued(qdisc: Qdisc, txq: NetdevQueue): void {
  qdisc.requeues += qdisc.gsoSkb.length;
  txq.requeues++;
}

/** Taps, then the driver. The caller holds the queue. OK: the frame is the driver's; BUSY: still the caller's. */
export function devHardStartXmit(tx: Transmit, skb: SkBuff, txq: NetdevQueue, more: boolean): number {
  const { taps } = tx;
  for (let i = 0; i < taps.length; i++) {
    const copy = skb.pool.clone(skb);
    if (copy === null) continue;
    copy.pktType = PACKET_OUTGOING;
    taps[i]!(copy);
  }
  txq.xmitMore = more;
  const { ops } = txq.dev;
  const status = ops.startXmit(skb, txq.dev, txq);
  // For the watchdog, where the driver has one: a reading of the clock is 3 % of what forwarding a frame costs.
  if (ops.txTimeout !== undefined && devXmitComplete(status)) txq.transStartNs = tx.net.machine.executive.now();
  return status;
}

/** The NET_TX softirq. Bound: the qdiscs that were scheduled when it started, DEV_TX_WEIGHT frames each. */
export function netTxAction(tx: Transmit): void {
  const { net } = tx;
  const softnet = net.softnet[net.machine.cpu.id]!;
  let qdisc = softnet.outputQueue;
  softnet.outputQueue = null;
  softnet.outputTail = null;
  while (qdisc !== null) {
    const next = qdisc.nextSched;
    qdisc.nextSched = null;
    qdisc.scheduled = false;
    const txq = queueOf(qdisc);
    if (txq !== null && !txq.frozenOrStopped) qdiscRun(tx, qdisc, txq);
    qdisc = next;
  }
}

/** Puts a qdisc on this CPU's output queue, once, and raises NET_TX. (`__netif_schedule`) */
export function netifSchedule(net: Net, qdisc: Qdisc): void {
  if (qdisc.scheduled) return;
  qdisc.scheduled = true;
  const softnet = net.softnet[net.machine.cpu.id]!;
  if (softnet.outputTail === null) softnet.outputQueue = qdisc;
  else softnet.outputTail.nextSched = qdisc;
  softnet.outputTail = qdisc;
  net.machine.softirq.raise(Softirq.NET_TX);
}

function queueOf(qdisc: Qdisc): NetdevQueue | null {
  const { txQueues } = qdisc.dev;
  for (let q = 0; q < txQueues.length; q++) if (txQueues[q]!.qdisc === qdisc) return txQueues[q]!;
  return null;
}

/** Sends without a queue: 0, or NETDEV_TX_BUSY with the frame still the caller's. */
export function xmitUnqueued(tx: Transmit, skb: SkBuff, txq: NetdevQueue): number {
  if (!txTrylock(txq, tx.net.machine.cpu.id)) return NETDEV_TX_BUSY;
  const status = txq.frozenOrStopped ? NETDEV_TX_BUSY : devHardStartXmit(tx, skb, txq, false);
  txUnlock(txq);
  return status;
}

/** The frame ends here, on the device's account. */
export function txDrop(dev: NetDevice, skb: SkBuff, reason: number): void {
  dev.stats.add(STAT_TX_DROPPED);
  skb.pool.kfree(skb, reason);
}
