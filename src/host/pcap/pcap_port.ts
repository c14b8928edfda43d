/**
 * `pcap:FILE`: a Port whose wire is a capture file. Frames come with the times at which they were captured, as fast as
 * they are polled; nothing can be sent.
 *
 *     file --read 1 MiB at a time--> CaptureReader --copied into an arena slot--> rxBurst
 *
 *   1. There is no interrupt: unmasking says "work is waiting" until the file ends, and NAPI polls on.
 *   2. No free slot: the burst ends early and the frame waits. A file is patient, nothing is dropped for want of memory.
 *   3. The end: link() becomes false, `eof` counts 1, and when the driver unmasks after its last poll, all frames are
 *      with the stack: then onEnd's listeners run, in a turn of their own.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import type { FrameBatch, Port, PortCaps } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { CHECKSUM_NONE } from '../../skb/checksum_state.ts';
import { type CapturedPacket, CaptureReader } from '../../wire/pcap.ts';
import { DoneTags } from '../done_tags.ts';

const CHUNK = 1 << 20;
const HEADROOM = 64;
const RX_FRAMES = 0;
const RX_BYTES = 1;

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_length_errors',
  'rx_cut_frames',
  'rx_errors',
  'eof',
  'tx_errors',
] as const;

interface OpenState {
  readonly fd: number;
  readonly memory: Arena;
  readonly reader: CaptureReader;
  /** A frame that found no slot. */
  waiting: CapturedPacket | null;
  ended: boolean;
}

export class PcapPort implements Port {
  readonly name: string;
  readonly caps: PortCaps;
  readonly counters = new Counters(COUNTERS);
  readonly #file: string;
  readonly #done = new DoneTags();
  readonly #listeners: (() => void)[] = [];
  #open: OpenState | undefined;
  #problem: string | null = null;
  #told = false;

  constructor(file: string) {
    this.name = `pcap:${file}`;
    this.#file = file;
    this.caps = {
      mtu: 65535,
      rxQueues: 1,
      txQueues: 1,
      burst: 64,
      headroom: HEADROOM,
      features: 0,
      hasIrq: false,
      mac: Uint8Array.of(0x02, 0x70, 0x63, 0x61, 0x70, 0x00),
    };
  }

  /** Why reading stopped before the file's end, null if it did not. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Calls `listener` once, when all frames of the file have gone up; soon, if that has been already. */
  onEnd(listener: () => void): void {
    if (this.#told) setImmediate(listener);
    else this.#listeners.push(listener);
  }

  /** Throws SetupError: ERR_NETPOLL_PCAP_OPEN, or the code of wire/pcap (PCAP_NOT_A_CAPTURE, PCAP_LINK_TYPE) behind ERR_NETPOLL_. */
  open(memory: Arena, _irq: (queue: number) => void): void {
    let fd: number;
    try {
      fd = openSync(this.#file, 'r');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `cannot read the capture: ${why}`, { cause });
    }
    this.#problem = null;
    const open: OpenState = { fd, memory, reader: new CaptureReader(), waiting: null, ended: false };
    try {
      open.waiting = this.#read(open);
    } catch (cause) {
      closeSync(fd);
      const code = (cause as { code?: string }).code ?? 'PCAP_OPEN';
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError(`ERR_NETPOLL_${code}`, `${this.#file}: ${why}`, { cause });
    }
    if (open.waiting === null && this.#problem !== null) {
      closeSync(fd);
      throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `${this.#file}: ${this.#problem}`);
    }
    this.#told = false;
    this.#open = open;
    if (open.waiting === null) this.#end(open);
  }

  /** Copies at most `limit` packets into slots; each comes with one reference, which is the caller's. */
  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open;
    let n = 0;
    while (open !== undefined && !open.ended && n < Math.min(limit, out.size)) {
      if (open.waiting === null && !this.#advance(open)) break;
      const packet = open.waiting!;
      const room = open.memory.slotSize - HEADROOM;
      if (packet.length > room) {
        this.counters.count('rx_length_errors');
      } else {
        const buf = open.memory.alloc();
        if (buf < 0) break;
        this.#describe(open.memory, out, n, buf, packet);
        n++;
      }
      open.waiting = null;
    }
    return n;
  }

  /** Nothing leaves: frames are taken and counted as errors. */
  txBurst(_queue: number, batch: FrameBatch, n: number): number {
    const taken = Math.min(n, this.#done.room);
    this.#done.put(batch, taken);
    this.counters.count('tx_errors', taken);
    return taken;
  }

  txReap(_queue: number, done: FrameBatch): number {
    return this.#done.reap(done);
  }

  irqEnable(_queue: number, on: boolean): boolean {
    const open = this.#open;
    if (!on || open === undefined) return false;
    if (open.waiting !== null || !open.ended) return true;
    this.#tell();
    return this.#done.count > 0;
  }

  /** True until the file ends. */
  link(): boolean {
    return this.#open !== undefined && !this.#open.ended;
  }

  close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined && !open.ended) closeSync(open.fd);
  }

  #describe(memory: Arena, out: FrameBatch, n: number, buf: number, packet: CapturedPacket): void {
    const start = memory.start(buf);
    const offset = start + HEADROOM;
    memory.bytes.set(packet.bytes.subarray(packet.start, packet.start + packet.length), offset);
    out.buf[n] = buf;
    out.offset[n] = offset;
    out.len[n] = packet.length;
    out.end[n] = start + memory.slotSize;
    out.tstampUs[n] = packet.tsUs;
    out.csum[n] = CHECKSUM_NONE;
    out.vlanTci[n] = -1;
    if (packet.wireLength > packet.length) this.counters.count('rx_cut_frames');
    this.counters.values[RX_FRAMES]!++;
    this.counters.values[RX_BYTES]! += packet.length;
  }

  /** Reads the next packet into `waiting`. False: the file has ended, or is broken from here on (counted, see `problem`). */
  #advance(open: OpenState): boolean {
    try {
      open.waiting = this.#read(open);
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.counters.count('rx_errors');
    }
    if (open.waiting === null) this.#end(open);
    return open.waiting !== null;
  }

  #read(open: OpenState): CapturedPacket | null {
    for (;;) {
      const packet = open.reader.next();
      if (packet !== null) return packet;
      const chunk = new Uint8Array(CHUNK);
      const got = readSync(open.fd, chunk);
      if (got > 0) {
        open.reader.push(chunk.subarray(0, got));
        continue;
      }
      this.#problem = open.reader.finish();
      if (this.#problem !== null) this.counters.count('rx_errors');
      return null;
    }
  }

  #end(open: OpenState): void {
    if (open.ended) return;
    open.ended = true;
    closeSync(open.fd);
    this.counters.count('eof');
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    for (const listener of this.#listeners) setImmediate(listener);
  }
}
