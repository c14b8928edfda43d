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
  /** Key to time, oldest first. */
  readonly #seen = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** True if this record (header, and body `bytes[start..]`) came within the last 5 s; else it is remembered. */
  isCopy(head: ExtendedHeader, bytes: Uint8Array, start: number, nowUs: number): boolean {
    for (const [old, atUs] of this.#seen) {
      if (nowUs - atUs < SEEN_US && this.#seen.size < this.#max) break;
      this.#seen.delete(old);
    }
    const prio = head.facility * 8 + head.level;
    const key = `${head.seq} ${head.usec} ${prio}${head.flag}${bytes.length - start} ${bodyHash(bytes, start)}`;
    if (this.#seen.has(key)) return true;
    this.#seen.set(key, nowUs);
    return false;
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
