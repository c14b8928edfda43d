// hot
/**
 * net_rx_action: the NET_RX softirq. Polls every instance on this CPU's list, within a budget and a time limit.
 *
 *  1. Take the CPU's poll list as it is now; what is queued from here on waits for the next run.
 *  2. Poll the first instance with its weight (64). Less work than that: the driver has completed it, forget it.
 *     All of it: it goes to `repoll` and waits for the next softirq pass, so one busy queue cannot starve the others.
 *  3. Stop when the budget (300 frames) is used up or 2 ticks have passed: `time_squeeze`.
 *  4. All are done and none wants another poll: what was queued meanwhile is taken in this run, back to 1.
 *  5. The poll list is then: what is left, what was queued meanwhile, repoll. If it is not empty NET_RX is raised again.
 *
 * Bound: budget + weight - 1 frames, or the time limit plus one poll.
 * While an instance is polled its pollOwner is this CPU: netpoll on this CPU then keeps its hands off (and defers).
 */
import { List } from '../base/list.ts';
import {
  NAPI_STATE_DISABLE,
  NAPI_STATE_IN_BUSY_POLL,
  NAPI_STATE_NPSVC,
  NAPI_STATE_PREFER_BUSY_POLL,
  NAPI_STATE_SCHED,
  NAPI_STATE_SCHED_THREADED,
  type NapiStruct,
  napiCompleteDone,
  napiSchedule,
} from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import { Loglevel } from '../machine/printk.ts';
import { Softirq } from '../machine/softirq.ts';

/** Frames in one run, all instances together (`net.core.netdev_budget`). */
export const NETDEV_BUDGET = 300;

/** With ticks this short an instance under load keeps frames of the current tick. (`HZ >= 1000`) */
const FLUSH_OLD_JIFFY_NS = 1e6;

export interface NetRxLimits {
  /** Frames a run. */
  budget: number;
  /** Nanoseconds a run; the kernel's default is 2 ticks (`net.core.netdev_budget_usecs`). */
  budgetNs: number;
}

/** Set-up: the softirq handler for `net`; limits may be changed while it runs. */
export function netRxAction(net: Net, limits: NetRxLimits): () => void {
  const machine = net.machine;
  const lists = machine.cpus.map(() => new List<NapiStruct>());
  const repolls = machine.cpus.map(() => new List<NapiStruct>());
  return () => {
    const cpu = machine.cpu;
    const softnet = net.softnet[cpu.id]!;
    const list = lists[cpu.id]!;
    const repoll = repolls[cpu.id]!;
    const endNs = machine.executive.now() + limits.budgetNs;
    let budget = limits.budget;
    softnet.inNetRxAction = true;
    // One alone need not go by way of the list.
    let only = softnet.pollList.length === 1 ? softnet.pollList.shift() : null;
    if (only === null) list.spliceTail(softnet.pollList);
    for (;;) {
      const napi: NapiStruct | null = only ?? list.shift();
      only = null;
      if (napi === null) {
        if (repoll.length > 0 || softnet.pollList.length === 0) break;
        list.spliceTail(softnet.pollList);
        continue;
      }
      budget -= napiPollOne(napi, cpu.id, repoll);
      if (budget <= 0 || machine.executive.now() >= endNs) {
        softnet.timeSqueeze++;
        break;
      }
    }
    if (list.length + repoll.length > 0) {
      list.spliceTail(softnet.pollList);
      list.spliceTail(repoll);
      softnet.pollList.spliceTail(list);
    }
    softnet.inNetRxAction = false;
    if (softnet.pollList.length > 0) machine.softirq.raiseIrqoff(cpu, Softirq.NET_RX);
    if (softnet.sendIpis !== null) softnet.sendIpis();
  };
}

/**
 * One poll; returns the work. An instance that used its weight ends on `repoll`, unless it is being disabled; so does one
 * that netpoll polls on another CPU.
 */
function napiPollOne(napi: NapiStruct, cpu: number, repoll: List<NapiStruct>): number {
  if (napi.pollOwner >= 0) {
    repoll.addTail(napi);
    return 0;
  }
  napi.listOwner = -1;
  if ((napi.state & NAPI_STATE_SCHED) === 0) return 0;
  const weight = napi.weight;
  napi.pollOwner = cpu;
  const work = napi.poll(napi, weight);
  napi.pollOwner = -1;
  napi.polls++;
  napi.work += work;
  if (work < weight) {
    if (isStuck(napi)) complainOfStuck(napi, work);
    return work;
  }
  if (work > weight) complainOfBudget(napi, work);
  if ((napi.state & NAPI_STATE_DISABLE) !== 0) {
    napiCompleteDone(napi, work);
    return work;
  }
  if ((napi.state & NAPI_STATE_PREFER_BUSY_POLL) !== 0) {
    // Somebody has promised to poll it himself: not here again, but after a wait.
    if (napiCompleteDone(napi, work)) napiSchedule(napi);
    return work;
  }
  // The poll goes on, but what receive offload holds does not wait for its end. Ticks that are short let it wait for one.
  napi.groFlush(napi.dev.net.machine.jiffyNs <= FLUSH_OLD_JIFFY_NS);
  if (napi.list === null && (napi.state & NAPI_STATE_SCHED) !== 0) {
    napi.listOwner = cpu;
    repoll.addTail(napi);
  } else {
    complainOfReschedule(napi);
  }
  return work;
}

/** It is owned, by nobody: the driver has not completed it. Interrupts stay masked for ever. */
function isStuck(napi: NapiStruct): boolean {
  return (napi.state & OWNED_OR_LEAVING) === NAPI_STATE_SCHED && napi.list === null;
}

/** What netpoll, a busy poll or a disable owns is not stuck. */
const OWNED_OR_LEAVING =
  NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_DISABLE | NAPI_STATE_IN_BUSY_POLL | NAPI_STATE_SCHED_THREADED;

function complainOfStuck(napi: NapiStruct, work: number): void {
  const what = napi.dev.name + ': NAPI poll function returned ' + work + ' of ' + napi.weight;
  napi.dev.net.sayOnce(Loglevel.ERR, what + ' without napi_complete_done: it is never polled again', 'napi stuck');
}

/** (`__napi_poll`) */
function complainOfBudget(napi: NapiStruct, work: number): void {
  const what = 'NAPI poll function of ' + napi.dev.name + ' returned ' + work;
  napi.dev.net.sayOnce(Loglevel.ERR, what + ', exceeding its budget of ' + napi.weight + '.', 'napi budget');
}

function complainOfReschedule(napi: NapiStruct): void {
  napi.dev.net.sayOnce(
    Loglevel.WARNING,
    napi.dev.name + ': Budget exhausted after napi rescheduled',
    'napi rescheduled',
  );
}
