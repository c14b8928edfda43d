// hot
/**
 * The transmit half of a queue of a tap port: a header and the frame, from where its pieces lie in the arena.
 *
 *     iovec:  header 10 and frame                                    in one piece: the header goes into its headroom for as long
 *     iovec:  header 10 | head buffer | piece | piece | ...          --> the kernel receives it before the call returns
 *             header 10 | MAC addresses | tag | the rest | ...       a frame with a VLAN tag
 *
 *   1. A super-frame goes over as it is, with what is left to do on it in the header: the kernel cuts it where it must.
 *   2. EAGAIN and ENOBUFS mean "no room now": not taken. Any other error (EIO: the interface is down; EINVAL: the header makes no sense to
 *      the kernel) is this frame's own: taken, and counted.
 *   3. Its memory may be used again at once; tags come back by `reap` all the same, because that is where the nic driver frees.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN, ETH_P_8021Q } from '../../wire/eth.ts';
import { VNET_HLEN } from '../../wire/virtio_net.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { EAGAIN, EINTR, ENOBUFS } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE } from '../sys/socket.ts';
import { putVnet } from './vnet_offload.ts';

export const TX_BURST = 64;
/**
 * Tags that wait to be reaped at most. They hold memory, 72 KiB each of super-frames: few of them, used again soon, stay in the
 * processor's cache.
 */
const DONE_MAX = 48;
/** What a call takes. (`IOV_MAX`) */
const IOVECS_MAX = 1024;
const MAC_ADDRESSES = 12;
const VLAN_HLEN = 4;
/** Place of the tag behind the header, aligned. */
const TAG_AT = 12;

export class TapTransmit {
  /** Frames and bytes given to the kernel, and frames that it refused for good. */
  frames = 0;
  bytes = 0;
  errors = 0;
  /** Frames that went as one for several. */
  superFrames = 0;
  /** Calls that found no room. */
  busy = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #libc: Libc = libc();
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * IOVECS_MAX);
  readonly #one: Pinned = pinned(IOVEC_SIZE);
  readonly #header: Pinned = pinned(TAG_AT + VLAN_HLEN);
  readonly #done = new DoneTags();

  constructor(fd: number, memory: HostArena) {
    this.#fd = fd;
    this.#memory = memory;
    writeWord(this.#iovecs.view, 0, this.#header.at);
    this.#iovecs.view.setUint32(8, VNET_HLEN, true);
  }

  /** True if sent frames wait to be reaped. */
  get done(): boolean {
    return this.#done.count > 0;
  }

  /** Takes the first frames of batch[0..n) and gives how many. They have been sent, or refused, when this returns. */
  burst(batch: FrameBatch, n: number): number {
    const limit = Math.min(n, DONE_MAX - this.#done.count);
    let taken = 0;
    let piece = 0;
    while (taken < limit) {
      const { pieces } = batch;
      const plain = pieces[taken] === 0 && batch.vlanTci[taken]! < 0 && this.#headroom(batch, taken) >= VNET_HLEN;
      if ((plain ? this.#whole(batch, taken) : this.#vector(batch, taken, piece)) < 0) {
        const errno = this.#libc.errno();
        if (errno === EINTR) continue;
        if (errno === EAGAIN || errno === ENOBUFS) {
          this.busy++;
          break;
        }
        this.errors++;
      } else {
        this.frames++;
        this.bytes += batch.len[taken]!;
        if (batch.gsoSize[taken] !== 0) this.superFrames++;
      }
      piece += pieces[taken]!;
      taken++;
    }
    this.#done.put(batch, taken);
    return taken;
  }

  /** Tags of frames that have left, as many as `done` holds. */
  reap(done: FrameBatch): number {
    return this.#done.reap(done);
  }

  #headroom(batch: FrameBatch, i: number): number {
    return batch.offset[i]! - this.#memory.start(batch.buf[i]!);
  }

  /** What lies in the headroom may be somebody's who has a clone of the frame: it is put back. */
  #whole(batch: FrameBatch, i: number): number {
    const { view, baseAt } = this.#memory;
    const o = batch.offset[i]! - VNET_HLEN;
    const a = view.getUint32(o);
    const b = view.getUint32(o + 4);
    const c = view.getUint16(o + 8);
    putVnet(view, o, view, batch, i, 0);
    // By a vector, whose address is always the same: one made for the call would be a number on the heap.
    writeWord(this.#one.view, 0, baseAt + o);
    this.#one.view.setUint32(8, batch.len[i]! + VNET_HLEN, true);
    const written = this.#libc.writev(this.#fd, this.#one.at, 1);
    view.setUint32(o, a);
    view.setUint32(o + 4, b);
    view.setUint16(o + 8, c);
    return written;
  }

  #vector(batch: FrameBatch, i: number, piece: number): number {
    return this.#libc.writev(this.#fd, this.#iovecs.at, this.#fill(batch, i, piece));
  }

  /** Lays frame `i`, whose pieces begin at `piece`, out as iovecs; gives how many. */
  #fill(batch: FrameBatch, i: number, piece: number): number {
    const { view } = this.#header;
    const pieces = batch.pieces[i]!;
    let head = batch.len[i]!;
    for (let k = piece; k < piece + pieces; k++) head -= batch.pieceLen[k]!;
    const tci = batch.vlanTci[i]!;
    const tagged = tci >= 0 && head >= ETH_HLEN;
    putVnet(view, 0, this.#memory.view, batch, i, tagged ? VLAN_HLEN : 0);
    const at = batch.offset[i]!;
    const { baseAt } = this.#memory;
    let n = 1;
    if (tagged) {
      view.setUint16(TAG_AT, ETH_P_8021Q);
      view.setUint16(TAG_AT + 2, tci);
      n = this.#put(n, baseAt + at, MAC_ADDRESSES);
      n = this.#put(n, this.#header.at + TAG_AT, VLAN_HLEN);
      n = this.#put(n, baseAt + at + MAC_ADDRESSES, head - MAC_ADDRESSES);
    } else {
      n = this.#put(n, baseAt + at, head);
    }
    for (let k = piece; k < piece + pieces; k++) n = this.#put(n, baseAt + batch.pieceOffset[k]!, batch.pieceLen[k]!);
    return n;
  }

  #put(n: number, at: number, len: number): number {
    writeWord(this.#iovecs.view, n * IOVEC_SIZE, at);
    this.#iovecs.view.setUint32(n * IOVEC_SIZE + 8, len, true);
    return n + 1;
  }
}
