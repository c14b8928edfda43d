// hot
/**
 * Frames as datagrams, one each, by sendmmsg() on a connected socket: many in a call, from where they lie.
 *
 * A peer that is a path has room for few of them (`net.unix.max_dgram_qlen`): then the rest wait until it has read some.
 */
import type { HostArena } from '../arena.ts';
import { EAGAIN, ECONNREFUSED, EINTR, EMSGSIZE, ENOBUFS, ESHUTDOWN } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE, MMSGHDR_SIZE, MSG_DONTWAIT, MSG_IOV, MSG_IOVLEN } from '../sys/socket.ts';
import { DEPTH, FrameQueue, MSG_NOSIGNAL } from './frame_queue.ts';

/** Calls in one push that may fail for a reason of one frame. */
const CALLS_MAX = 16;

export class DatagramTransmit extends FrameQueue {
  /** Sends that met nobody at the far end. */
  refusals = 0;
  #fd: number;
  /** Over IP an answer "nobody there" is no end: it may come back at any time, and is not asked for again. */
  readonly #forgives: boolean;
  readonly #libc: Libc = libc();
  readonly #messages: Pinned = pinned(MMSGHDR_SIZE * DEPTH);
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * DEPTH);

  constructor(memory: HostArena, fd: number, forgives: boolean) {
    super(memory);
    this.#fd = fd;
    this.#forgives = forgives;
    for (let i = 0; i < DEPTH; i++) {
      writeWord(this.#messages.view, i * MMSGHDR_SIZE + MSG_IOV, this.#iovecs.at + i * IOVEC_SIZE);
      this.#messages.view.setUint32(i * MMSGHDR_SIZE + MSG_IOVLEN, 1, true);
    }
  }

  restart(fd: number): void {
    this.#fd = fd;
  }

  protected override place(slot: number, at: number, len: number): void {
    writeWord(this.#iovecs.view, slot * IOVEC_SIZE, this.memory.baseAt + at);
    this.#iovecs.view.setUint32(slot * IOVEC_SIZE + 8, len, true);
  }

  protected override push(): void {
    for (let calls = 0; this.head !== this.tail && calls < CALLS_MAX; calls++) {
      const first = this.head & (DEPTH - 1);
      const count = Math.min(this.tail - this.head, DEPTH - first);
      const at = this.#messages.at + first * MMSGHDR_SIZE;
      const sent = this.#libc.sendmmsg(this.#fd, at, count, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && !this.#failed(this.#libc.errno())) return;
      for (let i = 0; i < sent; i++) this.sent();
    }
    // What is left had bad luck only: it goes with the next room, which there is.
    if (this.head !== this.tail) this.blocked = true;
  }

  /** True: goes on with the next, or the same again. */
  #failed(errno: number): boolean {
    if (errno === EINTR) return true;
    if (errno === EAGAIN) {
      this.blocked = true;
      return false;
    }
    if (errno === EMSGSIZE || errno === ENOBUFS) {
      this.refused();
      return true;
    }
    this.refusals++;
    // The answer to an earlier datagram: this one has not been sent yet.
    if (this.#forgives && errno === ECONNREFUSED) return true;
    this.lost = errno === 0 ? ESHUTDOWN : errno;
    return false;
  }
}
