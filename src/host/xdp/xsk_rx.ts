// hot
/**
 * The receiving half of an AF_XDP socket: slots of the arena go out empty through the fill ring, and come back with a frame
 * through the receive ring. Nothing is copied here.
 *
 *     arena.alloc() --> fill ring --> kernel, card --> rx ring --> burst: the slot, with the reference it was allocated with
 *                       `stock` slots at most
 *
 *     slot:  | headroom, 256 | Ethernet header, payload | room |
 *            ^ head          ^ desc.addr                       ^ end
 *
 *   1. An address in the UMEM is a byte offset in the arena, because the UMEM is the arena's front; its upper half is 0. Ours begin
 *      at `slotsAt`, where several CPUs have a share each.
 *   2. `burst` replaces what it takes. Where the arena has no slot the kernel's stock shrinks, and a frame that finds none is
 *      dropped before it is copied; `starving` says that nothing would be received any more.
 *   3. No more slots are out than the receive ring has room for: that ring is never full.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { HostArena } from '../arena.ts';
import type { XskRing } from './xsk_ring.ts';

export class XskRx {
  frames = 0;
  bytes = 0;
  readonly #memory: HostArena;
  readonly #rx: XskRing;
  readonly #fill: XskRing;
  readonly #slotsAt: number;
  readonly #slotShift: number;
  readonly #stock: number;
  readonly #csum: number;
  /** 1: the slot is the kernel's. */
  readonly #out: Uint8Array;
  #received: number;
  #filled: number;

  /** `stock`: slots that the kernel has at most, no more than either ring has entries. `csum`: what every frame's checksum is. */
  constructor(memory: HostArena, rx: XskRing, fill: XskRing, stock: number, csum: number) {
    this.#memory = memory;
    this.#rx = rx;
    this.#fill = fill;
    this.#stock = stock;
    this.#csum = csum;
    this.#slotsAt = memory.slotsAt;
    this.#slotShift = Math.log2(memory.slotSize);
    this.#out = new Uint8Array(memory.slots);
    this.#received = Atomics.load(memory.i32, rx.consumer);
    this.#filled = this.#received;
    this.refill();
  }

  /** True if a frame is there. */
  ready(): boolean {
    return Atomics.load(this.#memory.i32, this.#rx.producer) !== this.#received;
  }

  /** True if the kernel has no slot left to put a frame into. */
  get starving(): boolean {
    return this.#filled === this.#received;
  }

  /** Hands up at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const { i32 } = this.#memory;
    const { buf, offset, len, end, tstampUs, csum, vlanTci } = out;
    const rx = this.#rx;
    const mask = rx.entries - 1;
    const slotsAt = this.#slotsAt;
    const shift = this.#slotShift;
    const first = this.#received;
    const waiting = (Atomics.load(i32, rx.producer) - first) | 0;
    const n = Math.min(waiting, limit);
    if (n <= 0) return 0;
    let bytes = 0;
    for (let i = 0; i < n; i++) {
      const at = rx.desc + (((first + i) & mask) << 2);
      const start = i32[at]!;
      const length = i32[at + 2]!;
      const slot = (start - slotsAt) >>> shift;
      this.#out[slot] = 0;
      buf[i] = slot;
      offset[i] = start;
      len[i] = length;
      end[i] = slotsAt + ((slot + 1) << shift);
      tstampUs[i] = 0;
      csum[i] = this.#csum;
      vlanTci[i] = -1;
      bytes += length;
    }
    this.#received = (first + n) | 0;
    Atomics.store(i32, rx.consumer, this.#received);
    this.frames += n;
    this.bytes += bytes;
    this.refill();
    return n;
  }

  /** Gives the kernel empty slots up to its stock, as far as the arena has any. */
  refill(): void {
    const memory = this.#memory;
    const { i32 } = memory;
    const fill = this.#fill;
    const mask = fill.entries - 1;
    const slotsAt = this.#slotsAt;
    const shift = this.#slotShift;
    const last = (this.#received + this.#stock) | 0;
    let at = this.#filled;
    if (at === last || memory.available === 0) return;
    while (at !== last) {
      const slot = memory.alloc();
      if (slot < 0) break;
      this.#out[slot] = 1;
      i32[fill.desc + ((at & mask) << 1)] = slotsAt + (slot << shift);
      at = (at + 1) | 0;
    }
    this.#filled = at;
    Atomics.store(i32, fill.producer, at);
  }

  /** Frames in the ring that nobody has read. */
  get unread(): number {
    return (Atomics.load(this.#memory.i32, this.#rx.producer) - this.#received) | 0;
  }

  /** The kernel wants to be called before it looks at the fill ring. */
  needsWakeup(): boolean {
    return (Atomics.load(this.#memory.i32, this.#fill.flags) & 1) !== 0;
  }

  /** After the socket is closed: the slots which the kernel had go back to the arena. */
  release(): void {
    for (let slot = 0; slot < this.#out.length; slot++) {
      if (this.#out[slot] !== 1) continue;
      this.#out[slot] = 0;
      this.#memory.release(slot);
    }
  }
}
