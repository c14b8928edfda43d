/**
 * A simulated network card as a Port: a receive ring, a transmit ring, an interrupt line, a plug.
 *
 *     wire --receive--> MAC filter --> a slot of the arena (DMA) --> rx ring, 256 --> rxBurst
 *     txBurst --> tx ring, 256 --[one after the other, at the wire's rate]--> wire;  then txReap
 *
 * The interrupt is level-triggered: while it is enabled and something is received or reaped, it is asserted.
 * Faults for tests: setLink(false) unplugs it (what is in the tx ring stays), `txStalled` keeps the transmitter from moving,
 * `irqStuck` keeps the interrupt from ever arriving.
 */
import { copyBytes } from '../base/copy_bytes.ts';
import { Counters } from '../base/counters.ts';
import { Ring } from '../base/ring.ts';
import type { FrameBatch, Port, PortCaps } from '../drivers/nic/port.ts';
import type { Arena } from '../skb/arena.ts';
import { isMulticastMac, macEquals } from '../wire/eth.ts';
import type { CpuModel } from './cpu_model.ts';
import type { Attachment, Wire } from './wire.ts';
import type { World } from './world.ts';

export const SIM_PORT_COUNTERS = [
  'rx_frames',
  'tx_frames',
  'rx_filtered',
  'rx_missed_errors',
  'rx_no_buffer',
  'tx_ring_full',
  'interrupts',
  'rx_no_link',
  'rx_flushed',
  'tx_flushed',
] as const;
const RX_FRAMES = 0;
const TX_FRAMES = 1;
const INTERRUPTS = 6;

export interface SimPortOptions {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly wire: Wire;
  readonly mtu?: number;
  /** Descriptors of each ring, a power of two; 256 if absent. */
  readonly ring?: number;
  /** Takes frames for every address. */
  readonly promiscuous?: boolean;
  /** What the driver's work with this card costs the machine that it is in. */
  readonly model?: CpuModel | null;
}

/** Bytes in front of a received frame. */
const HEADROOM = 64;

interface RxFrame {
  buf: number;
  len: number;
}

interface TxFrame {
  cookie: number;
  offset: number;
  len: number;
}

export class SimPort implements Port, Attachment {
  readonly name: string;
  readonly caps: PortCaps;
  readonly counters: Counters<(typeof SIM_PORT_COUNTERS)[number]> = new Counters(SIM_PORT_COUNTERS);
  txStalled = false;
  irqStuck = false;
  promiscuous: boolean;
  readonly #world: World;
  readonly #wire: Wire;
  readonly #model: CpuModel | null;
  readonly #rx: Ring<RxFrame>;
  readonly #rxSpare: RxFrame[] = [];
  readonly #tx: Ring<TxFrame>;
  readonly #txSpare: TxFrame[] = [];
  readonly #done: Ring<TxFrame>;
  #arena: Arena | null = null;
  #irq: (queue: number) => void = () => {};
  #irqOn = false;
  #sending = false;
  #open = false;
  /** Counts open and close, so that a transmission which began before does not end in the next life. */
  #life = 0;
  /** The event of this life that ends a transmission. */
  #sentEvent: () => void = () => {};
  #plugged = true;

  constructor(world: World, options: SimPortOptions) {
    const ring = options.ring ?? 256;
    this.name = options.name;
    this.#world = world;
    this.#wire = options.wire;
    this.#model = options.model ?? null;
    this.promiscuous = options.promiscuous ?? false;
    this.#rx = new Ring(ring);
    this.#tx = new Ring(ring);
    this.#done = new Ring(ring);
    this.caps = {
      mtu: options.mtu ?? 1500,
      rxQueues: 1,
      txQueues: 1,
      burst: 64,
      headroom: HEADROOM,
      features: 0,
      hasIrq: true,
      mac: options.mac,
    };
  }

  open(memory: Arena, irq: (queue: number) => void): void {
    this.#arena = memory;
    this.#irq = irq;
    this.#open = true;
    const life = ++this.#life;
    this.#sentEvent = () => {
      if (life === this.#life) this.#sent();
    };
    this.#wire.attach(this);
  }

  close(): void {
    this.#wire.detach(this);
    this.#open = false;
    this.#irqOn = false;
    this.counters.count('rx_flushed', this.#rx.length);
    this.counters.count('tx_flushed', this.#tx.length);
    for (let frame = this.#rx.shift(); frame !== undefined; frame = this.#rx.shift()) this.#arena?.release(frame.buf);
    for (let frame = this.#tx.shift(); frame !== undefined; frame = this.#tx.shift()) this.#done.push(frame);
    this.#sending = false;
  }

  /** Frames on the receive ring. */
  get held(): number {
    return this.#rx.length;
  }

  /** Keeps the interrupt from arriving, or lets it arrive again: what waits is told then. */
  setIrqStuck(stuck: boolean): void {
    this.irqStuck = stuck;
    if (!stuck && (this.#rx.length > 0 || this.#done.length > 0)) this.#interrupt();
  }

  link(): boolean {
    return this.#plugged;
  }

  /** Pulls the plug, or puts it back: what waits to be sent is sent then. */
  setLink(up: boolean): void {
    this.#plugged = up;
    if (up) this.#send();
  }

  /** Lets a stalled transmitter go on. */
  setTxStalled(stalled: boolean): void {
    this.txStalled = stalled;
    if (!stalled) this.#send();
  }

  /** The wire's end: a frame arrives. */
  receive(bytes: Uint8Array, len: number, view?: DataView): void {
    const arena = this.#arena;
    if (arena === null || !this.#open || !this.#plugged) {
      this.counters.count('rx_no_link');
      return;
    }
    if (!this.promiscuous && !isMulticastMac(bytes, 0) && !macEquals(bytes, 0, this.caps.mac)) {
      this.counters.count('rx_filtered');
      return;
    }
    if (this.#rx.length === this.#rx.capacity) {
      this.counters.count('rx_missed_errors');
      return;
    }
    const buf = len + HEADROOM > arena.slotSize ? -1 : arena.alloc();
    if (buf < 0) {
      this.counters.count('rx_no_buffer');
      return;
    }
    const at = arena.start(buf) + HEADROOM;
    if (view === undefined) for (let i = 0; i < len; i++) arena.bytes[at + i] = bytes[i]!;
    else copyBytes(arena.view, at, view, 0, len);
    const frame = this.#rxSpare.pop() ?? { buf: 0, len: 0 };
    frame.buf = buf;
    frame.len = len;
    this.#rx.push(frame);
    this.counters.values[RX_FRAMES]!++;
    this.#interrupt();
  }

  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    const arena = this.#arena!;
    let n = 0;
    while (n < limit && n < out.size) {
      const frame = this.#rx.shift();
      if (frame === undefined) break;
      const start = arena.start(frame.buf);
      out.buf[n] = frame.buf;
      out.offset[n] = start + HEADROOM;
      out.len[n] = frame.len;
      out.end[n] = start + arena.slotSize;
      out.tstampUs[n] = this.#world.epochUs + Math.floor(this.#world.nowNs / 1000);
      out.csum[n] = 0;
      out.vlanTci[n] = -1;
      this.#rxSpare.push(frame);
      n++;
    }
    if (this.#model !== null) this.#model.chargePoll(n);
    return n;
  }

  txBurst(_queue: number, batch: FrameBatch, n: number): number {
    if (this.#model !== null) this.#model.charge(n * this.#model.costs.transmitNs);
    let taken = 0;
    // A descriptor is free again when it was reaped, so the ring's room counts both.
    while (taken < n && this.#tx.length + this.#done.length < this.#tx.capacity) {
      const frame = this.#txSpare.pop() ?? { cookie: 0, offset: 0, len: 0 };
      frame.cookie = batch.cookie[taken]!;
      frame.offset = batch.offset[taken]!;
      frame.len = batch.len[taken]!;
      this.#tx.push(frame);
      taken++;
    }
    if (taken < n) this.counters.count('tx_ring_full');
    this.#send();
    return taken;
  }

  txReap(_queue: number, done: FrameBatch): number {
    let n = 0;
    while (n < done.size) {
      const frame = this.#done.shift();
      if (frame === undefined) break;
      done.cookie[n++] = frame.cookie;
      this.#txSpare.push(frame);
    }
    return n;
  }

  irqEnable(_queue: number, on: boolean): boolean {
    this.#irqOn = on;
    return on && (this.#rx.length > 0 || this.#done.length > 0);
  }

  /** Starts the transmitter if it is idle, has something to send, and can. */
  #send(): void {
    const frame = this.#tx.peek();
    if (this.#sending || frame === undefined || this.txStalled || !this.#plugged) return;
    this.#sending = true;
    this.#world.after(this.#wire.serialisationNs(frame.len), this.#sentEvent);
  }

  /** The frame at the head of the ring has left: one is on its way out at a time, and close() ends that. */
  #sent(): void {
    if (!this.#sending) return;
    this.#sending = false;
    if (!this.#plugged || this.txStalled) return;
    const frame = this.#tx.shift()!;
    this.counters.values[TX_FRAMES]!++;
    const { bytes, view } = this.#arena!;
    this.#wire.transmit(this, bytes, frame.offset, frame.len, view);
    this.#done.push(frame);
    this.#interrupt();
    this.#send();
  }

  #interrupt(): void {
    if (!this.#irqOn || this.irqStuck) return;
    this.counters.values[INTERRUPTS]!++;
    this.#irq(0);
  }
}
