// hot
/**
 * The wall clock of a host: the kernel's own, to the microsecond and less, or what Node has of it where there is no koffi.
 */
import { RealtimeClock } from './sys/clock.ts';

/** A reading that stays in a field: a double that a function gives back is a number on V8's heap. */
export interface WallClock {
  /** Microseconds since 1970, as read last. */
  readonly us: number;
  read(): void;
}

/** The kernel's; Node's where koffi is not installed. Set-up. */
export function hostWallClock(): WallClock {
  try {
    return new RealtimeClock();
  } catch {
    return new NodeWallClock();
  }
}

/** Follows steps of the wall clock to a millisecond, and is even between them. */
export class NodeWallClock implements WallClock {
  us = 0;
  /** Wall clock minus monotonic clock, in milliseconds. */
  #offsetMs = Date.now() - performance.now();

  read(): void {
    const mono = performance.now();
    const wall = Date.now();
    const off = mono + this.#offsetMs - wall;
    if (off < -1 || off > 2) this.#offsetMs = wall - mono;
    this.us = (mono + this.#offsetMs) * 1e3;
  }
}
