/**
 * Interrupt moderation by the nic driver itself, for every Port: after a poll that brought frames the interrupt stays masked for a while,
 * and the machine's timer has the queue polled instead.
 *
 *     idle:        frame --> interrupt, at once --> poll
 *     under load:  poll: frames --> masked, timer of `usecs` --> poll: frames --> masked, timer ... --> poll: none --> unmasked
 *
 * That is napi_defer_hard_irqs 1 and a gro_flush_timeout of `usecs` on the queue's napi instance, set by rx_pace.ts before each completion. A sleeper
 * that is woken for each frame makes its sender half as fast, and spends its own time on waking up; a masked queue wakes nobody.
 *
 *   rx-usecs      so long, always. Where the Port moderates by itself (a card, a ring of blocks), rx-usecs is the Port's business.
 *   adaptive-rx   by the rate of each queue, looked at twice a millisecond at most:
 *                   below pkt-rate-low  rx-usecs-low    between  rx-usecs (0 where that is the Port's)    above pkt-rate-high  rx-usecs-high
 *   both off      napi_defer_hard_irqs and gro_flush_timeout are what the device says.
 *
 * Answers to `ethtool -C`; the kernel's drivers leave adaptive-rx to DIM (device/dim.ts), which looks for the fewest interrupts that cost
 * no bytes, and so makes 5,000 frames a second wait for 256 us. Here rate decides, and who comes seldom never waits.
 */
import { COALESCE_DEFAULTS, type CoalesceName, type CoalesceParams } from '../../device/coalesce.ts';
import type { PortTuning } from './port_tuning.ts';

const USECS_MAX = 1_000_000;

/** What the driver can for every Port; rxUsecs only where the Port does not take it. */
export const NIC_COALESCE_PARAMS: readonly CoalesceName[] = [
  'rxUsecs',
  'adaptiveRx',
  'pktRateLow',
  'rxUsecsLow',
  'pktRateHigh',
  'rxUsecsHigh',
];

/** Microseconds and rates are whole and not negative, and no microseconds more than a second's. */
export function nicCoalesceValid(params: CoalesceParams): boolean {
  const usecs = [params.rxUsecs, params.rxUsecsLow, params.rxUsecsHigh];
  const whole = [...usecs, params.pktRateLow, params.pktRateHigh].every((each) => Number.isInteger(each) && each >= 0);
  return whole && Math.max(...usecs) <= USECS_MAX;
}

/** What is set for a device, all queues alike. */
export class RxCoalesce {
  params: CoalesceParams = { ...COALESCE_DEFAULTS };
  /** The driver holds interrupts back itself. */
  active = false;

  /** Set-up. `byPort`: the Port sees to rx-usecs. */
  set(params: CoalesceParams, byPort: boolean): void {
    this.params = byPort ? { ...params, rxUsecs: 0 } : { ...params };
    this.active = params.adaptiveRx || this.params.rxUsecs > 0;
  }
}

/** What is in force: the Port's values, and the driver's beside them. */
export function nicCoalesceParams(coalesce: RxCoalesce, tuning: PortTuning | undefined): CoalesceParams {
  const port = tuning?.coalesce?.();
  const all = { ...coalesce.params, ...port };
  const ours = NIC_COALESCE_PARAMS.filter((name) => !(tuning?.coalesceParams ?? []).includes(name));
  return Object.assign(all, Object.fromEntries(ours.map((name) => [name, coalesce.params[name]])));
}
