// A card whose frames are there already: a ring of descriptors, made once, that come up again and again. What a walk over it
// costs is the driver's and the stack's work and not the copying of a simulated card, whose place is taken by DMA.
//
//     refill(n) -> irq -> rxBurst: the next descriptors of the ring, each with a reference of its own to its buffer
//
// The port keeps a reference to every buffer, so the stack's release gives none of them away.

import { Counters } from '../src/base/counters.ts';
import type { FrameBatch, Port, PortCaps } from '../src/drivers/nic/port.ts';
import type { Arena } from '../src/skb/arena.ts';

/** Descriptors of the ring. */
export const DESCRIPTORS = 256;
const HEADROOM = 64;

export class DescriptorPort implements Port {
  readonly name = 'bench:descriptors';
  readonly caps: PortCaps;
  readonly counters = new Counters([]);
  /** The descriptors: buffer, place of the Ethernet header, length. */
  readonly buf = new Int32Array(DESCRIPTORS);
  readonly offset = new Int32Array(DESCRIPTORS);
  readonly len = new Int32Array(DESCRIPTORS);
  readonly #frame: Uint8Array;
  #arena: Arena | null = null;
  #irq: (queue: number) => void = () => {};
  #irqOn = false;
  #next = 0;
  #waiting = 0;

  /** Every descriptor has a buffer with a copy of `frame`. */
  constructor(mac: Uint8Array, frame: Uint8Array) {
    this.#frame = frame;
    this.caps = { mtu: 1500, rxQueues: 1, txQueues: 1, burst: 64, headroom: HEADROOM, features: 0, hasIrq: true, mac };
  }

  open(memory: Arena, irq: (queue: number) => void): void {
    this.#arena = memory;
    this.#irq = irq;
    for (let i = 0; i < DESCRIPTORS; i++) {
      const buf = memory.alloc();
      if (buf < 0) throw new Error('the arena has no room for the ring');
      this.buf[i] = buf;
      this.offset[i] = memory.start(buf) + HEADROOM;
      this.len[i] = this.#frame.length;
      memory.bytes.set(this.#frame, this.offset[i]!);
    }
  }

  close(): void {
    for (let i = 0; i < DESCRIPTORS; i++) this.#arena?.release(this.buf[i]!);
  }

  /** `n` more frames are there, DESCRIPTORS at most. */
  refill(n: number): void {
    this.#waiting += n;
    if (this.#irqOn) this.#irq(0);
  }

  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    const arena = this.#arena!;
    const n = Math.min(limit, out.size, this.#waiting);
    for (let i = 0; i < n; i++) {
      const at = (this.#next + i) & (DESCRIPTORS - 1);
      const buf = this.buf[at]!;
      const offset = this.offset[at]!;
      arena.get(buf);
      out.buf[i] = buf;
      out.offset[i] = offset;
      out.len[i] = this.len[at]!;
      out.end[i] = offset - HEADROOM + arena.slotSize;
      out.tstampUs[i] = 0;
      out.csum[i] = 0;
      out.vlanTci[i] = -1;
    }
    this.#next = (this.#next + n) & (DESCRIPTORS - 1);
    this.#waiting -= n;
    return n;
  }

  txBurst(): number {
    return 0;
  }

  txReap(): number {
    return 0;
  }

  irqEnable(_queue: number, on: boolean): boolean {
    this.#irqOn = on;
    return on && this.#waiting > 0;
  }

  link(): boolean {
    return true;
  }
}
