/**
 * An AF_XDP socket on one queue of an interface, made ready: its UMEM is the arena's slots, its four rings lie in the arena.
 *
 *     arena   | slot | slot | ... | slot |  rx ring | tx ring | fill ring | completion ring | ...
 *             '------ UMEM, pinned -----'   mapped from the socket
 *
 *   1. The first queue of a port registers the memory; the others share it (XDP_SHARED_UMEM), each with rings of its own.
 *   2. A second socket on the same queue sends; it has a tx ring, and fill and completion ring are the first one's. The first is watched, and
 *      the kernel tells who watches a socket of every frame that has left it, too: with one socket for both a frame sent costs a
 *      tenth more.
 *   3. Closing takes the socket off the kernel's data path before it returns, so that its slots may be used again; with zero copy the
 *      card may write a moment longer, and is waited for.
 */
import { constants } from 'node:os';
import { SetupError } from '../../base/status.ts';
import type { HostArena } from '../arena.ts';
import { EBUSY, EINVAL, systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { PAGE_SIZE } from '../sys/mmap.ts';
import {
  bindXdp,
  isZeroCopy,
  openXdpSocket,
  preferBusyPoll,
  registerUmem,
  setTxBudget,
  XDP_COPY,
  XDP_PACKET_HEADROOM,
  XDP_SHARED_UMEM,
  XDP_USE_NEED_WAKEUP,
  XDP_ZEROCOPY,
} from '../sys/xdp.ts';
import type { BusyPoll } from './xdp_options.ts';
import { awaitUnbound, bindPatiently } from './xsk_bind.ts';
import { mapRing, type XskRing } from './xsk_ring.ts';
import { XskRx } from './xsk_rx.ts';
import { XskTx } from './xsk_tx.ts';

const CHUNK_MIN = 2048;
/** Frames that one send call takes, where the kernel lets us say. */
const TX_BUDGET = 64;

export interface XskQueueOptions {
  readonly name: string;
  readonly ifindex: number;
  readonly queue: number;
  /** Slots that the kernel may have at once: a power of two, also the size of the receiving rings. */
  readonly rxRing: number;
  readonly txRing: number;
  /** undefined: zero copy where the device can. */
  readonly copy: boolean | undefined;
  readonly busyPoll: BusyPoll | undefined;
  /** What received frames are said to be: CHECKSUM_NONE or CHECKSUM_UNNECESSARY. */
  readonly csum: number;
  /** The port's first queue, whose UMEM this one shares. */
  readonly first: XskQueue | undefined;
}

/** Longest frame that a slot of the arena takes behind the kernel's headroom. */
export function xskFrameMax(memory: HostArena): number {
  return memory.slotSize - XDP_PACKET_HEADROOM;
}

export class XskQueue {
  /** The socket that receives, and that is watched. */
  readonly fd: number;
  readonly rx: XskRx;
  readonly tx: XskTx;
  /** True if the kernel lets this socket drive the device. */
  readonly busyPoll: boolean;
  /** True if the device reads and writes the slots itself. */
  readonly zeroCopy: boolean;
  readonly #memory: HostArena;
  readonly #ifindex: number;
  readonly #queue: number;
  readonly #rings: XskRing[] = [];
  #txFd = -1;

  /** `memory` has passed checkSlots. Throws SetupError; then nothing stays open. */
  constructor(memory: HostArena, options: XskQueueOptions) {
    const { name, queue, first, busyPoll } = options;
    const what = `xdp on ${name}, queue ${queue}`;
    this.#memory = memory;
    this.#ifindex = options.ifindex;
    this.#queue = queue;
    this.fd = openXdpSocket(what, name);
    try {
      const { slots, slotSize, slotsAt, baseAt } = memory;
      if (first === undefined) registerUmem(this.fd, baseAt, slotsAt + slots * slotSize, slotSize, what);
      const map = (fd: number, kind: Parameters<typeof mapRing>[2], entries: number): XskRing => {
        const ring = mapRing(fd, memory, kind, entries, what);
        this.#rings.push(ring);
        return ring;
      };
      const rx = map(this.fd, 'rx', options.rxRing);
      const fill = map(this.fd, 'fill', options.rxRing);
      const completion = map(this.fd, 'completion', options.txRing);
      this.busyPoll = busyPoll !== undefined && preferBusyPoll(this.fd, busyPoll.usecs, busyPoll.budget);
      bind(this.fd, options, what);
      this.zeroCopy = isZeroCopy(this.fd);
      this.#txFd = openXdpSocket(what, name);
      const tx = map(this.#txFd, 'tx', options.txRing);
      setTxBudget(this.#txFd, Math.min(TX_BUDGET, options.txRing));
      bindSecond(this.#txFd, options, this.fd, what);
      this.tx = new XskTx(this.#txFd, memory, tx, completion);
      this.rx = new XskRx(memory, rx, fill, options.rxRing, options.csum);
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  /** The slots that the kernel had are the arena's again; tags of frames on their way are given by tx.reapClosed. */
  close(): void {
    this.#close();
    if (this.zeroCopy) awaitUnbound(this.#ifindex, this.#queue);
    this.rx.release();
  }

  #close(): void {
    if (this.#txFd >= 0) libc().close(this.#txFd);
    libc().close(this.fd);
    for (const ring of this.#rings) this.#memory.giveRing(ring.area, 0);
    this.#rings.length = 0;
  }
}

function bind(fd: number, options: XskQueueOptions, what: string): void {
  const { ifindex, queue, copy, first } = options;
  const mode = copy === undefined ? 0 : copy ? XDP_COPY : XDP_ZEROCOPY;
  const flags = first === undefined ? mode | XDP_USE_NEED_WAKEUP : XDP_SHARED_UMEM;
  if (bindPatiently(fd, ifindex, queue, flags, first?.fd ?? 0) === 0) return;
  const errno = libc().errno();
  if (errno === EBUSY) throw new SetupError('ERR_NETPOLL_EBUSY', `${what}: another socket has this queue`);
  if (errno === constants.errno.EOPNOTSUPP && copy === false) {
    const message = `${what}: its driver has no zero copy; leave the mode out, and the best that it has is taken`;
    throw new SetupError('ERR_NETPOLL_XDP_MODE', message);
  }
  if (errno === EINVAL) {
    throw new SetupError('ERR_NETPOLL_XDP_QUEUE', `${what}: the kernel has no such queue now (ethtool -l)`);
  }
  throw systemError('bind', what);
}

/** Binds a socket that has a tx ring and nothing else to the queue that `fd` has. */
function bindSecond(txFd: number, options: XskQueueOptions, fd: number, what: string): void {
  if (bindXdp(txFd, options.ifindex, options.queue, XDP_SHARED_UMEM, fd) === 0) return;
  throw systemError('bind', `${what}: the socket that sends`);
}

/** A chunk of the UMEM is a slot: throws SetupError `ERR_NETPOLL_ARENA` for slots of a size that the kernel does not take. */
export function checkSlots(memory: HostArena, what: string): void {
  const { slotSize } = memory;
  if (slotSize < CHUNK_MIN || slotSize > PAGE_SIZE || (slotSize & (slotSize - 1)) !== 0) {
    const message = `${what}: slots of ${slotSize} bytes; AF_XDP takes ${CHUNK_MIN} or ${PAGE_SIZE} (createHostArena)`;
    throw new SetupError('ERR_NETPOLL_ARENA', message);
  }
}
