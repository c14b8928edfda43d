/**
 * Who gets a CPU when several want it: a fair scheduler with weights.
 *
 *     virtual runtime = time that it had * 1024 / weight(nice)        the least one runs next
 *
 *  - A slice ends at the machine's tick (4 ms), or when somebody wakes up who has had less.
 *  - Who slept does not save time up: on waking it is put at most SLEEPER_NS behind who runs.
 *  - Interrupts and softirqs at their end take time from whoever runs, and are not put on his account.
 *
 * Only the choice is here; cpu_model.ts makes time pass.
 */

/** An entity that can have the CPU: ksoftirqd, process context (turns), tasks. */
export interface Schedulable {
  readonly name: string;
  readonly weight: number;
  runnable: boolean;
  /** Weighted nanoseconds. */
  vruntimeNs: number;
  /** Runs for about `sliceNs`, or until it has nothing to do; says itself whether it is still runnable. */
  readonly run: (sliceNs: number) => void;
}

/** What a waking sleeper is given over who runs. */
const SLEEPER_NS = 3e6;
/** Less than this is not worth a switch. */
const GRANULARITY_NS = 1e6;
const NICE_0 = 1024;

/** The share of a nice value, 1024 for 0: each step is a factor of 1.25. (`sched_prio_to_weight`, from its definition) */
export function niceWeight(nice: number): number {
  return NICE_0 / 1.25 ** Math.min(19, Math.max(-20, nice));
}

export class RunQueue {
  readonly entities: Schedulable[] = [];
  current: Schedulable | null = null;

  add(entity: Schedulable): void {
    this.entities.push(entity);
  }

  /** Who runs next, or null: the CPU is idle. */
  pick(): Schedulable | null {
    let best: Schedulable | null = null;
    for (const each of this.entities) {
      if (each.runnable && (best === null || each.vruntimeNs < best.vruntimeNs)) best = each;
    }
    return best;
  }

  /** Puts `ran` nanoseconds on the account. */
  account(entity: Schedulable, ran: number): void {
    entity.vruntimeNs += (ran * NICE_0) / entity.weight;
  }

  /** Somebody is runnable now. `ranNs`: what the current one has had in this slice. True: it should give way. */
  wake(entity: Schedulable, ranNs: number): boolean {
    if (entity.runnable) return false;
    entity.runnable = true;
    const { current } = this;
    const now = current === null ? this.#leastNs() : current.vruntimeNs + (ranNs * NICE_0) / current.weight;
    if (entity !== current) entity.vruntimeNs = Math.max(entity.vruntimeNs, now - SLEEPER_NS);
    return current !== null && entity !== current && entity.vruntimeNs + GRANULARITY_NS < now;
  }

  #leastNs(): number {
    let least = Number.POSITIVE_INFINITY;
    let most = 0;
    for (const each of this.entities) {
      most = Math.max(most, each.vruntimeNs);
      if (each.runnable) least = Math.min(least, each.vruntimeNs);
    }
    return least === Number.POSITIVE_INFINITY ? most : least;
  }
}
