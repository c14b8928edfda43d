/**
 * A timer as a descriptor: readable when it has run out. Kernel time (CLOCK_MONOTONIC), set in microseconds.
 *
 *     struct itimerspec { timespec interval @0; timespec value @16 }, timespec { i64 s; i64 ns }      32 bytes
 */
import { check } from './errno.ts';
import { type Libc, libc } from './libc.ts';
import { pinned } from './pinned.ts';

const CLOCK_MONOTONIC = 1;
const TFD_NONBLOCK = 0o4000;
const TFD_CLOEXEC = 0o2000000;
const VALUE_S = 16;
const VALUE_NS = 24;

export class Timerfd {
  readonly fd: number;
  readonly #libc: Libc = libc();
  readonly #spec = pinned(32);

  /** Throws systemError. */
  constructor() {
    const fd = this.#libc.timerfdCreate(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    this.fd = check(fd, 'timerfd_create', 'make a timer');
  }

  /** Runs out once, `us` from now: a whole number from 1 to 2^31; what was set before is forgotten. */
  set(us: number): void {
    // Shorter than a second, nothing here is more than a small integer.
    const seconds = us < 1e6 ? 0 : Math.floor(us / 1e6);
    this.#spec.view.setInt32(VALUE_S, seconds, true);
    this.#spec.view.setInt32(VALUE_NS, (us - seconds * 1e6) * 1000, true);
    this.#libc.timerfdSettime(this.fd, 0, this.#spec.bytes, null);
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}
