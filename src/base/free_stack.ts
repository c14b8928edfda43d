/**
 * A bounded stack of small integers: which slots of a pool are free.
 *
 *     slots   [ 7 2 9 | . . . ]      pop -> 9, push(4) -> [ 7 2 4 | . . . ]
 *              ^depth=3
 *
 * Last in, first out, so that the slot still warm in the cache is used next. No allocation after construction.
 */
import { assert } from './assert.ts';

export class FreeStack {
  readonly capacity: number;
  readonly #slots: Int32Array;
  #depth = 0;

  /** An empty stack for at most `capacity` values. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#slots = new Int32Array(capacity);
  }

  get depth(): number {
    return this.#depth;
  }

  /** Fills the stack with first..first+count-1 so that `first` is popped first. */
  fill(first: number, count: number): void {
    for (let i = count - 1; i >= 0; i--) this.push(first + i);
  }

  push(value: number): void {
    assert(this.#depth < this.capacity, 'free stack overflow: a slot was freed twice');
    this.#slots[this.#depth++] = value;
  }

  /** The last value pushed, or -1 when empty. */
  pop(): number {
    return this.#depth === 0 ? -1 : this.#slots[--this.#depth]!;
  }
}
