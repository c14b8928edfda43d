// hot
/**
 * Freeing a frame where freeing is not allowed: an interrupt handler must not run a destructor. It leaves the frame on its CPU's
 * completion queue, and the NET_TX softirq frees it.
 *
 *     devKfreeSkbIrq --> softnet.completionQueue (last in, first out) --NET_TX--> freeCompletionQueue: dropped or consumed
 *
 *     ...Irq    from an interrupt       ...Any    from anywhere: at once, where that is allowed       napiConsumeSkb    from a poll
 *
 * When no softirq comes any more (interrupts off, after a panic) netpoll takes what is there: zapCompletionQueue.
 * The queue has a limit by itself: frames that were sent and not freed are as many as the pool has.
 */
import { Softirq } from '../machine/softirq.ts';
import { DropReason } from '../skb/drop_reason.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { Net } from './net.ts';

/** Instead of a reason: the frame has done its work. */
const CONSUMED = DropReason.CONSUMED;

/** Gives up a reference in an interrupt: the frame was dropped. (`dev_kfree_skb_irq`) */
export function devKfreeSkbIrq(net: Net, skb: SkBuff, reason: number = DropReason.NOT_SPECIFIED): void {
  later(net, skb, reason);
}

/** Gives up a reference in an interrupt: the frame has been sent. (`dev_consume_skb_irq`) */
export function devConsumeSkbIrq(net: Net, skb: SkBuff): void {
  later(net, skb, CONSUMED);
}

/** Gives up a reference from anywhere: dropped. (`dev_kfree_skb_any`) */
export function devKfreeSkbAny(net: Net, skb: SkBuff, reason: number = DropReason.NOT_SPECIFIED): void {
  if (mayNotFree(net)) later(net, skb, reason);
  else skb.pool.kfree(skb, reason);
}

/** Gives up a reference from anywhere: sent. (`dev_consume_skb_any`) */
export function devConsumeSkbAny(net: Net, skb: SkBuff): void {
  if (mayNotFree(net)) later(net, skb, CONSUMED);
  else skb.pool.consume(skb);
}

/** Gives up a reference in a poll with this budget: 0 is netpoll's, which may come from anywhere. (`napi_consume_skb`) */
export function napiConsumeSkb(net: Net, skb: SkBuff, budget: number): void {
  if (budget === 0) devConsumeSkbAny(net, skb);
  else skb.pool.consume(skb);
}

function mayNotFree(net: Net): boolean {
  const { cpu } = net.machine;
  return cpu.inHardirq || cpu.irqsDisabled;
}

function later(net: Net, skb: SkBuff, reason: number): void {
  // Nobody's destructor runs yet: the object is still somebody else's.
  if (skb.users > 1) {
    skb.pool.consume(skb);
    return;
  }
  const { machine } = net;
  const softnet = net.softnet[machine.cpu.id]!;
  net.completionReason[skb.id] = reason;
  skb.next = softnet.completionQueue;
  softnet.completionQueue = skb;
  machine.softirq.raise(Softirq.NET_TX);
}

/** Frees what this CPU's interrupts have left. Bound: what was there when it began. (first half of `net_tx_action`) */
export function freeCompletionQueue(net: Net): void {
  const softnet = net.softnet[net.machine.cpu.id]!;
  let skb = softnet.completionQueue;
  softnet.completionQueue = null;
  while (skb !== null) {
    const next: SkBuff | null = skb.next;
    skb.next = null;
    end(net, skb);
    skb = next;
  }
}

function end(net: Net, skb: SkBuff): void {
  const reason = net.completionReason[skb.id]!;
  if (reason === CONSUMED) skb.pool.consume(skb);
  else skb.pool.kfree(skb, reason);
}

/**
 * Frees of this CPU's completion queue what has no destructor, with interrupts off; true if that made room. What has one goes on
 * waiting for the softirq. (`zap_completion_queue`)
 */
export function zapCompletionQueue(net: Net): boolean {
  const softnet = net.softnet[net.machine.cpu.id]!;
  let skb = softnet.completionQueue;
  let kept: SkBuff | null = null;
  let freed = false;
  softnet.completionQueue = null;
  while (skb !== null) {
    const next: SkBuff | null = skb.next;
    if (skb.destructor !== null) {
      skb.next = kept;
      kept = skb;
    } else {
      skb.next = null;
      end(net, skb);
      freed = true;
    }
    skb = next;
  }
  softnet.completionQueue = kept;
  return freed;
}
