// hot
/**
 * napi_struct: one receive queue that can be polled, and the state machine which says who owns it.
 *
 *             napiSchedule                net_rx_action              napiCompleteDone
 *     idle ------------------> SCHED, on pollList -----> poll(budget) ------------------> idle
 *                                   ^                        |  (work = budget)
 *                                   +------------------------+
 *
 * SCHED means owned: queued, being polled, or disabled. Whoever sets it may poll. A schedule that comes while it is set
 * leaves MISSED behind, and completion then schedules again, so no interrupt is ever lost.
 * Answers to napi_schedule_prep, __napi_schedule, napi_complete_done, napi_enable, napi_disable.
 */
import { assert } from '../base/assert.ts';
import type { List, Listed } from '../base/list.ts';
import { Softirq } from '../machine/softirq.ts';
import type { Timer } from '../machine/timer.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { NetDevice } from './net_device.ts';

export const NAPI_STATE_SCHED = 1 << 0;
export const NAPI_STATE_MISSED = 1 << 1;
export const NAPI_STATE_DISABLE = 1 << 2;
/** Netpoll services it now, or it is not enabled: completion must leave it alone. */
export const NAPI_STATE_NPSVC = 1 << 3;
export const NAPI_STATE_LISTED = 1 << 4;
/** Never found by its id (transmit-only instances, the backlog). */
export const NAPI_STATE_NO_BUSY_POLL = 1 << 5;
/** Somebody polls it in a loop of his own (napi/busy_poll.ts). */
export const NAPI_STATE_IN_BUSY_POLL = 1 << 6;
/** He has promised to come back; interrupts stay away longer for it. */
export const NAPI_STATE_PREFER_BUSY_POLL = 1 << 7;
/** A task polls it, not the softirq (napi/threaded.ts); and has it scheduled now. */
export const NAPI_STATE_THREADED = 1 << 8;
export const NAPI_STATE_SCHED_THREADED = 1 << 9;

const DISABLED_CLEARS =
  NAPI_STATE_MISSED |
  NAPI_STATE_IN_BUSY_POLL |
  NAPI_STATE_DISABLE |
  NAPI_STATE_THREADED |
  NAPI_STATE_SCHED_THREADED |
  NAPI_STATE_PREFER_BUSY_POLL;

/** Frames that an instance may take a poll, unless it asks for another number. */
export const NAPI_POLL_WEIGHT = 64;

/**
 * A driver's poll: takes at most `budget` frames and returns how many. Less than `budget`: it has called napiCompleteDone.
 * Budget 0 (netpoll): reaps transmits only, completes nothing, returns 0.
 */
export type NapiPoll = (napi: NapiStruct, budget: number) => number;

export class NapiStruct implements Listed<NapiStruct> {
  readonly dev: NetDevice;
  readonly poll: NapiPoll;
  readonly weight: number;
  readonly id: number;
  state = 0;
  /** CPU that runs poll now, or -1. Netpoll takes it to poll, and must not when it is its own. */
  pollOwner = -1;
  /** CPU on whose pollList it is, or -1. */
  listOwner = -1;
  /** Where frames go; set from the device's net when the instance is added. */
  receive: (skb: SkBuff) => void;
  /** What receive offload holds for it (`gro_node`); its own type is napi's. */
  gro: object | null = null;
  /** Sends up what receive offload holds; with `flushOld` only what is older than this tick. Installed as `receive` is. */
  groFlush: (flushOld: boolean) => void = () => {};
  /** Receive offload holds frames of it. Installed with groFlush. */
  groHolds: () => boolean = () => false;
  /** After a poll wait this long for more before the interrupt is unmasked (`gro_flush_timeout`, ns); 0: do not. */
  groFlushTimeoutNs: number;
  /** So many empty polls in a row, each a timeout apart, before the interrupt is unmasked (`napi_defer_hard_irqs`). */
  deferHardIrqs: number;
  /** Who polls it himself may keep its interrupts masked for so long (irq_suspend.ts, `irq-suspend-timeout`, ns); 0: not. */
  irqSuspendTimeoutNs = 0;
  /** A task polls it while it is enabled; kept while it is disabled. (`napi_config`) */
  threaded = false;
  /** How many are left, and the timer between them. */
  deferCount = 0;
  timer: Timer | null = null;
  /** Has the instance's task run (threaded). */
  wakeThread: (() => void) | null = null;
  /** A frame of fragments that its driver fills (alloc_skb.ts). */
  skb: SkBuff | null = null;
  /** Polls, and frames taken, since it was added. */
  polls = 0;
  work = 0;
  next: NapiStruct | null = null;
  prev: NapiStruct | null = null;
  list: object | null = null;

  constructor(dev: NetDevice, poll: NapiPoll, weight: number, id: number, receive: (skb: SkBuff) => void) {
    this.dev = dev;
    this.poll = poll;
    this.weight = weight;
    this.id = id;
    this.receive = receive;
    this.groFlushTimeoutNs = dev.groFlushTimeoutNs;
    this.deferHardIrqs = dev.napiDeferHardIrqs;
  }
}

/** Adds an instance to its device, disabled until napiEnable. (`netif_napi_add_weight`) */
export function netifNapiAdd(dev: NetDevice, poll: NapiPoll, weight = NAPI_POLL_WEIGHT): NapiStruct {
  const napi = new NapiStruct(dev, poll, weight, dev.net.nextNapiId++, dev.net.napiReceive);
  napi.state = NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_LISTED;
  if (weight > NAPI_POLL_WEIGHT) {
    dev.net.machine.printk.err(dev.name + ': netif_napi_add_weight() called with weight ' + weight);
  }
  dev.napiList.push(napi);
  dev.net.napiAdded(napi);
  return napi;
}

/** Takes a disabled instance off its device. (`netif_napi_del`) */
export function netifNapiDel(napi: NapiStruct): void {
  if ((napi.state & NAPI_STATE_LISTED) === 0) return;
  assert((napi.state & NAPI_STATE_SCHED) !== 0 && napi.list === null, 'an instance is disabled before it is deleted');
  napi.state &= ~NAPI_STATE_LISTED;
  if (napi.skb !== null) napi.skb.pool.consume(napi.skb);
  napi.skb = null;
  napi.dev.napiList.splice(napi.dev.napiList.indexOf(napi), 1);
}

export function napiEnable(napi: NapiStruct): void {
  assert((napi.state & NAPI_STATE_SCHED) !== 0, 'napiEnable follows netifNapiAdd or napiDisable');
  napi.state &= ~(NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_MISSED);
  if (napi.threaded && napi.wakeThread !== null) napi.state |= NAPI_STATE_THREADED;
  napi.deferCount = 0;
  if ((napi.state & NAPI_STATE_NO_BUSY_POLL) === 0) napi.dev.net.napiHash.add(napi);
}

/** Nobody polls it any more when this returns. The kernel sleeps for that; here no poll can be under way but our own caller's. */
export function napiDisable(napi: NapiStruct): void {
  assert(napi.pollOwner < 0, 'a poll does not disable its own instance');
  assert((napi.state & NAPI_STATE_NPSVC) === 0, 'an instance is disabled once');
  leaveList(napi);
  if (napi.groHolds()) flushHeld(napi);
  napi.state = (napi.state | NAPI_STATE_SCHED | NAPI_STATE_NPSVC) & ~DISABLED_CLEARS;
  if (napi.timer !== null) napi.dev.net.machine.timers.del(napi.timer);
  napi.dev.net.napiHash.remove(napi);
}

/** What receive offload holds goes up as it would at the end of a poll: with softirqs off. */
function flushHeld(napi: NapiStruct): void {
  const { cpu, softirq } = napi.dev.net.machine;
  cpu.localBhDisable();
  napi.groFlush(false);
  softirq.localBhEnable(cpu);
}

/** Nobody is in a poll of it when this returns; it goes on being scheduled. The kernel sleeps for that. (`napi_synchronize`) */
export function napiSynchronize(napi: NapiStruct): void {
  assert(napi.pollOwner < 0, 'a poll does not wait for its own end');
}

/** Claims the instance. True: it is the caller's, who masks the interrupt and calls napiScheduleOwned. */
export function napiSchedulePrep(napi: NapiStruct): boolean {
  if ((napi.state & NAPI_STATE_DISABLE) !== 0) return false;
  if ((napi.state & NAPI_STATE_SCHED) !== 0) {
    napi.state |= NAPI_STATE_MISSED;
    return false;
  }
  napi.state |= NAPI_STATE_SCHED;
  return true;
}

/** Queues an instance that napiSchedulePrep has claimed on the current CPU. (`__napi_schedule`) */
export function napiScheduleOwned(napi: NapiStruct): void {
  if ((napi.state & NAPI_STATE_THREADED) !== 0 && napi.wakeThread !== null) {
    napi.state |= NAPI_STATE_SCHED_THREADED;
    napi.wakeThread();
    return;
  }
  const machine = napi.dev.net.machine;
  const softnet = napi.dev.net.softnet[machine.cpu.id]!;
  softnet.pollList.addTail(napi);
  napi.listOwner = machine.cpu.id;
  if (!softnet.inNetRxAction) machine.softirq.raise(Softirq.NET_RX);
}

/** Claims and queues; true if it was idle. */
export function napiSchedule(napi: NapiStruct): boolean {
  if (!napiSchedulePrep(napi)) return false;
  napiScheduleOwned(napi);
  return true;
}

/**
 * The driver has found its queue empty, after `workDone` frames in this poll. True: the instance is idle, the driver unmasks the
 * interrupt. False: the interrupt stays masked, because netpoll or a busy poll runs the instance, a schedule was missed
 * meanwhile and it is queued again, or it is polled once more after groFlushTimeoutNs instead (deferHardIrqs).
 */
export function napiCompleteDone(napi: NapiStruct, workDone: number): boolean {
  if ((napi.state & (NAPI_STATE_NPSVC | NAPI_STATE_IN_BUSY_POLL)) !== 0) return false;
  assert((napi.state & NAPI_STATE_SCHED) !== 0, 'who completes a poll owns the instance');
  let timeoutNs = 0;
  let unmask = true;
  if (workDone !== 0) {
    if (napi.groFlushTimeoutNs !== 0 && napi.groHolds()) timeoutNs = napi.groFlushTimeoutNs;
    napi.deferCount = napi.deferHardIrqs;
  }
  if (napi.deferCount > 0) {
    napi.deferCount--;
    timeoutNs = napi.groFlushTimeoutNs;
    if (timeoutNs !== 0) unmask = false;
  }
  // With a timer behind it, what is not old yet may wait for it.
  napi.groFlush(timeoutNs !== 0);
  leaveList(napi);
  const missed = (napi.state & NAPI_STATE_MISSED) !== 0;
  napi.state &= ~(NAPI_STATE_MISSED | NAPI_STATE_SCHED_THREADED | NAPI_STATE_PREFER_BUSY_POLL);
  if (missed) {
    napiScheduleOwned(napi);
    return false;
  }
  napi.state &= ~NAPI_STATE_SCHED;
  if (timeoutNs !== 0) napiStartTimer(napi, timeoutNs);
  return unmask;
}

/** The instance is polled again in `ns`, unless it was meanwhile. (the hrtimer behind napi_watchdog) */
export function napiStartTimer(napi: NapiStruct, ns: number): void {
  const { timers, executive } = napi.dev.net.machine;
  napi.timer ??= timers.create(() => napiWatchdog(napi));
  timers.mod(napi.timer, executive.now() + ns);
}

/** Does not leave MISSED behind: who owns the instance now will look at the queue anyway. */
function napiWatchdog(napi: NapiStruct): void {
  if ((napi.state & (NAPI_STATE_DISABLE | NAPI_STATE_SCHED)) !== 0) return;
  napi.state = (napi.state | NAPI_STATE_SCHED) & ~NAPI_STATE_PREFER_BUSY_POLL;
  napiScheduleOwned(napi);
}

/** Sets how long interrupts stay away, for a device and all its instances. (`napi_defer_hard_irqs`, `gro_flush_timeout`) */
export function netdevSetDefer(dev: NetDevice, deferHardIrqs: number, groFlushTimeoutNs: number): void {
  dev.napiDeferHardIrqs = deferHardIrqs;
  dev.groFlushTimeoutNs = groFlushTimeoutNs;
  for (const napi of dev.napiList) {
    napi.deferHardIrqs = deferHardIrqs;
    napi.groFlushTimeoutNs = groFlushTimeoutNs;
  }
}

/** Off the list it is on: a CPU's poll list, or one of a net_rx_action that is under way. */
function leaveList(napi: NapiStruct): void {
  if (napi.list !== null) (napi.list as List<NapiStruct>).remove(napi);
  napi.listOwner = -1;
}
