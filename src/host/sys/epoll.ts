/**
 * epoll: constants and its one structure.
 *
 *     struct epoll_event { u32 events @0; u64 data @4 on x86-64 (packed), @8 elsewhere }      12 or 16 bytes
 *
 * Of the data only the lower 32 bits are used.
 */
import { type Pinned, pinned } from './pinned.ts';

export const EPOLLIN = 1;
export const EPOLLONESHOT = 1 << 30;
export const EPOLLET = 1 << 31;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLL_CLOEXEC = 0o2000000;

const packed = process.arch === 'x64';
const SIZE = packed ? 12 : 16;
const DATA = packed ? 4 : 8;

/** Memory for so many events. */
export class EpollEvents {
  readonly bytes: Buffer;
  readonly #view: DataView;

  constructor(count: number) {
    const memory: Pinned = pinned(SIZE * count);
    this.bytes = memory.bytes;
    this.#view = memory.view;
  }

  /** Event 0. */
  write(events: number, data: number): void {
    this.#view.setInt32(0, events, true);
    this.#view.setUint32(DATA, data, true);
  }

  /** The data of event `i`. */
  data(i: number): number {
    return this.#view.getUint32(i * SIZE + DATA, true);
  }
}
