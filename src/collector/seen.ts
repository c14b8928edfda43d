/**
 * Remembers the records of a source for 5 seconds, to recognise exact copies.
 *
 * A copy has the same sequence number, time, priority and flag, and the same bytes behind the header. The release is left out: the
 * same record sent to a target with and one without it is one record. Compared are four words: sequence number and time modulo 2^32,
 * and two hashes of everything.
 *
 *     heads   [ - | 7 | - | 2 | ... ]     by hash: the newest record of a bucket, + 1
 *     nexts   record -> the one before it in its bucket, + 1
 *     marks   ring of records: first (oldest) ... first + count - 1, each four words; `times` beside them
 *
 * Numbers in typed arrays, and no string a record: a source remembers thousands for seconds, and what lives so long V8's collector
 * copies twice. (As strings in a Set that was a third of all that parsing costs, most of it on other processors.)
 */

import type { ExtendedHeader } from '../wire/netconsole_record.ts';

export const SEEN_US = 5_000_000;

/** Words of a record. */
const MARK = 4;
/** Records that there is room for at first; the room doubles up to the bound. */
const ROOM_FIRST = 16;
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const MUL_BASIS = 0x9e3779b9;
const MUL_FACTOR = 0x85ebca6b;

export class SeenRecords {
  readonly #max: number;
  #room: number;
  #marks: Int32Array;
  #times: Float64Array;
  #nexts: Int32Array;
  #heads: Int32Array;
  #first = 0;
  #count = 0;
  /** Of the record that is asked for. */
  readonly #mark = new Int32Array(MARK);

  /** At most `max` records are remembered, the newest ones. */
  constructor(max: number) {
    this.#max = Math.max(1, max);
    this.#room = Math.min(this.#max, ROOM_FIRST);
    this.#marks = new Int32Array(this.#room * MARK);
    this.#times = new Float64Array(this.#room);
    this.#nexts = new Int32Array(this.#room);
    this.#heads = new Int32Array(bucketsFor(this.#room));
  }

  /** True if this record (header, and body `bytes[start..]`) came within the last 5 s; else it is remembered. */
  isCopy(head: ExtendedHeader, bytes: Uint8Array, start: number, nowUs: number): boolean {
    while (this.#count > 0 && nowUs - this.#times[this.#first]! >= SEEN_US) this.#forgetFirst();
    markOf(this.#mark, head, bytes, start);
    if (this.#has()) return true;
    if (this.#count === this.#room) {
      if (this.#room < this.#max) this.#grow();
      else this.#forgetFirst();
    }
    const at = (this.#first + this.#count) % this.#room;
    this.#marks.set(this.#mark, at * MARK);
    this.#times[at] = nowUs;
    this.#enter(at);
    this.#count++;
    return false;
  }

  #has(): boolean {
    const marks = this.#marks;
    const mark = this.#mark;
    const seq = mark[0];
    const usec = mark[1];
    const fnv = mark[2]!;
    const mul = mark[3]!;
    for (let next = this.#heads[this.#bucket(fnv, mul)]!; next !== 0; next = this.#nexts[next - 1]!) {
      const at = (next - 1) * MARK;
      const alike = marks[at + 2] === fnv && marks[at + 3] === mul;
      if (alike && marks[at] === seq && marks[at + 1] === usec) return true;
    }
    return false;
  }

  #bucket(fnv: number, mul: number): number {
    return (fnv ^ (mul >>> 7)) & (this.#heads.length - 1);
  }

  #bucketOf(at: number): number {
    return this.#bucket(this.#marks[at * MARK + 2]!, this.#marks[at * MARK + 3]!);
  }

  #enter(at: number): void {
    const bucket = this.#bucketOf(at);
    this.#nexts[at] = this.#heads[bucket]!;
    this.#heads[bucket] = at + 1;
  }

  /** The oldest is the last of its bucket. */
  #forgetFirst(): void {
    const at = this.#first;
    const bucket = this.#bucketOf(at);
    let before = this.#heads[bucket]! - 1;
    if (before === at) this.#heads[bucket] = 0;
    else {
      while (this.#nexts[before] !== at + 1) before = this.#nexts[before]! - 1;
      this.#nexts[before] = 0;
    }
    this.#first = (at + 1) % this.#room;
    this.#count--;
  }

  /** The ring is full: its records move to the front of one that is twice as large. */
  #grow(): void {
    const room = Math.min(this.#max, this.#room * 2);
    const marks = new Int32Array(room * MARK);
    const times = new Float64Array(room);
    const behind = this.#room - this.#first;
    marks.set(this.#marks.subarray(this.#first * MARK));
    marks.set(this.#marks.subarray(0, this.#first * MARK), behind * MARK);
    times.set(this.#times.subarray(this.#first));
    times.set(this.#times.subarray(0, this.#first), behind);
    this.#room = room;
    this.#marks = marks;
    this.#times = times;
    this.#nexts = new Int32Array(room);
    this.#heads = new Int32Array(bucketsFor(room));
    this.#first = 0;
    for (let at = 0; at < this.#count; at++) this.#enter(at);
  }
}

/** A power of two. */
function bucketsFor(room: number): number {
  return 2 ** Math.ceil(Math.log2(room));
}

/** Writes a record's four words. */
function markOf(mark: Int32Array, head: ExtendedHeader, bytes: Uint8Array, start: number): void {
  mark[2] = FNV_BASIS;
  mark[3] = MUL_BASIS;
  stir(mark, head.facility * 8 + head.level);
  stir(mark, head.flag.charCodeAt(0));
  stir(mark, bytes.length - start);
  mark[0] = stirNumber(mark, head.seq);
  mark[1] = stirNumber(mark, head.usec);
  let fnv = mark[2];
  let mul = mark[3];
  for (let i = start; i < bytes.length; i++) {
    const byte = bytes[i]!;
    fnv = Math.imul(fnv ^ byte, FNV_PRIME);
    mul = Math.imul(mul ^ (mul >>> 15) ^ byte, MUL_FACTOR);
  }
  mark[2] = fnv;
  mark[3] = mul;
}

/** Stirs a number of decimal digits in, and gives it modulo 2^32. */
function stirNumber(mark: Int32Array, digits: string): number {
  let low = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(i) - 0x30;
    low = (Math.imul(low, 10) + digit) | 0;
    // The last nine are no more than what the low word tells.
    if (i < digits.length - 9) stir(mark, digit);
  }
  stir(mark, low);
  return low;
}

function stir(mark: Int32Array, word: number): void {
  const mul = mark[3]!;
  mark[2] = Math.imul(mark[2]! ^ word, FNV_PRIME);
  mark[3] = Math.imul(mul ^ (mul >>> 15) ^ word, MUL_FACTOR);
}
