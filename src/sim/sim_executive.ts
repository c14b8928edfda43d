/**
 * The Executive of a simulated machine: turns are events of the world, and spin() moves the world's clock.
 *
 * While a machine spins it holds its CPU, so its own turns wait until the spin is over; wires, other machines and its own
 * hardware go on. On a CPU with a cost model, time also passes while code runs, and a turn waits until the scheduler gives the
 * CPU to it (cpu_model.ts installs itself as `clock`).
 */
import type { Executive } from '../machine/executive.ts';
import type { World } from './world.ts';

/** What a CPU model does for its machine's Executive. */
export interface SimClock {
  /** Nanoseconds by which the CPU that runs is ahead of the world. */
  aheadNs(): number;
  /** The CPU that runs is busy for `ns`. */
  spin(ns: number): void;
  /** A turn of process context is wanted. */
  wakeTurn(): void;
}

export class SimExecutive implements Executive {
  /** What a turn runs; set by who makes the machine. */
  onTurn: () => void = () => {};
  clock: SimClock | null = null;
  clockNs = 0;
  readonly #world: World;
  readonly #bootNs: number;
  #turnRequested = false;
  #turnAtNs = Number.POSITIVE_INFINITY;
  #spinning = 0;

  constructor(world: World) {
    this.#world = world;
    this.#bootNs = world.nowNs;
  }

  now(): number {
    const now = this.#world.nowNs - this.#bootNs;
    return this.clock === null ? now : now + this.clock.aheadNs();
  }

  readClock(): void {
    this.clockNs = this.now();
  }

  wallUs(): number {
    return this.#world.epochUs + Math.floor(this.#world.nowNs / 1000);
  }

  requestTurn(): void {
    if (this.clock !== null) {
      this.clock.wakeTurn();
      return;
    }
    if (this.#turnRequested) return;
    this.#turnRequested = true;
    this.#world.after(0, () => this.#turn());
  }

  requestTurnAt(atNs: number): void {
    if (atNs >= this.#turnAtNs) return;
    this.#turnAtNs = atNs;
    this.#world.at(this.#bootNs + atNs, () => {
      if (this.#turnAtNs !== atNs) return;
      this.#turnAtNs = Number.POSITIVE_INFINITY;
      this.requestTurn();
    });
  }

  spin(ns: number): void {
    if (this.clock !== null) {
      this.clock.spin(ns);
      return;
    }
    this.#spinning++;
    this.#world.runFor(ns);
    this.#spinning--;
    if (this.#spinning === 0 && this.#turnRequested) this.#world.after(0, () => this.#turn());
  }

  #turn(): void {
    if (this.#spinning > 0 || !this.#turnRequested) return;
    this.#turnRequested = false;
    this.onTurn();
  }
}
