/**
 * A simulated world: one virtual clock, one seed, any number of machines and wires.
 *
 *     world.runFor(1e9)   -->  take the next event, move the clock to it, run it, until the time is up
 *
 * Nothing happens between events; what runs inside one takes no virtual time, except spin() and the work of a CPU that has a
 * cost model (cpu_model.ts): these move the clock themselves, and the rest of the world happens meanwhile. Two worlds with one
 * seed and one program have one history.
 */
import { Bug } from '../base/assert.ts';
import { Prng } from '../base/prng.ts';
import { EventQueue } from './event_queue.ts';

/** More events than any machine has at one instant: somebody asks for another turn without end. */
const EVENTS_AN_INSTANT_MAX = 1_000_000;

export interface WorldOptions {
  readonly seed: number;
  readonly epochUs?: number;
  /** Another source of chance than the seed: one that writes down what is drawn, or draws it again (draws.ts). */
  readonly prng?: Prng;
}

export class World {
  readonly prng: Prng;
  /** Wall-clock microseconds at virtual time 0, for the time stamps of frames. */
  readonly epochUs: number;
  /** The run that is under way ends here; Infinity between runs. Code on a CPU model moves the clock up to it, no further. */
  horizonNs = Number.POSITIVE_INFINITY;
  /** The CPU whose work moves the clock now (cpu_model.ts), or null. */
  moving: object | null = null;
  #nowNs = 0;
  readonly #events = new EventQueue();
  #atThisInstant = 0;

  constructor(options: WorldOptions) {
    this.prng = options.prng ?? new Prng(options.seed);
    this.epochUs = options.epochUs ?? 0;
  }

  get nowNs(): number {
    return this.#nowNs;
  }

  /** Has `action` run at virtual time `atNs`; a time that is over means now. */
  at(atNs: number, action: () => void): void {
    this.#events.add(Math.max(atNs, this.#nowNs), action);
  }

  /** Has `action` run `delayNs` from now. */
  after(delayNs: number, action: () => void): void {
    this.#events.add(this.#nowNs + Math.max(delayNs, 0), action);
  }

  /** Time of the next event in nanoseconds, or Infinity. */
  get nextNs(): number {
    return this.#events.nextNs;
  }

  /**
   * Takes the next event, which there must be, and moves the clock to it. Panics when time stands still, for example under a
   * driver that is busy with nothing in flight and is asked again and again.
   */
  step(): void {
    const nextNs = this.#events.nextNs;
    if (nextNs > this.#nowNs) {
      this.#nowNs = nextNs;
      this.#atThisInstant = 0;
    }
    if (++this.#atThisInstant > EVENTS_AN_INSTANT_MAX) throw new Bug(`virtual time stands still at ${this.#nowNs} ns`);
    this.#events.take()();
  }

  /** Moves the clock forward to `ns`; nothing may be due before. */
  skipTo(ns: number): void {
    if (ns <= this.#nowNs) return;
    this.#nowNs = ns;
    this.#atThisInstant = 0;
  }

  /** Runs everything up to virtual time `untilNs`, and leaves the clock there. Returns the number of events. */
  runUntil(untilNs: number): number {
    const outer = this.horizonNs;
    if (outer === Number.POSITIVE_INFINITY) this.horizonNs = untilNs;
    let ran = 0;
    try {
      while (this.#events.nextNs <= untilNs) {
        this.step();
        ran++;
      }
      this.skipTo(untilNs);
    } finally {
      this.horizonNs = outer;
    }
    return ran;
  }

  runFor(ns: number): number {
    return this.runUntil(this.#nowNs + ns);
  }

  /** Runs until no event is left, or until `limitNs` from now. */
  runIdle(limitNs = 60e9): number {
    const endNs = this.#nowNs + limitNs;
    const outer = this.horizonNs;
    this.horizonNs = Math.min(outer, endNs);
    let ran = 0;
    try {
      while (this.#events.length > 0 && this.#events.nextNs <= endNs) {
        this.step();
        ran++;
      }
    } finally {
      this.horizonNs = outer;
    }
    return ran;
  }
}
