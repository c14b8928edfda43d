/**
 * A bounded first-in-first-out ring of references.
 *
 *     head (next out)      tail (next in)
 *       v                    v
 *     [ c  d  e  f  .  .  .  .  ]     index = counter & mask; full when tail - head = capacity
 *
 * Full is a return value. Slots are emptied on the way out, so the ring holds nothing alive that has left it.
 */
import { assert } from './assert.ts';

export class Ring<T> {
  readonly capacity: number;
  readonly #slots: (T | undefined)[];
  readonly #mask: number;
  #head = 0;
  #tail = 0;

  /** `capacity` must be a power of two. */
  constructor(capacity: number) {
    assert(capacity > 0 && (capacity & (capacity - 1)) === 0, 'a ring has a power of two as its capacity');
    this.capacity = capacity;
    this.#mask = capacity - 1;
    this.#slots = new Array<T | undefined>(capacity).fill(undefined);
  }

  get length(): number {
    return this.#tail - this.#head;
  }

  /** False when full; `value` is then still the caller's. */
  push(value: T): boolean {
    if (this.#tail - this.#head === this.capacity) return false;
    this.#slots[this.#tail++ & this.#mask] = value;
    return true;
  }

  shift(): T | undefined {
    if (this.#head === this.#tail) return undefined;
    const at = this.#head++ & this.#mask;
    const value = this.#slots[at];
    this.#slots[at] = undefined;
    return value;
  }

  peek(): T | undefined {
    return this.#head === this.#tail ? undefined : this.#slots[this.#head & this.#mask];
  }

  /** The value `index` places behind the head, without taking it. */
  at(index: number): T | undefined {
    return index < 0 || index >= this.length ? undefined : this.#slots[(this.#head + index) & this.#mask];
  }
}
