// hot
/**
 * The tags of frames that have left, until the driver reaps them. For ports whose transmits are over when the call returns.
 */
import type { FrameBatch } from '../drivers/nic/port.ts';

/** Tags that wait at most; then a port takes nothing until it is reaped. */
const DONE_MAX = 256;

export class DoneTags {
  readonly #tags = new Int32Array(DONE_MAX);
  #count = 0;

  /** Tags that wait now. */
  get count(): number {
    return this.#count;
  }

  /** How many more fit. */
  get room(): number {
    return DONE_MAX - this.#count;
  }

  /** Keeps the tags of batch[0..n); n is at most `room`. */
  put(batch: FrameBatch, n: number): void {
    for (let i = 0; i < n; i++) this.#tags[this.#count++] = batch.cookie[i]!;
  }

  /** Keeps one tag; there is room. */
  putTag(tag: number): void {
    this.#tags[this.#count++] = tag;
  }

  /** Fills done.cookie[0..n), as many as it holds; n is returned. */
  reap(done: FrameBatch): number {
    const n = Math.min(this.#count, done.size);
    this.#count -= n;
    for (let i = 0; i < n; i++) done.cookie[i] = this.#tags[this.#count + i]!;
    return n;
  }
}
