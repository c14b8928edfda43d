/**
 * `pcap:...`: a Port whose wire is a capture file, or two: frames are received out of one, and written to the other.
 *
 *     file --PcapSource--> when it is due (Pacing) --> slot --rxBurst-->
 *     file <--PcapSink---- txBurst <--
 *
 *   1. Without a pace there is no interrupt: unmasking says "work is waiting" until the file ends, and NAPI polls on. With one, a timer
 *      is the interrupt, and what is due is received.
 *   2. No free slot: the burst ends early and the frame waits. A file is patient, nothing is dropped for want of memory. A frame longer
 *      than a slot (a capture of a loopback, of offloads) goes into a large buffer, where the arena has room for such.
 *   3. The end: `eof` counts 1, and when the driver unmasks after its last poll, all frames are with the stack: then onEnd's listeners
 *      run, in a turn of their own. The link is down then, unless something can be written.
 *   4. Without a file to write, what is sent is taken and counted as errors.
 */
import { copyBytes } from '../../base/copy_bytes.ts';
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import type { FrameBatch, Port, PortCaps } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { CHECKSUM_NONE } from '../../skb/checksum_state.ts';
import type { CapturedPacket } from '../../wire/pcap.ts';
import { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { SUPER_SIZE, SuperBuffers } from '../tap/super_buffers.ts';
import { TxModeration } from '../tx_moderation.ts';
import { NodeWallClock, type WallClock } from '../wall_clock.ts';
import { Pacing } from './pacing.ts';
import { PcapSink } from './pcap_sink.ts';
import { PcapSource } from './pcap_source.ts';
import { type PcapSpec, parsePcapSpec, printPcapSpec } from './pcap_spec.ts';

const HEADROOM = 64;
/** Frames longer than a slot that may be out at once. */
const LONG_FRAMES = 32;
/** Sleeps are this much shorter than asked for where the rest is spun. */
const SPIN_MS = 2;
/** Longest delay that a Node timer takes. */
const TIMER_MAX_MS = 2 ** 31 - 1;

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_length_errors',
  'rx_cut_frames',
  'rx_errors',
  'eof',
  'tx_frames',
  'tx_bytes',
  'tx_cut_frames',
  'tx_dropped',
  'tx_errors',
] as const;

interface OpenState {
  readonly memory: Arena;
  readonly irq: (queue: number) => void;
  readonly source: PcapSource | null;
  readonly sink: PcapSink | null;
  readonly pacing: Pacing;
  readonly moderation: TxModeration;
  /** Null: not tried yet. False: there is no room for any. */
  long: SuperBuffers | false | null;
  armed: boolean;
  timer: NodeJS.Timeout | undefined;
}

export class PcapPort implements Port {
  readonly name: string;
  readonly caps: PortCaps;
  readonly #spec: PcapSpec;
  readonly #wall: WallClock;
  readonly #counters = new Counters(COUNTERS);
  readonly #done = new DoneTags();
  readonly #listeners: (() => void)[] = [];
  /** An interrupt line with nothing behind it. */
  readonly #line = { raise: () => void setImmediate(this.#raise) };
  #open: OpenState | undefined;
  #problem: string | null = null;
  #told = false;

  /** `rest` is what stands behind the scheme; `wall` stamps what is written. Throws SetupError `ERR_NETPOLL_SPEC`. */
  constructor(rest: string, wall: WallClock = new NodeWallClock()) {
    this.#spec = parsePcapSpec(`pcap:${rest}`, rest);
    this.#wall = wall;
    this.name = printPcapSpec(this.#spec);
    this.caps = {
      mtu: 65535,
      rxQueues: 1,
      txQueues: 1,
      burst: 64,
      headroom: HEADROOM,
      features: 0,
      hasIrq: this.#spec.pace.by !== 'max',
      mac: Uint8Array.of(0x02, 0x70, 0x63, 0x61, 0x70, 0x00),
    };
  }

  /** Frames come from a file. */
  get reads(): boolean {
    return this.#spec.file !== null;
  }

  /** What is sent goes to a file. */
  get writes(): boolean {
    return this.#spec.out !== null;
  }

  get counters(): Counters {
    this.#collect();
    return this.#counters;
  }

  /** Why reading stopped before the file's end, or writing before ours; null if neither did. */
  get problem(): string | null {
    return this.#problem ?? this.#open?.sink?.problem ?? null;
  }

  /** Calls `listener` once, when all frames of the file have gone up; soon, if that has been already. */
  onEnd(listener: () => void): void {
    if (this.#told) setImmediate(listener);
    else this.#listeners.push(listener);
  }

  /** Throws SetupError: ERR_NETPOLL_PCAP_OPEN, or the code of wire/pcap (PCAP_NOT_A_CAPTURE, PCAP_LINK_TYPE) behind ERR_NETPOLL_. */
  open(memory: Arena, irq: (queue: number) => void): void {
    const { file, out, pace } = this.#spec;
    const source = file === null ? null : new PcapSource(file, this.#spec, this.#grown);
    let sink: PcapSink | null;
    try {
      sink = out === null ? null : new PcapSink(out, this.#spec);
    } catch (error) {
      source?.close();
      throw error;
    }
    this.#problem = null;
    this.#told = false;
    const pacing = new Pacing(pace);
    const moderation = new TxModeration(this.#line, () => this.#done.count);
    this.#open = { memory, irq, source, sink, pacing, moderation, long: null, armed: false, timer: undefined };
    if (source === null) this.#told = true;
    else this.#follows(pacing, source);
  }

  /** Copies at most `limit` packets that are due; each comes with one reference, which is the caller's. */
  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open;
    const source = open?.source;
    if (open === undefined || source == null) return 0;
    const want = Math.min(limit, out.size);
    if (source.packet === null) this.#look(open.pacing, source);
    const nowNs = open.pacing.dueNs === 0 ? 0 : now();
    let n = 0;
    while (n < want && source.packet !== null && open.pacing.dueNs <= nowNs) {
      const { packet } = source;
      const long = packet.length > open.memory.slotSize - HEADROOM;
      const buf = long ? this.#longBuffer(open, packet.length) : open.memory.alloc();
      if (buf === NO_ROOM) break;
      if (buf === NEVER) this.#counters.count('rx_length_errors');
      else this.#describe(open.memory, out, n++, buf, packet, source.view, long ? SUPER_SIZE : open.memory.slotSize);
      source.advance();
      this.#follows(open.pacing, source);
    }
    return n;
  }

  /** They are in the file's buffer when this returns, or counted; txReap gives the tags. */
  txBurst(_queue: number, batch: FrameBatch, n: number): number {
    const open = this.#open;
    const taken = Math.min(n, this.#done.room);
    if (open === undefined) return 0;
    const { sink } = open;
    if (sink === null) {
      this.#counters.count('tx_errors', taken);
    } else if (taken > 0) {
      this.#wall.read();
      for (let i = 0; i < taken; i++) sink.put(open.memory.view, batch.offset[i]!, batch.len[i]!, this.#wall);
    }
    this.#done.put(batch, taken);
    if (taken > 0 && open.armed) open.moderation.sent();
    return taken;
  }

  txReap(_queue: number, done: FrameBatch): number {
    return this.#done.reap(done);
  }

  irqEnable(_queue: number, on: boolean): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    clearTimeout(open.timer);
    open.timer = undefined;
    open.armed = on;
    if (!on) return false;
    const { source } = open;
    if (source !== null && source.packet === null) this.#look(open.pacing, source);
    if (source?.packet == null) {
      if (source?.ended === true) this.#tell();
      return this.#done.count > 0;
    }
    return this.#done.count > 0 || this.#isDue(open);
  }

  /** True until the file ends; while something can be written. */
  link(): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    return open.sink === null ? open.source?.ended === false : open.sink.problem === null;
  }

  /** What was written is in the file when this returns. Frames that were handed up stay readable. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    clearTimeout(open.timer);
    open.moderation.close();
    open.source?.close();
    open.sink?.close();
    if (open.long !== null && open.long !== false) open.long.close();
    this.#problem ??= open.sink?.problem ?? null;
    this.#collect();
    this.#open = undefined;
  }

  readonly #raise = (): void => {
    const open = this.#open;
    if (open?.armed !== true) return;
    clearTimeout(open.timer);
    open.timer = undefined;
    open.armed = false;
    open.irq(0);
  };

  /** True: the next frame is due, or soon enough to be waited for. Else a timer will raise the interrupt. */
  #isDue(open: OpenState): boolean {
    if (open.pacing.dueNs === 0) return true;
    const waitMs = (open.pacing.dueNs - now()) / 1e6;
    const { spin } = this.#spec.pace;
    if (waitMs <= (spin ? SPIN_MS : 0)) return true;
    open.timer = setTimeout(this.#raise, Math.min(Math.ceil(spin ? waitMs - SPIN_MS : waitMs), TIMER_MAX_MS));
    return false;
  }

  /** Somebody has added to the file. */
  readonly #grown = (): void => {
    const open = this.#open;
    if (open?.armed !== true || open.source === null || open.source.packet !== null) return;
    this.#look(open.pacing, open.source);
    if (open.source.packet !== null && (open.pacing.dueNs === 0 || this.#isDue(open))) this.#raise();
  };

  /** Looks whether a file that is followed has grown. */
  #look(pacing: Pacing, source: PcapSource): void {
    if (source.ended) return;
    source.advance();
    this.#follows(pacing, source);
  }

  /** The source has gone on: when is its packet due, or was that the end? */
  #follows(pacing: Pacing, { packet, again, ended }: PcapSource): void {
    if (ended) {
      this.#end();
    } else if (packet !== null && this.#spec.pace.by !== 'max') {
      if (again) pacing.again(packet.tsUs, packet.tsNs);
      pacing.next(packet.tsUs, packet.tsNs, packet.length, now());
    }
  }

  /** A buffer for a frame longer than a slot; NO_ROOM now, or NEVER. */
  #longBuffer(open: OpenState, length: number): number {
    if (length > SUPER_SIZE - HEADROOM) return NEVER;
    if (open.long === null) open.long = longBuffers(open.memory);
    return open.long === false ? NEVER : open.long.alloc();
  }

  #describe(
    memory: Arena,
    out: FrameBatch,
    n: number,
    buf: number,
    packet: CapturedPacket,
    view: DataView,
    size: number,
  ): void {
    const start = memory.start(buf);
    const offset = start + HEADROOM;
    copyBytes(memory.bytes, memory.i32, offset, view, packet.start, packet.length);
    out.buf[n] = buf;
    out.offset[n] = offset;
    out.len[n] = packet.length;
    out.end[n] = start + size;
    out.tstampUs[n] = packet.tsUs;
    out.csum[n] = CHECKSUM_NONE;
    out.gsoSize[n] = 0;
    out.vlanTci[n] = -1;
    const { values } = this.#counters;
    values[RX_FRAMES]!++;
    values[RX_BYTES]! += packet.length;
    if (packet.wireLength > packet.length) values[RX_CUT]!++;
  }

  #end(): void {
    const source = this.#open!.source!;
    source.close();
    this.#problem = source.problem;
    if (source.problem !== null) this.#counters.count('rx_errors');
    this.#counters.count('eof');
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    for (const listener of this.#listeners) setImmediate(listener);
  }

  #collect(): void {
    const sink = this.#open?.sink;
    if (sink == null) return;
    const counters = this.#counters;
    counters.count('tx_frames', sink.frames);
    counters.count('tx_bytes', sink.bytes);
    counters.count('tx_cut_frames', sink.cut);
    counters.count('tx_dropped', sink.dropped);
    counters.count('tx_errors', sink.errors);
    sink.frames = sink.bytes = sink.cut = sink.dropped = sink.errors = 0;
  }
}

const RX_FRAMES = COUNTERS.indexOf('rx_frames');
const RX_BYTES = COUNTERS.indexOf('rx_bytes');
const RX_CUT = COUNTERS.indexOf('rx_cut_frames');
const NO_ROOM = -1;
const NEVER = -2;

function now(): number {
  return performance.now() * 1e6;
}

/** False: this memory has no room for them. */
function longBuffers(memory: Arena): SuperBuffers | false {
  if (!(memory instanceof HostArena)) return false;
  try {
    return new SuperBuffers(memory, LONG_FRAMES);
  } catch (error) {
    if (error instanceof SetupError) return false;
    throw error;
  }
}
