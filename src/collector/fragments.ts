/**
 * Joins the fragments of extended records.
 *
 *      total |------------------------------------------------|
 *   chunks     [0, 967)          [967, 1900)     hole               sorted, never overlapping
 *
 * Fragments come in any order and more than once; bytes that are already there win. A record whose fragments have not
 * all come after 30 s is given up: its bytes are delivered with a mark `<N bytes lost>` in each hole. Memory is what
 * has really arrived (a fragment's claim about its total costs nothing) and bounded by count and bytes; when a bound is
 * hit the oldest record is given up early.
 */

import type { Fragment } from '../wire/netconsole_record.ts';

export const FRAGMENT_EXPIRY_US = 30_000_000;

export interface FragmentLimits {
  /** Records waiting for fragments. */
  readonly records: number;
  /** Bytes waiting. */
  readonly bytes: number;
}

interface Chunk {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** A record of which a part is here. `tag` is the caller's. */
export interface Partial<Tag> {
  readonly key: string;
  readonly tag: Tag;
  readonly total: number;
  readonly firstUs: number;
  readonly chunks: Chunk[];
  held: number;
}

/** The records of one source that wait for fragments. */
export class FragmentTable<Tag> {
  readonly #limits: FragmentLimits;
  readonly #partials = new Map<string, Partial<Tag>>();
  /** Keys of records delivered lately, so that late copies of their fragments do not start them again. */
  readonly #done = new Map<string, number>();
  #bytes = 0;

  constructor(limits: FragmentLimits) {
    this.#limits = limits;
  }

  /** When `expire` has something to do, or Infinity. Partials stand in the order of their first fragment. */
  get deadlineUs(): number {
    for (const partial of this.#partials.values()) return partial.firstUs + FRAGMENT_EXPIRY_US;
    return Number.POSITIVE_INFINITY;
  }

  /** Was the record of this key delivered within the last 30 s? */
  isDone(key: string, nowUs: number): boolean {
    const at = this.#done.get(key);
    return at !== undefined && nowUs - at < FRAGMENT_EXPIRY_US;
  }

  /**
   * Adds the fragment `bytes[start, end)`, which is copied. Returns the record once it is whole (its table entry is
   * gone), else null. `key` tells records apart; the first fragment's `tag` is kept.
   */
  add(
    key: string,
    tag: Tag,
    at: Fragment,
    bytes: Uint8Array,
    start: number,
    end: number,
    nowUs: number,
  ): Partial<Tag> | null {
    let partial = this.#partials.get(key);
    if (partial === undefined) {
      partial = { key, tag, total: at.total, firstUs: nowUs, chunks: [], held: 0 };
      this.#partials.set(key, partial);
    }
    this.#bytes += insert(partial, at.offset, bytes, start, end);
    if (partial.held < partial.total) return null;
    this.#remove(partial, nowUs);
    return partial;
  }

  /** Takes out one record that is too old, or the oldest when a bound is exceeded; null when there is none. */
  expire(nowUs: number): Partial<Tag> | null {
    for (const partial of this.#partials.values()) {
      const tooMuch = this.#partials.size > this.#limits.records || this.#bytes > this.#limits.bytes;
      if (!tooMuch && nowUs < partial.firstUs + FRAGMENT_EXPIRY_US) return null;
      this.#remove(partial, nowUs);
      return partial;
    }
    return null;
  }

  /** Takes out every record, whole or not. */
  drain(nowUs: number): Partial<Tag>[] {
    const all = [...this.#partials.values()];
    for (const partial of all) this.#remove(partial, nowUs);
    return all;
  }

  #remove(partial: Partial<Tag>, nowUs: number): void {
    this.#partials.delete(partial.key);
    this.#bytes -= partial.held;
    this.#done.set(partial.key, nowUs);
    for (const [key, at] of this.#done) {
      if (nowUs - at < FRAGMENT_EXPIRY_US && this.#done.size <= this.#limits.records * 4) break;
      this.#done.delete(key);
    }
  }
}

/** Puts what is new of `bytes[start, end)` at `offset`; returns how many bytes that was. */
function insert<Tag>(partial: Partial<Tag>, offset: number, bytes: Uint8Array, start: number, end: number): number {
  const chunks = partial.chunks;
  const stop = offset + end - start;
  let added = 0;
  let at = offset;
  let i = 0;
  while (at < stop) {
    while (i < chunks.length && chunks[i]!.start + chunks[i]!.bytes.length <= at) i++;
    const next = chunks[i];
    if (next !== undefined && next.start <= at) {
      at = next.start + next.bytes.length;
      continue;
    }
    const until = Math.min(stop, next?.start ?? stop);
    const from = start + (at - offset);
    chunks.splice(i, 0, { start: at, bytes: bytes.slice(from, from + until - at) });
    added += until - at;
    at = until;
  }
  partial.held += added;
  return added;
}

/** The record's bytes in order; holes are filled with a mark that tells their length. */
export function joinChunks<Tag>(partial: Partial<Tag>): { bytes: Uint8Array; lost: number } {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const chunk of [...partial.chunks, { start: partial.total, bytes: new Uint8Array(0) }]) {
    if (chunk.start > at) parts.push(new TextEncoder().encode(`<${chunk.start - at} bytes lost>`));
    parts.push(chunk.bytes);
    at = chunk.start + chunk.bytes.length;
  }
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let n = 0;
  for (const part of parts) {
    out.set(part, n);
    n += part.length;
  }
  return { bytes: out, lost: partial.total - partial.held };
}
