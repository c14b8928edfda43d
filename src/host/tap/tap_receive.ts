// hot
/**
 * The receive half of a queue of a tap port: readv() places each frame in a slot, and what is longer runs on into a large buffer.
 *
 *     slot     | ...54 | header 10 | frame, at most 1984 ............. |        iovec 0
 *     buffer   | 64    | room for the same 1984 | the frame goes on .. |        iovec 1
 *
 *   1. It fits into the slot: the slot goes up, as it is, and a fresh one takes its place.
 *   2. It does not: its first part is moved in front of the rest, the buffer goes up in one piece, the slot stays. (3 % of a super-frame)
 *   3. A header that contradicts its frame, no fresh memory: dropped and counted, the memory is used again.
 *
 * A TAP device has no call for several frames: one system call a frame, but 44 segments in one of them.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import { VNET_HLEN } from '../../wire/virtio_net.ts';
import type { HostArena } from '../arena.ts';
import { EAGAIN, EINTR } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE } from '../sys/socket.ts';
import { SUPER_SIZE, type SuperBuffers } from './super_buffers.ts';
import { takeVnet } from './vnet_offload.ts';

export const RX_HEADROOM = 64;
const HEADER_AT = RX_HEADROOM - VNET_HLEN;

/** Frames looked at in one call. */
const READS_MAX = 128;
/** A frame that nobody has memory for is read into so many bytes. */
const NOWHERE_SIZE = 16;

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
  readonly #libc: Libc = libc();
  readonly #iovecs: Pinned = pinned(2 * IOVEC_SIZE);
  readonly #nowhere: Pinned = pinned(NOWHERE_SIZE);
  /** Bytes of a frame that go into the slot. */
  readonly #inSlot: number;
  #slot = -1;
  #super = -1;

  constructor(fd: number, memory: HostArena, supers: SuperBuffers) {
    this.#fd = fd;
    this.#memory = memory;
    this.#supers = supers;
    this.#inSlot = memory.slotSize - RX_HEADROOM;
    this.#iovecs.view.setUint32(IOVEC_SIZE + 8, SUPER_SIZE - memory.slotSize, true);
  }

  /** Gives the memory back that waits for frames. */
  release(): void {
    if (this.#slot >= 0) this.#memory.release(this.#slot);
    if (this.#super >= 0) this.#memory.release(this.#super);
    this.#slot = -1;
    this.#super = -1;
  }

  /** Receives at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, out.size);
    let n = 0;
    // Frames that are dropped count too, or a flood of them would keep us here.
    for (let reads = 0; n < want && reads < READS_MAX; reads++) {
      const ready = this.#post();
      const got = this.#libc.readv(this.#fd, this.#iovecs.at, ready);
      if (got < 0) {
        const errno = this.#libc.errno();
        if (errno === EINTR) continue;
        if (errno !== EAGAIN) this.gone = errno;
        break;
      }
      if (this.#slot < 0) this.noBuffer++;
      else if (this.#frame(out, n, got - VNET_HLEN)) n++;
    }
    this.frames += n;
    return n;
  }

  /** Sees that there is memory to read into; gives how many iovecs. Without a slot the frame is read into nowhere: it must go. */
  #post(): number {
    const { view } = this.#iovecs;
    if (this.#slot < 0) {
      this.#slot = this.#memory.alloc();
      const none = this.#slot < 0;
      const at = none ? this.#nowhere.at : this.#memory.baseAt + this.#memory.start(this.#slot) + HEADER_AT;
      writeWord(view, 0, at);
      view.setUint32(8, none ? NOWHERE_SIZE : this.#inSlot + VNET_HLEN, true);
      if (none) return 1;
    }
    if (this.#super < 0) {
      this.#super = this.#supers.alloc();
      if (this.#super < 0) return 1;
      writeWord(view, IOVEC_SIZE, this.#memory.baseAt + this.#memory.start(this.#super) + this.#memory.slotSize);
    }
    return 2;
  }

  /** Makes what was read the frame out[n]. False: dropped. */
  #frame(out: FrameBatch, n: number, len: number): boolean {
    const memory = this.#memory;
    if (len < ETH_HLEN || len >= SUPER_SIZE - RX_HEADROOM) {
      this.lengthErrors++;
      return false;
    }
    const slotAt = memory.start(this.#slot) + RX_HEADROOM;
    // Without a buffer behind it a full slot may be all of the frame or its beginning.
    const fits = len < this.#inSlot || (len === this.#inSlot && this.#super >= 0);
    if (!fits && this.#super < 0) {
      this.noBuffer++;
      return false;
    }
    const at = fits ? slotAt : memory.start(this.#super) + RX_HEADROOM;
    out.offset[n] = at;
    out.len[n] = len;
    if (!takeVnet(memory.view, slotAt - VNET_HLEN, out, n)) {
      this.badHeaders++;
      return false;
    }
    if (fits) {
      out.buf[n] = this.#slot;
      out.end[n] = slotAt + this.#inSlot;
      this.#slot = -1;
    } else {
      memory.bytes.copyWithin(at, slotAt, slotAt + this.#inSlot);
      out.buf[n] = this.#super;
      out.end[n] = at - RX_HEADROOM + SUPER_SIZE;
      this.#super = -1;
    }
    out.tstampUs[n] = 0;
    out.vlanTci[n] = -1;
    if (out.gsoSize[n] !== 0) this.superFrames++;
    this.bytes += len;
    return true;
  }
}
