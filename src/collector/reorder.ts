/**
 * Puts the records of one source into the order of their sequence numbers, without waiting long.
 *
 *   next = 41      42 43 __ 45 held      41 comes: 41 42 43 go out, next = 44; 45 waits until 44 comes or 200 ms are over
 *
 * Gaps are normal (records below the console's level are never sent), so a gap only delays, for the window at most. A
 * record that comes too late goes out at once: nothing is ever dropped here. Several late ones in a row mean that the
 * sender has booted again: the count starts anew from there.
 */

export const REORDER_WINDOW_US = 200_000;
/** Records held at most; beyond it the gap before the first is given up. */
const HELD_MAX = 1024;
/** Late records in a row that mean a new boot. */
const LATE_RUN = 8;

export interface Sequenced {
  readonly seq: bigint;
}

interface Held<T> {
  readonly item: T;
  readonly atUs: number;
}

export class ReorderBuffer<T extends Sequenced> {
  readonly #windowUs: number;
  readonly #out: (item: T) => void;
  #next: bigint | null = null;
  #held: Held<T>[] = [];
  #lateRun = 0;

  /** `out` gets each item exactly once. `windowUs` 0: order of arrival. */
  constructor(windowUs: number, out: (item: T) => void) {
    this.#windowUs = windowUs;
    this.#out = out;
  }

  /** When `tick` has something to do, or Infinity. */
  get deadlineUs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const held of this.#held) first = Math.min(first, held.atUs);
    return first + this.#windowUs;
  }

  /** Takes one item. Returns false if it came out of order, behind a later one that is out already. */
  push(item: T, nowUs: number): boolean {
    if (this.#next === null || item.seq === this.#next || this.#windowUs === 0) {
      this.#lateRun = 0;
      const late = this.#next !== null && item.seq < this.#next;
      this.#emit(item);
      this.#drain();
      return !late;
    }
    if (item.seq < this.#next) {
      this.#lateRun++;
      if (this.#lateRun >= LATE_RUN) {
        this.#lateRun = 0;
        this.flush();
        this.#emit(item);
        return false;
      }
      this.#out(item);
      return false;
    }
    let at = this.#held.length;
    while (at > 0 && this.#held[at - 1]!.item.seq > item.seq) at--;
    this.#held.splice(at, 0, { item, atUs: nowUs });
    if (this.#held.length > HELD_MAX) this.#release(1);
    return true;
  }

  /** Gives up the gaps before items that have waited for the window. */
  tick(nowUs: number): void {
    let ripe = 0;
    for (let i = 0; i < this.#held.length; i++) if (nowUs >= this.#held[i]!.atUs + this.#windowUs) ripe = i + 1;
    if (ripe > 0) this.#release(ripe);
  }

  /** Gives out everything held. */
  flush(): void {
    this.#release(this.#held.length);
  }

  #release(count: number): void {
    for (const held of this.#held.splice(0, count)) this.#emit(held.item);
    this.#drain();
  }

  #drain(): void {
    while (this.#held.length > 0 && this.#held[0]!.item.seq <= this.#next!) this.#emit(this.#held.shift()!.item);
  }

  #emit(item: T): void {
    this.#next = item.seq + 1n;
    this.#out(item);
  }
}
