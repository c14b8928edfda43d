// hot
/**
 * The nic driver's way out: a ring of 64 entries, and one doorbell for as many frames as come together.
 *
 *     startXmit --> tx[pending++] --doorbell--> port.txBurst(tx, pending) --> Port
 *                                               what it does not take stays in the ring; the queue is stopped
 *     poll:  1 txReap: free what has left   2 what the ring holds goes out   3 wake the queue
 *
 * The doorbell is rung when nobody promises more frames (`xmitMore`), at the end of this CPU's poll (xmit_flush.ts), or when
 * the ring is full. A super-frame in pieces goes alone.
 *
 * A frame that is in the ring is the driver's, unless it is the last one and the Port did not take it: then it is given back
 * (BUSY), so that a frame sent by itself is with the Port when startXmit says OK. Frames count as sent when the Port has taken them.
 *
 * No room: something is on its way, and its completion polls us; or nothing is, and then a timer does, if no interrupt comes
 * first. Either poll wakes the queue, so a queue that was stopped is never forgotten.
 */
import { NETDEV_TX_BUSY, NETDEV_TX_OK } from '../../base/status.ts';
import { STAT_TX_BYTES, STAT_TX_DROPPED, STAT_TX_PACKETS } from '../../device/net_device.ts';
import {
  type NetdevQueue,
  netifQueueStopped,
  netifStopQueue,
  netifWakeQueue,
  txTrylock,
  txUnlock,
} from '../../device/netdev_queue.ts';
import { xmitFlushLater, xmitMayWait } from '../../device/xmit_flush.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { txFrame, txPlainFrame, txShift } from './frame.ts';
import { BURST, type NicQueue } from './nic_queue.ts';

/** So many on their way, and what has left is freed by who sends: a sender need not wait for a poll. */
const REAP_AT = 2 * BURST;
/** How long a Port without room is left alone, at most. */
const RETRY_NS = 100e3;

/** OK: the frame is the driver's. BUSY: it is untouched, and the queue is stopped. */
export function nicStartXmit(skb: SkBuff, queue: NicQueue, txq: NetdevQueue): number {
  if (skb.dataLen !== 0) return xmitAlone(skb, queue, txq);
  // Never full on entry: a last entry that found no room was given back.
  const at = queue.pending;
  if (queue.plain) txPlainFrame(queue.tx, at, skb);
  else txFrame(queue.tx, at, skb);
  queue.pending = at + 1;
  if (at + 1 < BURST) {
    if (txq.xmitMore) return NETDEV_TX_OK;
    const net = queue.dev.net;
    const softnet = net.softnet[net.machine.cpu.id]!;
    if (xmitMayWait(softnet)) {
      xmitFlushLater(softnet, queue);
      return NETDEV_TX_OK;
    }
  }
  if (ring(queue)) return NETDEV_TX_OK;
  queue.pending--;
  return busy(queue, txq);
}

/** The doorbell at the end of a poll. Who is inside the driver now rings it himself. */
export function nicFlush(queue: NicQueue): void {
  if (queue.pending > 0) ringLocked(queue);
}

/** Frees what has left, sends what waits, and wakes the queue if there is room. Bound: what was in flight. */
export function nicReap(queue: NicQueue): void {
  const had = queue.starved || queue.pending > 0;
  queue.starved = false;
  const reaped = reap(queue);
  if (queue.pending > 0 && !ringLocked(queue)) return;
  if (reaped === 0 && !had) return;
  const txq = queue.dev.txQueues[queue.index]!;
  if (netifQueueStopped(txq)) netifWakeQueue(txq);
}

/** The ring is its writer's: a poll that comes while somebody is in startXmit, on another CPU, leaves it alone. */
function ringLocked(queue: NicQueue): boolean {
  const { dev } = queue;
  const txq = dev.txQueues[queue.index]!;
  if (!txTrylock(txq, dev.net.machine.cpu.id)) return false;
  const empty = ring(queue);
  if (!empty) noRoom(queue, txq);
  txUnlock(txq);
  return empty;
}

/** The device goes down: nothing of the ring is sent any more. */
export function nicPurge(queue: NicQueue): void {
  const { dev, tx } = queue;
  const pool = dev.net.machine.skbs;
  const { pending } = queue;
  queue.pending = 0;
  queue.starved = false;
  dev.net.machine.timers.del(queue.retry);
  for (let i = 0; i < pending; i++) {
    dev.stats.add(STAT_TX_DROPPED);
    pool.kfree(pool.byId(tx.cookie[i]!), DropReason.DEV_READY);
  }
}

/** The Port is closed, and what it had has come back. The queue stays stopped. */
export function nicReapClosed(queue: NicQueue): void {
  reap(queue);
}

/** A frame in pieces: first what waits, then this one, whose pieces are the batch's only ones. */
function xmitAlone(skb: SkBuff, queue: NicQueue, txq: NetdevQueue): number {
  if (queue.pending > 0 && !ring(queue)) return busy(queue, txq);
  if (!txFrame(queue.tx, 0, skb)) {
    queue.dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.TX_ERROR);
    return NETDEV_TX_OK;
  }
  queue.pending = 1;
  if (ring(queue)) return NETDEV_TX_OK;
  queue.pending = 0;
  return busy(queue, txq);
}

/** Gives the ring to the Port, which is not empty. False: some are left, in front of the ring. */
function ring(queue: NicQueue): boolean {
  if (hand(queue)) {
    if (queue.inFlight >= REAP_AT) reap(queue);
    return true;
  }
  // What has left may have made room.
  return reap(queue) > 0 && hand(queue);
}

function hand(queue: NicQueue): boolean {
  const { tx, pending } = queue;
  const taken = queue.nic.port.txBurst(queue.index, tx, pending);
  if (taken === 0) return false;
  let bytes = 0;
  for (let i = 0; i < taken; i++) bytes += tx.len[i]!;
  const { values } = queue.dev.stats;
  values[STAT_TX_PACKETS]! += taken;
  values[STAT_TX_BYTES]! += bytes;
  queue.inFlight += taken;
  queue.pending = pending - taken;
  if (taken === pending) return true;
  txShift(tx, taken, pending);
  return false;
}

function reap(queue: NicQueue): number {
  const { done, index } = queue;
  const { port } = queue.nic;
  const pool = queue.dev.net.machine.skbs;
  let reaped = 0;
  // Until there are none: a port may have tags of its own between, and none of the driver's in a round.
  for (let n = port.txReap(index, done); n > 0; n = port.txReap(index, done)) {
    for (let i = 0; i < n; i++) pool.consume(pool.byId(done.cookie[i]!));
    reaped += n;
  }
  queue.inFlight -= reaped;
  return reaped;
}

function busy(queue: NicQueue, txq: NetdevQueue): number {
  noRoom(queue, txq);
  return NETDEV_TX_BUSY;
}

function noRoom(queue: NicQueue, txq: NetdevQueue): void {
  netifStopQueue(txq, queue.dev.net.machine.executive.now());
  if (queue.inFlight > 0) return;
  queue.starved = true;
  const { timers, executive } = queue.dev.net.machine;
  timers.mod(queue.retry, executive.now() + RETRY_NS);
}
