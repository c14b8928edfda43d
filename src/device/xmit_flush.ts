// hot
/**
 * Doorbells at the end of a poll: what a driver was given while this CPU polls goes to its hardware in one go, once the poll is over.
 *
 *     napi.poll( frame in -> forwarded -> startXmit: kept  ...64 times )  then  xmitFlush: one doorbell a queue
 *
 * A driver that wants it asks `xmitMayWait` where nobody has promised more frames, and puts its queue on the CPU's list. Not with
 * interrupts off: what netpoll sends has been sent when startXmit returns. (`xdp_do_flush`, for every kind of frame)
 */
import type { Softnet } from './softnet.ts';

/** A transmit queue that keeps frames until it is flushed. */
export interface XmitFlusher {
  nextFlush: XmitFlusher | null;
  /** It is on a CPU's list. */
  flushing: boolean;
  /** Gives what is kept to the hardware, as far as that has room. */
  flush(): void;
}

/** True: this CPU is in a poll, whose end will flush. */
export function xmitMayWait(softnet: Softnet): boolean {
  return softnet.polling && !softnet.cpu.irqsDisabled;
}

/** `queue` is flushed when the poll is over. */
export function xmitFlushLater(softnet: Softnet, queue: XmitFlusher): void {
  if (queue.flushing) return;
  queue.flushing = true;
  queue.nextFlush = softnet.flushList;
  softnet.flushList = queue;
}

/** The poll is over. Bound: the queues on the list. */
export function xmitFlush(softnet: Softnet): void {
  let queue = softnet.flushList;
  softnet.flushList = null;
  while (queue !== null) {
    const next: XmitFlusher | null = queue.nextFlush;
    queue.nextFlush = null;
    queue.flushing = false;
    queue.flush();
    queue = next;
  }
}
