// hot
/**
 * One queue pair of the textbook card as its driver keeps it: two rings of descriptors in the arena, and what each descriptor holds.
 *
 *     rx   [ buf | buf | buf | ... ]     every descriptor the card owns has a buffer of ours to fill
 *            ^ next to look at                  ^ tail: next to give to the card
 *     tx   [ skb | - | - | skb | ... ]   the frame is kept at the last descriptor of its pieces
 *            ^ dirty: next to free              ^ next: next to fill
 *
 * One descriptor stays empty, so that full and empty differ.
 */
import type { NapiStruct } from '../../device/napi_struct.ts';
import type { NetDevice } from '../../device/net_device.ts';
import type { IrqLine } from '../../machine/irq.ts';
import type { Arena } from '../../skb/arena.ts';
import { NET_SKB_PAD } from '../../skb/pool.ts';
import type { RingHardware } from './hardware.ts';
import {
  DESC_ADDRESS,
  DESC_FLAGS,
  DESC_HASH,
  DESC_LEN,
  DESC_LENGTH,
  Q_RX_BASE,
  Q_RX_SIZE,
  Q_RX_TAIL,
  Q_TX_BASE,
  Q_TX_SIZE,
  Q_TX_TAIL,
  qreg,
} from './registers.ts';

export class RingQueue {
  readonly index: number;
  /** Descriptors of each ring; changed only while it is torn down. */
  rxSize: number;
  txSize: number;
  readonly dev: NetDevice;
  napi: NapiStruct | null = null;
  line: IrqLine | null = null;
  /** Arena buffers that hold the descriptors, and where they start. */
  #rxMemory = -1;
  #txMemory = -1;
  rxBase = 0;
  txBase = 0;
  rxNext = 0;
  rxTail = 0;
  txNext = 0;
  txDirty = 0;
  /** Frames and bytes that went each way. */
  rxPackets = 0;
  rxBytes = 0;
  txPackets = 0;
  /** Received and lost for want of memory, or too short; thrown away by a reset, each way. */
  rxLost = 0;
  rxFlushed = 0;
  txFlushed = 0;
  txBytes = 0;
  /** Arena buffer behind each receive descriptor, -1: none. */
  readonly rxBuf: Int32Array;
  /** Pool id of the frame that ends at this transmit descriptor, -1: none. */
  readonly txSkb: Int32Array;
  /** For netifTxqMaybeStop. */
  readonly txFree: () => number;

  /** Set-up. */
  constructor(dev: NetDevice, index: number, sizeMax: number) {
    this.dev = dev;
    this.index = index;
    this.rxSize = sizeMax;
    this.txSize = sizeMax;
    this.rxBuf = new Int32Array(sizeMax).fill(-1);
    this.txSkb = new Int32Array(sizeMax).fill(-1);
    this.txFree = () => this.free();
  }

  /** Transmit descriptors that may be filled. */
  free(): number {
    const used = this.txNext - this.txDirty;
    return this.txSize - 1 - (used < 0 ? used + this.txSize : used);
  }

  nextRx(at: number): number {
    return at + 1 === this.rxSize ? 0 : at + 1;
  }

  nextTx(at: number): number {
    return at + 1 === this.txSize ? 0 : at + 1;
  }

  /** Takes the memory, fills the receive ring, tells the card. False: no memory, nothing is held. */
  setUp(hw: RingHardware, arena: Arena): boolean {
    this.#rxMemory = arena.alloc();
    this.#txMemory = arena.alloc();
    if (this.#rxMemory < 0 || this.#txMemory < 0) {
      this.tearDown(arena);
      return false;
    }
    this.rxBase = arena.start(this.#rxMemory);
    this.txBase = arena.start(this.#txMemory);
    this.rxNext = 0;
    this.rxTail = 0;
    this.txNext = 0;
    this.txDirty = 0;
    hw.write(qreg(this.index, Q_RX_BASE), this.rxBase);
    hw.write(qreg(this.index, Q_RX_SIZE), this.rxSize);
    hw.write(qreg(this.index, Q_TX_BASE), this.txBase);
    hw.write(qreg(this.index, Q_TX_SIZE), this.txSize);
    // One buffer for each descriptor, also for the one that the card does not own: an exchange never lacks one.
    for (let i = 0; i < this.rxSize; i++) {
      this.rxBuf[i] = arena.alloc();
      if (this.rxBuf[i]! >= 0) continue;
      this.tearDown(arena);
      return false;
    }
    this.refill(hw, arena);
    return true;
  }

  /** Slots that it holds: descriptors and receive buffers. */
  slots(): number {
    let held = (this.#rxMemory >= 0 ? 1 : 0) + (this.#txMemory >= 0 ? 1 : 0);
    for (let i = 0; i < this.rxBuf.length; i++) if (this.rxBuf[i]! >= 0) held++;
    return held;
  }

  /** Gives all memory back; the card must have been reset. Frames in the transmit ring are the driver's to free before. */
  tearDown(arena: Arena): void {
    for (let i = 0; i < this.rxBuf.length; i++) {
      if (this.rxBuf[i]! >= 0) arena.release(this.rxBuf[i]!);
      this.rxBuf[i] = -1;
    }
    if (this.#rxMemory >= 0) arena.release(this.#rxMemory);
    if (this.#txMemory >= 0) arena.release(this.#txMemory);
    this.#rxMemory = -1;
    this.#txMemory = -1;
  }

  /** Gives the card every descriptor that was looked at, with the buffer that is there now. Bound: the ring. */
  refill(hw: RingHardware, arena: Arena): void {
    const { view } = arena;
    let at = this.rxTail;
    for (let following = this.nextRx(at); following !== this.rxNext; following = this.nextRx(at)) {
      const desc = this.rxBase + at * DESC_LEN;
      view.setUint32(desc + DESC_ADDRESS, arena.start(this.rxBuf[at]!) + NET_SKB_PAD, true);
      view.setUint32(desc + DESC_LENGTH, arena.slotSize - NET_SKB_PAD, true);
      view.setUint32(desc + DESC_FLAGS, 0, true);
      at = following;
    }
    if (at === this.rxTail) return;
    this.rxTail = at;
    hw.write(qreg(this.index, Q_RX_TAIL), at);
  }

  /** One piece of a frame into the next transmit descriptor; there must be one. */
  put(arena: Arena, address: number, len: number, flags: number, sums = 0): void {
    const desc = this.txBase + this.txNext * DESC_LEN;
    arena.view.setUint32(desc + DESC_ADDRESS, address, true);
    arena.view.setUint32(desc + DESC_LENGTH, len, true);
    arena.view.setUint32(desc + DESC_FLAGS, flags, true);
    arena.view.setUint32(desc + DESC_HASH, sums, true);
    this.txNext = this.nextTx(this.txNext);
  }

  /** What was put is the card's. */
  kick(hw: RingHardware): void {
    hw.write(qreg(this.index, Q_TX_TAIL), this.txNext);
  }
}
