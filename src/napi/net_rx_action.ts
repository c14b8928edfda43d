// hot
/**
 * net_rx_action: the NET_RX softirq. Polls every instance on this CPU's list, within a budget and a time limit.
 *
 *  1. Take the first instance of the CPU's poll list, also if it was queued during this run.
 *  2. Poll it with its weight (64). Less work than that: the driver has completed it, forget it.
 *     All of it: it goes to `repoll` and waits for the next softirq pass, so one busy queue cannot starve the others.
 *  3. Stop when the budget (300 frames) is used up or 2 ticks have passed: `time_squeeze`.
 *  4. What wants another poll goes back on the list behind what is left, and NET_RX is raised again.
 *
 * Bound: budget + weight - 1 frames, or the time limit plus one poll.
 * While an instance is polled its pollOwner is this CPU: netpoll on this CPU then keeps its hands off (and defers).
 */
import { assert } from '../base/assert.ts';
import { List } from '../base/list.ts';
import { NAPI_STATE_DISABLE, NAPI_STATE_SCHED, type NapiStruct, napiCompleteDone } from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import { Softirq } from '../machine/softirq.ts';

/** Frames in one run, all instances together (`net.core.netdev_budget`). */
export const NETDEV_BUDGET = 300;

export interface NetRxLimits {
  /** Frames a run. */
  budget: number;
  /** Nanoseconds a run; the kernel's default is 2 ticks (`net.core.netdev_budget_usecs`). */
  budgetNs: number;
}

/** Set-up: the softirq handler for `net`; limits may be changed while it runs. */
export function netRxAction(net: Net, limits: NetRxLimits): () => void {
  const machine = net.machine;
  const repoll = new List<NapiStruct>();
  return () => {
    const cpu = machine.cpu;
    const softnet = net.softnet[cpu.id]!;
    const endNs = machine.executive.now() + limits.budgetNs;
    const list = softnet.pollList;
    let budget = limits.budget;
    softnet.inNetRxAction = true;
    for (let napi = list.shift(); napi !== null; napi = list.shift()) {
      napi.listOwner = -1;
      budget -= napiPollOne(napi, cpu.id, repoll);
      if (budget <= 0 || machine.executive.now() >= endNs) {
        softnet.timeSqueeze++;
        break;
      }
    }
    for (let napi = repoll.shift(); napi !== null; napi = repoll.shift()) {
      napi.listOwner = cpu.id;
      list.addTail(napi);
    }
    softnet.inNetRxAction = false;
    if (list.length > 0) machine.softirq.raiseIrqoff(cpu, Softirq.NET_RX);
  };
}

/** One poll; returns the work. An instance that used its weight ends on `repoll`, unless it is being disabled. */
function napiPollOne(napi: NapiStruct, cpu: number, repoll: List<NapiStruct>): number {
  if ((napi.state & NAPI_STATE_SCHED) === 0) return 0;
  const weight = napi.weight;
  napi.pollOwner = cpu;
  const work = napi.poll(napi, weight);
  napi.pollOwner = -1;
  napi.polls++;
  napi.work += work;
  assert(work <= weight, 'a poll takes no more than its budget');
  if (work < weight) return work;
  if ((napi.state & NAPI_STATE_DISABLE) !== 0) napiCompleteDone(napi, work);
  else if (napi.list === null) repoll.addTail(napi);
  return work;
}
