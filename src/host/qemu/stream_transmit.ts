// hot
/**
 * Frames into a stream: four bytes of length, the most significant first, then the frame. QEMU's framing since its first days.
 *
 *     iovec[2i]   -> length of frame i        iovec[2i+1] -> frame i in the arena        one call for as many as wait
 *
 * The kernel may take a part, and a frame's part too: its two iovecs are cut to what is left and it stays at the head.
 */
import type { HostArena } from '../arena.ts';
import { EAGAIN, EINTR } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE, MMSGHDR_SIZE, MSG_DONTWAIT, MSG_IOV, MSG_IOVLEN, MSG_LEN } from '../sys/socket.ts';
import { DEPTH, FrameQueue, MSG_NOSIGNAL } from './frame_queue.ts';

export const LENGTH_SIZE = 4;
/** Calls in one push: one to the ring's end, one from its beginning, and some that were interrupted. */
const CALLS_MAX = 8;

export class StreamTransmit extends FrameQueue {
  fd = -1;
  readonly #libc: Libc = libc();
  readonly #lengths: Pinned = pinned(LENGTH_SIZE * DEPTH);
  readonly #iovecs: Pinned = pinned(2 * IOVEC_SIZE * DEPTH);
  readonly #message: Pinned = pinned(MMSGHDR_SIZE);
  /** Bytes of the frame at the head, its length included, that are with the kernel. */
  #part = 0;

  constructor(memory: HostArena, fd: number) {
    super(memory);
    this.fd = fd;
  }

  /** A new connection, which begins with a whole frame. */
  restart(fd: number): void {
    this.fd = fd;
    this.#part = 0;
  }

  protected override place(slot: number, at: number, len: number): void {
    this.#lengths.view.setUint32(slot * LENGTH_SIZE, len);
    this.#lay(slot, 0);
    const iovec = (2 * slot + 1) * IOVEC_SIZE;
    writeWord(this.#iovecs.view, iovec, this.memory.baseAt + at);
    this.#iovecs.view.setUint32(iovec + 8, len, true);
  }

  protected override push(): void {
    const message = this.#message.view;
    for (let calls = 0; this.head !== this.tail && calls < CALLS_MAX; calls++) {
      const first = this.head & (DEPTH - 1);
      const count = Math.min(this.tail - this.head, DEPTH - first);
      writeWord(message, MSG_IOV, this.#iovecs.at + 2 * first * IOVEC_SIZE);
      message.setUint32(MSG_IOVLEN, 2 * count, true);
      if (this.#libc.sendmmsg(this.fd, this.#message.at, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        const errno = this.#libc.errno();
        if (errno === EINTR) continue;
        if (errno === EAGAIN) this.blocked = true;
        else this.lost = errno;
        return;
      }
      if (!this.#took(message.getUint32(MSG_LEN, true), count)) {
        this.blocked = true;
        return;
      }
    }
  }

  /** The kernel has taken `bytes` of the `count` frames at the head. False: not all of them. */
  #took(bytes: number, count: number): boolean {
    let left = bytes;
    for (let i = 0; i < count; i++) {
      const slot = this.head & (DEPTH - 1);
      const rest = LENGTH_SIZE + this.lens[slot]! - this.#part;
      if (left < rest) {
        this.#cut(slot, left);
        return false;
      }
      left -= rest;
      this.#part = 0;
      this.sent();
    }
    return true;
  }

  /** `bytes` more of frame `slot` are with the kernel. */
  #cut(slot: number, bytes: number): void {
    const { view } = this.#iovecs;
    const iovec = (2 * slot + 1) * IOVEC_SIZE;
    const before = Math.max(0, this.#part - LENGTH_SIZE);
    this.#part += bytes;
    const now = Math.max(0, this.#part - LENGTH_SIZE);
    this.#lay(slot, Math.min(this.#part, LENGTH_SIZE));
    if (now === before) return;
    const at = view.getUint32(iovec, true) + view.getUint32(iovec + 4, true) * 2 ** 32;
    writeWord(view, iovec, at + now - before);
    view.setUint32(iovec + 8, this.lens[slot]! - now, true);
  }

  /** The iovec of the length of frame `slot`, of which `gone` bytes are with the kernel. */
  #lay(slot: number, gone: number): void {
    const iovec = 2 * slot * IOVEC_SIZE;
    writeWord(this.#iovecs.view, iovec, this.#lengths.at + slot * LENGTH_SIZE + gone);
    this.#iovecs.view.setUint32(iovec + 8, LENGTH_SIZE - gone, true);
  }
}
