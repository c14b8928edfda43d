/**
 * The arena of the host world: one mapping, one DataView, slots in front and room for kernel rings behind.
 *
 *     0             slots*slotSize                                    byteLength
 *     +------+-----+-------------+--------------+---------------------+
 *     | slot | ... | page        | kernel ring  | anonymous, unused   |
 *     +------+-----+-------------+--------------+---------------------+
 *                    boundary      MAP_FIXED
 *
 *   1. A port takes a ring area (`takeRing`) and lays the kernel's ring over it: a received frame is then a position in
 *      the same memory as everything else, and is never copied.
 *   2. On closing it gives the area back. While somebody still holds a frame of that ring, the kernel's pages stay
 *      mapped; with the last release anonymous memory takes their place, and the area may serve the next port.
 */
import { assert } from '../base/assert.ts';
import { SetupError } from '../base/status.ts';
import { Arena, type ArenaOptions } from '../skb/arena.ts';
import { mapAway, mapMemory, PAGE_SIZE } from './sys/mmap.ts';

/** Part of the arena that a kernel ring lies on. */
export interface RingArea {
  readonly offset: number;
  readonly length: number;
  /** Address of its first byte. */
  readonly at: number;
  readonly granularity: number;
  /** Arena handle of granule 0. */
  readonly firstHandle: number;
}

interface OwnedArea extends RingArea {
  recycle: ((buf: number) => void) | undefined;
  /** Frames out when the owner gave the area back. */
  lingering: number;
  free: boolean;
}

export class HostArena extends Arena {
  readonly #areas: OwnedArea[] = [];

  /** As a number: base addresses of user space have 47 bits. */
  readonly baseAt: number;

  constructor(buffer: ArrayBuffer, options: ArenaOptions & { readonly baseAddress: bigint }) {
    super(buffer, options);
    this.baseAt = Number(options.baseAddress);
  }

  /**
   * An area of `length` bytes (whole pages) for a ring whose frames are addressed in units of `granularity`. `recycle(buf)`
   * runs when the last reference to a frame is dropped. Throws SetupError `ERR_NETPOLL_ARENA_FULL`.
   */
  takeRing(length: number, granularity: number, recycle: (buf: number) => void): RingArea {
    const old = this.#areas.find((area) => area.free && area.length === length && area.granularity === granularity);
    if (old !== undefined) {
      old.free = false;
      old.recycle = recycle;
      return old;
    }
    const offset = this.reserve(length, PAGE_SIZE);
    if (offset < 0) {
      const message = `the arena has no room for a ring of ${length} bytes: make it with a larger reserveBytes`;
      throw new SetupError('ERR_NETPOLL_ARENA_FULL', message);
    }
    const release = (buf: number): void => this.#released(area, buf);
    const firstHandle = this.addRegion(offset, length, granularity, release);
    const at = this.baseAt + offset;
    const area: OwnedArea = { offset, length, at, granularity, firstHandle, recycle, lingering: 0, free: false };
    this.#areas.push(area);
    return area;
  }

  /** Gives an area back, of whose frames `lingering` are still out. The owner's recycle is not called any more. */
  giveRing(ring: RingArea, lingering: number): void {
    const area = this.#areas.find((each) => each === ring);
    assert(area !== undefined && !area.free, 'a ring area is given back by who took it');
    area.recycle = undefined;
    area.lingering = lingering;
    this.#settle(area);
  }

  #released(area: OwnedArea, buf: number): void {
    if (area.recycle !== undefined) {
      area.recycle(buf);
      return;
    }
    area.lingering--;
    this.#settle(area);
  }

  #settle(area: OwnedArea): void {
    if (area.lingering > 0) return;
    mapAway(area.at, area.length);
    area.free = true;
  }
}

export interface HostArenaOptions {
  /** Slots for frames that are made here; 4096 if absent. */
  readonly slots?: number;
  readonly slotSize?: number;
  /** Bytes behind the slots for kernel rings; 128 MiB if absent, eight rings (untouched pages cost nothing). */
  readonly reserveBytes?: number;
}

const SLOTS = 4096;
const SLOT_SIZE = 2048;
const RESERVE_BYTES = 128 << 20;

/** Maps the memory. Throws SetupError: no koffi, or no memory. */
export function createHostArena(options: HostArenaOptions = {}): HostArena {
  const slots = options.slots ?? SLOTS;
  const slotSize = options.slotSize ?? SLOT_SIZE;
  const reserveBytes = options.reserveBytes ?? RESERVE_BYTES;
  const length = Math.ceil((slots * slotSize + reserveBytes) / PAGE_SIZE + 1) * PAGE_SIZE;
  const { buffer, at } = mapMemory(length);
  return new HostArena(buffer, { slots, slotSize, baseAddress: BigInt(at) });
}

/**
 * One memory for several CPUs: all shares of slots in front, then the shares of room for kernel rings.
 *
 *     | slots of CPU 0 | slots of CPU 1 | ... | page | rings of CPU 0 | rings of CPU 1 | ... |
 *
 * Plain numbers, so that a thread can be told.
 */
export interface SharedMemory {
  readonly at: number;
  readonly length: number;
  readonly cpus: number;
  /** Of one CPU. */
  readonly slots: number;
  readonly slotSize: number;
  readonly reserveBytes: number;
}

/** Offsets of all CPUs are 31-bit numbers. */
const SHARED_MAX = 2 ** 31 - PAGE_SIZE;

/** Maps memory for `cpus` CPUs; it is unmapped when nobody holds `buffer` any more. Throws SetupError: no koffi, no memory, too much. */
export function mapSharedMemory(cpus: number, options: HostArenaOptions = {}): SharedMemory & { buffer: ArrayBuffer } {
  const slots = options.slots ?? SLOTS;
  const slotSize = options.slotSize ?? SLOT_SIZE;
  const reserveBytes = Math.ceil((options.reserveBytes ?? RESERVE_BYTES) / PAGE_SIZE) * PAGE_SIZE;
  const length = (Math.ceil((cpus * slots * slotSize) / PAGE_SIZE) + 1) * PAGE_SIZE + cpus * reserveBytes;
  if (length > SHARED_MAX) {
    const message = `${cpus} CPUs with ${reserveBytes} bytes for rings each are more than 2 GiB: give a smaller reserveBytes`;
    throw new SetupError('ERR_NETPOLL_ARENA', message);
  }
  const { buffer, at } = mapMemory(length);
  return { buffer, at, length, cpus, slots, slotSize, reserveBytes };
}

/** The share of `cpu` (slots, and room for rings), with a view of everything. `buffer` is this thread's view of the whole memory. */
export function arenaShare(memory: SharedMemory, cpu: number, buffer: ArrayBuffer): HostArena {
  const { slots, slotSize, at } = memory;
  const unused = ringShare(memory, cpu);
  return new HostArena(buffer, { slots, slotSize, slotsAt: cpu * slots * slotSize, unused, baseAddress: BigInt(at) });
}

/** Where the kernel rings of `cpu` lie: byte offsets. */
export function ringShare(memory: SharedMemory, cpu: number): readonly [from: number, to: number] {
  const { cpus, slots, slotSize, reserveBytes } = memory;
  const from = (Math.ceil((cpus * slots * slotSize) / PAGE_SIZE) + 1) * PAGE_SIZE + cpu * reserveBytes;
  return [from, from + reserveBytes];
}
