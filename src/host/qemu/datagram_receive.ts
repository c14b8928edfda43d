// hot
/**
 * Frames that come as datagrams: recvmmsg() places each in a slot that was posted beforehand; the slot goes up as it is, a fresh one
 * takes its place.
 *
 *     mmsghdr[i] -> iovec[i] -> | headroom 64 | room for a frame ... |   of arena slot i
 *
 * What is longer than a slot, or too short to be a frame, or for which no fresh slot is there, is left out and counted; its slot
 * is posted again.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_NONE } from '../../skb/checksum_state.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { HostArena } from '../arena.ts';
import { ECONNREFUSED, EINTR } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import {
  IOVEC_SIZE,
  MMSGHDR_SIZE,
  MSG_DONTWAIT,
  MSG_FLAGS,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_LEN,
  MSG_TRUNC,
} from '../sys/socket.ts';
import { RX_HEADROOM } from './stream_receive.ts';

export const RX_SLOTS = 64;
const TRIES_MAX = 4;

export class DatagramReceive {
  frames = 0;
  bytes = 0;
  lengthErrors = 0;
  noBuffer = 0;
  /** Answers of the network that nobody is there. */
  refusals = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #libc: Libc = libc();
  readonly #messages: Pinned = pinned(MMSGHDR_SIZE * RX_SLOTS);
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * RX_SLOTS);
  readonly #slots = new Int32Array(RX_SLOTS).fill(-1);
  readonly #room: number;

  constructor(memory: HostArena, fd: number) {
    this.#memory = memory;
    this.#fd = fd;
    this.#room = memory.slotSize - RX_HEADROOM;
    for (let i = 0; i < RX_SLOTS; i++) {
      writeWord(this.#messages.view, i * MMSGHDR_SIZE + MSG_IOV, this.#iovecs.at + i * IOVEC_SIZE);
      this.#messages.view.setUint32(i * MMSGHDR_SIZE + MSG_IOVLEN, 1, true);
      this.#iovecs.view.setUint32(i * IOVEC_SIZE + 8, this.#room, true);
    }
  }

  /** Takes slots for all messages. False: there are not so many; `release` gives back those that were taken. */
  post(): boolean {
    for (let i = 0; i < RX_SLOTS; i++) {
      const slot = this.#memory.alloc();
      if (slot < 0) return false;
      this.#place(i, slot);
    }
    return true;
  }

  release(): void {
    for (let i = 0; i < RX_SLOTS; i++) {
      if (this.#slots[i]! >= 0) this.#memory.release(this.#slots[i]!);
      this.#slots[i] = -1;
    }
  }

  /** Receives at most `limit` frames as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, out.size, RX_SLOTS);
    if (want === 0) return 0;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const got = this.#libc.recvmmsg(this.#fd, this.#messages.at, want, MSG_DONTWAIT, 0);
      if (got < 0) {
        const errno = this.#libc.errno();
        if (errno === ECONNREFUSED) this.refusals++;
        else if (errno !== EINTR) return 0;
        continue;
      }
      let n = 0;
      for (let i = 0; i < got; i++) if (this.#frame(out, n, i)) n++;
      this.frames += n;
      // All of them were left out: there may be more.
      if (n > 0 || got < want) return n;
    }
    return 0;
  }

  #frame(out: FrameBatch, n: number, i: number): boolean {
    const { view } = this.#messages;
    const len = view.getUint32(i * MMSGHDR_SIZE + MSG_LEN, true);
    if (len < ETH_HLEN || (view.getUint32(i * MMSGHDR_SIZE + MSG_FLAGS, true) & MSG_TRUNC) !== 0) {
      this.lengthErrors++;
      return false;
    }
    const memory = this.#memory;
    const fresh = memory.alloc();
    if (fresh < 0) {
      this.noBuffer++;
      return false;
    }
    const slot = this.#slots[i]!;
    const start = memory.start(slot);
    out.buf[n] = slot;
    out.offset[n] = start + RX_HEADROOM;
    out.len[n] = len;
    out.end[n] = start + memory.slotSize;
    out.tstampUs[n] = 0;
    out.csum[n] = CHECKSUM_NONE;
    out.gsoSize[n] = 0;
    out.vlanTci[n] = -1;
    this.bytes += len;
    this.#place(i, fresh);
    return true;
  }

  #place(i: number, slot: number): void {
    this.#slots[i] = slot;
    writeWord(this.#iovecs.view, i * IOVEC_SIZE, this.#memory.baseAt + this.#memory.start(slot) + RX_HEADROOM);
  }
}
