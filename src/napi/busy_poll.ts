/**
 * Busy polling: who waits for a frame polls its queue himself, instead of waiting for an interrupt.
 *
 *     napiBusyLoop: owned by nobody? SCHED | IN_BUSY_POLL
 *        until enough():  softirqs off, poll(budget), softirqs on;  nothing there: a moment of waiting
 *     end: the driver polls once more, so that it completes and unmasks; or, with PREFER, a timer does so later
 *
 * While it runs, completion returns false: the interrupt stays masked.
 */
import {
  NAPI_STATE_DISABLE,
  NAPI_STATE_IN_BUSY_POLL,
  NAPI_STATE_MISSED,
  NAPI_STATE_PREFER_BUSY_POLL,
  NAPI_STATE_SCHED,
  type NapiStruct,
  napiScheduleOwned,
  napiStartTimer,
} from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import { xmitFlush } from '../device/xmit_flush.ts';

/** Frames of one poll. (`BUSY_POLL_BUDGET`) */
export const BUSY_POLL_BUDGET = 8;
/** Between two polls that found nothing. */
const PAUSE_NS = 1000;

export interface BusyPollOptions {
  readonly budget?: number;
  /** The caller comes back: interrupts stay masked for the instance's timeout after this. */
  readonly prefer?: boolean;
}

/**
 * Polls the instance with this id until `enough` or for `ns` nanoseconds; returns the frames taken, -1 if there is no such
 * instance. Process context, interrupts on. (`napi_busy_loop`)
 */
export function napiBusyLoop(
  net: Net,
  id: number,
  ns: number,
  enough: () => boolean,
  options: BusyPollOptions = {},
): number {
  const napi = net.napiHash.byId(id);
  if (napi === undefined) return -1;
  const { machine } = net;
  const budget = options.budget ?? BUSY_POLL_BUDGET;
  const prefer = options.prefer ?? false;
  const endNs = machine.executive.now() + ns;
  let taken = 0;
  let ours = false;
  for (;;) {
    machine.cpu.localBhDisable();
    // While we waited somebody may have disabled the instance, and enabled it again: it is not ours any more.
    if (!ours || (napi.state & NAPI_STATE_IN_BUSY_POLL) === 0) ours = claim(napi, prefer);
    const work = ours ? pollOnce(napi, budget) : 0;
    taken += work;
    machine.softirq.localBhEnable(machine.cpu);
    if (enough() || machine.executive.now() >= endNs) break;
    if (work === 0) machine.executive.spin(PAUSE_NS);
  }
  if (ours && (napi.state & NAPI_STATE_IN_BUSY_POLL) !== 0) {
    machine.cpu.localBhDisable();
    taken += stop(napi, budget, prefer);
    machine.softirq.localBhEnable(machine.cpu);
  }
  return taken;
}

function claim(napi: NapiStruct, prefer: boolean): boolean {
  if ((napi.state & (NAPI_STATE_DISABLE | NAPI_STATE_SCHED | NAPI_STATE_IN_BUSY_POLL)) !== 0) {
    // Who polls it now leaves it to us sooner.
    if (prefer) napi.state |= NAPI_STATE_PREFER_BUSY_POLL;
    return false;
  }
  napi.state |= NAPI_STATE_SCHED | NAPI_STATE_IN_BUSY_POLL;
  return true;
}

/** Frames that receive offload holds go up at once: somebody waits for them. */
function pollOnce(napi: NapiStruct, budget: number): number {
  const { machine } = napi.dev.net;
  const softnet = napi.dev.net.softnet[machine.cpu.id]!;
  napi.pollOwner = machine.cpu.id;
  softnet.polling = true;
  const work = napi.poll(napi, budget);
  softnet.polling = false;
  napi.pollOwner = -1;
  if (softnet.flushList !== null) xmitFlush(softnet);
  napi.polls++;
  napi.work += work;
  napi.groFlush(false);
  return work;
}

/** (`busy_poll_stop`) */
function stop(napi: NapiStruct, budget: number, prefer: boolean): number {
  napi.state &= ~(NAPI_STATE_MISSED | NAPI_STATE_IN_BUSY_POLL);
  let timer = false;
  if (prefer && napi.groFlushTimeoutNs !== 0 && napi.deferHardIrqs !== 0) {
    napi.deferCount = napi.deferHardIrqs;
    napiStartTimer(napi, napi.groFlushTimeoutNs);
    timer = true;
  }
  const work = pollOnce(napi, budget);
  if (work < budget) return work;
  // More is there, and the driver has not completed.
  if (timer) napi.state &= ~NAPI_STATE_SCHED;
  else napiScheduleOwned(napi);
  return work;
}
