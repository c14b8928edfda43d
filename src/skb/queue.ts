/**
 * A bounded queue of frames (`sk_buff_head` with its limit): the queue owns what is on it.
 *
 * Full is a return value; the caller then drops the frame with the reason that fits.
 */
import { List } from '../base/list.ts';
import type { SkBuff, SkbDevice } from './sk_buff.ts';

export class SkbQueue {
  readonly limit: number;
  readonly #frames = new List<SkBuff>();

  /** A queue of at most `limit` frames. */
  constructor(limit: number) {
    this.limit = limit;
  }

  get length(): number {
    return this.#frames.length;
  }

  /** Takes the frame, or gives false and leaves it the caller's. (`skb_queue_tail`) */
  queueTail(skb: SkBuff): boolean {
    if (this.#frames.length >= this.limit) return false;
    this.#frames.addTail(skb);
    return true;
  }

  /** Puts a frame back where dequeue() took it from; the limit does not apply. (`skb_queue_head`) */
  queueHead(skb: SkBuff): void {
    this.#frames.addHead(skb);
  }

  /** The first frame, now the caller's. (`skb_dequeue`) */
  dequeue(): SkBuff | null {
    return this.#frames.shift();
  }

  /** The last frame, now the caller's. (`skb_dequeue_tail`) */
  dequeueTail(): SkBuff | null {
    const last = this.#frames.tail;
    if (last !== null) this.#frames.remove(last);
    return last;
  }

  peek(): SkBuff | null {
    return this.#frames.head;
  }

  /** True if the frame is in this queue. */
  has(skb: SkBuff): boolean {
    return skb.list === this.#frames;
  }

  /** Takes a frame of this queue out of its row; it is the caller's. (`skb_unlink`) */
  unlink(skb: SkBuff): void {
    this.#frames.remove(skb);
  }

  /** Moves the frames of a device to `out`, whatever its limit; the others keep their order. */
  moveOf(dev: SkbDevice, out: SkbQueue): void {
    for (let skb = this.#frames.head; skb !== null; ) {
      const next: SkBuff | null = skb.next;
      if (skb.dev === dev) {
        this.#frames.remove(skb);
        out.#frames.addTail(skb);
      }
      skb = next;
    }
  }

  /** Moves all frames of `other` behind ours, whatever the limit. (`skb_queue_splice_tail_init`) */
  splice(other: SkbQueue): void {
    this.#frames.spliceTail(other.#frames);
  }

  /** Drops everything. (`skb_queue_purge_reason`) */
  purge(reason: number): void {
    for (let skb = this.dequeue(); skb !== null; skb = this.dequeue()) skb.pool.kfree(skb, reason);
  }
}
