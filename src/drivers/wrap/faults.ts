/**
 * Makes a Port bad in a way that can be had again: loses, damages, doubles and delays frames in both directions, by a seed.
 *
 *     rx: inner --> [too long?] [lost?] [damaged?] [held back?] [doubled?] --> driver
 *     tx: driver --> the same --> inner                 its tag comes back at once if nothing of it is on its way
 *
 * A frame that is held back comes after 1 to `depth` later ones, or when nothing else comes: frames change their order, and
 * none stays for ever. Each draw that did something is counted, and written down (the last 256) as `lines()`.
 * The frame of a sender is never written to: he may hold clones. What is damaged, doubled or held back is a copy of ours.
 */
import { Counters } from '../../base/counters.ts';
import { Prng } from '../../base/prng.ts';
import type { Arena } from '../../skb/arena.ts';
import { FrameBatch, type Port, type PortCaps } from '../nic/port.ts';
import { capsInOnePiece, PortWrapper } from './wrapper.ts';

export interface FaultOptions {
  readonly seed: number;
  /** Chances, each from 0 to 1. */
  readonly loss?: number;
  readonly corruption?: number;
  readonly duplication?: number;
  readonly delay?: number;
  /** A frame that is held back waits for at most so many others; 8 if absent. */
  readonly depth?: number;
  /** Frames longer than this are lost. */
  readonly lenMax?: number;
}

export const FAULT_COUNTERS = [
  'passed',
  'lost',
  'corrupted',
  'duplicated',
  'delayed',
  'too_long',
  'no_memory',
] as const;
type Fault = (typeof FAULT_COUNTERS)[number];

/** Frames held back, and tags that wait, in each direction. */
const HELD_MAX = 64;
const LINES_MAX = 256;
const BURST = 64;

/** A frame of ours, or one that the driver will get: what a batch says about it. */
interface Held {
  buf: number;
  offset: number;
  len: number;
  end: number;
  tstampUs: number;
  csum: number;
  csumStart: number;
  csumOffset: number;
  gsoSize: number;
  gsoType: number;
  vlanTci: number;
  /** Later frames that may still pass it. */
  left: number;
}

export class FaultPort extends PortWrapper {
  readonly options: Required<FaultOptions>;
  readonly faults: Counters<Fault> = new Counters(FAULT_COUNTERS);
  readonly #caps: PortCaps;
  readonly #prng: Prng;
  readonly #lines: string[] = [];
  readonly #in = new FrameBatch(BURST);
  readonly #one = new FrameBatch(1);
  readonly #ready: Held[] = [];
  readonly #heldRx: Held[] = [];
  readonly #heldTx: Held[] = [];
  /** Tags of frames that are not on their way any more. */
  readonly #tags: number[] = [];
  #frames = 0;
  #irq: (queue: number) => void = () => {};
  /** Queues that may interrupt, a bit each. */
  #unmasked = 0;

  constructor(inner: Port, options: FaultOptions) {
    super(inner);
    this.#caps = capsInOnePiece(inner.caps);
    const none = { loss: 0, corruption: 0, duplication: 0, delay: 0, depth: 8, lenMax: Number.POSITIVE_INFINITY };
    this.options = { ...none, ...options };
    this.#prng = new Prng(options.seed);
  }

  override get caps(): PortCaps {
    return this.#caps;
  }

  /** What was drawn, the oldest first, after the options and the seed. */
  lines(): string[] {
    return [`faults ${JSON.stringify(this.options)}`, ...this.#lines];
  }

  override open(memory: Arena, irq: (queue: number) => void, linkChanged?: () => void): void {
    this.#irq = irq;
    this.#unmasked = 0;
    this.#tags.length = 0;
    super.open(memory, irq, linkChanged);
  }

  override rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const want = Math.min(limit, BURST, out.size);
    let n = this.#deliver(out, 0, want);
    while (n < want) {
      const got = this.inner.rxBurst(queue, this.#in, Math.min(want - n, HELD_MAX - this.#heldRx.length || 1));
      for (let i = 0; i < got; i++) this.#received(i);
      // Nothing comes any more: what was held back need not wait for it.
      if (got === 0) this.#age(this.#heldRx, this.#ready, true);
      const before = n;
      n = this.#deliver(out, n, want);
      if (got === 0 && n === before) break;
    }
    return n;
  }

  #received(i: number): void {
    const batch = this.#in;
    const arena = this.arena!;
    const frame = heldOf(batch, i);
    const fate = this.#draw('rx', frame.len);
    if (fate.gone) {
      arena.release(frame.buf);
    } else {
      // Received frames are ours alone until the driver has them.
      if (fate.corrupted) this.#damage(frame);
      const again = fate.duplicated ? this.#copy(frame) : null;
      const holds = fate.delayed && this.#heldRx.length < HELD_MAX;
      if (holds) this.#heldRx.push({ ...frame, left: 1 + this.#prng.below(this.options.depth) });
      else this.#ready.push(frame);
      if (again !== null) this.#ready.push(again);
    }
    this.#age(this.#heldRx, this.#ready, false);
  }

  #deliver(out: FrameBatch, from: number, want: number): number {
    let n = from;
    for (; n < want && this.#ready.length > 0; n++) {
      const frame = this.#ready.shift()!;
      fill(out, n, frame, 0);
      out.tstampUs[n] = frame.tstampUs;
    }
    return n;
  }

  override txBurst(queue: number, batch: FrameBatch, n: number): number {
    let taken = 0;
    for (; taken < n && this.#tags.length < HELD_MAX; taken++) if (!this.#send(queue, batch, taken)) break;
    // The port inside knows nothing of a frame that is lost or held back, and would never say that its tag can be had.
    const waiting = this.#tags.length > 0 || this.#heldTx.length > 0;
    if (waiting && (this.#unmasked & (1 << queue)) !== 0) this.#irq(queue);
    return taken;
  }

  /** False: the port is full, nothing was drawn for good. */
  #send(queue: number, batch: FrameBatch, i: number): boolean {
    const frame = heldOf(batch, i);
    const tag = batch.cookie[i]!;
    const whole = this.options.loss === 0 && this.options.corruption === 0 && this.options.delay === 0;
    if (whole && this.options.duplication === 0 && frame.len <= this.options.lenMax) {
      if (!this.#put(queue, frame, tag)) return false;
      this.faults.count('passed');
      this.#frames++;
      return true;
    }
    // With faults on, the frame is tried first as a copy that may be bent: a tag of ours is below zero.
    const copy = this.#copy(frame);
    if (copy === null) return this.#put(queue, frame, tag);
    const fate = this.#draw('tx', frame.len);
    let sent = true;
    if (fate.gone) {
      this.arena!.release(copy.buf);
    } else {
      if (fate.corrupted) this.#damage(copy);
      const again = fate.duplicated ? this.#copy(copy) : null;
      if (fate.delayed && this.#heldTx.length < HELD_MAX) {
        this.#heldTx.push({ ...copy, left: 1 + this.#prng.below(this.options.depth) });
      } else {
        sent = this.#sendCopy(queue, copy);
      }
      if (again !== null) this.#sendCopy(queue, again);
    }
    if (!sent) return false;
    this.#tags.push(tag);
    this.#flushTx(queue, false);
    return true;
  }

  /** False: there was no room, and the copy is gone. */
  #sendCopy(queue: number, copy: Held): boolean {
    if (this.#put(queue, copy, -1 - copy.buf)) return true;
    this.arena!.release(copy.buf);
    return false;
  }

  #put(queue: number, frame: Held, tag: number): boolean {
    fill(this.#one, 0, frame, tag);
    return this.inner.txBurst(queue, this.#one, 1) === 1;
  }

  #flushTx(queue: number, all: boolean): void {
    const out: Held[] = [];
    this.#age(this.#heldTx, out, all);
    for (const frame of out) this.#sendCopy(queue, frame);
  }

  override txReap(queue: number, done: FrameBatch): number {
    this.#flushTx(queue, true);
    let n = 0;
    while (n < done.size && this.#tags.length > 0) done.cookie[n++] = this.#tags.shift()!;
    if (n > 0) return n;
    for (let got = this.inner.txReap(queue, done); got > 0; got = this.inner.txReap(queue, done)) {
      for (let i = 0; i < got; i++) {
        const tag = done.cookie[i]!;
        if (tag < 0) this.arena!.release(-1 - tag);
        else done.cookie[n++] = tag;
      }
      if (n > 0) return n;
    }
    return 0;
  }

  override irqEnable(queue: number, on: boolean): boolean {
    this.#unmasked = on ? this.#unmasked | (1 << queue) : this.#unmasked & ~(1 << queue);
    const waiting = this.inner.irqEnable(queue, on);
    const ours = this.#ready.length > 0 || this.#heldRx.length > 0 || this.#tags.length > 0 || this.#heldTx.length > 0;
    return waiting || (on && ours);
  }

  override close(): void {
    this.#unmasked = 0;
    this.inner.close();
    for (const list of [this.#ready, this.#heldRx, this.#heldTx]) {
      for (const frame of list) this.arena?.release(frame.buf);
      list.length = 0;
    }
    // Copies of ours that were in flight are told finished by the port inside: they go now, the driver's tags wait for him.
    const done = this.#in;
    for (let n = this.inner.txReap(0, done); n > 0; n = this.inner.txReap(0, done)) {
      for (let i = 0; i < n; i++) {
        const tag = done.cookie[i]!;
        if (tag < 0) this.arena?.release(-1 - tag);
        else this.#tags.push(tag);
      }
    }
  }

  /** What happens to the next frame. */
  #draw(way: string, len: number): { gone: boolean; corrupted: boolean; duplicated: boolean; delayed: boolean } {
    const { loss, corruption, duplication, delay, lenMax } = this.options;
    const number = this.#frames++;
    const tooLong = len > lenMax;
    const lost = this.#prng.chance(loss);
    const fate = {
      gone: tooLong || lost,
      corrupted: this.#prng.chance(corruption),
      duplicated: this.#prng.chance(duplication),
      delayed: this.#prng.chance(delay),
    };
    const happened: Fault[] = [];
    if (fate.gone) {
      happened.push(tooLong ? 'too_long' : 'lost');
    } else {
      if (fate.corrupted) happened.push('corrupted');
      if (fate.duplicated) happened.push('duplicated');
      if (fate.delayed) happened.push('delayed');
      this.faults.count('passed');
    }
    for (const each of happened) this.faults.count(each);
    if (happened.length > 0) this.#lines.push(`${number} ${way} ${len} ${happened.join(' ')}`);
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
    return fate;
  }

  /** One bit of the frame turns. */
  #damage(frame: Held): void {
    const at = frame.offset + this.#prng.below(frame.len);
    const { bytes } = this.arena!;
    bytes[at] = bytes[at]! ^ (1 << this.#prng.below(8));
  }

  /** In a slot of our own; null: no memory, counted. */
  #copy(frame: Held): Held | null {
    const arena = this.arena!;
    const headroom = Math.min(this.inner.caps.headroom, 128);
    const buf = frame.len + headroom > arena.slotSize ? -1 : arena.alloc();
    if (buf < 0) {
      this.faults.count('no_memory');
      return null;
    }
    const start = arena.start(buf);
    arena.bytes.copyWithin(start + headroom, frame.offset, frame.offset + frame.len);
    return { ...frame, buf, offset: start + headroom, end: start + arena.slotSize };
  }

  /** A frame has passed those that are held back; who has waited enough (or `all`) moves to `out`. */
  #age(held: Held[], out: Held[], all: boolean): void {
    for (let i = 0; i < held.length; ) {
      const frame = held[i]!;
      if (!all && frame.left-- > 0) {
        i++;
        continue;
      }
      held.splice(i, 1);
      out.push(frame);
    }
  }
}

function heldOf(batch: FrameBatch, i: number): Held {
  return {
    buf: batch.buf[i]!,
    offset: batch.offset[i]!,
    len: batch.len[i]!,
    end: batch.end[i]!,
    tstampUs: batch.tstampUs[i]!,
    csum: batch.csum[i]!,
    csumStart: batch.csumStart[i]!,
    csumOffset: batch.csumOffset[i]!,
    gsoSize: batch.gsoSize[i]!,
    gsoType: batch.gsoType[i]!,
    vlanTci: batch.vlanTci[i]!,
    left: 0,
  };
}

function fill(batch: FrameBatch, i: number, frame: Held, tag: number): void {
  batch.buf[i] = frame.buf;
  batch.offset[i] = frame.offset;
  batch.len[i] = frame.len;
  batch.end[i] = frame.end;
  batch.cookie[i] = tag;
  batch.csum[i] = frame.csum;
  batch.csumStart[i] = frame.csumStart;
  batch.csumOffset[i] = frame.csumOffset;
  batch.gsoSize[i] = frame.gsoSize;
  batch.gsoType[i] = frame.gsoType;
  batch.vlanTci[i] = frame.vlanTci;
}
