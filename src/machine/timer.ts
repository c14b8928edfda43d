/**
 * Timers and work: what runs later. A timer runs in TIMER softirq, work in process context; both are served in the
 * machine's turn, and the Executive is asked for a turn at the earliest deadline.
 *
 * Few timers live at a time (watchdogs, retries, monitors), so they stand in one list ordered by deadline.
 */
import type { Machine } from './machine.ts';

/** A timer; armed by Timers.mod, quiet after it ran. */
export interface Timer {
  readonly run: () => void;
  /** Deadline in machine nanoseconds, or -1 while not armed. */
  atNs: number;
}

export class Timers {
  readonly #machine: Machine;
  /** The first #count of them. It never shrinks: V8 would give an empty array's memory back, and take some for each timer. */
  readonly #armed: (Timer | undefined)[] = [];
  #count = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** A timer that is not armed yet. */
  create(run: () => void): Timer {
    return { run, atNs: -1 };
  }

  /** Arms `timer` for `atNs`, also if it was armed for another time (`mod_timer`). */
  mod(timer: Timer, atNs: number): void {
    this.del(timer);
    timer.atNs = atNs;
    const armed = this.#armed;
    let at = this.#count++;
    // By hand: splice() makes an array of what it took out, and a queue's timer is armed for every poll of a flood.
    for (; at > 0 && armed[at - 1]!.atNs > atNs; at--) armed[at] = armed[at - 1];
    armed[at] = timer;
    if (at === 0) this.#machine.executive.requestTurnAt(atNs);
  }

  /** Disarms; true if it was armed (`del_timer`). */
  del(timer: Timer): boolean {
    if (timer.atNs < 0) return false;
    timer.atNs = -1;
    const armed = this.#armed;
    const last = --this.#count;
    for (let i = armed.indexOf(timer); i < last; i++) armed[i] = armed[i + 1];
    armed[last] = undefined;
    return true;
  }

  /** What is armed, by deadline; to look at. */
  get armed(): readonly Timer[] {
    return this.#armed.slice(0, this.#count) as Timer[];
  }

  /** There are any. */
  get some(): boolean {
    return this.#count > 0;
  }

  /** The earliest deadline, or -1. */
  get nextNs(): number {
    return this.#count === 0 ? -1 : this.#armed[0]!.atNs;
  }

  /** Runs what is due now; bound: the timers armed when it was called. */
  runDue(): void {
    const { executive } = this.#machine;
    executive.readClock();
    const nowNs = executive.clockNs;
    for (let left = this.#count; left > 0 && this.#count > 0; left--) {
      const timer = this.#armed[0]!;
      if (timer.atNs > nowNs) break;
      this.del(timer);
      timer.run();
    }
    if (this.#count > 0) executive.requestTurnAt(this.#armed[0]!.atNs);
  }
}

/** A piece of work for process context (`struct delayed_work`): queued at most once at a time. */
export class Work {
  readonly #machine: Machine;
  readonly #timer: Timer;
  #queued = false;

  constructor(machine: Machine, run: () => void) {
    this.#machine = machine;
    this.#timer = machine.timers.create(() => machine.works.push(this));
    this.run = () => {
      this.#queued = false;
      run();
    };
  }

  /** Called by the machine, in process context. */
  readonly run: () => void;

  get queued(): boolean {
    return this.#queued;
  }

  /** Runs once, `delayNs` from now at the earliest; does nothing if it waits already (`schedule_delayed_work`). */
  schedule(delayNs = 0): void {
    if (this.#queued) return;
    this.#queued = true;
    if (delayNs > 0) {
      this.#machine.timers.mod(this.#timer, this.#machine.executive.now() + delayNs);
    } else {
      this.#machine.works.push(this);
      this.#machine.executive.requestTurn();
    }
  }

  /** Takes it back if it has not run yet (`cancel_delayed_work`). */
  cancel(): void {
    if (!this.#queued) return;
    this.#queued = false;
    this.#machine.timers.del(this.#timer);
    const at = this.#machine.works.indexOf(this);
    if (at >= 0) this.#machine.works.splice(at, 1);
  }
}
