// hot
/**
 * The writing half of a pcap port: frames into a buffer, the buffer into a file.
 *
 *     frame --> | header 16, bytes | header 16, bytes | ...      |  --512 KiB, 100 ms, close, the process's end--> file or stdout
 *
 *   1. A file takes everything at once. A pipe may be full: what is in the buffer waits, and what finds no room in it is counted.
 *   2. An error (no space left, reader gone) ends the writing: `problem` says why, frames are counted from then on.
 *   3. A process that ends by itself, by an exception, or by SIGINT, SIGTERM or SIGHUP leaves a whole file; SIGKILL costs the last 100 ms.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { SetupError } from '../../base/status.ts';
import { PCAP_RECORD_LEN } from '../../wire/pcap_format.ts';
import { writePcapHeader, writePcapRecord } from '../../wire/pcap_writer.ts';
import type { WallClock } from '../wall_clock.ts';
import type { PcapSpec } from './pcap_spec.ts';

const FLUSH_BYTES = 512 << 10;
const BUFFER_BYTES = 1 << 20;
const FLUSH_MS = 100;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class PcapSink {
  frames = 0;
  bytes = 0;
  /** Frames of which only the first `snaplen` bytes were written. */
  cut = 0;
  /** Frames for which there was no room. */
  dropped = 0;
  /** Frames that came after an error. */
  errors = 0;
  /** Why nothing is written any more; null. */
  problem: string | null = null;
  readonly #fd: number;
  readonly #isStdout: boolean;
  readonly #snapLen: number;
  readonly #nanoseconds: boolean;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #end = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.flush();
  };
  readonly #onExit = (): void => this.flush();
  readonly #onSignal: (signal: NodeJS.Signals) => void;

  /** Makes the file, and writes its header with the first frames. Throws SetupError `ERR_NETPOLL_PCAP_OPEN`. */
  constructor(file: string, { snapLen, nanoseconds }: PcapSpec) {
    this.#isStdout = file === '-';
    try {
      this.#fd = this.#isStdout ? 1 : openSync(file, 'w');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `cannot write the capture: ${why}`, { cause });
    }
    this.#snapLen = snapLen;
    this.#nanoseconds = nanoseconds;
    this.#end = writePcapHeader(this.#view, 0, { snapLen, nanoseconds });
    this.#onSignal = diesAfter(this.#onExit);
    process.on('exit', this.#onExit);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    this.flush();
  }

  /** Adds `len` bytes at `at` of `from`, sent when `wall` was read, whose fraction of a microsecond tells nanoseconds. */
  put(from: DataView, at: number, len: number, wall: WallClock): void {
    const kept = Math.min(len, this.#snapLen);
    if (this.problem !== null) {
      this.errors++;
      return;
    }
    if (this.#end + PCAP_RECORD_LEN + kept > BUFFER_BYTES) this.flush();
    if (this.#end + PCAP_RECORD_LEN + kept > BUFFER_BYTES) {
      this.dropped++;
      return;
    }
    const whole = Math.floor(wall.us);
    const partNs = this.#nanoseconds ? Math.floor((wall.us - whole) * 1e3) : -1;
    const to = writePcapRecord(this.#view, this.#end, whole, kept, len, partNs);
    copy(this.#view, to, from, at, kept);
    this.#end = to + kept;
    this.frames++;
    this.bytes += kept;
    if (kept < len) this.cut++;
    if (this.#end >= FLUSH_BYTES) this.flush();
    else if (this.#timer === undefined) this.#timer = setTimeout(this.#onTimer, FLUSH_MS).unref();
  }

  /** Writes what is in the buffer, or as much of it as a pipe takes. */
  flush(): void {
    let from = 0;
    try {
      while (from < this.#end) from += writeSync(this.#fd, this.#buffer, from, this.#end - from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.problem = String((error as Error).message);
    }
    this.#buffer.copyWithin(0, from, this.#end);
    this.#end = this.problem === null ? this.#end - from : 0;
    if (this.#end > 0 && this.#timer === undefined) this.#timer = setTimeout(this.#onTimer, FLUSH_MS).unref();
  }

  close(): void {
    process.off('exit', this.#onExit);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.flush();
    if (!this.#isStdout) closeSync(this.#fd);
  }
}

/** From any place to any place, four bytes at a time. */
function copy(to: DataView, toAt: number, from: DataView, fromAt: number, len: number): void {
  let i = 0;
  for (const four = len - 3; i < four; i += 4) to.setInt32(toAt + i, from.getInt32(fromAt + i, true), true);
  for (; i < len; i++) to.setUint8(toAt + i, from.getUint8(fromAt + i));
}

/** Set-up. A handler that flushes, and where nobody else cares for the signal, has it do what it does by default. */
function diesAfter(flush: () => void): (signal: NodeJS.Signals) => void {
  return function flushCapture(signal) {
    flush();
    if (!process.listeners(signal).every(isOurs)) return;
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
}

function isOurs(listener: { readonly name: string }): boolean {
  return listener.name === 'flushCapture';
}
