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
import type { Softnet } from '../device/softnet.ts';
import { xmitFlush } from '../device/xmit_flush.ts';
import type { Machine } from '../machine/machine.ts';
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
  const action = new NetRxAction(net, limits);
  return () => action.run();
}

/** An object and not a closure's variables: V8 knows what kind of thing a field holds, and asks a variable each time. */
class NetRxAction {
  readonly #machine: Machine;
  readonly #softnet: readonly Softnet[];
  readonly #limits: NetRxLimits;
  /** What this run has taken, and what wants another one; each CPU's, by its number. */
  readonly #lists: readonly List<NapiStruct>[];
  readonly #repolls: readonly List<NapiStruct>[];

  constructor(net: Net, limits: NetRxLimits) {
    this.#machine = net.machine;
    this.#softnet = net.softnet;
    this.#limits = limits;
    this.#lists = net.machine.cpus.map(() => new List<NapiStruct>());
    this.#repolls = net.machine.cpus.map(() => new List<NapiStruct>());
  }

  run(): void {
    const machine = this.#machine;
    const { cpu } = machine;
    const softnet = this.#softnet[cpu.id]!;
    const { pollList } = softnet;
    const repoll = this.#repolls[cpu.id]!;
    const { executive } = machine;
    executive.readClock();
    const endNs = executive.clockNs + this.#limits.budgetNs;
    let { budget } = this.#limits;
    softnet.inNetRxAction = true;
    let more = pollList.length > 0;
    // One alone need not go by way of the list.
    if (pollList.length === 1) {
      budget -= napiPollOne(pollList.shift()!, cpu.id, repoll);
      executive.readClock();
      const squeezed = budget <= 0 || executive.clockNs >= endNs;
      if (squeezed) softnet.timeSqueeze++;
      more = !squeezed && repoll.length === 0 && pollList.length > 0;
    }
    if (more) this.#rest(softnet, this.#lists[cpu.id]!, repoll, budget, endNs);
    if (repoll.length > 0) pollList.spliceTail(repoll);
    softnet.inNetRxAction = false;
    if (pollList.length > 0) machine.softirq.raiseIrqoff(cpu, Softirq.NET_RX);
    if (softnet.sendIpis !== null) softnet.sendIpis();
  }

  /** Several instances, or what was queued meanwhile; `list` is empty, before and after. */
  #rest(softnet: Softnet, list: List<NapiStruct>, repoll: List<NapiStruct>, left: number, endNs: number): void {
    const { executive } = this.#machine;
    let budget = left;
    list.spliceTail(softnet.pollList);
    for (;;) {
      const napi = list.shift();
      if (napi === null) {
        if (repoll.length > 0 || softnet.pollList.length === 0) return;
        list.spliceTail(softnet.pollList);
        continue;
      }
      budget -= napiPollOne(napi, softnet.cpu.id, repoll);
      executive.readClock();
      if (budget <= 0 || executive.clockNs >= endNs) {
        softnet.timeSqueeze++;
        break;
      }
    }
    list.spliceTail(softnet.pollList);
    softnet.pollList.spliceTail(list);
  }
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
  const softnet = napi.dev.net.softnet[cpu]!;
  napi.pollOwner = cpu;
  softnet.polling = true;
  const work = napi.poll(napi, weight);
  softnet.polling = false;
  napi.pollOwner = -1;
  if (softnet.flushList !== null) xmitFlush(softnet);
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
