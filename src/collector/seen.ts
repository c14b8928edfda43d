/**
 * Remembers the records of a source for 5 seconds, to recognise exact copies.
 *
 * A copy has the same sequence number, time, priority and flag, and the same bytes behind the header (compared by length
 * and two 32-bit hashes). The release is left out: the same record sent to a target with and one without it is one record.
 */

import type { ExtendedHeader } from '../wire/netconsole_record.ts';

export const SEEN_US = 5_000_000;

export class SeenRecords {
  readonly #max: number;
  readonly #seen = new Set<string>();
  /** Keys and their times, oldest at `#first`: a ring that grows up to `#max`. (A Map's own order is slow to eat up.) */
  readonly #keys: string[] = [];
  readonly #times: number[] = [];
  #first = 0;
  #count = 0;

  constructor(max: number) {
    this.#max = Math.max(1, max);
  }

  /** True if this record (header, and body `bytes[start..]`) came within the last 5 s; else it is remembered. */
  isCopy(head: ExtendedHeader, bytes: Uint8Array, start: number, nowUs: number): boolean {
    while (this.#count > 0 && nowUs - this.#times[this.#first]! >= SEEN_US) this.#forgetFirst();
    const prio = head.facility * 8 + head.level;
    const key = `${head.seq} ${head.usec} ${prio}${head.flag}${bytes.length - start} ${bodyHash(bytes, start)}`;
    if (this.#seen.has(key)) return true;
    if (this.#count === this.#max) this.#forgetFirst();
    const at = (this.#first + this.#count) % this.#max;
    this.#seen.add(key);
    this.#keys[at] = key;
    this.#times[at] = nowUs;
    this.#count++;
    return false;
  }

  #forgetFirst(): void {
    this.#seen.delete(this.#keys[this.#first]!);
    this.#keys[this.#first] = '';
    this.#first = (this.#first + 1) % this.#max;
    this.#count--;
  }
}

/** FNV-1a and a multiplicative hash, 32 bits each. */
function bodyHash(bytes: Uint8Array, start: number): string {
  let fnv = 0x811c9dc5;
  let mul = 0x9e3779b9;
  for (let i = start; i < bytes.length; i++) {
    const byte = bytes[i]!;
    fnv = Math.imul(fnv ^ byte, 0x01000193);
    mul = Math.imul(mul ^ (mul >>> 15) ^ byte, 0x85ebca6b);
  }
  return `${fnv >>> 0}.${mul >>> 0}`;
}
