// hot
/**
 * The monotonic clock, read without anything on V8's heap: performance.now() makes a number there each time, 16 bytes, and a flood reads
 * the clock three times a poll; so does every function that gives back a double, unless it is inlined. 20 ns slower than that.
 *
 *     struct timespec { i64 s @0; i64 ns @8 }
 */
import { type Libc, libc } from './libc.ts';
import { pinned } from './pinned.ts';

const CLOCK_MONOTONIC = 1;

export class MonotonicClock {
  /** Nanoseconds since the system booted, as CLOCK_MONOTONIC counted them when it was read. */
  ns = 0;
  readonly #libc: Libc = libc();
  readonly #spec: Uint8Array;
  /** The lower halves are words 0 and 2. */
  readonly #words: Int32Array;

  /** Set-up. Throws SetupError `ERR_NETPOLL_NO_KOFFI`. */
  constructor() {
    const { bytes } = pinned(16);
    this.#spec = bytes;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
  }

  /** Into `ns`. */
  read(): void {
    this.#libc.clockGettime(CLOCK_MONOTONIC, this.#spec);
    this.ns = this.#words[0]! * 1e9 + this.#words[2]!;
  }
}
