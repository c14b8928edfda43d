/**
 * The Executive of a simulated machine: turns are events of the world, and spin() moves the world's clock.
 *
 * While a machine spins it holds its CPU, so its own turns wait until the spin is over; wires, other machines and its own
 * hardware go on.
 */
import type { Executive } from '../machine/executive.ts';
import type { World } from './world.ts';

export class SimExecutive implements Executive {
  /** What a turn runs; set by who makes the machine. */
  onTurn: () => void = () => {};
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
    return this.#world.nowNs - this.#bootNs;
  }

  wallUs(): number {
    return this.#world.epochUs + Math.floor(this.#world.nowNs / 1000);
  }

  requestTurn(): void {
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
