// hot
/**
 * The transmit half of a queue of a tap port: a header, where there are offloads, and the frame, from where its pieces lie in the arena.
 *
 *     one piece, not shared      header 10 in its headroom, and frame      one address
 *     shared, or in pieces       header 10 | head buffer | piece | ...     iovecs   --> the kernel receives it before the call returns
 *     with a VLAN tag            header 10 | MAC addresses | tag | rest    iovecs
 *
 *   1. A burst is one system call where there is an io_uring; a single frame is written by itself.
 *   2. A super-frame goes over as it is, with what is left to do on it in the header: the kernel cuts it where it must.
 *   3. EAGAIN and ENOBUFS mean "no room now": not taken, and what was in its headroom is put back. Any other error (EIO: the interface is
 *      down; EINVAL: the header makes no sense to the kernel) is this frame's own: taken, and counted; so is "no room" in the middle
 *      of a burst, when a later frame had room.
 *   4. Its memory may be used again at once; tags come back by `reap` all the same, because that is where the nic driver frees.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN, ETH_P_8021Q } from '../../wire/eth.ts';
import { VNET_HLEN } from '../../wire/virtio_net.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { EAGAIN, EINTR, ENOBUFS } from '../sys/errno.ts';
import { IORING_OP_WRITE, IORING_OP_WRITEV, type IoUring } from '../sys/io_uring.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { highWord, type Pinned, pinned } from '../sys/pinned.ts';
import { IOVEC_SIZE } from '../sys/socket.ts';
import { putVnet } from './vnet_offload.ts';

export const TX_BURST = 64;
/**
 * Tags that wait to be reaped at most. They hold memory, 72 KiB each of super-frames: few of them, used again soon, stay in the
 * processor's cache.
 */
const DONE_MAX = 64;
/** What a call takes. (`IOV_MAX`) */
const IOVECS_MAX = 1024;
/** More of a frame than its own pieces: header, MAC addresses, tag, rest. */
const IOVECS_MORE = 4;
const MAC_ADDRESSES = 12;
const VLAN_HLEN = 4;
/** Place of the tag behind the header, aligned; and what both take. */
const TAG_AT = 12;
const HEADER_SIZE = TAG_AT + VLAN_HLEN;
const TWO_32 = 2 ** 32;

export class TapTransmit {
  /** Frames and bytes given to the kernel, and frames that it refused for good. */
  frames = 0;
  bytes = 0;
  errors = 0;
  /** Frames that went as one for several. */
  superFrames = 0;
  /** Calls that found no room. */
  busy = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #ring: IoUring | null;
  readonly #hlen: number;
  readonly #libc: Libc = libc();
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * IOVECS_MAX);
  /** Of each frame that goes as a vector. */
  readonly #headers: Pinned = pinned(HEADER_SIZE * DONE_MAX);
  /** What was in the headroom of each frame that goes in one piece: three words. */
  readonly #saved = new Int32Array(3 * DONE_MAX);
  /** Frames that go in one piece. */
  readonly #whole = new Uint8Array(DONE_MAX);
  /** Addresses in halves: a double would be boxed on its way into another function. */
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #vectorLow: number;
  readonly #vectorHigh: number;
  readonly #headerLow: number;
  readonly #headerHigh: number;
  readonly #done = new DoneTags();
  #iovecsUsed = 0;

  /** `ring`: null, or one for this descriptor, which outlives this object. `header`: its bytes, VNET_HLEN, or 0 where nothing is offloaded. */
  constructor(fd: number, memory: HostArena, ring: IoUring | null, header: number) {
    this.#fd = fd;
    this.#memory = memory;
    this.#ring = ring;
    this.#hlen = header;
    this.#baseLow = memory.baseAt % TWO_32;
    this.#baseHigh = Math.floor(memory.baseAt / TWO_32);
    this.#vectorLow = this.#iovecs.at % TWO_32;
    this.#vectorHigh = Math.floor(this.#iovecs.at / TWO_32);
    this.#headerLow = this.#headers.at % TWO_32;
    this.#headerHigh = Math.floor(this.#headers.at / TWO_32);
  }

  /** True if sent frames wait to be reaped. */
  get done(): boolean {
    return this.#done.count > 0;
  }

  /** Takes the first frames of batch[0..n) and gives how many. They have been sent, or refused, when this returns. */
  burst(batch: FrameBatch, n: number): number {
    const limit = Math.min(n, DONE_MAX - this.#done.count);
    const ring = this.#ring;
    let taken = 0;
    let piece = 0;
    while (taken < limit) {
      const left = limit - taken;
      const some =
        left > 1 && ring !== null && !ring.broken
          ? this.#many(ring, batch, taken, left, piece)
          : this.#one(batch, taken, piece);
      if (some === 0) {
        this.busy++;
        break;
      }
      for (let i = 0; i < some; i++) piece += batch.pieces[taken + i]!;
      taken += some;
    }
    this.#done.put(batch, taken);
    return taken;
  }

  /** Tags of frames that have left, as many as `done` holds. */
  reap(done: FrameBatch): number {
    return this.#done.reap(done);
  }

  /** Writes frame `i`, whose pieces begin at `piece`. 1: taken; 0: no room. */
  #one(batch: FrameBatch, i: number, piece: number): number {
    this.#iovecsUsed = 0;
    const whole = this.#isWhole(batch, i);
    if (whole) {
      this.#header(batch, i, 0);
      this.#put(this.#baseLow, this.#baseHigh, batch.offset[i]! - this.#hlen, batch.len[i]! + this.#hlen);
    } else {
      this.#vector(batch, i, piece, 0);
    }
    const { at } = this.#iovecs;
    let errno = 0;
    do {
      // By a vector, whose address is always the same: one made for the call would be a number on the heap.
      errno = this.#libc.writev(this.#fd, at, this.#iovecsUsed) < 0 ? this.#libc.errno() : 0;
    } while (errno === EINTR);
    const room = errno !== EAGAIN && errno !== ENOBUFS;
    if (whole && !room) this.#restore(batch, i, 0);
    if (room) this.#count(batch, i, errno);
    return room ? 1 : 0;
  }

  /** Writes as many of the `left` frames from `first` on as one call takes; gives how many are done with. 0: no room for the first. */
  #many(ring: IoUring, batch: FrameBatch, first: number, left: number, piece: number): number {
    const most = Math.min(left, ring.size);
    let k = 0;
    let at = piece;
    this.#iovecsUsed = 0;
    for (; k < most; k++) {
      const i = first + k;
      const pieces = batch.pieces[i]!;
      if (this.#iovecsUsed + pieces + IOVECS_MORE > IOVECS_MAX) break;
      const whole = this.#isWhole(batch, i);
      this.#whole[k] = whole ? 1 : 0;
      if (whole) {
        this.#header(batch, i, k);
        const low = this.#baseLow + batch.offset[i]! - this.#hlen;
        ring.put(k, IORING_OP_WRITE, low | 0, highWord(low, this.#baseHigh), batch.len[i]! + this.#hlen);
      } else {
        const begin = this.#iovecsUsed;
        this.#vector(batch, i, at, k);
        const low = this.#vectorLow + begin * IOVEC_SIZE;
        ring.put(k, IORING_OP_WRITEV, low | 0, highWord(low, this.#vectorHigh), this.#iovecsUsed - begin);
      }
      at += pieces;
    }
    const done = ring.submit(k);
    return this.#settle(ring, batch, first, k, done);
  }

  /** Counts what became of the `done` of `k` frames; gives how many are taken: up to the last one that was not refused for want of room. */
  #settle(ring: IoUring, batch: FrameBatch, first: number, k: number, done: number): number {
    const { results } = ring;
    let taken = done;
    while (taken > 0 && (results[taken - 1] === -EAGAIN || results[taken - 1] === -ENOBUFS)) taken--;
    for (let i = 0; i < taken; i++) this.#count(batch, first + i, results[i]! < 0 ? -results[i]! : 0);
    for (let i = k - 1; i >= taken; i--) if (this.#whole[i] !== 0) this.#restore(batch, first + i, i);
    return taken;
  }

  #count(batch: FrameBatch, i: number, errno: number): void {
    if (errno !== 0) {
      this.errors++;
      return;
    }
    this.frames++;
    this.bytes += batch.len[i]!;
    if (batch.gsoSize[i] !== 0) this.superFrames++;
  }

  /** In one piece, with room for a header in front of it that is nobody else's. */
  #isWhole(batch: FrameBatch, i: number): boolean {
    const buf = batch.buf[i]!;
    if (batch.pieces[i] !== 0 || batch.vlanTci[i]! >= 0) return false;
    if (this.#hlen === 0) return true;
    return this.#memory.refs(buf) === 1 && batch.offset[i]! - this.#memory.start(buf) >= VNET_HLEN;
  }

  /** Puts the header of a whole frame into its headroom, and keeps what was there as number `k`. */
  #header(batch: FrameBatch, i: number, k: number): void {
    if (this.#hlen === 0) return;
    const { view } = this.#memory;
    const saved = this.#saved;
    const o = batch.offset[i]! - VNET_HLEN;
    saved[3 * k] = view.getInt32(o);
    saved[3 * k + 1] = view.getInt32(o + 4);
    saved[3 * k + 2] = view.getInt16(o + 8);
    putVnet(view, o, view, batch, i, 0);
  }

  #restore(batch: FrameBatch, i: number, k: number): void {
    if (this.#hlen === 0) return;
    const { view } = this.#memory;
    const saved = this.#saved;
    const o = batch.offset[i]! - VNET_HLEN;
    view.setInt32(o, saved[3 * k]!);
    view.setInt32(o + 4, saved[3 * k + 1]!);
    view.setInt16(o + 8, saved[3 * k + 2]!);
  }
  /** Adds the iovecs of frame `i`, whose pieces begin at `piece`, behind header `k`. */
  #vector(batch: FrameBatch, i: number, piece: number, k: number): void {
    const { view } = this.#headers;
    const header = k * HEADER_SIZE;
    const pieces = batch.pieces[i]!;
    let head = batch.len[i]!;
    for (let p = piece; p < piece + pieces; p++) head -= batch.pieceLen[p]!;
    const tci = batch.vlanTci[i]!;
    const tagged = tci >= 0 && head >= ETH_HLEN;
    if (this.#hlen !== 0) {
      putVnet(view, header, this.#memory.view, batch, i, tagged ? VLAN_HLEN : 0);
      this.#put(this.#headerLow, this.#headerHigh, header, VNET_HLEN);
    }
    let at = batch.offset[i]!;
    if (tagged) {
      view.setUint16(header + TAG_AT, ETH_P_8021Q);
      view.setUint16(header + TAG_AT + 2, tci);
      this.#put(this.#baseLow, this.#baseHigh, at, MAC_ADDRESSES);
      this.#put(this.#headerLow, this.#headerHigh, header + TAG_AT, VLAN_HLEN);
      at += MAC_ADDRESSES;
      head -= MAC_ADDRESSES;
    }
    this.#put(this.#baseLow, this.#baseHigh, at, head);
    for (let p = piece; p < piece + pieces; p++) {
      this.#put(this.#baseLow, this.#baseHigh, batch.pieceOffset[p]!, batch.pieceLen[p]!);
    }
  }

  /** Adds an iovec: `len` bytes at `offset` from an address in halves. */
  #put(baseLow: number, baseHigh: number, offset: number, len: number): void {
    const { view } = this.#iovecs;
    const o = this.#iovecsUsed++ * IOVEC_SIZE;
    const low = baseLow + offset;
    view.setUint32(o, low | 0, true);
    view.setUint32(o + 4, highWord(low, baseHigh), true);
    view.setUint32(o + 8, len, true);
  }
}
