/**
 * A timer as a descriptor: readable when it has run out. Kernel time (CLOCK_MONOTONIC), nanosecond grain.
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

  /** Runs out once, `ns` from now (1 at least); what was set before is forgotten. */
  set(ns: number): void {
    const whole = Math.max(1, Math.ceil(ns));
    const seconds = Math.floor(whole / 1e9);
    this.#spec.view.setUint32(VALUE_S, seconds, true);
    this.#spec.view.setUint32(VALUE_NS, whole - seconds * 1e9, true);
    this.#libc.timerfdSettime(this.fd, 0, this.#spec.bytes, null);
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}
