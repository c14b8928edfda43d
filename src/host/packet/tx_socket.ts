// hot
/**
 * The transmit half of a packet port: sendto() or, for several at once, sendmmsg() on a packet socket of its own, straight from
 * arena addresses.
 *
 *     batch --> mmsghdr[i] -> iovec[3i..] -> | MAC addresses | tag, if there is one | the rest |  --> driver of the interface
 *
 *   1. The socket bypasses the queueing discipline: the frame is in the driver when the call returns, so a sender whose
 *      event loop is dead has sent. Its memory may be used again at once; `reap` gives the tags back all the same, because
 *      that is where the nic driver frees.
 *   2. EAGAIN and ENOBUFS mean "no room now": the frame is not taken. Any other error is this frame's own fault or the
 *      link's: it counts as taken and as an error, and the next one is tried.
 *   3. At most DONE_MAX tags wait to be reaped; then nothing is taken.
 *
 * Rejected: PACKET_TX_RING. Measured in C on a veth (bench/packet_tx.ts) it sends 0.90 (0.88 to 0.93) of what sendmmsg() sends and costs
 * 1.09 of its processor time: the kernel hangs a ring's frames on their sk_buffs as fragments, for whoever receives them to pull
 * together. It would also want every frame copied into the ring, where sendmmsg() takes them from wherever they lie.
 * Nobody watches this socket: the kernel tells who watches one of every frame that has left it.
 */

import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN, ETH_P_8021Q } from '../../wire/eth.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { EAGAIN, EINTR, ENOBUFS } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE, MMSGHDR_SIZE, MSG_DONTWAIT, MSG_IOV, MSG_IOVLEN } from '../sys/socket.ts';

export const TX_BURST = 64;
const MAC_ADDRESSES = 12;
const IOVECS = 3;

export class TxSocket {
  /** Frames and bytes given to the kernel, and frames that it refused for good. */
  frames = 0;
  bytes = 0;
  errors = 0;
  /** Calls that found no room. */
  busy = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #libc: Libc = libc();
  readonly #vector: Pinned = pinned(MMSGHDR_SIZE * TX_BURST);
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * IOVECS * TX_BURST);
  readonly #tags: Pinned = pinned(4 * TX_BURST);
  readonly #done = new DoneTags();

  constructor(fd: number, memory: HostArena) {
    this.#fd = fd;
    this.#memory = memory;
    for (let i = 0; i < TX_BURST; i++) {
      writeWord(this.#vector.view, i * MMSGHDR_SIZE + MSG_IOV, this.#iovecs.at + i * IOVECS * IOVEC_SIZE);
    }
  }

  /** True if sent frames wait to be reaped. */
  get done(): boolean {
    return this.#done.count > 0;
  }

  /** How many. */
  get waiting(): number {
    return this.#done.count;
  }

  /** Takes the first frames of batch[0..n) and gives how many. They have been sent when this returns. */
  burst(batch: FrameBatch, n: number): number {
    const limit = Math.min(n, TX_BURST, this.#done.room);
    return limit === 1 && batch.vlanTci[0]! < 0 ? this.#one(batch) : this.#many(batch, limit);
  }

  /** A single frame needs no vectors. */
  #one(batch: FrameBatch): number {
    const len = batch.len[0]!;
    const at = this.#memory.baseAt + batch.offset[0]!;
    while (this.#libc.sendtoAt(this.#fd, at, len, MSG_DONTWAIT, 0, 0) < 0) {
      const errno = this.#libc.errno();
      if (errno === EINTR) continue;
      if (errno === EAGAIN || errno === ENOBUFS) {
        this.busy++;
        return 0;
      }
      this.errors++;
      this.#done.put(batch, 1);
      return 1;
    }
    this.frames++;
    this.bytes += len;
    this.#done.put(batch, 1);
    return 1;
  }

  #many(batch: FrameBatch, limit: number): number {
    for (let i = 0; i < limit; i++) this.#fill(batch, i);
    let taken = 0;
    while (taken < limit) {
      const sent = taken === 0 ? this.#all(limit) : this.#rest(taken, limit);
      if (sent > 0) {
        for (let i = taken; i < taken + sent; i++) this.bytes += batch.len[i]!;
        this.frames += sent;
        taken += sent;
        continue;
      }
      const errno = this.#libc.errno();
      if (errno === EINTR) continue;
      if (errno === EAGAIN || errno === ENOBUFS) {
        this.busy++;
        break;
      }
      this.errors++;
      taken++;
    }
    this.#done.put(batch, taken);
    return taken;
  }

  /** The vector's address as it lies in its field: a sum would be a number on the heap. */
  #all(limit: number): number {
    return this.#libc.sendmmsg(this.#fd, this.#vector.at, limit, MSG_DONTWAIT);
  }

  #rest(taken: number, limit: number): number {
    return this.#libc.sendmmsg(this.#fd, this.#vector.at + taken * MMSGHDR_SIZE, limit - taken, MSG_DONTWAIT);
  }

  /** Tags of frames that have left, as many as `done` holds. */
  reap(done: FrameBatch): number {
    return this.#done.reap(done);
  }

  #fill(batch: FrameBatch, i: number): void {
    const at = this.#memory.baseAt + batch.offset[i]!;
    const len = batch.len[i]!;
    const tci = batch.vlanTci[i]!;
    const iovec = i * IOVECS * IOVEC_SIZE;
    const view = this.#iovecs.view;
    let parts = 1;
    if (tci < 0 || len < ETH_HLEN) {
      writeWord(view, iovec, at);
      view.setUint32(iovec + 8, len, true);
    } else {
      this.#tags.view.setUint16(4 * i, ETH_P_8021Q);
      this.#tags.view.setUint16(4 * i + 2, tci);
      writeWord(view, iovec, at);
      view.setUint32(iovec + 8, MAC_ADDRESSES, true);
      writeWord(view, iovec + IOVEC_SIZE, this.#tags.at + 4 * i);
      view.setUint32(iovec + IOVEC_SIZE + 8, 4, true);
      writeWord(view, iovec + 2 * IOVEC_SIZE, at + MAC_ADDRESSES);
      view.setUint32(iovec + 2 * IOVEC_SIZE + 8, len - MAC_ADDRESSES, true);
      parts = IOVECS;
    }
    this.#vector.view.setUint32(i * MMSGHDR_SIZE + MSG_IOVLEN, parts, true);
  }
}
