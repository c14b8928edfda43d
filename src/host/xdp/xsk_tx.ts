// hot
/**
 * The sending half of an AF_XDP socket: descriptors of frames where they lie in the arena, and their tags back when the
 * kernel has done with them.
 *
 *     burst --> tx ring --sendto()--> kernel, card --> completion ring --> reap: tags
 *
 *   1. In copy mode sendto() takes a handful of frames (32 before Linux 6.18) and says EAGAIN; it is repeated for as long as the
 *      ring's consumer moves. So a sender whose event loop is dead has sent when `burst` returns.
 *   2. What is left in the ring (interface down, driver full) stays there: `kick` tries again.
 *   3. A completion is an address, completions come in any order, and one slot may be on its way several times (clones). Each
 *      slot has a chain of the tags that are out for it; any of them will do, they hold the same memory.
 *
 *          #head[slot] --> entry { tag, next } --> entry { tag, next = -1 }
 *
 *   4. A frame that does not lie in a slot (it came from another port's ring), or has a tag beside it, is copied into a slot of
 *      its own, which goes back to the arena at completion.
 */
import { FreeStack } from '../../base/free_stack.ts';
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN, ETH_P_8021Q } from '../../wire/eth.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { EINTR } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { MSG_DONTWAIT } from '../sys/socket.ts';
import { XDP_RING_NEED_WAKEUP } from '../sys/xdp.ts';
import type { XskRing } from './xsk_ring.ts';

const MAC_ADDRESSES = 12;
const VLAN_HLEN = 4;
const TAKEN = 0;
const REFUSED = 1;
const NO_ROOM = 2;

export class XskTx {
  frames = 0;
  bytes = 0;
  /** Frames that no slot holds, or that are no frames. */
  errors = 0;
  /** Bursts that found no room for all. */
  busy = 0;
  /** Frames that were copied into a slot first. */
  copied = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #tx: XskRing;
  readonly #completion: XskRing;
  readonly #libc: Libc = libc();
  readonly #slotsAt: number;
  readonly #slotShift: number;
  readonly #lenMax: number;
  readonly #head: Int32Array;
  readonly #next: Int32Array;
  readonly #tag: Int32Array;
  /** 1: the slot of this entry is ours. */
  readonly #own: Uint8Array;
  readonly #entries: FreeStack;
  readonly #done = new DoneTags();
  #produced: number;
  #reaped: number;

  constructor(fd: number, memory: HostArena, tx: XskRing, completion: XskRing) {
    this.#fd = fd;
    this.#memory = memory;
    this.#tx = tx;
    this.#completion = completion;
    this.#slotsAt = memory.slotsAt;
    this.#slotShift = Math.log2(memory.slotSize);
    this.#lenMax = memory.slotSize;
    this.#head = new Int32Array(memory.slots).fill(-1);
    this.#next = new Int32Array(tx.entries);
    this.#tag = new Int32Array(tx.entries);
    this.#own = new Uint8Array(tx.entries);
    this.#entries = new FreeStack(tx.entries);
    this.#entries.fill(0, tx.entries);
    this.#produced = Atomics.load(memory.i32, tx.producer);
    this.#reaped = Atomics.load(memory.i32, completion.consumer);
  }

  /** Frames whose tags have not been given back. */
  get inFlight(): number {
    return this.#entries.capacity - this.#entries.depth + this.#done.count;
  }

  /** True if tags wait to be reaped. */
  get done(): boolean {
    return this.#done.count > 0 || Atomics.load(this.#memory.i32, this.#completion.producer) !== this.#reaped;
  }

  /** Frames that the kernel has not looked at. */
  get pending(): number {
    return (this.#produced - Atomics.load(this.#memory.i32, this.#tx.consumer)) | 0;
  }

  /** Takes the first frames of batch[0..n) and gives how many. */
  burst(batch: FrameBatch, n: number): number {
    const before = this.#produced;
    let taken = 0;
    while (taken < n) {
      const what = this.#put(batch, taken);
      if (what === NO_ROOM) {
        this.busy++;
        break;
      }
      if (what === REFUSED) {
        if (this.#done.room === 0) break;
        this.errors++;
        this.#done.putTag(batch.cookie[taken]!);
      }
      taken++;
    }
    if (this.#produced !== before) {
      Atomics.store(this.#memory.i32, this.#tx.producer, this.#produced);
      this.kick();
    }
    return taken;
  }

  /** Has the kernel look at the ring, if it wants to be told. Bound: it takes at least one frame a call, or we stop. */
  kick(): void {
    const { i32 } = this.#memory;
    const { flags, consumer } = this.#tx;
    let seen = Atomics.load(i32, consumer);
    while (seen !== this.#produced && (Atomics.load(i32, flags) & XDP_RING_NEED_WAKEUP) !== 0) {
      const sent = this.#libc.sendtoAt(this.#fd, 0, 0, MSG_DONTWAIT, 0, 0);
      if (sent < 0 && this.#libc.errno() === EINTR) continue;
      const now = Atomics.load(i32, consumer);
      if (now === seen) return;
      seen = now;
    }
  }

  /** Fills done.cookie[0..n) with tags of frames that have left. */
  reap(done: FrameBatch): number {
    const { i32 } = this.#memory;
    const ring = this.#completion;
    const mask = ring.entries - 1;
    let n = this.#done.reap(done);
    let at = this.#reaped;
    const last = Atomics.load(i32, ring.producer);
    while (at !== last && n < done.size) {
      const slot = (i32[ring.desc + ((at & mask) << 1)]! - this.#slotsAt) >>> this.#slotShift;
      done.cookie[n++] = this.#finish(slot, this.#head[slot]!);
      at = (at + 1) | 0;
    }
    if (at !== this.#reaped) {
      this.#reaped = at;
      Atomics.store(i32, ring.consumer, at);
    }
    return n;
  }

  /** After the socket is closed, whose rings are not read any more: the same for every frame that was still out. */
  reapClosed(done: FrameBatch): number {
    let n = this.#done.reap(done);
    for (let slot = 0; slot < this.#head.length; slot++) {
      for (let entry = this.#head[slot]!; entry >= 0; entry = this.#head[slot]!) {
        if (n === done.size) return n;
        done.cookie[n++] = this.#finish(slot, entry);
      }
    }
    return n;
  }

  /** Takes the entry out of its slot's chain (it is the first), and gives its tag. */
  #finish(slot: number, entry: number): number {
    this.#head[slot] = this.#next[entry]!;
    this.#entries.push(entry);
    if (this.#own[entry] === 1) this.#memory.release(slot);
    return this.#tag[entry]!;
  }

  #put(batch: FrameBatch, i: number): number {
    const len = batch.len[i]!;
    const tci = batch.vlanTci[i]!;
    const at = batch.offset[i]!;
    const memory = this.#memory;
    const room = this.#lenMax - (tci < 0 ? 0 : VLAN_HLEN);
    if (len < ETH_HLEN || len > room) return REFUSED;
    const entry = this.#entries.pop();
    if (entry < 0) return NO_ROOM;
    // Another CPU's slot, or a kernel ring, is none of ours: beyond the last.
    let slot = (at - this.#slotsAt) >>> this.#slotShift;
    let from = at;
    let all = len;
    this.#own[entry] = 0;
    if (tci >= 0 || slot >= memory.slots || (at - this.#slotsAt + len - 1) >>> this.#slotShift !== slot) {
      slot = memory.alloc();
      if (slot < 0) {
        this.#entries.push(entry);
        return NO_ROOM;
      }
      from = this.#slotsAt + (slot << this.#slotShift);
      all = this.#copy(from, at, len, tci);
      this.#own[entry] = 1;
      this.copied++;
    }
    this.#tag[entry] = batch.cookie[i]!;
    this.#next[entry] = this.#head[slot]!;
    this.#head[slot] = entry;
    const desc = this.#tx.desc + ((this.#produced & (this.#tx.entries - 1)) << 2);
    memory.i32[desc] = from;
    memory.i32[desc + 2] = all;
    this.#produced = (this.#produced + 1) | 0;
    this.frames++;
    this.bytes += all;
    return TAKEN;
  }

  /** With the tag, if there is one, behind the addresses. Gives the length. */
  #copy(to: number, from: number, len: number, tci: number): number {
    const { bytes, view } = this.#memory;
    if (tci < 0) {
      bytes.copyWithin(to, from, from + len);
      return len;
    }
    bytes.copyWithin(to, from, from + MAC_ADDRESSES);
    view.setUint16(to + MAC_ADDRESSES, ETH_P_8021Q);
    view.setUint16(to + MAC_ADDRESSES + 2, tci);
    bytes.copyWithin(to + MAC_ADDRESSES + VLAN_HLEN, from + MAC_ADDRESSES, from + len);
    return len + VLAN_HLEN;
  }
}
