/**
 * Several descriptors as one interrupt line: an epoll descriptor, readable while any of its members is ready. Members come and
 * go, and ask for room to write too, while who watches the set notices nothing.
 *
 *     listening socket --\
 *     connection ---------+--> epoll descriptor --> the executive's watch, or its bounded wait while the loop is dead
 */
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EpollEvents } from './epoll.ts';
import { check } from './errno.ts';
import { libc } from './libc.ts';

export const READABLE = EPOLLIN;
/** EPOLLOUT */
export const WRITABLE = 4;

export class ReadySet {
  /** The descriptor to watch. */
  readonly fd: number;
  readonly #event = new EpollEvents(1);

  /** Throws systemError. */
  constructor(what: string) {
    this.fd = check(libc().epollCreate1(EPOLL_CLOEXEC), 'epoll_create1', what);
  }

  /** Looks out for `events` (READABLE, WRITABLE, both) on `fd`, and for its end. False: the kernel refused. */
  add(fd: number, events: number): boolean {
    return this.#control(EPOLL_CTL_ADD, fd, events);
  }

  /** Looks out for other events on a member. */
  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  /** A member that is closed leaves by itself. */
  remove(fd: number): void {
    this.#control(EPOLL_CTL_DEL, fd, 0);
  }

  close(): void {
    libc().close(this.fd);
  }

  #control(operation: number, fd: number, events: number): boolean {
    this.#event.write(events, 0);
    return libc().epollCtl(this.fd, operation, fd, this.#event.bytes) === 0;
  }
}
