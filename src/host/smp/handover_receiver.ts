// hot
/**
 * The side of a hand-over that is handed frames (handover.ts): takes entries, and gives tickets back.
 */
import { skbAddFrag } from '../../skb/frags.ts';
import type { SkbPool } from '../../skb/pool.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { ENTRY_WORDS, type PairMemory, TICKETS } from './cpu_table.ts';
import {
  DATA,
  DEVICE,
  HEAD,
  KIND,
  LEN,
  RETURNED,
  RING_MASK,
  readFrame,
  TAIL,
  TAKEN,
  TICKET,
  TICKET_MASK,
} from './handover_entry.ts';

/** The side that is handed frames. */
export class HandoverReceiver {
  readonly #control: Int32Array;
  readonly #entries: Int32Array;
  readonly #stamps: Float64Array;
  readonly #returns: Int32Array;
  readonly #pool: SkbPool;
  /** Foreign handle of ticket 0. */
  readonly #first: number;
  /** Of the frame that was taken last: number of its device, and its kind. */
  device = 0;
  kind = 0;
  /** Frames for which there was no sk_buff. */
  noMemory = 0;
  #head: number;
  #tailSeen: number;
  #returned: number;
  #pieces = 0;

  /** `onGiven` runs after a ticket was given back. */
  constructor(memory: PairMemory, pool: SkbPool, onGiven: () => void) {
    this.#control = memory.control;
    this.#entries = memory.entries;
    this.#stamps = memory.stamps;
    this.#returns = memory.returns;
    this.#pool = pool;
    const give = (buf: number): void => {
      this.#give(buf - this.#first);
      onGiven();
    };
    this.#first = pool.arena.addForeign(TICKETS, give);
    this.#head = this.#control[HEAD]!;
    this.#tailSeen = this.#head;
    this.#returned = this.#control[RETURNED]!;
  }

  get length(): number {
    return (Atomics.load(this.#control, TAIL) - this.#head) >>> 0;
  }

  /**
   * The next frame, with one reference, which is the caller's; null: nothing waits. `taken` is called when it has been handed up. A
   * frame for which there is no memory is left out, and counted.
   */
  take(): SkBuff | null {
    const e = this.#entries;
    for (;;) {
      const head = this.#head;
      if (this.#tailSeen === head) {
        this.#tailSeen = Atomics.load(this.#control, TAIL);
        if (this.#tailSeen === head) return null;
      }
      const at = (head & RING_MASK) * ENTRY_WORDS;
      const pieces = 1 + (e[at + KIND]! >>> 8);
      const skb = readFrame(e, at, this.#stamps[head & RING_MASK]!, this.#pool, this.#adopt(e[at + TICKET]!));
      for (let i = 1; i < pieces; i++) {
        const f = ((head + i) & RING_MASK) * ENTRY_WORDS;
        const buf = this.#adopt(e[f + TICKET]!);
        if (skb === null || !skbAddFrag(skb, buf, e[f + DATA]!, e[f + LEN]!)) this.#pool.arena.release(buf);
      }
      this.#pieces = pieces;
      this.#control[TAKEN] = (head + pieces) | 0;
      if (skb !== null) {
        this.device = e[at + DEVICE]! & 0xffff;
        this.kind = e[at + KIND]! & 0xff;
        return skb;
      }
      this.noMemory++;
      this.taken();
    }
  }

  /** The frame that take() gave has gone its way. */
  taken(): void {
    this.#head = (this.#head + this.#pieces) | 0;
  }

  /** The other CPU sees which places in the ring are free, and which memory it has back. */
  publish(): void {
    if (this.#control[HEAD] !== this.#head) Atomics.store(this.#control, HEAD, this.#head);
    if (this.#control[RETURNED] !== this.#returned) Atomics.store(this.#control, RETURNED, this.#returned);
  }

  #adopt(ticket: number): number {
    const buf = this.#first + ticket;
    this.#pool.arena.adopt(buf);
    return buf;
  }

  #give(ticket: number): void {
    this.#returns[this.#returned & TICKET_MASK] = ticket;
    this.#returned = (this.#returned + 1) | 0;
  }
}
