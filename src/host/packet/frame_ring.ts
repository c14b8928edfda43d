// hot
/**
 * The receive ring of AF_PACKET with a slot for each frame (TPACKET_V2), for who would rather be woken by every frame than wait for a block.
 *
 *     slot 0       slot 1       slot 2       slot 3
 *     | hdr f    | | hdr f    | | hdr f    | | hdr      |
 *       KERNEL       USER         USER         KERNEL: it fills
 *       held         next -->
 *
 *   1. The kernel fills the slot at its head, marks it USER and wakes the reader: at once, where a block of rx_ring.ts waits for its
 *      time-out. It stops at a slot that is not KERNEL, drops, and counts what it drops.
 *   2. `burst` walks the slots that are USER from `next` on and hands each one up; handed up it stays USER, which is `held` here.
 *   3. Released, in any order, a slot is KERNEL again. Who keeps one frame for long stops the ring when the head comes round to it.
 *
 * Slots have one size, and what is longer than one (super-frames of a card's receive offload, of a veth) is cut by the kernel, left out
 * and counted here.
 *
 * Frames are handles in granules, as in rx_ring.ts, which has the same public face.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_P_8021Q } from '../../wire/eth.ts';
import type { HostArena, RingArea } from '../arena.ts';
import {
  PACKET_OUTGOING,
  SLOT_LEN,
  SLOT_MAC,
  SLOT_NSEC,
  SLOT_PKTTYPE,
  SLOT_SEC,
  SLOT_SNAPLEN,
  SLOT_VLAN,
  TP_STATUS_KERNEL,
  TP_STATUS_LOSING,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
} from '../sys/packet.ts';
import { csumState, GRANULE, putTag } from './rx_ring.ts';

export class FrameRing {
  frames = 0;
  bytes = 0;
  outstanding = 0;
  losing = false;
  truncated = 0;
  readonly #memory: HostArena;
  readonly #area: RingArea;
  readonly #slotSize: number;
  readonly #slots: number;
  /** Granules of a slot, as a shift: from a handle to its slot. */
  readonly #slotShift: number;
  /** 1: handed up and not released. */
  readonly #held: Uint8Array;
  #next = 0;

  constructor(memory: HostArena, area: RingArea, slotSize: number) {
    this.#memory = memory;
    this.#area = area;
    this.#slotSize = slotSize;
    this.#slots = area.length / slotSize;
    this.#slotShift = Math.log2(slotSize / GRANULE);
    this.#held = new Uint8Array(this.#slots);
  }

  /** True if a frame is there. */
  ready(): boolean {
    return this.#held[this.#next] === 0 && (this.#status(this.#next) & TP_STATUS_USER) !== 0;
  }

  /** Hands up at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const memory = this.#memory;
    const { i32, bytes } = memory;
    const slotSize = this.#slotSize;
    let n = 0;
    let sum = 0;
    // Bound: once around.
    for (let left = this.#slots; n < limit && left > 0; left--) {
      const slot = this.#next;
      const status = this.#held[slot] === 0 ? this.#status(slot) : TP_STATUS_KERNEL;
      if ((status & TP_STATUS_USER) === 0) break;
      if ((status & TP_STATUS_LOSING) !== 0) this.losing = true;
      this.#next = slot + 1 === this.#slots ? 0 : slot + 1;
      const at = this.#area.offset + slot * slotSize;
      const word = at >>> 2;
      const kept = i32[word + SLOT_SNAPLEN / 4]!;
      const cut = kept < i32[word + SLOT_LEN / 4]!;
      if (cut || bytes[at + SLOT_PKTTYPE] === PACKET_OUTGOING) {
        if (cut) this.truncated++;
        this.#giveBack(slot);
        continue;
      }
      const handle = this.#area.firstHandle + (slot << this.#slotShift);
      memory.adopt(handle);
      this.#held[slot] = 1;
      out.buf[n] = handle;
      out.offset[n] = at + (i32[word + SLOT_MAC / 4]! & 0xffff);
      out.len[n] = kept;
      out.end[n] = at + slotSize;
      out.tstampUs[n] = (i32[word + SLOT_SEC / 4]! >>> 0) * 1e6 + ((i32[word + SLOT_NSEC / 4]! / 1000) | 0);
      out.csum[n] = csumState(status);
      out.vlanTci[n] = -1;
      sum += kept;
      if ((status & TP_STATUS_VLAN_VALID) !== 0) {
        const tag = i32[word + SLOT_VLAN / 4]!;
        const type = (status & TP_STATUS_VLAN_TPID_VALID) !== 0 ? tag >>> 16 : ETH_P_8021Q;
        putTag(memory, out, n, tag & 0xffff, type);
      }
      n++;
    }
    this.outstanding += n;
    this.frames += n;
    this.bytes += sum;
    return n;
  }

  /** The arena's recycle: the last reference to a frame of this ring is gone. */
  recycle(buf: number): void {
    this.outstanding--;
    const slot = (buf - this.#area.firstHandle) >>> this.#slotShift;
    this.#held[slot] = 0;
    this.#giveBack(slot);
  }

  #status(slot: number): number {
    return Atomics.load(this.#memory.i32, (this.#area.offset + slot * this.#slotSize) >>> 2);
  }

  #giveBack(slot: number): void {
    Atomics.store(this.#memory.i32, (this.#area.offset + slot * this.#slotSize) >>> 2, TP_STATUS_KERNEL);
  }
}
