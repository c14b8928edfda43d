/**
 * Waiting for events as epoll does over a queue that it polls itself.
 *
 *     busy poll, PREFER --> take() events?  some: interrupts are suspended, the caller has them, and comes back
 *                                           none: interrupts resume, the caller sleeps until one wakes him
 *
 * Three loops compete for the queue: its interrupt, its timer, and this one; each leaves it to the next when it has nothing.
 * (`ep_busy_loop`, `ep_suspend_napi_irqs`, `ep_resume_napi_irqs`)
 */
import { napiResumeIrqs, napiSuspendIrqs } from '../device/irq_suspend.ts';
import type { Net } from '../device/net.ts';
import { type BusyPollOptions, napiBusyLoop } from './busy_poll.ts';

export interface EventPollOptions extends BusyPollOptions {
  /** Nanoseconds that one call polls at most where nothing comes. */
  readonly ns: number;
}

/**
 * Polls the instance with this id until `ready` or the time is over, then has the caller `take` what is there, and gives how many events
 * that were. Process context.
 */
export function eventPoll(
  net: Net,
  id: number,
  ready: () => boolean,
  take: () => number,
  options: EventPollOptions,
): number {
  if (!ready()) napiBusyLoop(net, id, options.ns, ready, { prefer: true, ...options });
  const events = take();
  if (events > 0) napiSuspendIrqs(net, id);
  else napiResumeIrqs(net, id);
  return events;
}
