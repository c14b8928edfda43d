// hot
/**
 * netdev_queue: one transmit queue of a device: may the driver be called, and by whom is it being called.
 *
 * The lock exists so that nobody enters a driver twice. There is one thread, so it is never waited for; but the CPU that
 * holds it can come back (an interrupt inside startXmit prints, netconsole sends), and must then find it taken.
 */
import { assert } from '../base/assert.ts';
import type { SkbQueue } from '../skb/queue.ts';

export const QUEUE_STATE_DRV_XOFF = 1 << 0;
export const QUEUE_STATE_STACK_XOFF = 1 << 1;
export const QUEUE_STATE_FROZEN = 1 << 2;

export class NetdevQueue {
  readonly index: number;
  state = 0;
  /** CPU that is inside the driver's startXmit, or -1. */
  xmitLockOwner = -1;
  /** When the driver last took a frame, machine nanoseconds. */
  transStartNs = 0;
  /** How often the driver said BUSY or was found stopped (`requeues`). */
  requeues = 0;
  /** Frames that wait for the driver; the stack's, null where there is no stack. */
  qdisc: SkbQueue | null = null;
  /** What waits behind a stopped queue is run again; installed by the stack. */
  onWake: ((queue: NetdevQueue) => void) | null = null;

  constructor(index: number) {
    this.index = index;
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
  if (queue.onWake !== null) queue.onWake(queue);
}

/** Looks at the driver's own bit only. (`netif_tx_queue_stopped`) */
export function netifQueueStopped(queue: NetdevQueue): boolean {
  return (queue.state & QUEUE_STATE_DRV_XOFF) !== 0;
}
