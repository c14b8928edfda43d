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
import { assert } from '../base/assert.ts';
import { copyBytes } from '../base/copy_bytes.ts';
import { Counters } from '../base/counters.ts';
import { Errno } from '../base/status.ts';
import { COALESCE_DEFAULTS, type CoalesceParams, coalesceValid } from '../device/coalesce.ts';
import { Moderation } from '../drivers/moderation.ts';
import type { FrameBatch, Port, PortCaps, PortRxMode, PortTuning } from '../drivers/nic/port.ts';
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

/** Descriptors of a ring at most. */
const RING_MAX = 4096;

function powerOfTwo(n: number): number {
  return 1 << (32 - Math.clz32(n - 1));
}

/** Bytes in front of a received frame. */
const HEADROOM = 64;

/** A ring of descriptors, each a frame's place and a tag; `head` and `tail` count on, and their difference is what is in it. */
class Descriptors {
  readonly capacity: number;
  readonly #mask: number;
  readonly tag: Int32Array;
  readonly offset: Int32Array;
  readonly len: Int32Array;
  head = 0;
  tail = 0;

  constructor(capacity: number) {
    assert(capacity > 0 && (capacity & (capacity - 1)) === 0, 'a ring has a power of two as its capacity');
    this.capacity = capacity;
    this.#mask = capacity - 1;
    this.tag = new Int32Array(capacity);
    this.offset = new Int32Array(capacity);
    this.len = new Int32Array(capacity);
  }

  get length(): number {
    return this.tail - this.head;
  }

  /** There must be room. */
  push(tag: number, offset: number, len: number): void {
    const at = this.tail++ & this.#mask;
    this.tag[at] = tag;
    this.offset[at] = offset;
    this.len[at] = len;
  }

  /** Place of the first one, in the columns, which leaves the ring. There must be one. */
  shift(): number {
    return this.head++ & this.#mask;
  }

  /** Place of the first one. There must be one. */
  first(): number {
    return this.head & this.#mask;
  }
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
  /** Received: the tag is the buffer. */
  #rx: Descriptors;
  /** To be sent, and sent: the tag is the driver's. */
  #tx: Descriptors;
  #done: Descriptors;
  #arena: Arena | null = null;
  #irq: (queue: number) => void = () => {};
  #linkChanged: () => void = () => {};
  /** Null: every completion interrupts. */
  #moderation: Moderation | null = null;
  #coalesce: CoalesceParams = { ...COALESCE_DEFAULTS, rxFrames: 1, txFrames: 1 };
  #mac: Uint8Array;
  #unicast: readonly Uint8Array[] = [];
  #promisc = false;
  readonly tuning: PortTuning;
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
    this.#rx = new Descriptors(ring);
    this.#tx = new Descriptors(ring);
    this.#done = new Descriptors(ring);
    this.#mac = options.mac;
    this.tuning = this.#tuningOf();
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

  open(memory: Arena, irq: (queue: number) => void, linkChanged: () => void = () => {}): void {
    this.#arena = memory;
    this.#irq = irq;
    this.#linkChanged = linkChanged;
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
    while (this.#rx.length > 0) this.#arena?.release(this.#rx.tag[this.#rx.shift()]!);
    while (this.#tx.length > 0) this.#done.push(this.#tx.tag[this.#tx.shift()]!, 0, 0);
    this.#sending = false;
  }

  /** Frames on the receive ring. */
  get held(): number {
    return this.#rx.length;
  }

  /** Keeps the interrupt from arriving, or lets it arrive again: what waits is told then. */
  setIrqStuck(stuck: boolean): void {
    this.irqStuck = stuck;
    if (stuck) return;
    if (this.#open) this.#linkChanged();
    if (this.#rx.length > 0 || this.#done.length > 0) this.#interrupt();
  }

  link(): boolean {
    return this.#plugged;
  }

  /** Pulls the plug, or puts it back: what waits to be sent is sent then. */
  setLink(up: boolean): void {
    const changed = up !== this.#plugged;
    this.#plugged = up;
    if (changed && this.#open && !this.irqStuck) this.#linkChanged();
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
    if (!this.promiscuous && !isMulticastMac(bytes, 0) && !macEquals(bytes, 0, this.#mac) && !this.#wanted(bytes)) {
      this.counters.count('rx_filtered');
      return;
    }
    const rx = this.#rx;
    if (rx.tail - rx.head === rx.capacity) {
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
    else copyBytes(arena.bytes, arena.i32, at, view, 0, len);
    rx.push(buf, at, len);
    this.counters.values[RX_FRAMES]!++;
    this.#interrupt();
  }

  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    const rx = this.#rx;
    const waiting = rx.tail - rx.head;
    let n = limit < waiting ? limit : waiting;
    if (out.size < n) n = out.size;
    if (n > 0) this.#fill(out, n);
    if (this.#model !== null) this.#model.chargePoll(n);
    return n;
  }

  /** The first `n` of the receive ring, which must be there. */
  #fill(out: FrameBatch, n: number): void {
    const rx = this.#rx;
    const { buf, offset, len, end, tstampUs, csum, vlanTci } = out;
    const room = this.#arena!.slotSize - HEADROOM;
    const nowUs = this.#world.epochUs + Math.floor(this.#world.nowNs / 1000);
    for (let i = 0; i < n; i++) {
      const at = rx.shift();
      const start = rx.offset[at]!;
      buf[i] = rx.tag[at]!;
      offset[i] = start;
      len[i] = rx.len[at]!;
      end[i] = start + room;
      tstampUs[i] = nowUs;
      csum[i] = 0;
      vlanTci[i] = -1;
    }
  }

  txBurst(_queue: number, batch: FrameBatch, n: number): number {
    if (this.#model !== null) this.#model.charge(n * this.#model.costs.transmitNs);
    const tx = this.#tx;
    // A descriptor is free again when it was reaped, so the ring's room counts both.
    const room = tx.capacity - (tx.tail - tx.head) - (this.#done.tail - this.#done.head);
    const taken = n < room ? n : room > 0 ? room : 0;
    for (let i = 0; i < taken; i++) tx.push(batch.cookie[i]!, batch.offset[i]!, batch.len[i]!);
    if (taken < n) this.counters.count('tx_ring_full');
    this.#send();
    return taken;
  }

  txReap(_queue: number, done: FrameBatch): number {
    const ring = this.#done;
    const waiting = ring.tail - ring.head;
    const n = done.size < waiting ? done.size : waiting;
    const { cookie } = done;
    for (let i = 0; i < n; i++) cookie[i] = ring.tag[ring.shift()]!;
    return n;
  }

  irqEnable(_queue: number, on: boolean): boolean {
    this.#irqOn = on;
    if (!on) {
      this.#moderation?.clear();
      return false;
    }
    if (this.#moderation === null) return this.#rx.length > 0 || this.#done.length > 0;
    // What waits is announced in its time.
    this.#moderation.rearm(this.#rx.length + this.#done.length);
    return false;
  }

  /** Starts the transmitter if it is idle, has something to send, and can. */
  #send(): void {
    const tx = this.#tx;
    if (this.#sending || tx.length === 0 || this.txStalled || !this.#plugged) return;
    this.#sending = true;
    this.#world.after(this.#wire.serialisationNs(tx.len[tx.first()]!), this.#sentEvent);
  }

  /** The frame at the head of the ring has left: one is on its way out at a time, and close() ends that. */
  #sent(): void {
    if (!this.#sending) return;
    this.#sending = false;
    if (!this.#plugged || this.txStalled) return;
    const tx = this.#tx;
    const at = tx.shift();
    this.counters.values[TX_FRAMES]!++;
    const { bytes, view } = this.#arena!;
    this.#wire.transmit(this, bytes, tx.offset[at]!, tx.len[at]!, view);
    this.#done.push(tx.tag[at]!, 0, 0);
    this.#interrupt();
    this.#send();
  }

  #interrupt(): void {
    if (!this.#irqOn || this.irqStuck) return;
    if (this.#moderation !== null) this.#moderation.completed();
    else this.#announce();
  }

  setAddress(mac: Uint8Array): void {
    this.#mac = mac.slice();
  }

  /** Groups are not filtered. */
  setRxMode({ promisc, unicast }: PortRxMode): void {
    this.#promisc = promisc;
    this.#unicast = unicast;
  }

  #wanted(bytes: Uint8Array): boolean {
    if (this.#promisc) return true;
    for (let i = 0; i < this.#unicast.length; i++) if (macEquals(bytes, 0, this.#unicast[i]!)) return true;
    return false;
  }

  /** Set-up. */
  #tuningOf(): PortTuning {
    return {
      ring: () => ({ rx: this.#rx.capacity, tx: this.#tx.capacity, rxMax: RING_MAX, txMax: RING_MAX }),
      setRing: (rx, tx) => {
        if (this.#open || rx === 0 || tx === 0) return -Errno.EINVAL;
        this.#rx = new Descriptors(powerOfTwo(rx));
        this.#tx = new Descriptors(powerOfTwo(tx));
        this.#done = new Descriptors(powerOfTwo(tx));
        return 0;
      },
      coalesceParams: ['rxUsecs', 'rxFrames'],
      coalesce: () => this.#coalesce,
      setCoalesce: (params) => {
        if (coalesceValid(params.rxUsecs, params.rxFrames) !== 0) return -Errno.EINVAL;
        this.#coalesce = params;
        const off = params.rxUsecs === 0 && params.rxFrames === 1;
        this.#moderation?.set(0, 1);
        this.#moderation = off
          ? null
          : new Moderation(
              (ns, action) => this.#world.after(ns, action),
              () => this.#announce(),
            );
        this.#moderation?.set(params.rxUsecs, params.rxFrames);
        if (this.#irqOn && (this.#rx.length > 0 || this.#done.length > 0)) this.#announce();
        return 0;
      },
    };
  }

  #announce(): void {
    if (!this.#irqOn || this.irqStuck) return;
    this.counters.values[INTERRUPTS]!++;
    this.#irq(0);
  }
}
