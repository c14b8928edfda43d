// hot
/**
 * netdev_queue: one transmit queue of a device: may the driver be called, and by whom is it being called.
 *
 * The lock exists so that nobody enters a driver twice. There is one thread, so it is never waited for; but the CPU that
 * holds it can come back (an interrupt inside startXmit prints, netconsole sends), and must then find it taken.
 *
 *     DRV_XOFF    the driver has no room or no link      netifStopQueue, netifWakeQueue
 *     STACK_XOFF  enough bytes are in the hardware        netdevTxSentQueue, netdevTxCompletedQueue (byte queue limits)
 *     FROZEN      the watchdog is in txTimeout
 */
import { assert } from '../base/assert.ts';
import { Dql } from './dql.ts';
import type { NetDevice } from './net_device.ts';
import type { Qdisc } from './qdisc.ts';

export const QUEUE_STATE_DRV_XOFF = 1 << 0;
export const QUEUE_STATE_STACK_XOFF = 1 << 1;
export const QUEUE_STATE_FROZEN = 1 << 2;

/** Either reason not to send, but for a watchdog that is at work (`QUEUE_STATE_ANY_XOFF`). */
export const QUEUE_STATE_ANY_XOFF = QUEUE_STATE_DRV_XOFF | QUEUE_STATE_STACK_XOFF;

export class NetdevQueue {
  readonly index: number;
  readonly dev: NetDevice;
  state = 0;
  /** CPU that is inside the driver's startXmit, or -1. */
  xmitLockOwner = -1;
  /** When the driver last took a frame (where it has a watchdog) or stopped, machine nanoseconds. */
  transStartNs = 0;
  /** How often the driver said BUSY (`requeues`), and how often it was found hanging (`trans_timeout`). */
  requeues = 0;
  transTimeout = 0;
  /** More frames follow the one that startXmit gets: it need not ring the doorbell yet. (`netdev_xmit_more`) */
  xmitMore = false;
  /** Byte queue limits. */
  readonly dql = new Dql();
  /** Frames that wait for the driver; the stack's, null where there is no stack. */
  qdisc: Qdisc | null = null;
  /** What `qdisc` becomes again when the link is back (`qdisc_sleeping`). */
  qdiscSleeping: Qdisc | null = null;

  constructor(index: number, dev: NetDevice) {
    this.index = index;
    this.dev = dev;
  }

  /** Any reason not to call the driver (`netif_xmit_frozen_or_stopped`). */
  get frozenOrStopped(): boolean {
    return this.state !== 0;
  }
}

/** True: the caller holds the queue and unlocks it. False: somebody is inside the driver. */
export function txTrylock(queue: NetdevQueue, cpu: number): boolean {
  if (queue.xmitLockOwner >= 0) return false;
  queue.xmitLockOwner = cpu;
  return true;
}

export function txUnlock(queue: NetdevQueue): void {
  assert(queue.xmitLockOwner >= 0, 'a queue is unlocked by who locked it');
  queue.xmitLockOwner = -1;
}

/** The driver is ready; nothing is rescheduled. (`netif_tx_start_queue`) */
export function netifStartQueue(queue: NetdevQueue): void {
  queue.state &= ~QUEUE_STATE_DRV_XOFF;
}

/** The driver has no room, or no link. (`netif_tx_stop_queue`) */
export function netifStopQueue(queue: NetdevQueue, nowNs: number): void {
  queue.state |= QUEUE_STATE_DRV_XOFF;
  queue.transStartNs = nowNs;
}

/** The driver has room again; what waits is sent. (`netif_tx_wake_queue`) */
export function netifWakeQueue(queue: NetdevQueue): void {
  if ((queue.state & QUEUE_STATE_DRV_XOFF) === 0) return;
  queue.state &= ~QUEUE_STATE_DRV_XOFF;
  reschedule(queue);
}

/** What waits is sent soon, unless there is a reason not to. (`netif_schedule_queue`) */
export function netifScheduleQueue(queue: NetdevQueue): void {
  if ((queue.state & QUEUE_STATE_ANY_XOFF) === 0) reschedule(queue);
}

/** Looks at the driver's own bit only. (`netif_tx_queue_stopped`) */
export function netifQueueStopped(queue: NetdevQueue): boolean {
  return (queue.state & QUEUE_STATE_DRV_XOFF) !== 0;
}

/** All queues at once (`netif_tx_start_all_queues` and its brothers). */
export function netifTxStartAllQueues(dev: NetDevice): void {
  for (let q = 0; q < dev.txQueues.length; q++) netifStartQueue(dev.txQueues[q]!);
}

export function netifTxStopAllQueues(dev: NetDevice): void {
  const now = dev.net.machine.executive.now();
  for (let q = 0; q < dev.txQueues.length; q++) netifStopQueue(dev.txQueues[q]!, now);
}

export function netifTxWakeAllQueues(dev: NetDevice): void {
  for (let q = 0; q < dev.txQueues.length; q++) netifWakeQueue(dev.txQueues[q]!);
}

/**
 * After a frame was queued: stops the queue if fewer than `stopAt` descriptors are free. 1: left on. 0: stopped.
 * -1: stopped, and on again, because a completion made room meanwhile. `free` is asked twice. (`netif_txq_maybe_stop`)
 */
export function netifTxqMaybeStop(queue: NetdevQueue, free: () => number, stopAt: number, startAt: number): number {
  if (free() >= stopAt) return 1;
  netifStopQueue(queue, queue.dev.net.machine.executive.now());
  if (free() < startAt) return 0;
  netifStartQueue(queue);
  return -1;
}

/**
 * After a completion round that left `free` descriptors: 0: woken. 1: it was on. -1: still too little room, or `down`.
 * (`__netif_txq_completed_wake`)
 */
export function netifTxqCompletedWake(
  queue: NetdevQueue,
  packets: number,
  bytes: number,
  free: number,
  startAt: number,
  down = false,
): number {
  netdevTxCompletedQueue(queue, packets, bytes);
  if (packets === 0 || free < startAt) return -1;
  if (!netifQueueStopped(queue)) return 1;
  if (down) return -1;
  netifWakeQueue(queue);
  return 0;
}

/** `bytes` were given to the hardware; over the limit the stack stops sending. (`netdev_tx_sent_queue`) */
export function netdevTxSentQueue(queue: NetdevQueue, bytes: number): void {
  queue.dql.queued(bytes);
  if (queue.dql.available >= 0) return;
  queue.state |= QUEUE_STATE_STACK_XOFF;
  queue.transStartNs = queue.dev.net.machine.executive.now();
}

/** `bytes` have left the hardware. Once a completion round, else the limit never grows. (`netdev_tx_completed_queue`) */
export function netdevTxCompletedQueue(queue: NetdevQueue, _packets: number, bytes: number): void {
  if (bytes === 0) return;
  queue.dql.completed(bytes, queue.dev.net.machine.executive.now());
  if (queue.dql.available < 0 || (queue.state & QUEUE_STATE_STACK_XOFF) === 0) return;
  queue.state &= ~QUEUE_STATE_STACK_XOFF;
  reschedule(queue);
}

/** The ring was emptied by hand: what was in it never completes. A driver that uses the limits must say so. */
export function netdevTxResetQueue(queue: NetdevQueue): void {
  queue.state &= ~QUEUE_STATE_STACK_XOFF;
  queue.dql.reset(queue.dev.net.machine.executive.now());
}

function reschedule(queue: NetdevQueue): void {
  const { qdisc } = queue;
  if (qdisc !== null) queue.dev.net.scheduleQdisc(qdisc);
}
