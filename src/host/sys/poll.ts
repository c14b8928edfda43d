/**
 * Waiting for descriptors without the event loop.
 *
 *     struct pollfd      { int fd @0; short events @4; short revents @6 }      8 bytes
 *     struct epoll_event { u32 events @0; u64 data @4 (packed on x86-64) }    12 or 16 bytes
 *
 * PollSet is the bounded wait of a wedged machine. EdgePoll turns a descriptor that stays readable for long (a packet
 * ring while somebody holds a frame of its last block) into one that becomes readable once for each new event.
 */
import { check } from './errno.ts';
import { libc } from './libc.ts';
import { type Pinned, pinned } from './pinned.ts';

const POLLIN = 1;
const EPOLLIN = 1;
const EPOLLET = 2 ** 31;
const EPOLL_CTL_ADD = 1;
const EPOLL_CLOEXEC = 0o2000000;
const POLLFD_SIZE = 8;

/** A changing set of descriptors to wait for. */
export class PollSet {
  #fds: number[] = [];
  #pollfds: Pinned = pinned(POLLFD_SIZE);
  readonly #timeout = pinned(16);

  add(fd: number): void {
    this.#set([...this.#fds, fd]);
  }

  remove(fd: number): void {
    this.#set(this.#fds.filter((each) => each !== fd));
  }

  /** Waits at most `ns` (plus the thread's timer slack, 50 us) until one becomes readable that was not when we came. */
  wait(ns: number): void {
    const whole = Math.max(0, Math.floor(ns));
    const old = this.#fds.length === 0 ? 1 : this.#poll(this.#fds.length, 0);
    this.#poll(old > 0 ? 0 : this.#fds.length, whole);
  }

  /** How many of the first `count` descriptors are readable within `ns`. */
  #poll(count: number, ns: number): number {
    this.#timeout.view.setUint32(0, Math.floor(ns / 1e9), true);
    this.#timeout.view.setUint32(8, ns % 1e9, true);
    return libc().ppoll(this.#pollfds.bytes, count, this.#timeout.bytes, null);
  }

  #set(fds: number[]): void {
    this.#fds = fds;
    this.#pollfds = pinned(POLLFD_SIZE * Math.max(1, fds.length));
    fds.forEach((fd, i) => {
      this.#pollfds.view.setInt32(i * POLLFD_SIZE, fd, true);
      this.#pollfds.view.setInt16(i * POLLFD_SIZE + 4, POLLIN, true);
    });
  }
}

/** An epoll descriptor over one other descriptor, edge-triggered: readable from each new event until `clear()`. */
export class EdgePoll {
  readonly fd: number;
  readonly #event = pinned(16);

  constructor(watched: number) {
    this.fd = check(libc().epollCreate1(EPOLL_CLOEXEC), 'epoll_create1', 'watch a packet ring');
    this.#event.view.setUint32(0, EPOLLIN + EPOLLET, true);
    check(libc().epollCtl(this.fd, EPOLL_CTL_ADD, watched, this.#event.bytes), 'epoll_ctl', 'watch a packet ring');
  }

  /** Takes the event that is waiting, if any. One system call. */
  clear(): void {
    libc().epollWait(this.fd, this.#event.bytes, 1, 0);
  }

  close(): void {
    libc().close(this.fd);
  }
}
