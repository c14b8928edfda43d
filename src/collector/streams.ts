/**
 * All sources: finds or makes the stream of a datagram's source, and knows which is due next.
 *
 * Bounds: at most `sources` streams (the one silent for longest is flushed and forgotten when a new one needs its place:
 * forged source addresses cannot fill the memory), and datagrams up to 64 KiB. Everything is counted.
 */

import type { CollectorCounters } from './counters.ts';
import type { Message } from './message.ts';
import { defaultStreamLimits, SourceStream, type StreamLimits } from './stream.ts';

export interface StreamsLimits extends StreamLimits {
  /** Source addresses remembered. */
  readonly sources: number;
}

export const defaultStreamsLimits: StreamsLimits = { ...defaultStreamLimits, sources: 1024 };

const DATAGRAM_BYTES_MAX = 65535;
/** A clock that falls back further than this was set: what waits goes out, or it would wait for the old time. */
const CLOCK_BACK_US = 1_000_000;

export class Streams {
  readonly #limits: StreamsLimits;
  readonly #counters: CollectorCounters;
  readonly #deliver: (message: Message) => void;
  readonly #sources = new Map<string, SourceStream>();
  /** No stream is due before this; kept low, and made exact when it is reached. */
  #nextUs = Number.POSITIVE_INFINITY;
  #clockUs = Number.NEGATIVE_INFINITY;

  constructor(limits: StreamsLimits, counters: CollectorCounters, deliver: (message: Message) => void) {
    this.#limits = limits;
    this.#counters = counters;
    this.#deliver = (message) => {
      counters.count('messages');
      counters.count(message.format);
      deliver(message);
    };
  }

  /** Takes one UDP payload. `bytes` is read during the call only; nothing throws, whatever they are. */
  datagram(host: string, srcPort: number, dstPort: number, bytes: Uint8Array, nowUs: number): void {
    this.#counters.count('datagrams');
    this.#counters.count('bytes', bytes.length);
    if (bytes.length === 0 || bytes.length > DATAGRAM_BYTES_MAX) {
      this.#counters.count(bytes.length === 0 ? 'empty_datagrams' : 'oversized_datagrams');
      return;
    }
    this.tick(nowUs);
    const stream = this.#sources.get(host) ?? this.#add(host, nowUs);
    stream.datagram(srcPort, dstPort, bytes, nowUs);
    this.#nextUs = Math.min(this.#nextUs, stream.deadlineUs);
  }

  #add(host: string, nowUs: number): SourceStream {
    if (this.#sources.size >= this.#limits.sources) this.#forgetOne(nowUs);
    const stream = new SourceStream(host, this.#limits, this.#counters, this.#deliver);
    this.#sources.set(host, stream);
    this.#counters.set('sources', this.#sources.size);
    return stream;
  }

  #forgetOne(nowUs: number): void {
    let silent: SourceStream | undefined;
    for (const stream of this.#sources.values()) {
      if (silent === undefined || stream.lastUs < silent.lastUs) silent = stream;
    }
    if (silent === undefined) return;
    silent.flush(nowUs);
    this.#sources.delete(silent.host);
    this.#counters.count('sources_forgotten');
  }

  /** When `tick` should be called next (microseconds of the datagrams' clock), or null when nothing waits. */
  nextTimeoutUs(): number | null {
    return this.#nextUs === Number.POSITIVE_INFINITY ? null : this.#nextUs;
  }

  /** Gives out what has waited long enough. Bound: the number of sources. */
  tick(nowUs: number): void {
    if (nowUs < this.#clockUs - CLOCK_BACK_US) {
      this.#counters.count('clock_set_back');
      this.flush(nowUs);
    }
    this.#clockUs = nowUs;
    if (nowUs < this.#nextUs) return;
    let next = Number.POSITIVE_INFINITY;
    for (const stream of this.#sources.values()) {
      if (nowUs >= stream.deadlineUs) stream.tick(nowUs);
      next = Math.min(next, stream.deadlineUs);
    }
    this.#nextUs = next;
  }

  /** Gives out everything that waits: at the end of a capture, and before closing. */
  flush(nowUs: number): void {
    for (const stream of this.#sources.values()) stream.flush(nowUs);
    this.#nextUs = Number.POSITIVE_INFINITY;
  }
}
