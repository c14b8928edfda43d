/**
 * The textbook card itself, simulated: it sees registers and memory, and knows nothing of sk_buffs or of the driver.
 *
 *     wire --receive--> MAC filter --> hash of the flow --> queue --> memory of its next descriptor --> cause RX
 *     tail written --> descriptors up to EOP gathered --[as long as the wire takes]--> wire --> head moves --> cause TX
 *
 * It interrupts (once per rising edge of `cause & mask`) by calling `irq(queue)`. Everything it does later it does through the
 * clock, in the order of the clock's events. It reads and writes nothing but descriptors it owns and the memory they name.
 */
import { Counters } from '../../base/counters.ts';
import type { Arena } from '../../skb/arena.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { ethType, isMulticastMac, macEquals } from '../../wire/eth.ts';
import { Flow } from '../../wire/flow.ts';
import { RSS_TABLE_SIZE, rssIndirDefault, rssQueue, Toeplitz } from '../../wire/toeplitz.ts';
import {
  CAUSE_LINK,
  CAUSE_RX,
  CAUSE_RX_MISSED,
  CAUSE_TX,
  CTRL_ENABLE,
  CTRL_RESET,
  DESC_ADDRESS,
  DESC_CSUM,
  DESC_DONE,
  DESC_EOP,
  DESC_FLAGS,
  DESC_HASH,
  DESC_LEN,
  DESC_LENGTH,
  Q_BLOCK,
  Q_CAUSE,
  Q_FIRST,
  Q_MASK,
  Q_RX_BASE,
  Q_RX_HEAD,
  Q_RX_SIZE,
  Q_RX_TAIL,
  Q_TX_BASE,
  Q_TX_HEAD,
  Q_TX_SIZE,
  Q_TX_TAIL,
  qreg,
  REG_CTRL,
  REG_MAC_HIGH,
  REG_MAC_LOW,
  REG_RX_MODE,
  REG_STATUS,
  RX_MODE_PROMISC,
  STATUS_LINK,
} from './registers.ts';

export const RING_HW_COUNTERS = [
  'rx_frames',
  'rx_filtered',
  'rx_missed',
  'rx_too_long',
  'tx_frames',
  'tx_descriptors',
  'interrupts',
] as const;

export interface RingHardwareOptions {
  readonly mac: Uint8Array;
  /** Queue pairs, each with its own interrupt; 1 if absent. */
  readonly queues?: number;
  /** Has `action` run `ns` later; a world's clock. */
  readonly after: (ns: number, action: () => void) => void;
  /** Nanoseconds for which a frame of `len` bytes occupies the wire. */
  readonly serialisationNs: (len: number) => number;
  /** Puts bytes[offset, offset + len) on the wire; they are good during the call. */
  readonly send: (bytes: Uint8Array, offset: number, len: number) => void;
}

/** The longest frame: a jumbo one. */
const FRAME_MAX = 9216;

export class RingHardware {
  readonly mac: Uint8Array;
  readonly queues: number;
  readonly counters: Counters<(typeof RING_HW_COUNTERS)[number]> = new Counters(RING_HW_COUNTERS);
  /** Which queue a hash goes to; a driver may change it. */
  readonly indirection = new Uint16Array(RSS_TABLE_SIZE);
  /** For tests: the transmitter does not move. */
  txStalled = false;
  readonly #options: RingHardwareOptions;
  readonly #regs: Uint32Array;
  readonly #asserted: Uint8Array;
  readonly #sending: Uint8Array;
  readonly #toeplitz = new Toeplitz();
  readonly #flow = new Flow();
  /** The frame that is being sent, one for each queue. */
  readonly #fifo: Uint8Array[];
  #memory: Arena | null = null;
  #irq: (queue: number) => void = () => {};
  /** Resets so far: what began before one does not end after it. */
  #life = 0;

  constructor(options: RingHardwareOptions) {
    this.#options = options;
    this.mac = options.mac;
    this.queues = options.queues ?? 1;
    this.#regs = new Uint32Array(Q_FIRST + this.queues * Q_BLOCK);
    this.#asserted = new Uint8Array(this.queues);
    this.#sending = new Uint8Array(this.queues);
    this.#fifo = Array.from({ length: this.queues }, () => new Uint8Array(FRAME_MAX));
    rssIndirDefault(this.indirection, this.queues);
    this.#regs[REG_STATUS] = STATUS_LINK;
  }

  /** The bus: whose memory it reads and writes, and where its interrupts go. */
  connect(memory: Arena, irq: (queue: number) => void): void {
    this.#memory = memory;
    this.#irq = irq;
  }

  read(register: number): number {
    return this.#regs[register]!;
  }

  write(register: number, value: number): void {
    const regs = this.#regs;
    if (register === REG_STATUS) return;
    if (register === REG_CTRL && (value & CTRL_RESET) !== 0) {
      this.#reset();
      return;
    }
    if (register < Q_FIRST) {
      regs[register] = value;
      return;
    }
    const q = Math.floor((register - Q_FIRST) / Q_BLOCK);
    const which = (register - Q_FIRST) % Q_BLOCK;
    if (which === Q_CAUSE) regs[register] = regs[register]! & ~value;
    else if (which !== Q_RX_HEAD && which !== Q_TX_HEAD) regs[register] = value;
    if (which === Q_CAUSE || which === Q_MASK) this.#assert(q);
    if (which === Q_TX_TAIL) this.#transmit(q);
  }

  /** The plug. */
  setLink(up: boolean): void {
    this.#regs[REG_STATUS] = up ? STATUS_LINK : 0;
    this.#raise(0, CAUSE_LINK);
    if (up) for (let q = 0; q < this.queues; q++) this.#transmit(q);
  }

  /** For tests: stops or lets go the transmitter. */
  setTxStalled(stalled: boolean): void {
    this.txStalled = stalled;
    if (!stalled) for (let q = 0; q < this.queues; q++) this.#transmit(q);
  }

  /** The wire's end: a frame arrives; its bytes are good during the call. */
  receive(bytes: Uint8Array, len: number): void {
    const regs = this.#regs;
    const up = (regs[REG_CTRL]! & CTRL_ENABLE) !== 0 && (regs[REG_STATUS]! & STATUS_LINK) !== 0;
    if (!up || this.#memory === null || len < 14) return;
    if ((regs[REG_RX_MODE]! & RX_MODE_PROMISC) === 0 && !isMulticastMac(bytes, 0) && !this.#ours(bytes)) {
      this.counters.count('rx_filtered');
      return;
    }
    const hash = this.#hash(bytes, len);
    const q = this.queues === 1 ? 0 : rssQueue(this.indirection, hash);
    const head = regs[qreg(q, Q_RX_HEAD)]!;
    if (head === regs[qreg(q, Q_RX_TAIL)]) {
      this.counters.count('rx_missed');
      this.#raise(q, CAUSE_RX_MISSED);
      return;
    }
    const { view, bytes: memory } = this.#memory;
    const desc = regs[qreg(q, Q_RX_BASE)]! + head * DESC_LEN;
    if (len > view.getUint32(desc + DESC_LENGTH, true)) {
      this.counters.count('rx_too_long');
      return;
    }
    const to = view.getUint32(desc + DESC_ADDRESS, true);
    for (let i = 0; i < len; i++) memory[to + i] = bytes[i]!;
    view.setUint32(desc + DESC_LENGTH, len, true);
    view.setUint32(desc + DESC_HASH, hash, true);
    view.setUint32(desc + DESC_FLAGS, DESC_DONE, true);
    regs[qreg(q, Q_RX_HEAD)] = (head + 1) % regs[qreg(q, Q_RX_SIZE)]!;
    this.counters.count('rx_frames');
    this.#raise(q, CAUSE_RX);
  }

  #ours(bytes: Uint8Array): boolean {
    const high = this.#regs[REG_MAC_HIGH]!;
    const low = this.#regs[REG_MAC_LOW]!;
    if (high === 0 && low === 0) return macEquals(bytes, 0, this.mac);
    const first = ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;
    return first === high && ((bytes[4]! << 24) | (bytes[5]! << 16)) >>> 0 === low;
  }

  /** Receive-side scaling: 0 for what has no flow, so that it stays in order on queue 0. */
  #hash(bytes: Uint8Array, len: number): number {
    if (this.queues === 1) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, len);
    const flow = this.#flow;
    if (!flow.dissect(view, 14, len, ethType(view, 0)) || flow.addressLen === 0) return 0;
    return this.#toeplitz.packet(view, flow.networkOffset, flow.addressLen, flow.hasPorts ? flow.transportOffset : -1);
  }

  /** Starts on the next frame of a queue, if there is a whole one and the queue is idle. */
  #transmit(q: number): void {
    const regs = this.#regs;
    const up = (regs[REG_CTRL]! & CTRL_ENABLE) !== 0 && (regs[REG_STATUS]! & STATUS_LINK) !== 0;
    if (!up || this.#memory === null || this.txStalled || this.#sending[q] !== 0) return;
    const size = regs[qreg(q, Q_TX_SIZE)]!;
    const tail = regs[qreg(q, Q_TX_TAIL)]!;
    const { view, bytes } = this.#memory;
    const fifo = this.#fifo[q]!;
    let len = 0;
    let used = 0;
    let sums = 0;
    for (let at = regs[qreg(q, Q_TX_HEAD)]!; at !== tail; at = (at + 1) % size) {
      const desc = regs[qreg(q, Q_TX_BASE)]! + at * DESC_LEN;
      const from = view.getUint32(desc + DESC_ADDRESS, true);
      const part = Math.min(view.getUint32(desc + DESC_LENGTH, true), FRAME_MAX - len);
      for (let i = 0; i < part; i++) fifo[len + i] = bytes[from + i]!;
      const flags = view.getUint32(desc + DESC_FLAGS, true);
      if ((flags & DESC_CSUM) !== 0) sums = view.getUint32(desc + DESC_HASH, true);
      len += part;
      used++;
      if ((flags & DESC_EOP) === 0) continue;
      if (sums !== 0) fillSum(fifo, sums >>> 16, sums & 0xffff, len);
      this.#sending[q] = 1;
      const life = this.#life;
      this.#options.after(this.#options.serialisationNs(len), () => {
        if (life === this.#life) this.#sent(q, len, used);
      });
      return;
    }
  }

  #sent(q: number, len: number, used: number): void {
    const regs = this.#regs;
    this.#sending[q] = 0;
    this.#options.send(this.#fifo[q]!, 0, len);
    regs[qreg(q, Q_TX_HEAD)] = (regs[qreg(q, Q_TX_HEAD)]! + used) % regs[qreg(q, Q_TX_SIZE)]!;
    this.counters.count('tx_frames');
    this.counters.count('tx_descriptors', used);
    this.#raise(q, CAUSE_TX);
    this.#transmit(q);
  }

  #raise(q: number, cause: number): void {
    this.#regs[qreg(q, Q_CAUSE)] = this.#regs[qreg(q, Q_CAUSE)]! | cause;
    this.#assert(q);
  }

  /** The line follows `cause & mask`; its rising edge interrupts. */
  #assert(q: number): void {
    const on = (this.#regs[qreg(q, Q_CAUSE)]! & this.#regs[qreg(q, Q_MASK)]!) !== 0 ? 1 : 0;
    const rises = on === 1 && this.#asserted[q] === 0;
    this.#asserted[q] = on;
    if (!rises) return;
    this.counters.count('interrupts');
    this.#irq(q);
  }

  /** Everything stops and is forgotten, but the plug. */
  #reset(): void {
    const status = this.#regs[REG_STATUS]!;
    this.#life++;
    this.#regs.fill(0);
    this.#regs[REG_STATUS] = status;
    this.#asserted.fill(0);
    this.#sending.fill(0);
  }
}

/** The checksum that the driver has left to the card; the field holds the sum of the pseudo-header. */
function fillSum(fifo: Uint8Array, start: number, place: number, len: number): void {
  if (start + place + 2 > len) return;
  const view = new DataView(fifo.buffer, fifo.byteOffset, len);
  // A computed zero is sent as its other form: on IPv4, UDP's zero means that there is none.
  view.setUint16(start + place, fold(sum32(view, start, len - start)) || 0xffff);
}
