/**
 * Interrupt coalescing: how long a NIC may keep what it has before it interrupts (`struct ethtool_coalesce`).
 *
 *     interrupt when  (usecs > 0 and the first completion that nobody knows of is that old)
 *                 or  (frames > 0 and that many have completed)
 *
 * usecs 0 and frames 0 would never interrupt and is refused; "no coalescing" is usecs 0, frames 1.
 */
import { Errno } from '../base/status.ts';

export interface CoalesceParams {
  rxUsecs: number;
  rxFrames: number;
  rxUsecsIrq: number;
  rxFramesIrq: number;
  txUsecs: number;
  txFrames: number;
  txUsecsIrq: number;
  txFramesIrq: number;
  statsBlockUsecs: number;
  /** The driver sets usecs and frames by the load (dim.ts). */
  adaptiveRx: boolean;
  adaptiveTx: boolean;
  pktRateLow: number;
  rxUsecsLow: number;
  rxFramesLow: number;
  txUsecsLow: number;
  txFramesLow: number;
  pktRateHigh: number;
  rxUsecsHigh: number;
  rxFramesHigh: number;
  txUsecsHigh: number;
  txFramesHigh: number;
  /** Seconds. */
  sampleInterval: number;
}
export type CoalesceName = keyof CoalesceParams;

export const COALESCE_DEFAULTS: CoalesceParams = {
  rxUsecs: 0,
  rxFrames: 0,
  rxUsecsIrq: 0,
  rxFramesIrq: 0,
  txUsecs: 0,
  txFrames: 0,
  txUsecsIrq: 0,
  txFramesIrq: 0,
  statsBlockUsecs: 0,
  adaptiveRx: false,
  adaptiveTx: false,
  pktRateLow: 0,
  rxUsecsLow: 0,
  rxFramesLow: 0,
  txUsecsLow: 0,
  txFramesLow: 0,
  pktRateHigh: 0,
  rxUsecsHigh: 0,
  rxFramesHigh: 0,
  txUsecsHigh: 0,
  txFramesHigh: 0,
  sampleInterval: 0,
};

/** 0, or -EINVAL for a pair that never interrupts. */
export function coalesceValid(usecs: number, frames: number): number {
  return usecs > 0 || frames > 0 ? 0 : -Errno.EINVAL;
}

/** Must the NIC interrupt now? `waitedNs`: age of the first completion nobody knows of; `frames`: how many there are. */
export function coalesceDue(usecs: number, maxFrames: number, waitedNs: number, frames: number): boolean {
  if (frames === 0) return false;
  return (usecs > 0 && waitedNs >= usecs * 1000) || (maxFrames > 0 && frames >= maxFrames);
}

/** The receive usecs of a packet rate: coalesceForRate without its object, for every poll. */
export function coalesceRxUsecs(params: CoalesceParams, rate: number): number {
  if (params.pktRateLow > 0 && rate < params.pktRateLow) return params.rxUsecsLow;
  return params.pktRateHigh > 0 && rate > params.pktRateHigh ? params.rxUsecsHigh : params.rxUsecs;
}

/** The set of a packet rate (packets a second): the low one below pktRateLow, the high one above pktRateHigh. */
export function coalesceForRate(params: CoalesceParams, rate: number): { usecs: number; frames: number } {
  if (params.pktRateLow > 0 && rate < params.pktRateLow) {
    return { usecs: params.rxUsecsLow, frames: params.rxFramesLow };
  }
  if (params.pktRateHigh > 0 && rate > params.pktRateHigh) {
    return { usecs: params.rxUsecsHigh, frames: params.rxFramesHigh };
  }
  return { usecs: params.rxUsecs, frames: params.rxFrames };
}
