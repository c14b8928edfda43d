/**
 * A simulated world: one virtual clock, one seed, any number of machines and wires.
 *
 *     world.runFor(1e9)   -->  take the next event, move the clock to it, run it, until the time is up
 *
 * Nothing happens between events; what runs inside one takes no virtual time, except spin(), which moves the clock by
 * itself and lets the rest of the world happen meanwhile. Two worlds with one seed and one program have one history.
 */
import { Bug } from '../base/assert.ts';
import { Prng } from '../base/prng.ts';
import { EventQueue } from './event_queue.ts';

/** More events than any machine has at one instant: somebody asks for another turn without end. */
const EVENTS_AN_INSTANT_MAX = 1_000_000;

export class World {
  readonly prng: Prng;
  /** Wall-clock microseconds at virtual time 0, for the time stamps of frames. */
  readonly epochUs: number;
  #nowNs = 0;
  readonly #events = new EventQueue();
  #atThisInstant = 0;

  constructor(options: { readonly seed: number; readonly epochUs?: number }) {
    this.prng = new Prng(options.seed);
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

  /**
   * Runs everything up to virtual time `untilNs`, and leaves the clock there. Returns the number of events. Panics when
   * time stands still, for example under a driver that is busy with nothing in flight and is asked again and again.
   */
  runUntil(untilNs: number): number {
    let ran = 0;
    while (this.#events.nextNs <= untilNs) {
      if (this.#events.nextNs > this.#nowNs) {
        this.#nowNs = this.#events.nextNs;
        this.#atThisInstant = 0;
      }
      if (++this.#atThisInstant > EVENTS_AN_INSTANT_MAX)
        throw new Bug(`virtual time stands still at ${this.#nowNs} ns`);
      this.#events.take()();
      ran++;
    }
    this.#nowNs = Math.max(this.#nowNs, untilNs);
    return ran;
  }

  runFor(ns: number): number {
    return this.runUntil(this.#nowNs + ns);
  }

  /** Runs until no event is left, or until `limitNs` from now. */
  runIdle(limitNs = 60e9): number {
    const endNs = this.#nowNs + limitNs;
    let ran = 0;
    while (this.#events.length > 0 && this.#events.nextNs <= endNs) ran += this.runUntil(this.#events.nextNs);
    return ran;
  }
}
