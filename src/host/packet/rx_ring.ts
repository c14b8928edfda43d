// hot
/**
 * The receive ring of AF_PACKET (TPACKET_V3), walked where the kernel writes it. Nothing is copied.
 *
 *     block 0           block 1           block 2
 *     | hdr f f f f f | | hdr f f         | | hdr             |
 *       KERNEL: ours      USER: we walk      KERNEL: it fills
 *       held 0            next --> f
 *
 *   1. The kernel fills a block and hands it over (status USER) when it is full, or `retireMs` after its first frame.
 *   2. `burst` walks its frames and hands each one up as a buffer of its own: the arena handle counts 64-byte granules
 *      from the ring's start, and no two frames begin within the same 64 bytes. The granule's first bytes may be the previous
 *      frame's last: a frame's own memory is what the batch says, the port's headroom in front of it included.
 *   3. When the last frame of a block is released (in any order), the block goes back (status KERNEL). Whoever keeps one
 *      frame keeps its block; with all blocks kept the kernel drops, and counts what it drops.
 *
 *     frame:  | tpacket3_hdr, sockaddr_ll | Ethernet header, payload |
 *             ^ at                        ^ at + mac
 *     The stretch before the Ethernet header is headroom once the header has been read here: 82 bytes. That is enough; a reserve
 *     of 64 more made of each small frame four cache lines instead of three, for the kernel to write and for us to read.
 *
 * One loop walks a block, with its state and the batch's columns in locals.
 *
 * The status word is the hand-over between kernel and us: read and written through Atomics, everything else is plain.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import { ETH_P_8021Q } from '../../wire/eth.ts';
import type { HostArena, RingArea } from '../arena.ts';
import {
  BLOCK_FIRST,
  BLOCK_NUM_PKTS,
  BLOCK_STATUS,
  FRAME_LEN,
  FRAME_MAC,
  FRAME_NEXT,
  FRAME_NSEC,
  FRAME_PKTTYPE,
  FRAME_SEC,
  FRAME_SNAPLEN,
  FRAME_STATUS,
  FRAME_VLAN_TCI,
  FRAME_VLAN_TPID,
  PACKET_OUTGOING,
  TP_STATUS_CSUM_VALID,
  TP_STATUS_CSUMNOTREADY,
  TP_STATUS_KERNEL,
  TP_STATUS_LOSING,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
} from '../sys/packet.ts';

const GRANULE_SHIFT = 6;
export const GRANULE = 1 << GRANULE_SHIFT;
const MAC_ADDRESSES = 12;
const TP_STATUS_CSUM = TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID;

export class RxRing {
  /** Frames handed up and not yet released, or not yet walked, of each block. */
  readonly #held: Int32Array;
  readonly #memory: HostArena;
  readonly #area: RingArea;
  readonly #blockSize: number;
  readonly #blocks: number;
  /** A handle, counted from the ring's first, shifted by this is a block's number. */
  readonly #granuleShift: number;
  /** Of no meaning: it keeps what was read for the cache's sake from being optimized away. */
  touched = 0;
  #block = 0;
  #left = 0;
  #next = 0;
  /** Handed up since the port took them into its counters. */
  frames = 0;
  bytes = 0;
  /** Frames handed up, of which the last reference is still out. */
  outstanding = 0;
  /** A block was marked: the kernel has dropped frames since its counter was read last. */
  losing = false;
  /** Frames longer than a block, of which the kernel kept only the front; they are not handed up. */
  truncated = 0;

  constructor(memory: HostArena, area: RingArea, blockSize: number) {
    this.#memory = memory;
    this.#area = area;
    this.#blockSize = blockSize;
    this.#blocks = area.length / blockSize;
    this.#granuleShift = Math.log2(blockSize) - GRANULE_SHIFT;
    this.#held = new Int32Array(this.#blocks);
  }

  /** True if a frame is there. (A block that somebody still holds frames of is the kernel's past, not new work.) */
  ready(): boolean {
    if (this.#left > 0) return true;
    return this.#held[this.#block] === 0 && (this.#status(this.#block) & TP_STATUS_USER) !== 0;
  }

  /** Hands up at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    let n = 0;
    while (n < limit && (this.#left > 0 || this.#openBlock())) n = this.#walk(out, n, limit);
    this.outstanding += n;
    this.frames += n;
    return n;
  }

  /** The arena's recycle: the last reference to a frame of this ring is gone. */
  recycle(buf: number): void {
    this.outstanding--;
    this.#drop((buf - this.#area.firstHandle) >>> this.#granuleShift);
  }

  /** Begins to walk the current block, if the kernel has handed it over. Empty blocks go back at once. */
  #openBlock(): boolean {
    const view = this.#memory.view;
    for (let tries = 0; tries < this.#blocks; tries++) {
      const status = this.#status(this.#block);
      if ((status & TP_STATUS_USER) === 0 || this.#held[this.#block] !== 0) return false;
      if ((status & TP_STATUS_LOSING) !== 0) this.losing = true;
      const base = this.#area.offset + this.#block * this.#blockSize;
      const frames = view.getUint32(base + BLOCK_NUM_PKTS, true);
      if (frames > 0) {
        this.#held[this.#block] = frames;
        this.#left = frames;
        this.#next = base + view.getUint32(base + BLOCK_FIRST, true);
        return true;
      }
      this.#giveBack(this.#block);
      this.#block = this.#block + 1 === this.#blocks ? 0 : this.#block + 1;
    }
    return false;
  }

  /**
   * Reads the tpacket3_hdr of each frame that is left in the block into out[n..limit), and gives the new n. What is not
   * for the stack (sent by ourselves, cut by the kernel) is left out. Headers are read as aligned words.
   */
  #walk(out: FrameBatch, n: number, limit: number): number {
    const memory = this.#memory;
    const { i32, bytes } = memory;
    const { buf, offset, len, end, tstampUs, csum, vlanTci } = out;
    const block = this.#block;
    const firstByte = this.#area.offset;
    const firstHandle = this.#area.firstHandle;
    let left = this.#left;
    let at = this.#next;
    let i = n;
    let sum = 0;
    let touched = 0;
    while (left > 0 && i < limit) {
      const word = at >>> 2;
      const kept = i32[word + FRAME_SNAPLEN / 4]!;
      const cut = kept < i32[word + FRAME_LEN / 4]!;
      if (cut || bytes[at + FRAME_PKTTYPE] === PACKET_OUTGOING) {
        if (cut) this.truncated++;
        this.#drop(block);
      } else {
        const status = i32[word + FRAME_STATUS / 4]!;
        const start = at + (i32[word + FRAME_MAC / 4]! & 0xffff);
        const handle = firstHandle + ((at - firstByte) >>> GRANULE_SHIFT);
        memory.adopt(handle);
        buf[i] = handle;
        offset[i] = start;
        len[i] = kept;
        end[i] = start + kept;
        tstampUs[i] = (i32[word + FRAME_SEC / 4]! >>> 0) * 1e6 + ((i32[word + FRAME_NSEC / 4]! / 1000) | 0);
        csum[i] = (status & TP_STATUS_CSUM) === 0 ? CHECKSUM_NONE : csumState(status);
        vlanTci[i] = -1;
        sum += kept;
        // The frame's own bytes are on their way into the cache while the next header is read.
        touched ^= bytes[start]!;
        if ((status & TP_STATUS_VLAN_VALID) !== 0) this.#vlan(out, i, at, status);
        i++;
      }
      left--;
      at += i32[word + FRAME_NEXT / 4]!;
    }
    this.bytes += sum;
    this.touched = touched;
    this.#left = left;
    this.#next = at;
    if (left === 0) this.#block = block + 1 === this.#blocks ? 0 : block + 1;
    return i;
  }

  #vlan(out: FrameBatch, i: number, at: number, status: number): void {
    const view = this.#memory.view;
    const tci = view.getUint32(at + FRAME_VLAN_TCI, true) & 0xffff;
    const type = (status & TP_STATUS_VLAN_TPID_VALID) !== 0 ? view.getUint16(at + FRAME_VLAN_TPID, true) : ETH_P_8021Q;
    putTag(this.#memory, out, i, tci, type);
  }

  #drop(block: number): void {
    const left = this.#held[block]! - 1;
    this.#held[block] = left;
    if (left === 0) this.#giveBack(block);
  }

  #status(block: number): number {
    return Atomics.load(this.#memory.i32, (this.#area.offset + block * this.#blockSize + BLOCK_STATUS) >>> 2);
  }

  #giveBack(block: number): void {
    const at = (this.#area.offset + block * this.#blockSize + BLOCK_STATUS) >>> 2;
    Atomics.store(this.#memory.i32, at, TP_STATUS_KERNEL);
  }
}

/** A customer tag goes beside frame `i` of `out`; one of another type (802.1ad) is put back where it was. */
export function putTag(memory: HostArena, out: FrameBatch, i: number, tci: number, type: number): void {
  if (type === ETH_P_8021Q) {
    out.vlanTci[i] = tci;
    return;
  }
  const from = out.offset[i]!;
  const to = from - 4;
  memory.bytes.copyWithin(to, from, from + MAC_ADDRESSES);
  memory.view.setUint16(to + MAC_ADDRESSES, type);
  memory.view.setUint16(to + MAC_ADDRESSES + 2, tci);
  out.offset[i] = to;
  out.len[i]! += 4;
}

/** What a ring's status word says of the frame's checksum. */
export function csumState(status: number): number {
  if ((status & TP_STATUS_CSUMNOTREADY) !== 0) return CHECKSUM_PARTIAL;
  return (status & TP_STATUS_CSUM_VALID) !== 0 ? CHECKSUM_UNNECESSARY : CHECKSUM_NONE;
}
