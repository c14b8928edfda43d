// hot
/**
 * The pool of sk_buff objects: taking and freeing a frame allocates nothing.
 *
 *     allocSkb -> [users 1] -> ... -> kfreeSkb(reason)    dropped, counted by reason
 *                                  -> consumeSkb          done its work
 *
 * The pool also counts every frame that is alive, so a leak is visible as `inUse` after the last one was freed.
 * The head buffer, the fragments and the chain belong to the shared record (shared_info.ts), and go with its last frame.
 */
import { assert } from '../base/assert.ts';
import { Counters } from '../base/counters.ts';
import { FreeStack } from '../base/free_stack.ts';
import { Flow } from '../wire/flow.ts';
import type { Arena } from './arena.ts';
import { CHECKSUM_NONE } from './checksum_state.ts';
import { DROP_REASONS, DropReason, type DropReasonName } from './drop_reason.ts';
import { MAX_SKB_FRAGS, SharedInfoTable } from './shared_info.ts';
import { HEADER_UNSET, PACKET_HOST, SkBuff, type SkbDevice } from './sk_buff.ts';

/** Headroom that device allocations leave for whoever pushes headers (`NET_SKB_PAD`). */
export const NET_SKB_PAD = 64;

export class SkbPool {
  readonly arena: Arena;
  readonly size: number;
  /** The frames' shared records. */
  readonly info: SharedInfoTable;
  /** Frames dropped, by reason. */
  readonly drops: Counters<DropReasonName> = new Counters(DROP_REASONS);
  /** Dissects frames for their hash; its key is the machine's own. (get_hash.ts) */
  flow = new Flow();
  /** Allocations that failed. */
  exhausted = 0;
  readonly #objects: SkBuff[] = [];
  readonly #free: FreeStack;
  /** The object that is kept for a frame's first clone, by the frame's id; -1: none. */
  readonly #companion: Int32Array;

  constructor(arena: Arena, size: number) {
    this.arena = arena;
    this.size = size;
    this.info = new SharedInfoTable(size);
    this.#free = new FreeStack(size);
    this.#companion = new Int32Array(size).fill(-1);
    for (let id = 0; id < size; id++) this.#objects.push(new SkBuff(this, arena, id));
    this.#free.fill(0, size);
  }

  /** Frames alive now. */
  get inUse(): number {
    return this.size - this.#free.depth;
  }

  /** The frame with this tag; for drivers that get tags back from hardware. */
  byId(id: number): SkBuff {
    const skb = this.#objects[id];
    assert(skb !== undefined && skb.users > 0, 'a tag names a living frame');
    return skb;
  }

  /** A frame with room for `size` bytes, no headroom, not of any device. Null: no memory. (`alloc_skb`) */
  alloc(size: number): SkBuff | null {
    const arena = this.arena;
    if (size > arena.slotSize) {
      this.exhausted++;
      return null;
    }
    const buf = arena.alloc();
    if (buf < 0) {
      this.exhausted++;
      return null;
    }
    const start = arena.start(buf);
    const skb = this.build(buf, start, start + arena.slotSize);
    if (skb === null) arena.release(buf);
    return skb;
  }

  /** As alloc, and its first clone cannot fail: the object for it is taken now, and counts as in use. (`alloc_skb_fclone`) */
  allocFclone(size: number): SkBuff | null {
    const skb = this.alloc(size);
    if (skb === null) return null;
    const companion = this.#free.pop();
    if (companion >= 0) {
      this.#companion[skb.id] = companion;
      return skb;
    }
    this.exhausted++;
    this.#put(skb);
    return null;
  }

  /** A frame for `dev` with NET_SKB_PAD bytes of headroom. (`netdev_alloc_skb`, with dev null `dev_alloc_skb`) */
  allocForDevice(dev: SkbDevice | null, size: number): SkBuff | null {
    const skb = this.alloc(size + NET_SKB_PAD);
    if (skb === null) return null;
    skb.data += NET_SKB_PAD;
    skb.tail += NET_SKB_PAD;
    skb.dev = dev;
    return skb;
  }

  /** An empty frame around memory [head, end) of `buf`; takes the caller's reference, unless it gives null. (`build_skb`) */
  build(buf: number, head: number, end: number): SkBuff | null {
    const skb = this.#object(buf, head, end);
    if (skb === null) return null;
    // Every frame has one record at most, and there are as many as objects: where there is an object there is a record.
    if (skb.shinfo < 0) skb.shinfo = this.info.take();
    else this.info.renew(skb.shinfo);
    return skb;
  }

  /** An object whose shinfo is the caller's to set: it is a record that the object has kept, or -1. */
  #object(buf: number, head: number, end: number): SkBuff | null {
    const id = this.#free.pop();
    if (id < 0) {
      this.exhausted++;
      return null;
    }
    const skb = this.#objects[id]!;
    skb.buf = buf;
    skb.head = head;
    skb.data = head;
    skb.tail = head;
    skb.end = end;
    skb.len = 0;
    skb.dataLen = 0;
    skb.dev = null;
    skb.protocol = 0;
    skb.pktType = PACKET_HOST;
    skb.ipSummed = CHECKSUM_NONE;
    skb.csum = 0;
    skb.csumStart = 0;
    skb.csumOffset = 0;
    skb.csumLevel = 0;
    skb.macHeader = HEADER_UNSET;
    skb.networkHeader = HEADER_UNSET;
    skb.transportHeader = HEADER_UNSET;
    skb.skbIif = 0;
    skb.queueMapping = 0;
    skb.vlanTci = -1;
    skb.priority = 0;
    skb.hash = 0;
    skb.l4Hash = false;
    skb.napiId = 0;
    skb.tstampUs = 0;
    skb.users = 1;
    skb.cloned = false;
    skb.nohdr = false;
    skb.netpollSeen = false;
    skb.destructor = null;
    return skb;
  }

  /** A second frame over the same bytes, which are read-only from now on for both. Null: no memory. (`skb_clone`) */
  clone(skb: SkBuff): SkBuff | null {
    this.#giveCompanion(skb.id);
    const copy = this.#object(skb.buf, skb.head, skb.end);
    if (copy === null) return null;
    if (copy.shinfo >= 0) this.info.give(copy.shinfo);
    copy.shinfo = skb.shinfo;
    this.info.dataref[skb.shinfo]!++;
    this.copyHeader(copy, skb);
    copy.data = skb.data;
    copy.tail = skb.tail;
    copy.len = skb.len;
    copy.dataLen = skb.dataLen;
    copy.cloned = true;
    skb.cloned = true;
    return copy;
  }

  /** Copies what belongs to the frame and not to its memory: device, protocol, marks, header positions. (`__copy_skb_header`) */
  copyHeader(to: SkBuff, from: SkBuff): void {
    to.dev = from.dev;
    to.protocol = from.protocol;
    to.pktType = from.pktType;
    to.ipSummed = from.ipSummed;
    to.csum = from.csum;
    to.csumStart = from.csumStart;
    to.csumOffset = from.csumOffset;
    to.csumLevel = from.csumLevel;
    to.macHeader = from.macHeader;
    to.networkHeader = from.networkHeader;
    to.transportHeader = from.transportHeader;
    to.skbIif = from.skbIif;
    to.queueMapping = from.queueMapping;
    to.vlanTci = from.vlanTci;
    to.priority = from.priority;
    to.hash = from.hash;
    to.l4Hash = from.l4Hash;
    to.napiId = from.napiId;
    to.tstampUs = from.tstampUs;
  }

  /** One more holder of the object. (`skb_get`) */
  get(skb: SkBuff): SkBuff {
    skb.users++;
    return skb;
  }

  /** Gives up a reference: the frame was dropped for `reason`. (`kfree_skb_reason`) */
  kfree(skb: SkBuff, reason: number = DropReason.NOT_SPECIFIED): void {
    if (skb.users === 1) this.drops.add(reason);
    this.#put(skb);
  }

  /** Gives up a reference: the frame has done its work. (`consume_skb`) */
  consume(skb: SkBuff): void {
    this.#put(skb);
  }

  #put(skb: SkBuff): void {
    assert(skb.users > 0, 'a frame is freed as often as it was taken');
    if (--skb.users > 0) return;
    assert(skb.list === null, 'a frame that is freed is on no queue');
    if (skb.destructor !== null) {
      skb.destructor(skb);
      skb.destructor = null;
    }
    const { info } = this;
    const s = skb.shinfo;
    if (skb.nohdr) info.payloadRefs[s]!--;
    // The last one's record stays with its object, for the next frame.
    if (--info.dataref[s]! === 0) this.#releaseData(skb, s);
    else skb.shinfo = -1;
    skb.buf = -1;
    skb.dev = null;
    this.#giveCompanion(skb.id);
    this.#free.push(skb.id);
  }

  /** The object that was kept for a clone is the next one that is taken, or is free. */
  #giveCompanion(id: number): void {
    const companion = this.#companion[id]!;
    if (companion < 0) return;
    this.#companion[id] = -1;
    this.#free.push(companion);
  }

  /** Frees the bytes of record `s`, whose last frame this is. */
  #releaseData(skb: SkBuff, s: number): void {
    const { info } = this;
    if (info.nrFrags[s] !== 0) this.#releaseFrags(s);
    const chain = info.fragList(s);
    if (chain !== null) this.#releaseChain(chain, s);
    this.arena.release(skb.buf);
  }

  #releaseFrags(s: number): void {
    const frags = this.info.nrFrags[s]!;
    for (let i = 0; i < frags; i++) this.arena.release(this.info.fragBuf[s * MAX_SKB_FRAGS + i]!);
  }

  #releaseChain(chain: SkBuff, s: number): void {
    for (let each: SkBuff | null = chain; each !== null; ) {
      const next: SkBuff | null = each.next;
      each.next = null;
      this.#put(each);
      each = next;
    }
    this.info.setFragList(s, null);
  }
}
