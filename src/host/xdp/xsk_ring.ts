/**
 * One ring of an AF_XDP socket, laid over a part of the arena: two counters that run on modulo 2^32, and entries.
 *
 *     mapping   | producer | consumer | flags | entry 0 | entry 1 | ... |        each counter on a cache line of its own
 *
 *     fill, tx             we produce, the kernel consumes
 *     completion, rx       the kernel produces, we consume
 *
 * Positions are indices into the arena's Int32Array, so that the data path reads counters with Atomics and entries plainly.
 */
import type { HostArena, RingArea } from '../arena.ts';
import { mapOver, PAGE_SIZE } from '../sys/mmap.ts';
import { RINGS, ringOffsets, setRing } from '../sys/xdp.ts';

export interface XskRing {
  readonly entries: number;
  /** Index of each in `arena.i32`. */
  readonly producer: number;
  readonly consumer: number;
  readonly flags: number;
  readonly desc: number;
  readonly area: RingArea;
}

/**
 * Has the kernel make a ring of `entries` (a power of two) for the socket, and maps it. The area is the caller's to give back,
 * after the socket is closed. Throws SetupError: ERR_NETPOLL_ARENA_FULL, or what the kernel says.
 */
export function mapRing(
  fd: number,
  memory: HostArena,
  kind: keyof typeof RINGS,
  entries: number,
  what: string,
): XskRing {
  const { option, fileOffset, offsets: at, entry } = RINGS[kind];
  setRing(fd, option, entries, what);
  const offsets = ringOffsets(fd, what)(at);
  const length = Math.ceil((offsets.desc + entries * entry) / PAGE_SIZE) * PAGE_SIZE;
  // No frames lie in it: one granule, which nobody is handed.
  const area = memory.takeRing(length, length, () => {});
  try {
    mapOver(area.at, length, fd, `${what}: map the ${kind} ring`, fileOffset);
  } catch (error) {
    memory.giveRing(area, 0);
    throw error;
  }
  const word = (offset: number): number => (area.offset + offset) >>> 2;
  return {
    entries,
    producer: word(offsets.producer),
    consumer: word(offsets.consumer),
    flags: word(offsets.flags),
    desc: word(offsets.desc),
    area,
  };
}
