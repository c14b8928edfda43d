// hot
/**
 * The arena: one memory for all frames of a machine, read and written through one DataView.
 *
 *     0                    slots*slotSize                      byteLength
 *     +------+------+-----+------+----------------+------------+
 *     | slot | slot | ... | slot |  region        |  unused    |
 *     +------+------+-----+------+----------------+------------+
 *       2048 bytes each             a kernel ring that a port mapped here (AF_PACKET, AF_XDP)
 *
 * Where several CPUs are threads, each has an Arena of its own over the same memory: a share of the slots, a share of what is
 * unused, and a view of everything, so that a frame which another CPU hands over is read where it lies.
 *
 * A buffer is a small integer, the handle. Handles 0..slots-1 are slots; each region adds its own range behind them. Each
 * handle has a reference count (the kernel's `dataref`): clones of an sk_buff share the buffer, the last release gives a
 * slot back to the free stack and a region's frame back to the port that owns the ring.
 *
 * The arena owns all bytes; an sk_buff or a port owns references.
 */
import { assert } from '../base/assert.ts';
import { FreeStack } from '../base/free_stack.ts';

/** Part of the arena's memory that a port manages: frames start at multiples of `granularity`. */
interface Region {
  readonly first: number;
  readonly count: number;
  readonly byteOffset: number;
  readonly granularity: number;
  recycle: (buf: number) => void;
}

export interface ArenaOptions {
  readonly slots: number;
  /** Bytes of a slot; 2048 holds a full Ethernet frame, a VLAN tag and 64 bytes of headroom. */
  readonly slotSize?: number;
  /** Address of byte 0 in this process, for ports that hand addresses to the kernel. 0n in sim. */
  readonly baseAddress?: bigint;
  /** Byte offset of slot 0; 0 if absent. Several CPUs' slots lie side by side in one memory that all of them see. */
  readonly slotsAt?: number;
  /** Unused memory for reserve(): [byte offset, byte offset behind it]; what is behind the slots if absent. */
  readonly unused?: readonly [from: number, to: number];
}

export class Arena {
  readonly buffer: ArrayBufferLike;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly i32: Int32Array;
  readonly slots: number;
  readonly slotSize: number;
  /** Byte offset of slot 0. */
  readonly slotsAt: number;
  readonly baseAddress: bigint;
  /** How often alloc() found nothing. */
  exhausted = 0;
  readonly #free: FreeStack;
  readonly #regions: Region[] = [];
  #refs: Int32Array;
  #handles: number;
  #reserved: number;
  readonly #reserveEnd: number;

  constructor(buffer: ArrayBufferLike, options: ArenaOptions) {
    const slotSize = options.slotSize ?? 2048;
    const slotsAt = options.slotsAt ?? 0;
    const slotsEnd = slotsAt + options.slots * slotSize;
    assert(slotsEnd <= buffer.byteLength, 'the arena buffer holds all slots');
    const [from, to] = options.unused ?? [slotsEnd, buffer.byteLength];
    assert((from >= slotsEnd || to <= slotsAt) && to <= buffer.byteLength, 'slots and unused memory lie apart');
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.i32 = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
    this.slots = options.slots;
    this.slotSize = slotSize;
    this.slotsAt = slotsAt;
    this.baseAddress = options.baseAddress ?? BigInt(0);
    this.#refs = new Int32Array(options.slots);
    this.#handles = options.slots;
    this.#reserved = from;
    this.#reserveEnd = to;
    this.#free = new FreeStack(options.slots);
    this.#free.fill(0, options.slots);
  }

  /** Free slots now. */
  get available(): number {
    return this.#free.depth;
  }

  /** Takes a slot with one reference, which is the caller's; -1 when there is none (counted in `exhausted`). */
  alloc(): number {
    const buf = this.#free.pop();
    if (buf < 0) {
      this.exhausted++;
      return -1;
    }
    this.#refs[buf] = 1;
    return buf;
  }

  /** One more reference to `buf`. */
  get(buf: number): void {
    assert(this.#refs[buf]! > 0, 'a reference is taken on a live buffer');
    this.#refs[buf]!++;
  }

  /** References to `buf` now (`dataref`). */
  refs(buf: number): number {
    return this.#refs[buf]!;
  }

  /** Drops one reference; the last one gives the buffer back to the free stack or to its port. */
  release(buf: number): void {
    const left = --this.#refs[buf]!;
    assert(left >= 0, 'a buffer is released as often as it was taken');
    if (left > 0) return;
    if (buf < this.slots) this.#free.push(buf);
    else this.#regionOf(buf).recycle(buf);
  }

  /** Byte offset of the first byte of `buf`. */
  start(buf: number): number {
    if (buf < this.slots) return this.slotsAt + buf * this.slotSize;
    const region = this.#regionOf(buf);
    return region.byteOffset + (buf - region.first) * region.granularity;
  }

  /**
   * Takes `byteLength` bytes of unused memory, aligned to `align` (a power of two).
   * Gives the byte offset, or -1 when the arena has not so much left.
   */
  reserve(byteLength: number, align: number): number {
    const at = (this.#reserved + align - 1) & ~(align - 1);
    if (at + byteLength > this.#reserveEnd) return -1;
    this.#reserved = at + byteLength;
    return at;
  }

  /**
   * Makes reserved bytes a region of frames which start at multiples of `granularity`. `recycle(buf)` runs when the last
   * reference to a frame is dropped. Returns the first handle: the frame at byte o has handle first + (o - byteOffset) / granularity.
   */
  addRegion(byteOffset: number, byteLength: number, granularity: number, recycle: (buf: number) => void): number {
    const first = this.#handles;
    const count = Math.floor(byteLength / granularity);
    this.#regions.push({ first, count, byteOffset, granularity, recycle });
    this.#handles += count;
    const refs = new Int32Array(this.#handles);
    refs.set(this.#refs);
    this.#refs = refs;
    return first;
  }

  /**
   * Handles for `count` frames whose bytes lie in another CPU's share. `recycle(buf)` runs when the last reference to one is
   * dropped, and tells its owner. Where the bytes are, the sk_buff says: these handles have no start. Returns the first handle.
   */
  addForeign(count: number, recycle: (buf: number) => void): number {
    return this.addRegion(0, count, 1, recycle);
  }

  /** Sets the first reference of a region's frame, at the moment when the port hands it up. */
  adopt(buf: number): void {
    assert(this.#refs[buf] === 0, 'a ring frame is handed up once before it is released');
    this.#refs[buf] = 1;
  }

  #regionOf(buf: number): Region {
    for (let i = 0; i < this.#regions.length; i++) {
      const region = this.#regions[i]!;
      if (buf >= region.first && buf < region.first + region.count) return region;
    }
    assert(false, 'a buffer handle names a slot or a region');
  }
}

/** An arena in ordinary memory: for sim, tests and ports that copy. */
export function createArena(slots: number, slotSize = 2048): Arena {
  return new Arena(new ArrayBuffer(slots * slotSize), { slots, slotSize });
}
