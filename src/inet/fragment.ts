/**
 * Reassembly: fragments of one datagram wait for each other, sorted, until all are there or 30 seconds are over.
 *
 *     key (source, dest, id, protocol) -> FragQueue   0..1479 -> 2960..4439 -> (hole) -> last   each a frame, linked by `next`
 *                                                                      whole: the first frame with the others as its chain
 *
 * Bounds: memory of all queues together, queues of one source, 65535 bytes a datagram, 30 s a queue. A fragment that overlaps
 * another one in part is an attack: the whole queue goes (RFC 5722, and Linux since 4.20 for IPv4); an exact duplicate goes alone.
 * A frame is the queue's from insert on, whatever comes of it. (`net/ipv4/inet_fragment.c`)
 */
import type { Machine } from '../machine/machine.ts';
import type { Timer } from '../machine/timer.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbTrim, skbAddFragList } from '../skb/frags.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { truesize } from '../skb/truesize.ts';

/** (`ipfrag_time`) */
export const FRAG_TIMEOUT_NS = 30e9;
/** (`ipfrag_high_thresh`) */
const MEMORY_MAX = 4 << 20;
/** Datagrams that one source may have under way. */
const QUEUES_PER_SOURCE = 64;
const PACKET_MAX = 65535;

class FragQueue {
  readonly key: string;
  readonly source: string;
  readonly deadlineNs: number;
  first: SkBuff | null = null;
  /** Bytes of the datagram, known from the last fragment; until then what was seen at least. */
  len = 0;
  /** Bytes that are there. */
  meat = 0;
  lastIn = false;
  memory = 0;

  constructor(key: string, source: string, deadlineNs: number) {
    this.key = key;
    this.source = source;
    this.deadlineNs = deadlineNs;
  }
}

export interface FragTableOptions {
  /** Told of a queue that is given up, with its first fragment if that starts the datagram: it is freed afterwards. */
  readonly onTimeout: (first: SkBuff | null) => void;
  /** Told of each fragment that is dropped for another reason than time. */
  readonly onFail: () => void;
  /** IPv4 rounds a fragment that is not the last down to 8 bytes; IPv6 has refused it before. */
  readonly memoryMax?: number;
}

export class FragTable {
  readonly memoryMax: number;
  memory = 0;
  readonly #machine: Machine;
  readonly #options: FragTableOptions;
  /** In the order of their deadlines. */
  readonly #queues = new Map<string, FragQueue>();
  readonly #sources = new Map<string, number>();
  readonly #timer: Timer;
  /** Where a held frame's bytes start in its datagram, by `skb.id`. */
  readonly #offset: Int32Array;

  constructor(machine: Machine, options: FragTableOptions) {
    this.#machine = machine;
    this.#options = options;
    const { arena } = machine;
    // Never more than a quarter of the slots, however few there are.
    this.memoryMax = options.memoryMax ?? Math.min(MEMORY_MAX, (arena.slots * arena.slotSize) >>> 2);
    this.#offset = new Int32Array(machine.skbs.size);
    this.#timer = machine.timers.create(() => this.#tick());
  }

  /** Datagrams under way. */
  get size(): number {
    return this.#queues.size;
  }

  /**
   * Takes a fragment: `data` at its payload, in the head buffer, which lies at `offset` of the datagram. Gives the whole datagram
   * (the first fragment's frame, the others behind it), the caller's then; null: not yet, or never.
   */
  insert(key: string, source: string, skb: SkBuff, offset: number, more: boolean): SkBuff | null {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      const others = this.#sources.get(source) ?? 0;
      if (others >= QUEUES_PER_SOURCE) return this.#dropOne(skb, DropReason.FRAG_TOO_FAR);
      if (this.memory + truesize(skb) > this.memoryMax) return this.#dropOne(skb, DropReason.NOMEM);
      queue = new FragQueue(key, source, this.#machine.executive.now() + FRAG_TIMEOUT_NS);
      this.#queues.set(key, queue);
      this.#sources.set(source, others + 1);
      if (this.#timer.atNs < 0) this.#machine.timers.mod(this.#timer, queue.deadlineNs);
    } else if (this.memory + truesize(skb) > this.memoryMax) {
      return this.#dropOne(skb, DropReason.NOMEM);
    }
    let end = offset + skb.len;
    if (more && (end & 7) !== 0) {
      end &= ~7;
      pskbTrim(skb, Math.max(end - offset, 0));
    }
    const wrong = more
      ? queue.lastIn && end > queue.len
      : end < queue.len || (queue.lastIn && end !== queue.len) || end > PACKET_MAX;
    if (wrong || end <= offset || end > PACKET_MAX) return this.#dropAll(queue, skb, DropReason.PKT_TOO_BIG);
    queue.len = Math.max(queue.len, end);
    if (!more) queue.lastIn = true;
    switch (this.#link(queue, skb, offset, end)) {
      case 'duplicate':
        skb.pool.kfree(skb, DropReason.DUP_FRAG);
        this.#options.onFail();
        return null;
      case 'overlap':
        return this.#dropAll(queue, skb, DropReason.DUP_FRAG);
    }
    this.#offset[skb.id] = offset;
    queue.meat += skb.len;
    queue.memory += truesize(skb);
    this.memory += truesize(skb);
    return queue.lastIn && queue.meat === queue.len ? this.#reassemble(queue) : null;
  }

  /** Puts the frame where it belongs. (`inet_frag_queue_insert`) */
  #link(queue: FragQueue, skb: SkBuff, offset: number, end: number): 'linked' | 'duplicate' | 'overlap' {
    let before: SkBuff | null = null;
    let after = queue.first;
    while (after !== null && this.#offset[after.id]! < offset) {
      before = after;
      after = after.next;
    }
    const ends = before === null ? 0 : this.#offset[before.id]! + before.len;
    const starts = after === null ? PACKET_MAX + 1 : this.#offset[after.id]!;
    if (before !== null && end <= ends) return 'duplicate';
    if (after !== null && starts === offset && end <= starts + after.len) return 'duplicate';
    if (offset < ends || end > starts) return 'overlap';
    skb.next = after;
    if (before === null) queue.first = skb;
    else before.next = skb;
    return 'linked';
  }

  /** (`inet_frag_reasm_finish`) */
  #reassemble(queue: FragQueue): SkBuff {
    const first = queue.first!;
    let next = first.next;
    first.next = null;
    queue.first = null;
    this.#forget(queue);
    let last: SkBuff | null = null;
    while (next !== null) {
      const after: SkBuff | null = next.next;
      if (last === null) {
        skbAddFragList(first, next);
      } else {
        // skbAddFragList would walk the chain again for every fragment.
        last.next = next;
        next.next = null;
        first.len += next.len;
        first.dataLen += next.len;
      }
      last = next;
      next = after;
    }
    return first;
  }

  #dropOne(skb: SkBuff, reason: number): null {
    this.#options.onFail();
    skb.pool.kfree(skb, reason);
    return null;
  }

  #dropAll(queue: FragQueue, skb: SkBuff, reason: number): null {
    this.#options.onFail();
    skb.pool.kfree(skb, reason);
    this.#kill(queue, reason);
    return null;
  }

  #kill(queue: FragQueue, reason: number): void {
    for (let each = queue.first; each !== null; ) {
      const next: SkBuff | null = each.next;
      each.next = null;
      each.pool.kfree(each, reason);
      each = next;
    }
    queue.first = null;
    this.#forget(queue);
  }

  #forget(queue: FragQueue): void {
    this.memory -= queue.memory;
    this.#queues.delete(queue.key);
    const left = this.#sources.get(queue.source)! - 1;
    if (left === 0) this.#sources.delete(queue.source);
    else this.#sources.set(queue.source, left);
  }

  /** Bound: the queues that there are. (`ip_expire`) */
  #tick(): void {
    const now = this.#machine.executive.now();
    for (const queue of this.#queues.values()) {
      if (queue.deadlineNs > now) {
        this.#machine.timers.mod(this.#timer, queue.deadlineNs);
        return;
      }
      const { first } = queue;
      this.#options.onTimeout(first !== null && this.#offset[first.id] === 0 ? first : null);
      this.#kill(queue, DropReason.FRAG_REASM_TIMEOUT);
    }
  }
}
