// hot
/**
 * The kernel's clocks, read without anything on V8's heap: performance.now() makes a number there each time, 16 bytes, and a flood reads
 * the clock three times a poll; so does every function that gives back a double, unless it is inlined. 20 ns slower than that.
 *
 *     struct timespec { i64 s @0; i64 ns @8 }
 */
import { type Libc, libc } from './libc.ts';
import { pinned } from './pinned.ts';

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;

export class MonotonicClock {
  /** Nanoseconds since the system booted, as CLOCK_MONOTONIC counted them when it was read. */
  ns = 0;
  readonly #spec = new Timespec(CLOCK_MONOTONIC);

  /** Into `ns`. */
  read(): void {
    const { words } = this.#spec;
    this.#spec.read();
    this.ns = words[0]! * 1e9 + words[2]!;
  }
}

export class RealtimeClock {
  /** Microseconds since 1970 with a fraction, as CLOCK_REALTIME counted them when it was read. */
  us = 0;
  readonly #spec = new Timespec(CLOCK_REALTIME);

  /** Into `us`. */
  read(): void {
    const { words } = this.#spec;
    this.#spec.read();
    this.us = (words[0]! >>> 0) * 1e6 + words[2]! / 1e3;
  }
}

/** Set-up throws SetupError `ERR_NETPOLL_NO_KOFFI`. */
class Timespec {
  /** The lower halves are words 0 and 2. */
  readonly words: Int32Array;
  readonly #clock: number;
  readonly #libc: Libc = libc();
  readonly #bytes: Uint8Array;

  constructor(clock: number) {
    const { bytes } = pinned(16);
    this.#clock = clock;
    this.#bytes = bytes;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
  }

  read(): void {
    this.#libc.clockGettime(this.#clock, this.#bytes);
  }
}
