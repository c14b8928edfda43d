// hot
/**
 * Handing a frame over to a CPU that is another thread: the bytes stay where they are, sixteen words go.
 *
 *     a  --send()-->  [ e e e . . . ]  --take()-->  b       ring of entries; a entry is a frame, or a fragment behind its frame
 *     a  <-reap()---  [ . . t t t . ]  <-give()---  b       ring of tickets: memory that b needs no more
 *
 *  1. `send` keeps a reference to the frame's buffer under a ticket and frees a's sk_buff. An entry says where in the memory that
 *     both see (skb/arena.ts) the frame lies, and what is known about it.
 *  2. `take` wraps the bytes into an sk_buff of b. Its buffer is a foreign handle of b's arena, one for each ticket.
 *  3. The last reference to that handle goes: `give` puts the ticket into the other ring, and `reap` drops a's reference. Only then may
 *     a slot be used again, or a block of the kernel's ring go back.
 *
 * One writer and one reader a ring: the writer owns the tail, the reader the head. Entries are written plainly and published by an
 * atomic store of the tail; a frame and its fragments are published together. Each side keeps its own count and what it has last seen of
 * the other's, and publishes once for many (`publish`): a word that two processors write and read by turns costs more than all the rest. The ring of tickets has a place for each, so it is
 * never full. Bound: what the ring holds (1,000 frames, as a backlog), and TICKETS pieces of memory.
 *
 * Not copied while few are out, because a copy costs more than the reference. But a held frame holds its block of the packet ring, and
 * with all blocks held the kernel drops what is for other CPUs too: from a number on (RemoteCpu.heldMax) frames go in slots of ours.
 */
import { FreeStack } from '../../base/free_stack.ts';
import type { Arena } from '../../skb/arena.ts';
import { skbCopy } from '../../skb/copy.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { skbAddFrag, skbLinearize } from '../../skb/frags.ts';
import type { SkbPool } from '../../skb/pool.ts';
import { MAX_SKB_FRAGS } from '../../skb/shared_info.ts';
import { type SkBuff, skbCloned } from '../../skb/sk_buff.ts';
import { ENTRY_WORDS, type PairMemory, TICKETS } from './cpu_table.ts';
import {
  CSUM,
  CSUM_OFFSET,
  CSUM_START,
  DATA,
  DEVICE,
  END,
  FACTS,
  FRAGMENT,
  FRAME_HEAD,
  FREED,
  GSO_SIZE,
  GSO_TYPE,
  HASH,
  HEAD,
  KIND,
  LEN,
  MAC_HEADER,
  RETURNED,
  RING_MASK,
  readFrame,
  TAIL,
  TAKEN,
  TICKET,
  TICKET_MASK,
  VLAN_TCI,
} from './handover_entry.ts';

/** The side that hands over. */
export class HandoverSender {
  readonly #control: Int32Array;
  readonly #entries: Int32Array;
  readonly #stamps: Float64Array;
  readonly #returns: Int32Array;
  readonly #arena: Arena;
  /** The buffer behind each ticket, -1: it is free. */
  readonly #bufs = new Int32Array(TICKETS).fill(-1);
  readonly #tickets = new FreeStack(TICKETS);
  /** Frames that wait in the ring are no more than this. (`netdev_max_backlog`) */
  maxBacklog = 1000;
  #tail: number;
  #published: number;
  /** How far the other CPU was when it was looked at last. */
  #headSeen: number;

  constructor(memory: PairMemory, arena: Arena) {
    this.#control = memory.control;
    this.#entries = memory.entries;
    this.#stamps = memory.stamps;
    this.#returns = memory.returns;
    this.#arena = arena;
    this.#tickets.fill(0, TICKETS);
    // Whoever was this CPU before has got everything back.
    this.#control[FREED] = this.#control[RETURNED]!;
    this.#tail = this.#control[TAIL]!;
    this.#published = this.#tail;
    this.#headSeen = this.#tail;
  }

  /** Entries that were ever put in, and that were taken out, modulo 2^32. */
  get tail(): number {
    return this.#tail >>> 0;
  }

  get head(): number {
    return Atomics.load(this.#control, HEAD) >>> 0;
  }

  /** Entries that wait. */
  get length(): number {
    return (this.tail - this.head) >>> 0;
  }

  /** There is no room for so many entries more. */
  full(pieces: number): boolean {
    const most = this.maxBacklog + 1 - pieces;
    if ((this.#tail - this.#headSeen) >>> 0 <= most) return false;
    this.#headSeen = Atomics.load(this.#control, HEAD);
    return (this.#tail - this.#headSeen) >>> 0 > most;
  }

  /** Memory is on its way back. */
  get returning(): boolean {
    return Atomics.load(this.#control, RETURNED) !== this.#control[FREED];
  }

  /** Pieces of memory that the other CPU has. */
  get out(): number {
    return TICKETS - this.#tickets.depth;
  }

  /**
   * Puts the frame in; it is gone then, and the other CPU sees it from publish() on. False: there is no room, and it is still the caller's. `device` is its number on every CPU.
   * Not called for a frame that somebody else holds (`users`).
   */
  send(skb: SkBuff, device: number, kind: number): boolean {
    const { pool } = skb;
    const pieces = 1 + pool.info.nrFrags[skb.shinfo]!;
    if (this.full(pieces)) return false;
    if (this.#tickets.depth < pieces) {
      this.reap();
      if (this.#tickets.depth < pieces) return false;
    }
    const tail = this.#tail;
    this.#writeFrame(skb, tail & RING_MASK, device, kind | ((pieces - 1) << 8));
    for (let i = 1; i < pieces; i++) this.#writeFragment(skb, i - 1, (tail + i) & RING_MASK);
    this.#tail = (tail + pieces) | 0;
    pool.consume(skb);
    return true;
  }

  /** The other CPU sees what was sent up to here. */
  publish(): void {
    if (this.#published === this.#tail) return;
    this.#published = this.#tail;
    Atomics.store(this.#control, TAIL, this.#tail);
  }

  #writeFrame(skb: SkBuff, index: number, device: number, kind: number): void {
    const e = this.#entries;
    const at = index * ENTRY_WORDS;
    const { info } = skb.pool;
    e[at + KIND] = kind;
    e[at + TICKET] = this.#ticketFor(skb.buf);
    e[at + FRAME_HEAD] = skb.head;
    e[at + DATA] = skb.data;
    e[at + LEN] = skb.len - skb.dataLen;
    e[at + END] = skb.end;
    e[at + MAC_HEADER] = skb.macHeader;
    e[at + FACTS] =
      skb.protocol |
      (skb.pktType << 16) |
      (skb.ipSummed << 19) |
      (skb.csumLevel << 21) |
      ((skb.l4Hash ? 1 : 0) << 23) |
      ((skb.netpollSeen ? 1 : 0) << 24);
    e[at + HASH] = skb.hash;
    e[at + VLAN_TCI] = skb.vlanTci;
    e[at + DEVICE] = device | (skb.queueMapping << 16);
    e[at + CSUM] = skb.csum;
    e[at + CSUM_START] = skb.csumStart;
    e[at + CSUM_OFFSET] = skb.csumOffset;
    e[at + GSO_TYPE] = info.gsoType[skb.shinfo]!;
    e[at + GSO_SIZE] = info.gsoSize[skb.shinfo]! | (info.gsoSegs[skb.shinfo]! << 16);
    this.#stamps[index] = skb.tstampUs;
  }

  #writeFragment(skb: SkBuff, i: number, index: number): void {
    const e = this.#entries;
    const at = index * ENTRY_WORDS;
    const { info } = skb.pool;
    const f = skb.shinfo * MAX_SKB_FRAGS + i;
    e[at + KIND] = FRAGMENT;
    e[at + TICKET] = this.#ticketFor(info.fragBuf[f]!);
    e[at + DATA] = info.fragOffset[f]!;
    e[at + LEN] = info.fragLen[f]!;
  }

  #ticketFor(buf: number): number {
    const ticket = this.#tickets.pop();
    this.#arena.get(buf);
    this.#bufs[ticket] = buf;
    return ticket;
  }

  /** Takes back the memory that the other CPU needs no more. Bound: TICKETS. */
  reap(): void {
    const end = Atomics.load(this.#control, RETURNED);
    let at = this.#control[FREED]!;
    if (at === end) return;
    for (; at !== end; at = (at + 1) | 0) this.#free(this.#returns[at & TICKET_MASK]!);
    this.#control[FREED] = at;
  }

  #free(ticket: number): void {
    const buf = this.#bufs[ticket]!;
    if (buf < 0) return;
    this.#bufs[ticket] = -1;
    this.#tickets.push(ticket);
    this.#arena.release(buf);
  }

  /**
   * The other CPU is dead: `again` gets each frame that it has not taken, as a frame of ours, in order, with the device's number and the
   * kind; what it held is taken back. Gives how many pieces of memory it held. (`dev_cpu_dead`)
   */
  takeBack(pool: SkbPool, again: (skb: SkBuff, device: number, kind: number) => void): number {
    this.publish();
    this.reap();
    const e = this.#entries;
    const end = this.#tail;
    let head = Atomics.load(this.#control, TAKEN);
    while (head !== end) {
      const at = (head & RING_MASK) * ENTRY_WORDS;
      const pieces = 1 + (e[at + KIND]! >>> 8);
      const skb = readFrame(e, at, this.#stamps[head & RING_MASK]!, pool, this.#takeOut(e[at + TICKET]!));
      for (let i = 1; i < pieces; i++) {
        const f = ((head + i) & RING_MASK) * ENTRY_WORDS;
        const buf = this.#takeOut(e[f + TICKET]!);
        if (skb === null || !skbAddFrag(skb, buf, e[f + DATA]!, e[f + LEN]!)) this.#arena.release(buf);
      }
      if (skb !== null) again(skb, e[at + DEVICE]! & 0xffff, e[at + KIND]! & 0xff);
      head = (head + pieces) | 0;
    }
    Atomics.store(this.#control, HEAD, head);
    Atomics.store(this.#control, TAKEN, head);
    this.#headSeen = head;
    let held = 0;
    for (let ticket = 0; ticket < TICKETS; ticket++) {
      if (this.#bufs[ticket]! < 0) continue;
      held++;
      this.#free(ticket);
    }
    this.#control[RETURNED] = this.#control[FREED] = end;
    return held;
  }

  #takeOut(ticket: number): number {
    const buf = this.#bufs[ticket]!;
    this.#bufs[ticket] = -1;
    this.#tickets.push(ticket);
    return buf;
  }
}

/** Everything that was ever handed over has come back: the memory may go. For who looks after a CPU that is dead. */
export function handoverSettled({ control }: PairMemory): boolean {
  return Atomics.load(control, RETURNED) === Atomics.load(control, TAIL);
}

/** Neither side is there any more: nothing is owed. */
export function settleHandover({ control }: PairMemory): void {
  const tail = Atomics.load(control, TAIL);
  for (const word of [HEAD, TAKEN, RETURNED, FREED]) Atomics.store(control, word, tail);
}

/**
 * A frame that can be handed over, which nobody else has and without a chain: the same, or a copy of it. With
 * `copyRing` one that lies in a kernel's ring is copied too, if there is memory. Null: there is no memory, and
 * the frame is dropped.
 */
export function handoverReady(skb: SkBuff, copyRing: boolean): SkBuff | null {
  const { pool, arena } = skb;
  let own = skb;
  const must = skb.users !== 1 || skbCloned(skb);
  if (must || (copyRing && skb.buf >= arena.slots)) {
    const copy = skbCopy(skb);
    if (copy !== null) {
      pool.consume(skb);
      own = copy;
    } else if (must) {
      pool.kfree(skb, DropReason.NOMEM);
      return null;
    }
  }
  if (pool.info.fragList(own.shinfo) === null || skbLinearize(own)) return own;
  pool.kfree(own, DropReason.NOMEM);
  return null;
}
