/**
 * A thread that is no CPU: it parses its part of the datagrams from its own memory, without port, machine or other threads. What two of
 * them bring against one is what this machine gives to two threads of V8 with the collector's work, whoever brings the frames.
 */
import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { newCollectorCounters } from '../../src/collector/counters.ts';
import { defaultStreamsLimits, Streams } from '../../src/collector/streams.ts';
import { printIpv4 } from '../../src/wire/address.ts';
import { netconsoleRecord, senderOf } from './frame.ts';
import { clockNs, DONE, ENDS, FRAMES, GATE, PORT, SOURCES } from './order.ts';

/** Room for a record. */
const STRIDE = 192;

export interface PlainData {
  readonly words: Int32Array;
  readonly ends: Float64Array;
  /** Its number among all threads of the bench. */
  readonly me: number;
}

/** Part `part` of `parts`: every machine's datagrams go to one thread. */
export interface Part {
  readonly part: number;
  readonly parts: number;
  /** Of the first datagram. */
  readonly serial: number;
}

const { words, ends, me } = workerData as PlainData;
const records = new Uint8Array(FRAMES * STRIDE);
const lengths = new Int32Array(FRAMES);
const sources = new Int32Array(FRAMES);
const names = Array.from({ length: SOURCES }, (_, source) => printIpv4(senderOf(source).address));

parentPort!.on('message', ({ part, parts, serial }: Part) => {
  let n = 0;
  for (let i = 0; i < FRAMES; i++) {
    const source = (serial + i) % SOURCES;
    if (source % parts !== part) continue;
    const record = netconsoleRecord(Math.floor((serial + i) / SOURCES));
    records.set(record, n * STRIDE);
    lengths[n] = record.length;
    sources[n++] = source;
  }
  parentPort!.postMessage(readlinkSync('/proc/thread-self'));
  setImmediate(() => {
    Atomics.wait(words, GATE, 0);
    parse(n);
  });
});

function parse(n: number): void {
  const streams = new Streams(defaultStreamsLimits, newCollectorCounters(), () => {});
  const nowUs = Date.now() * 1000;
  for (let i = 0; i < n; i++) {
    const payload = records.subarray(i * STRIDE, i * STRIDE + lengths[i]!);
    streams.datagram(names[sources[i]!]!, 20_000 + sources[i]!, PORT, payload, nowUs + i);
    words[DONE + me * 16]!++;
  }
  ends[me * ENDS] = clockNs();
}
