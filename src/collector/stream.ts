/**
 * The stream of one source: datagrams in, messages out. It does no I/O, never blocks and reads no clock; time is an
 * argument and `deadlineUs` says when to call next.
 *
 *                     header?            ncfrag?                 seen within 5 s?
 *   datagram --+-- extended --+--- yes: FragmentTable --whole--+-- no: ReorderBuffer --> message
 *              |              +--- no -------------------------+-- yes: counted as duplicate
 *              +-- no: BasicLines --> line --> message (basic, or unparsed)
 *
 * A source is an IP address; its ports only tell flows apart. Two targets of one sender (two ports, or with and without
 * release) give the same records twice: an exact copy of a record (sequence number, time, priority, text, dictionary;
 * release aside) within 5 s is dropped and counted. After 5 s it counts as news: a sender that booted again repeats its
 * first records to the byte, and a repeated line is a smaller loss than a missing one. Nothing else is ever dropped.
 */

import { parseBasicLine, parseExtendedBody, parseExtendedHeader } from '../wire/netconsole_parse.ts';
import type { ExtendedHeader } from '../wire/netconsole_record.ts';
import { BasicLines } from './basic_lines.ts';
import type { CollectorCounters } from './counters.ts';
import { FragmentTable, joinChunks, type Partial } from './fragments.ts';
import { extendedMessage, lineMessage, type Message } from './message.ts';
import { REORDER_WINDOW_US, ReorderBuffer } from './reorder.ts';
import { SeenRecords } from './seen.ts';

export interface StreamLimits {
  /** Records of a source that wait for fragments. */
  readonly fragmentRecords: number;
  /** Their bytes. */
  readonly fragmentBytes: number;
  /** Records of a source remembered to recognise copies. */
  readonly seenRecords: number;
  /** Longest wait for a record that was overtaken; 0 keeps the order of arrival. */
  readonly reorderUs: number;
}

export const defaultStreamLimits: StreamLimits = {
  fragmentRecords: 64,
  fragmentBytes: 262144,
  seenRecords: 8192,
  reorderUs: REORDER_WINDOW_US,
};

interface Record {
  readonly seq: bigint;
  readonly message: Message;
}

export class SourceStream {
  readonly host: string;
  /** When the source was last heard. */
  lastUs = 0;
  readonly #counters: CollectorCounters;
  readonly #deliver: (message: Message) => void;
  readonly #fragments: FragmentTable<ExtendedHeader>;
  readonly #seen: SeenRecords;
  readonly #order: ReorderBuffer<Record>;
  readonly #lines: BasicLines;

  /** `deliver` is called during `datagram`, `tick` and `flush`, once a message. */
  constructor(host: string, limits: StreamLimits, counters: CollectorCounters, deliver: (message: Message) => void) {
    this.host = host;
    this.#counters = counters;
    this.#deliver = deliver;
    this.#fragments = new FragmentTable({ records: limits.fragmentRecords, bytes: limits.fragmentBytes });
    this.#seen = new SeenRecords(limits.seenRecords);
    this.#order = new ReorderBuffer(limits.reorderUs, (record) => this.#deliver(record.message));
    this.#lines = new BasicLines((line, receivedUs) => this.#line(line, receivedUs));
  }

  /** When `tick` has something to do, or Infinity. */
  get deadlineUs(): number {
    return Math.min(this.#fragments.deadlineUs, this.#order.deadlineUs, this.#lines.deadlineUs);
  }

  /** Takes one UDP payload; `bytes` is read during the call only. */
  datagram(srcPort: number, dstPort: number, bytes: Uint8Array, nowUs: number): void {
    this.tick(nowUs);
    this.lastUs = nowUs;
    const head = parseExtendedHeader(bytes);
    if (head === null) {
      const empty = this.#lines.datagram(`${srcPort}>${dstPort}`, bytes, nowUs);
      if (empty > 0) this.#counters.count('empty_lines', empty);
    } else if (head.fragment === null) {
      this.#record(head, bytes, head.bodyStart, nowUs, nowUs);
    } else {
      this.#fragment(head, dstPort, bytes, nowUs);
    }
  }

  #fragment(head: ExtendedHeader, dstPort: number, bytes: Uint8Array, nowUs: number): void {
    const at = head.fragment!;
    this.#counters.count('fragments');
    const extras = head.extras.map((entry) => `${entry.key}=${entry.value}`).join(',');
    const { release, facility, level, seq, usec, flag } = head;
    const key = `${dstPort} ${release} ${facility} ${level} ${seq} ${usec} ${flag} ${extras} ${at.total}`;
    if (this.#fragments.isDone(key, nowUs)) {
      this.#counters.count('late_fragments');
      return;
    }
    const whole = this.#fragments.add(key, head, at, bytes, head.bodyStart, bytes.length, nowUs);
    if (whole !== null) this.#join(whole, nowUs);
    // Only a bound can have been exceeded here; what is too old went out at the beginning of this call.
    for (let old = this.#fragments.expire(nowUs); old !== null; old = this.#fragments.expire(nowUs)) {
      this.#counters.count('fragments_over_bound');
      this.#join(old, nowUs);
    }
  }

  #join(partial: Partial<ExtendedHeader>, nowUs: number): void {
    const { bytes, lost } = joinChunks(partial);
    if (lost > 0) {
      this.#counters.count('incomplete_records');
      this.#counters.count('lost_fragment_bytes', lost);
    }
    this.#record(partial.tag, bytes, 0, partial.firstUs, nowUs);
  }

  #record(head: ExtendedHeader, bytes: Uint8Array, start: number, receivedUs: number, nowUs: number): void {
    if (this.#seen.isCopy(head, bytes, start, nowUs)) {
      this.#counters.count('duplicates');
      return;
    }
    const body = parseExtendedBody(bytes, start, bytes.length);
    if (!body.terminated) this.#counters.count('unterminated_records');
    const message = extendedMessage(this.host, receivedUs, head, body);
    if (!this.#order.push({ seq: BigInt(head.seq), message }, nowUs)) this.#counters.count('out_of_order');
  }

  #line(line: string, receivedUs: number): void {
    this.#deliver(lineMessage(this.host, receivedUs, parseBasicLine(line)));
  }

  /** Gives out what has waited long enough. */
  tick(nowUs: number): void {
    while (nowUs >= this.#fragments.deadlineUs) {
      const old = this.#fragments.expire(nowUs);
      if (old === null) break;
      this.#join(old, nowUs);
    }
    if (nowUs >= this.#order.deadlineUs) this.#order.tick(nowUs);
    if (nowUs >= this.#lines.deadlineUs) this.#lines.tick(nowUs);
  }

  /** Gives out everything, whole or not: the capture ended, the collector closes, the source is forgotten. */
  flush(nowUs: number): void {
    for (const partial of this.#fragments.drain(nowUs)) this.#join(partial, nowUs);
    this.#order.flush();
    this.#lines.flush();
  }
}
