// hot
/**
 * Frames out of a stream: read in bulk, cut by their lengths, each copied to a slot.
 *
 *     socket --readv--> | length frame | length frame | length fra...          |  --copy--> arena slots
 *                         ^from                          ^end                      a part waits for the rest
 *
 *   1. One system call reads what there is, up to the buffer's size; the next is made when no whole frame is left.
 *   2. A frame longer than a slot, or too short to be one, is left out and counted; so is one for which there is no slot.
 *   3. A length of 0 or beyond what QEMU sends (`badLengths`) means that the two ends no longer agree on where frames begin: `lost`
 *      says EPROTO, and the connection is to be closed.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_NONE } from '../../skb/checksum_state.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { HostArena, RingArea } from '../arena.ts';
import { EAGAIN, EINTR, EPROTO, ESHUTDOWN } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE } from '../sys/socket.ts';
import { FRAME_MAX } from './frame_queue.ts';
import { LENGTH_SIZE } from './stream_transmit.ts';

export const RX_HEADROOM = 64;
const BUFFER_SIZE = 256 << 10;
/** Frames looked at in one call. */
const LOOKS_MAX = 256;
/** Calls for bytes in one burst. */
const READS_MAX = 4;

export class StreamReceive {
  frames = 0;
  bytes = 0;
  lengthErrors = 0;
  badLengths = 0;
  noBuffer = 0;
  /** Why the connection is over: an errno, ESHUTDOWN if the peer has closed it; 0: it is not. */
  lost = 0;
  readonly #memory: HostArena;
  readonly #libc: Libc = libc();
  readonly #area: RingArea;
  readonly #iovec: Pinned = pinned(IOVEC_SIZE);
  readonly #room: number;
  #fd = -1;
  #from: number;
  #end: number;
  /** The last call left nothing in the socket. */
  #drained = false;

  /** Throws SetupError `ERR_NETPOLL_ARENA_FULL`. */
  constructor(memory: HostArena) {
    this.#memory = memory;
    this.#area = memory.takeRing(BUFFER_SIZE, BUFFER_SIZE, noFrame);
    this.#room = memory.slotSize - RX_HEADROOM;
    this.#from = this.#end = this.#area.offset;
  }

  /** A new connection, which begins with a length. */
  restart(fd: number): void {
    this.#fd = fd;
    this.#from = this.#end = this.#area.offset;
    this.lost = 0;
  }

  /** A whole frame has been read and not handed up. */
  get pending(): boolean {
    const have = this.#end - this.#from;
    return have >= LENGTH_SIZE && have - LENGTH_SIZE >= this.#memory.view.getUint32(this.#from);
  }

  release(): void {
    this.#memory.giveRing(this.#area, 0);
  }

  /** Receives at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, out.size);
    let n = 0;
    let reads = 0;
    this.#drained = false;
    for (let looks = 0; n < want && looks < LOOKS_MAX; looks++) {
      if (!this.pending) {
        if (this.#garbage() || this.#drained || reads++ === READS_MAX || !this.#read()) break;
        continue;
      }
      const len = this.#memory.view.getUint32(this.#from);
      if (this.#garbage()) break;
      if (this.#frame(out, n, this.#from + LENGTH_SIZE, len)) n++;
      this.#from += LENGTH_SIZE + len;
    }
    this.frames += n;
    return n;
  }

  /** True: what stands where a length should is none. */
  #garbage(): boolean {
    if (this.#end - this.#from < LENGTH_SIZE) return false;
    const len = this.#memory.view.getUint32(this.#from);
    if (len > 0 && len <= FRAME_MAX) return false;
    this.badLengths++;
    this.lost = EPROTO;
    return true;
  }

  /** Reads more. False: there is none now, or never again (`lost`). */
  #read(): boolean {
    const { offset } = this.#area;
    const limit = offset + BUFFER_SIZE;
    if (this.#from === this.#end) {
      this.#from = this.#end = offset;
    } else if (limit - this.#from < LENGTH_SIZE + FRAME_MAX) {
      this.#memory.bytes.copyWithin(offset, this.#from, this.#end);
      this.#end -= this.#from - offset;
      this.#from = offset;
    }
    writeWord(this.#iovec.view, 0, this.#memory.baseAt + this.#end);
    this.#iovec.view.setUint32(8, limit - this.#end, true);
    const got = this.#libc.readv(this.#fd, this.#iovec.at, 1);
    if (got > 0) {
      this.#drained = got < limit - this.#end;
      this.#end += got;
      return true;
    }
    const errno = got === 0 ? ESHUTDOWN : this.#libc.errno();
    if (errno === EINTR) return true;
    if (errno !== EAGAIN) this.lost = errno;
    return false;
  }

  /** Copies a frame to a slot as out[n]. False: it is left out. */
  #frame(out: FrameBatch, n: number, from: number, len: number): boolean {
    if (len < ETH_HLEN || len > this.#room) {
      this.lengthErrors++;
      return false;
    }
    const memory = this.#memory;
    const buf = memory.alloc();
    if (buf < 0) {
      this.noBuffer++;
      return false;
    }
    const start = memory.start(buf);
    const at = start + RX_HEADROOM;
    memory.bytes.copyWithin(at, from, from + len);
    out.buf[n] = buf;
    out.offset[n] = at;
    out.len[n] = len;
    out.end[n] = start + memory.slotSize;
    out.tstampUs[n] = 0;
    out.csum[n] = CHECKSUM_NONE;
    out.gsoSize[n] = 0;
    out.vlanTci[n] = -1;
    this.bytes += len;
    return true;
  }
}

/** The buffer is one piece that nobody else ever holds. */
function noFrame(): void {}
