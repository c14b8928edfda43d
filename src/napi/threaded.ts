/**
 * Threaded NAPI: an instance is polled by a task of its own instead of the softirq, so that the scheduler decides who gets
 * the CPU: no budget over all instances, no 2 ms.
 *
 *     napiSchedule --> SCHED_THREADED --> the task `napi/eth0-5`: softirqs off, one poll of its weight, softirqs on
 *                                           ^ full weight: again, after others had a turn
 */
import {
  NAPI_STATE_DISABLE,
  NAPI_STATE_NPSVC,
  NAPI_STATE_SCHED,
  NAPI_STATE_SCHED_THREADED,
  NAPI_STATE_THREADED,
  type NapiStruct,
  napiCompleteDone,
} from '../device/napi_struct.ts';
import type { NetDevice } from '../device/net_device.ts';
import { xmitFlush } from '../device/xmit_flush.ts';
import { Work } from '../machine/timer.ts';

/** All instances of the device are polled by tasks, or by the softirq again. (`dev_set_threaded`) */
export function devSetThreaded(dev: NetDevice, threaded: boolean): void {
  dev.threaded = threaded;
  for (const napi of dev.napiList) napiSetThreaded(napi, threaded);
}

/** One instance. What the task has been given it finishes. (`napi_set_threaded`) */
export function napiSetThreaded(napi: NapiStruct, threaded: boolean): void {
  napi.threaded = threaded;
  if (!threaded) {
    napi.state &= ~NAPI_STATE_THREADED;
    return;
  }
  if (napi.wakeThread === null) {
    const task = new Work(napi.dev.net.machine, () => threadPoll(napi, task));
    napi.wakeThread = () => task.schedule();
  }
  // Of an instance that is disabled napiEnable makes a threaded one.
  if ((napi.state & NAPI_STATE_NPSVC) === 0) napi.state |= NAPI_STATE_THREADED;
}

/** The task's name in a process list. */
export function napiThreadName(napi: NapiStruct): string {
  return `napi/${napi.dev.name}-${napi.id}`;
}

/** Bound: one poll. (`napi_threaded_poll`) */
function threadPoll(napi: NapiStruct, task: Work): void {
  if ((napi.state & NAPI_STATE_SCHED_THREADED) === 0) return;
  if (napi.pollOwner >= 0) {
    task.schedule();
    return;
  }
  const { machine } = napi.dev.net;
  const { cpu } = machine;
  cpu.localBhDisable();
  const { weight } = napi;
  const softnet = napi.dev.net.softnet[cpu.id]!;
  napi.pollOwner = cpu.id;
  softnet.polling = true;
  const work = (napi.state & NAPI_STATE_SCHED) === 0 ? 0 : napi.poll(napi, weight);
  softnet.polling = false;
  napi.pollOwner = -1;
  if (softnet.flushList !== null) xmitFlush(softnet);
  napi.polls++;
  napi.work += work;
  let again = work >= weight;
  if (again && (napi.state & NAPI_STATE_DISABLE) !== 0) {
    napiCompleteDone(napi, work);
    again = false;
  }
  softnet.sendIpis?.();
  machine.softirq.localBhEnable(cpu);
  if (again) task.schedule();
}
