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
import type { SkBuff } from '../skb/sk_buff.ts';
import type { NetDevice } from './net_device.ts';

export const NAPI_STATE_SCHED = 1 << 0;
export const NAPI_STATE_MISSED = 1 << 1;
export const NAPI_STATE_DISABLE = 1 << 2;
/** Netpoll services it now, or it is not enabled: completion must leave it alone. */
export const NAPI_STATE_NPSVC = 1 << 3;
export const NAPI_STATE_LISTED = 1 << 4;

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
  }
}

/** Adds an instance to its device, disabled until napiEnable. (`netif_napi_add_weight`) */
export function netifNapiAdd(dev: NetDevice, poll: NapiPoll, weight = NAPI_POLL_WEIGHT): NapiStruct {
  const napi = new NapiStruct(dev, poll, weight, dev.net.nextNapiId++, dev.net.napiReceive);
  napi.state = NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_LISTED;
  dev.napiList.push(napi);
  dev.net.napiAdded(napi);
  return napi;
}

/** Takes a disabled instance off its device. (`netif_napi_del`) */
export function netifNapiDel(napi: NapiStruct): void {
  if ((napi.state & NAPI_STATE_LISTED) === 0) return;
  assert((napi.state & NAPI_STATE_SCHED) !== 0 && napi.list === null, 'an instance is disabled before it is deleted');
  napi.state &= ~NAPI_STATE_LISTED;
  napi.dev.napiList.splice(napi.dev.napiList.indexOf(napi), 1);
}

export function napiEnable(napi: NapiStruct): void {
  assert((napi.state & NAPI_STATE_SCHED) !== 0, 'napiEnable follows netifNapiAdd or napiDisable');
  napi.state &= ~(NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_MISSED);
}

/** Nobody polls it any more when this returns. The kernel sleeps for that; here no poll can be under way but our own caller's. */
export function napiDisable(napi: NapiStruct): void {
  assert(napi.pollOwner < 0, 'a poll does not disable its own instance');
  assert((napi.state & NAPI_STATE_NPSVC) === 0, 'an instance is disabled once');
  leaveList(napi);
  napi.groFlush(false);
  napi.state = (napi.state | NAPI_STATE_SCHED | NAPI_STATE_NPSVC) & ~(NAPI_STATE_MISSED | NAPI_STATE_DISABLE);
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
 * The driver has found its queue empty. True: the instance is idle, the driver unmasks the interrupt. False: it stays
 * owned (netpoll runs it, or a schedule was missed meanwhile and it is queued again), the interrupt stays masked.
 */
export function napiCompleteDone(napi: NapiStruct, _workDone: number): boolean {
  if ((napi.state & NAPI_STATE_NPSVC) !== 0) return false;
  assert((napi.state & NAPI_STATE_SCHED) !== 0, 'who completes a poll owns the instance');
  napi.groFlush(false);
  leaveList(napi);
  if ((napi.state & NAPI_STATE_MISSED) !== 0) {
    napi.state &= ~NAPI_STATE_MISSED;
    napiScheduleOwned(napi);
    return false;
  }
  napi.state &= ~NAPI_STATE_SCHED;
  return true;
}

/** Off the list it is on: a CPU's poll list, or one of a net_rx_action that is under way. */
function leaveList(napi: NapiStruct): void {
  if (napi.list !== null) (napi.list as List<NapiStruct>).remove(napi);
  napi.listOwner = -1;
}
