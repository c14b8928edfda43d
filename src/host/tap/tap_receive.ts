// hot
/**
 * The receive half of a queue of a tap port: places are posted for frames; what is longer than a slot runs on into a large buffer.
 *
 *     slot     | ...54 | header 10 | frame, at most 1984 ............. |        place i, iovec 0
 *     buffer   | 64    | room for the same 1984 | the frame goes on .. |        place i, iovec 1
 *
 *   1. It fits into the slot: the slot goes up, as it is, and a fresh one takes its place.
 *   2. It does not: its first part is moved in front of the rest, the buffer goes up in one piece, the slot stays. (3 % of a super-frame)
 *   3. A header that contradicts its frame, no fresh memory: dropped and counted, the memory is used again.
 *
 * How many are read at once. A TAP device gives one frame a read, so a burst of reads is one call of an io_uring; a read that finds
 * nothing costs too. So it is one at first, and twice as many after each burst that came back full:
 *
 *     1 (read alone) --full--> 2 --full--> 4 ... 32 --not full--> as many as came; the queue is empty, and is not asked again
 *
 * The header costs the kernel 0.15 us a frame; without offloads there is none, and one address instead of two iovecs. Super-frames are one by one: with 44
 * segments in each there is nothing to save, and few buffers stay in the cache.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_NONE } from '../../skb/checksum_state.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { HostArena } from '../arena.ts';
import { EAGAIN, EINTR } from '../sys/errno.ts';
import { ECANCELED, IORING_OP_READ, IORING_OP_READV, type IoUring } from '../sys/io_uring.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { highWord, type Pinned, pinned } from '../sys/pinned.ts';
import { IOVEC_SIZE } from '../sys/socket.ts';
import { SUPER_SIZE, type SuperBuffers } from './super_buffers.ts';
import { takeVnet } from './vnet_offload.ts';

export const RX_HEADROOM = 64;

/** Places at most. */
export const PLACES_MAX = 32;
/** Frames looked at in one call. */
const READS_MAX = 128;
/** A frame that nobody has memory for is read into so many bytes. */
const NOWHERE_SIZE = 16;
const PLACE_SIZE = 2 * IOVEC_SIZE;
const TWO_32 = 2 ** 32;

export interface TapReceiveOptions {
  /** One for this descriptor, which outlives the receiver; null: there is none. */
  readonly ring: IoUring | null;
  /** How many places to post, each with a slot and a large buffer; 1 without a ring. */
  readonly places: number;
  /** No frame is longer than a slot: no large buffers are posted. */
  readonly short: boolean;
  /** Bytes of the header in front of each frame: VNET_HLEN, or 0 where nothing is offloaded. */
  readonly header: number;
}

export class TapReceive {
  frames = 0;
  bytes = 0;
  /** Frames that came as one for several. */
  superFrames = 0;
  /** Frames whose header contradicts them. */
  badHeaders = 0;
  /** Frames that were no Ethernet frame, or longer than 72 KiB. */
  lengthErrors = 0;
  /** Frames for which there was no fresh memory. */
  noBuffer = 0;
  /** The errno with which the device stopped to be one; 0: it is there. */
  gone = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #supers: SuperBuffers;
  readonly #ring: IoUring | null;
  readonly #places: number;
  readonly #short: boolean;
  readonly #hlen: number;
  readonly #libc: Libc = libc();
  readonly #iovecs: Pinned;
  readonly #nowhere: Pinned = pinned(NOWHERE_SIZE);
  /** Bytes of a frame that go into the slot. */
  readonly #inSlot: number;
  /** Addresses in halves: a double would be boxed on its way into another function. */
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #vectorLow: number;
  readonly #vectorHigh: number;
  /** What each place has; -1: nothing. */
  readonly #slot: Int32Array;
  readonly #super: Int32Array;
  /** Frames to be read at once next time. */
  #next = 1;
  /** Frames that the last read handed up. */
  #up = 0;

  constructor(fd: number, memory: HostArena, supers: SuperBuffers, options: TapReceiveOptions) {
    const { ring, places, short, header } = options;
    this.#fd = fd;
    this.#memory = memory;
    this.#supers = supers;
    this.#ring = ring;
    this.#places = ring === null ? 1 : places;
    this.#short = short;
    this.#hlen = header;
    this.#iovecs = pinned(PLACE_SIZE * this.#places);
    this.#inSlot = memory.slotSize - RX_HEADROOM;
    this.#baseLow = memory.baseAt % TWO_32;
    this.#baseHigh = Math.floor(memory.baseAt / TWO_32);
    this.#vectorLow = this.#iovecs.at % TWO_32;
    this.#vectorHigh = Math.floor(this.#iovecs.at / TWO_32);
    this.#slot = new Int32Array(this.#places).fill(-1);
    this.#super = new Int32Array(this.#places).fill(-1);
  }

  /** Gives the memory back that waits for frames. */
  release(): void {
    for (let p = 0; p < this.#places; p++) {
      if (this.#slot[p]! >= 0) this.#memory.release(this.#slot[p]!);
      if (this.#super[p]! >= 0) this.#memory.release(this.#super[p]!);
    }
    this.#slot.fill(-1);
    this.#super.fill(-1);
  }

  /** Receives at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, out.size);
    const supers = this.superFrames;
    const ring = this.#ring;
    let n = 0;
    // Frames that are dropped count too, or a flood of them would keep us here.
    for (let reads = 0; n < want && reads < READS_MAX; ) {
      let asked = Math.min(this.#next, want - n);
      if (asked > 1) asked = this.#ready(asked);
      const many = asked > 1 && ring !== null && !ring.broken;
      const before = n;
      const read = many ? this.#readMany(ring, out, n, asked) : this.#readOne(out, n);
      n += this.#up;
      reads += read;
      if (read < (many ? asked : 1)) {
        this.#next = Math.max(1, n - before);
        break;
      }
      this.#next = this.superFrames !== supers ? 1 : Math.min(this.#places, 2 * this.#next);
    }
    this.frames += n;
    return n;
  }

  /** Reads one frame as out[n]. Gives 1, or 0: there is none. */
  #readOne(out: FrameBatch, n: number): number {
    this.#up = 0;
    const iovecs = this.#post(0);
    let got = 0;
    let errno = 0;
    do {
      got = this.#libc.readv(this.#fd, this.#iovecs.at, iovecs);
      errno = got < 0 ? this.#libc.errno() : 0;
    } while (errno === EINTR);
    if (got < 0) {
      if (errno !== EAGAIN) this.gone = errno;
      return 0;
    }
    if (this.#slot[0]! < 0) this.noBuffer++;
    else if (this.#frame(out, n, 0, got - this.#hlen)) this.#up = 1;
    return 1;
  }

  /** Reads `asked` frames into the places of that number, as out[n...). Gives how many there were. */
  #readMany(ring: IoUring, out: FrameBatch, n: number, asked: number): number {
    const { results } = ring;
    for (let p = 0; p < asked; p++) this.#request(ring, p);
    const done = ring.submit(asked);
    let read = 0;
    let count = n;
    for (let p = 0; p < done; p++) {
      const got = results[p]!;
      if (got >= 0) {
        read++;
        if (this.#frame(out, count, p, got - this.#hlen)) count++;
      } else if (got !== -EAGAIN && got !== -EINTR && got !== -ECANCELED) {
        this.gone = -got;
      }
    }
    this.#up = count - n;
    return read;
  }

  #request(ring: IoUring, p: number): void {
    if (this.#short) {
      const low = this.#baseLow + this.#memory.start(this.#slot[p]!) + RX_HEADROOM - this.#hlen;
      ring.put(p, IORING_OP_READ, low | 0, highWord(low, this.#baseHigh), this.#inSlot + this.#hlen);
    } else {
      const low = this.#vectorLow + p * PLACE_SIZE;
      ring.put(p, IORING_OP_READV, low | 0, highWord(low, this.#vectorHigh), 2);
    }
  }

  /** Sees that the first `asked` places have all that they need; gives how many have. */
  #ready(asked: number): number {
    for (let p = 0; p < asked; p++) {
      if (this.#slot[p]! >= 0 && (this.#short || this.#super[p]! >= 0)) continue;
      this.#post(p);
      if (this.#slot[p]! < 0 || (!this.#short && this.#super[p]! < 0)) return p;
    }
    return asked;
  }

  /** Sees that place `p` has memory; gives how many iovecs. Without a slot the frame is read into nowhere: it must go. */
  #post(p: number): number {
    if (this.#slot[p]! < 0) {
      const slot = this.#memory.alloc();
      this.#slot[p] = slot;
      if (slot < 0) {
        const { view } = this.#iovecs;
        const { at } = this.#nowhere;
        view.setUint32(p * PLACE_SIZE, at >>> 0, true);
        view.setUint32(p * PLACE_SIZE + 4, Math.floor(at / TWO_32), true);
        view.setUint32(p * PLACE_SIZE + 8, NOWHERE_SIZE, true);
        return 1;
      }
      this.#put(p * PLACE_SIZE, this.#memory.start(slot) + RX_HEADROOM - this.#hlen, this.#inSlot + this.#hlen);
    }
    if (this.#short) return 1;
    if (this.#super[p]! < 0) {
      const buffer = this.#supers.alloc();
      this.#super[p] = buffer;
      if (buffer < 0) return 1;
      const { slotSize } = this.#memory;
      this.#put(p * PLACE_SIZE + IOVEC_SIZE, this.#memory.start(buffer) + slotSize, SUPER_SIZE - slotSize);
    }
    return 2;
  }

  /** Writes the iovec at `o`: `len` bytes at `offset` of the arena. */
  #put(o: number, offset: number, len: number): void {
    const { view } = this.#iovecs;
    const low = this.#baseLow + offset;
    view.setUint32(o, low | 0, true);
    view.setUint32(o + 4, highWord(low, this.#baseHigh), true);
    view.setUint32(o + 8, len, true);
  }

  /** Makes what was read into place `p` the frame out[n]. False: dropped. */
  #frame(out: FrameBatch, n: number, p: number, len: number): boolean {
    const memory = this.#memory;
    if (len < ETH_HLEN || len >= SUPER_SIZE - RX_HEADROOM) {
      this.lengthErrors++;
      return false;
    }
    const slot = this.#slot[p]!;
    const buffer = this.#super[p]!;
    const slotAt = memory.start(slot) + RX_HEADROOM;
    // Without a buffer behind it a full slot may be all of the frame or its beginning.
    const fits = len < this.#inSlot || (len === this.#inSlot && buffer >= 0);
    if (!fits && buffer < 0) {
      this.noBuffer++;
      return false;
    }
    const at = fits ? slotAt : memory.start(buffer) + RX_HEADROOM;
    out.offset[n] = at;
    out.len[n] = len;
    if (this.#hlen === 0) {
      out.csum[n] = CHECKSUM_NONE;
      out.gsoSize[n] = 0;
    } else if (!takeVnet(memory.view, slotAt - this.#hlen, out, n)) {
      this.badHeaders++;
      return false;
    }
    if (fits) {
      out.buf[n] = slot;
      out.end[n] = slotAt + this.#inSlot;
      this.#slot[p] = -1;
    } else {
      memory.bytes.copyWithin(at, slotAt, slotAt + this.#inSlot);
      out.buf[n] = buffer;
      out.end[n] = at - RX_HEADROOM + SUPER_SIZE;
      this.#super[p] = -1;
    }
    out.tstampUs[n] = 0;
    out.vlanTci[n] = -1;
    if (out.gsoSize[n] !== 0) this.superFrames++;
    this.bytes += len;
    return true;
  }
}
