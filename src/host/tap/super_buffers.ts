/**
 * Memory for frames longer than an arena slot: super-frames and jumbo frames, each in one piece.
 *
 *     arena:  | slots of 2 KiB ... | buffer 0: 72 KiB | buffer 1 | ... |
 *                                    headroom, frame of up to 64 KiB
 *
 * Handles of a region of the arena; the last release brings a buffer back. The one used last is used next: it is in the cache.
 */
import { FreeStack } from '../../base/free_stack.ts';
import type { HostArena, RingArea } from '../arena.ts';

/** A frame of 64 KiB and its headers and headroom, in whole pages. */
export const SUPER_SIZE = 72 << 10;

export class SuperBuffers {
  readonly #memory: HostArena;
  readonly #area: RingArea;
  readonly #free: FreeStack;
  readonly #count: number;

  /** Throws SetupError `ERR_NETPOLL_ARENA_FULL`. */
  constructor(memory: HostArena, count: number) {
    this.#memory = memory;
    this.#count = count;
    this.#free = new FreeStack(count);
    this.#area = memory.takeRing(count * SUPER_SIZE, SUPER_SIZE, (buf) =>
      this.#free.push(buf - this.#area.firstHandle),
    );
    this.#free.fill(0, count);
  }

  /** A buffer with one reference, which is the caller's; -1: none is free. */
  alloc(): number {
    const n = this.#free.pop();
    if (n < 0) return -1;
    const buf = this.#area.firstHandle + n;
    this.#memory.adopt(buf);
    return buf;
  }

  /** Gives the memory back. Frames that are out stay readable; the memory goes with the last of them. */
  close(): void {
    this.#memory.giveRing(this.#area, this.#count - this.#free.depth);
  }
}
