/**
 * Cuts basic datagrams into lines, and joins a line that was cut at 1,000 bytes.
 *
 * The basic format has no header: the kernel slices its text every 1,000 bytes, and all of it ends in a newline. So the
 * tail of a full datagram waits (300 ms at most) for the next datagram of the same pair of ports, unless that begins
 * with a time stamp: then the slice between was lost. The tail of a shorter datagram is a line of its own.
 */

import { startsBasicLine } from '../wire/netconsole_parse.ts';
import { DATAGRAM_MAX } from '../wire/netconsole_record.ts';
import { decodeText } from '../wire/netconsole_text.ts';

export const PARTIAL_LINE_US = 300_000;
/** A line is believed to have an end after this many bytes. */
const LINE_MAX = 65536;
/** Pairs of ports with an open line, a source. */
const PARTIALS_MAX = 16;
const NEWLINE = 0x0a;

interface OpenLine {
  readonly text: Uint8Array;
  readonly receivedUs: number;
  readonly deadlineUs: number;
}

/** Gets each line without its newline, never empty. */
export type LineSink = (line: string, receivedUs: number) => void;

export class BasicLines {
  readonly #sink: LineSink;
  readonly #open = new Map<string, OpenLine>();

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  get deadlineUs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const open of this.#open.values()) first = Math.min(first, open.deadlineUs);
    return first;
  }

  /** Takes one datagram of a flow (`key` names the pair of ports). Returns the number of empty lines, which say nothing. */
  datagram(key: string, bytes: Uint8Array, nowUs: number): number {
    const open = this.#open.get(key);
    this.#open.delete(key);
    if (open === undefined) return this.#split(key, bytes, nowUs, nowUs);
    if (startsBasicLine(bytes, 0, bytes.length) || open.text.length > LINE_MAX) {
      this.#emit(open.text, open.receivedUs);
      return this.#split(key, bytes, nowUs, nowUs);
    }
    const joined = new Uint8Array(open.text.length + bytes.length);
    joined.set(open.text, 0);
    joined.set(bytes, open.text.length);
    return this.#split(key, joined, open.receivedUs, nowUs, bytes.length >= DATAGRAM_MAX);
  }

  #split(
    key: string,
    bytes: Uint8Array,
    receivedUs: number,
    nowUs: number,
    full = bytes.length >= DATAGRAM_MAX,
  ): number {
    let empty = 0;
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      if (end > start) this.#emit(bytes.subarray(start, end), receivedUs);
      else empty++;
      start = end + 1;
    }
    if (start >= bytes.length) return empty;
    if (!full) {
      this.#emit(bytes.subarray(start), receivedUs);
      return empty;
    }
    if (this.#open.size >= PARTIALS_MAX) this.#closeFirst();
    this.#open.set(key, { text: bytes.slice(start), receivedUs, deadlineUs: nowUs + PARTIAL_LINE_US });
    return empty;
  }

  /** Closes lines whose rest did not come. */
  tick(nowUs: number): void {
    for (const [key, open] of this.#open) {
      if (nowUs < open.deadlineUs) continue;
      this.#open.delete(key);
      this.#emit(open.text, open.receivedUs);
    }
  }

  flush(): void {
    while (this.#open.size > 0) this.#closeFirst();
  }

  #closeFirst(): void {
    for (const [key, open] of this.#open) {
      this.#open.delete(key);
      this.#emit(open.text, open.receivedUs);
      return;
    }
  }

  #emit(line: Uint8Array, receivedUs: number): void {
    this.#sink(decodeText(line), receivedUs);
  }
}
