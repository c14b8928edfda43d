/**
 * Polling a device by hand, with interrupts off and no softirq to come.
 *
 * netpollPollDev: what a sender does who found the queue stopped: the driver's pollController, then every napi instance with
 * budget 0, so it frees what has left and takes nothing in. Bound: what is in flight.
 *
 * netpollPoll: what a client does who waits for an answer: the same, but with a budget for receiving. Frames for a client go
 * to its rxHook. What is not for netpoll goes the ordinary way (to a backlog, bounded), and is dropped only while somebody
 * has trapped the device. Replies that the hook could not send are sent when the poll is over.
 */
import { assert } from '../base/assert.ts';
import { NAPI_STATE_NPSVC } from '../device/napi_struct.ts';
import { type NetDevice, netifRunning } from '../device/net_device.ts';
import type { Netpoll } from './netpoll.ts';
import { type NetpollInfo, NP_POLLS, npinfoOf } from './npinfo.ts';
import { netpollProcessQueue } from './txq.ts';

/** Frames that netpollPoll takes from each instance (the seeds' NAPI budget). */
export const NETPOLL_RX_BUDGET = 16;

/**
 * True if `dev` was polled; false if that is not possible now (down, polled already, this CPU is inside its driver). Takes nothing
 * in, unless a stacked device calls it from its pollController in a netpollPoll of its own. (`netpoll_poll_dev`)
 */
export function netpollPollDev(dev: NetDevice): boolean {
  const info = npinfoOf(dev);
  return info !== null && pollDev(info, budgetFromAbove(info)) >= 0;
}

/** Polls for receiving, on a stacked device those below it; returns how many frames came in. (`netpoll_poll`) */
export function netpollPoll(np: Netpoll): number {
  const info = np.dev === null ? null : npinfoOf(np.dev);
  return info === null ? 0 : Math.max(pollDev(info, NETPOLL_RX_BUDGET), 0);
}

/** What the stacked devices that use this one may receive by the poll that they are in. */
function budgetFromAbove(info: NetpollInfo): number {
  const { lowers } = info;
  let budget = 0;
  for (let i = 0; i < lowers.length; i++) {
    const { upper } = lowers[i]!;
    const above = upper === null ? null : npinfoOf(upper);
    if (above !== null) budget = Math.max(budget, above.rxBudget);
  }
  return budget;
}

/** Work done, below as well, or -1 if the device could not be polled. With a budget, what a hook left waiting is sent. */
function pollDev(info: NetpollInfo, budget: number): number {
  const { dev } = info;
  const cpu = dev.net.machine.cpu;
  if (info.polling || !netifRunning(dev)) return -1;
  for (let q = 0; q < dev.txQueues.length; q++) if (dev.txQueues[q]!.xmitLockOwner === cpu.id) return -1;
  info.polling = true;
  info.rxBudget = budget;
  info.rxWork = 0;
  info.counters.values[NP_POLLS]!++;
  const irqs = cpu.localIrqSave();
  dev.ops.pollController?.(dev);
  let work = info.rxWork;
  for (let n = 0; n < dev.napiList.length; n++) {
    const napi = dev.napiList[n]!;
    if (napi.pollOwner >= 0 || (napi.state & NAPI_STATE_NPSVC) !== 0) continue;
    napi.pollOwner = cpu.id;
    napi.state |= NAPI_STATE_NPSVC;
    const done = napi.poll(napi, budget);
    napi.state &= ~NAPI_STATE_NPSVC;
    napi.pollOwner = -1;
    assert(done <= budget, 'a poll takes no more than its budget, also from netpoll');
    work += done;
  }
  info.polling = false;
  info.rxBudget = 0;
  cpu.localIrqRestore(irqs);
  if (work > 0) tellAbove(info, work);
  if (budget > 0 && info.txq.length > 0 && !netpollOwnsPoll(dev)) netpollProcessQueue(info);
  return work;
}

/** Stacked devices that poll this one count its frames as theirs. */
function tellAbove(info: NetpollInfo, work: number): void {
  const { lowers } = info;
  for (let i = 0; i < lowers.length; i++) {
    const { upper } = lowers[i]!;
    const above = upper === null ? null : npinfoOf(upper);
    if (above !== null) above.rxWork += work;
  }
}

/** True while this CPU polls one of the device's instances: sending now would be recursion. */
export function netpollOwnsPoll(dev: NetDevice): boolean {
  const cpu = dev.net.machine.cpu.id;
  for (let n = 0; n < dev.napiList.length; n++) if (dev.napiList[n]!.pollOwner === cpu) return true;
  return false;
}
