/**
 * The textbook card itself, simulated: it sees registers and memory, and knows nothing of sk_buffs or of the driver.
 *
 *     wire --receive--> MAC filter --> hash of the flow --> queue --> memory of its next descriptor --[moderation]--> cause RX
 *     tail written --> descriptors up to EOP gathered --[as long as the wire takes]--> wire --> head moves --[moderation]--> cause TX
 *
 * It interrupts (once per rising edge of `cause & mask`) by calling `irq(queue)`. Everything it does later it does through the
 * clock, in the order of the clock's events. It reads and writes nothing but descriptors it owns and the memory they name.
 */
import { Counters } from '../../base/counters.ts';
import type { Arena } from '../../skb/arena.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { ETH_HLEN, ETH_P_8021Q, ethType } from '../../wire/eth.ts';
import { FLOW_STOP_AT_LABEL, FlowKeys } from '../../wire/flow_dissect.ts';
import { RSS_TABLE_SIZE, rssIndirDefault, rssQueue, Toeplitz } from '../../wire/toeplitz.ts';
import { VLAN_HLEN } from '../../wire/vlan.ts';
import { Moderation } from '../moderation.ts';
import { filterTakes, macHigh, macLow } from './filter.ts';
import {
  CAUSE_LINK,
  CAUSE_RX,
  CAUSE_RX_MISSED,
  CAUSE_TX,
  CTRL_ENABLE,
  CTRL_RESET,
  CTRL_VLAN_STRIP,
  DESC_ADDRESS,
  DESC_CSUM,
  DESC_DONE,
  DESC_EOP,
  DESC_FLAGS,
  DESC_HASH,
  DESC_LEN,
  DESC_LENGTH,
  DESC_VLAN,
  Q_BLOCK,
  Q_CAUSE,
  Q_FIRST,
  Q_MASK,
  Q_RX_BASE,
  Q_RX_FRAMES,
  Q_RX_HEAD,
  Q_RX_SIZE,
  Q_RX_TAIL,
  Q_RX_USECS,
  Q_TX_BASE,
  Q_TX_FRAMES,
  Q_TX_HEAD,
  Q_TX_SIZE,
  Q_TX_TAIL,
  Q_TX_USECS,
  qreg,
  REG_CTRL,
  REG_MAC_HIGH,
  REG_MAC_LOW,
  REG_STATUS,
  STATUS_LINK,
} from './registers.ts';

export const RING_HW_COUNTERS = [
  'rx_frames',
  'rx_filtered',
  'rx_missed',
  'rx_too_long',
  'rx_no_link',
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
  /** For tests: the transmitter does not move; no interrupt arrives. */
  txStalled = false;
  irqStuck = false;
  readonly #options: RingHardwareOptions;
  readonly #regs: Uint32Array;
  readonly #asserted: Uint8Array;
  readonly #sending: Uint8Array;
  readonly #toeplitz = new Toeplitz();
  readonly #flow = new FlowKeys();
  readonly #rxModeration: Moderation[];
  readonly #txModeration: Moderation[];
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
    const moderations = (cause: number): Moderation[] =>
      Array.from({ length: this.queues }, (_, q) => new Moderation(options.after, () => this.#raise(q, cause)));
    this.#rxModeration = moderations(CAUSE_RX);
    this.#txModeration = moderations(CAUSE_TX);
    this.#fifo = Array.from({ length: this.queues }, () => new Uint8Array(FRAME_MAX));
    rssIndirDefault(this.indirection, this.queues);
    this.#regs[REG_STATUS] = STATUS_LINK;
    this.#writeMac();
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
    if (which === Q_CAUSE) this.#acknowledge(q, value);
    else if (which !== Q_RX_HEAD && which !== Q_TX_HEAD) regs[register] = value;
    if (which === Q_CAUSE || which === Q_MASK) this.#assert(q);
    if (which === Q_TX_TAIL) this.#transmit(q);
    if (which >= Q_RX_USECS && which <= Q_TX_FRAMES) this.#moderate(q);
  }

  /** Of what the driver acknowledges it has seen all that has completed. */
  #acknowledge(q: number, causes: number): void {
    this.#regs[qreg(q, Q_CAUSE)] = this.#regs[qreg(q, Q_CAUSE)]! & ~causes;
    if ((causes & CAUSE_RX) !== 0) this.#rxModeration[q]!.clear();
    if ((causes & CAUSE_TX) !== 0) this.#txModeration[q]!.clear();
  }

  #moderate(q: number): void {
    const regs = this.#regs;
    this.#rxModeration[q]!.set(regs[qreg(q, Q_RX_USECS)]!, regs[qreg(q, Q_RX_FRAMES)]!);
    this.#txModeration[q]!.set(regs[qreg(q, Q_TX_USECS)]!, regs[qreg(q, Q_TX_FRAMES)]!);
  }

  /** The address that is burnt in. */
  #writeMac(): void {
    this.#regs[REG_MAC_HIGH] = macHigh(this.mac);
    this.#regs[REG_MAC_LOW] = macLow(this.mac);
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

  /** For tests: keeps interrupts from arriving, or lets those that wait arrive. */
  setIrqStuck(stuck: boolean): void {
    this.irqStuck = stuck;
    if (!stuck) for (let q = 0; q < this.queues; q++) this.#assert(q);
  }

  /** The wire's end: a frame arrives; its bytes are good during the call. */
  receive(bytes: Uint8Array, len: number): void {
    const regs = this.#regs;
    const up = (regs[REG_CTRL]! & CTRL_ENABLE) !== 0 && (regs[REG_STATUS]! & STATUS_LINK) !== 0;
    if (!up || this.#memory === null || len < ETH_HLEN) {
      this.counters.count('rx_no_link');
      return;
    }
    if (!filterTakes(regs, bytes)) {
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
    const strips = (regs[REG_CTRL]! & CTRL_VLAN_STRIP) !== 0 && len >= ETH_HLEN + VLAN_HLEN && isTagged(bytes);
    const tag = strips ? VLAN_HLEN : 0;
    for (let i = 0; i < ADDRESSES_LEN; i++) memory[to + i] = bytes[i]!;
    for (let i = ADDRESSES_LEN; i < len - tag; i++) memory[to + i] = bytes[i + tag]!;
    view.setUint32(desc + DESC_LENGTH, len - tag, true);
    view.setUint32(desc + DESC_HASH, hash, true);
    view.setUint32(desc + DESC_FLAGS, strips ? vlanFlags((bytes[14]! << 8) | bytes[15]!) | DESC_DONE : DESC_DONE, true);
    regs[qreg(q, Q_RX_HEAD)] = (head + 1) % regs[qreg(q, Q_RX_SIZE)]!;
    this.counters.count('rx_frames');
    this.#rxModeration[q]!.completed();
  }

  /** Receive-side scaling: 0 for what has no flow, so that it stays in order on queue 0. */
  #hash(bytes: Uint8Array, len: number): number {
    if (this.queues === 1) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, len);
    const flow = this.#flow;
    flow.dissect(view, ETH_HLEN, len, ethType(view, 0), -1, FLOW_STOP_AT_LABEL);
    if (flow.networkOffset < 0) return 0;
    return this.#toeplitz.packet(view, flow.networkOffset, flow.addressesLen >>> 1, flow.portsOffset);
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
    let tci = -1;
    for (let at = regs[qreg(q, Q_TX_HEAD)]!; at !== tail; at = (at + 1) % size) {
      const desc = regs[qreg(q, Q_TX_BASE)]! + at * DESC_LEN;
      const from = view.getUint32(desc + DESC_ADDRESS, true);
      const part = Math.min(view.getUint32(desc + DESC_LENGTH, true), FRAME_MAX - len);
      for (let i = 0; i < part; i++) fifo[len + i] = bytes[from + i]!;
      const flags = view.getUint32(desc + DESC_FLAGS, true);
      if ((flags & DESC_CSUM) !== 0) sums = view.getUint32(desc + DESC_HASH, true);
      if ((flags & DESC_VLAN) !== 0) tci = flags >>> 16;
      len += part;
      used++;
      if ((flags & DESC_EOP) === 0) continue;
      if (sums !== 0) fillSum(fifo, sums >>> 16, sums & 0xffff, len);
      if (tci >= 0) len = insertTag(fifo, len, tci);
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
    this.#txModeration[q]!.completed();
    this.#transmit(q);
  }

  #raise(q: number, cause: number): void {
    this.#regs[qreg(q, Q_CAUSE)] = this.#regs[qreg(q, Q_CAUSE)]! | cause;
    this.#assert(q);
  }

  /** The line follows `cause & mask`; its rising edge interrupts. */
  #assert(q: number): void {
    const on = (this.#regs[qreg(q, Q_CAUSE)]! & this.#regs[qreg(q, Q_MASK)]!) !== 0 ? 1 : 0;
    const rises = on === 1 && this.#asserted[q] === 0 && !this.irqStuck;
    // An interrupt that is stuck has not risen yet.
    this.#asserted[q] = this.irqStuck ? 0 : on;
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
    this.#writeMac();
    for (let q = 0; q < this.queues; q++) {
      this.#rxModeration[q]!.clear();
      this.#txModeration[q]!.clear();
      this.#moderate(q);
    }
  }
}

const ADDRESSES_LEN = 12;

function isTagged(bytes: Uint8Array): boolean {
  return ((bytes[12]! << 8) | bytes[13]!) === ETH_P_8021Q;
}

function vlanFlags(tci: number): number {
  return ((tci << 16) | DESC_VLAN) >>> 0;
}

/** The tag that the driver has left to the card; the frame's new length. */
function insertTag(fifo: Uint8Array, len: number, tci: number): number {
  if (len < ETH_HLEN || len + VLAN_HLEN > FRAME_MAX) return len;
  fifo.copyWithin(ADDRESSES_LEN + VLAN_HLEN, ADDRESSES_LEN, len);
  fifo[12] = ETH_P_8021Q >>> 8;
  fifo[13] = ETH_P_8021Q & 0xff;
  fifo[14] = tci >>> 8;
  fifo[15] = tci & 0xff;
  return len + VLAN_HLEN;
}

/** The checksum that the driver has left to the card; the field holds the sum of the pseudo-header. */
function fillSum(fifo: Uint8Array, start: number, place: number, len: number): void {
  if (start + place + 2 > len) return;
  const view = new DataView(fifo.buffer, fifo.byteOffset, len);
  // A computed zero is sent as its other form: on IPv4, UDP's zero means that there is none.
  view.setUint16(start + place, fold(sum32(view, start, len - start)) || 0xffff);
}
