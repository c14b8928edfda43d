/**
 * Writes down a line for every frame that passes a Port, the last ones only: what to look at after something went wrong.
 *
 *     12 rx q0 60 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff 0806
 *     13 tx q0 98 02:00:00:00:00:02 > 02:00:00:00:00:01 0800
 *
 * The ring holds numbers; text is made when somebody asks for it.
 */
import { printMac } from '../../wire/address.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { FrameBatch, Port } from '../nic/port.ts';
import { PortWrapper } from './wrapper.ts';

/** Bytes of a frame's start that are kept: the Ethernet header. */
const KEPT = ETH_HLEN;

export class PortTracer extends PortWrapper {
  /** Frames that passed, also those whose lines are gone. */
  frames = 0;
  readonly #size: number;
  readonly #heads: Uint8Array;
  readonly #len: Int32Array;
  readonly #queue: Int32Array;
  readonly #sent: Uint8Array;

  /** Keeps the last `size` frames' lines. */
  constructor(inner: Port, size = 256) {
    super(inner);
    this.#size = size;
    this.#heads = new Uint8Array(size * KEPT);
    this.#len = new Int32Array(size);
    this.#queue = new Int32Array(size);
    this.#sent = new Uint8Array(size);
  }

  override rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const n = this.inner.rxBurst(queue, out, limit);
    for (let i = 0; i < n; i++) this.#record(queue, out, i, 0);
    return n;
  }

  override txBurst(queue: number, batch: FrameBatch, n: number): number {
    const taken = this.inner.txBurst(queue, batch, n);
    for (let i = 0; i < taken; i++) this.#record(queue, batch, i, 1);
    return taken;
  }

  /** The lines that are kept, the oldest first. */
  lines(): string[] {
    const first = Math.max(this.frames - this.#size, 0);
    return Array.from({ length: this.frames - first }, (_, i) => this.#line(first + i));
  }

  #record(queue: number, batch: FrameBatch, i: number, sent: number): void {
    const at = this.frames++ % this.#size;
    const len = batch.len[i]!;
    const { bytes } = this.arena!;
    this.#len[at] = len;
    this.#queue[at] = queue;
    this.#sent[at] = sent;
    for (let b = 0; b < KEPT; b++) this.#heads[at * KEPT + b] = b < len ? bytes[batch.offset[i]! + b]! : 0;
  }

  #line(number: number): string {
    const at = number % this.#size;
    const head = at * KEPT;
    const way = this.#sent[at] === 1 ? 'tx' : 'rx';
    const type = (this.#heads[head + 12]! * 256 + this.#heads[head + 13]!).toString(16).padStart(4, '0');
    const macs = `${printMac(this.#heads, head + 6)} > ${printMac(this.#heads, head)}`;
    return `${number} ${way} q${this.#queue[at]} ${this.#len[at]} ${macs} ${type}`;
  }
}
