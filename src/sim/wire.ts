/**
 * A wire: an Ethernet segment that any number of simulated ports hang on. What one sends, all others hear.
 *
 *     port A --transmit--> [rate: one frame after the other] --[loss, duplication, reorder]--> delay, jitter --> port B, port C
 *
 * Frames on the wire are copies in buffers of the wire's own pool, so the sender's memory is free once it has sent, and a
 * long run allocates nothing. Faults are drawn from the world's seed.
 */
import { copyBytes } from '../base/copy_bytes.ts';
import { Counters } from '../base/counters.ts';
import type { World } from './world.ts';

export interface WireOptions {
  /** Bits a second; 1e9 if absent. */
  readonly rateBps?: number;
  /** Nanoseconds from the end of sending to arrival; 5 us if absent. */
  readonly delayNs?: number;
  /** Chance that a frame is lost on its way to one receiver. */
  readonly loss?: number;
  /** Chance that a frame arrives twice. */
  readonly duplication?: number;
  /** The delay is up to this much longer, differently for each frame; order is kept. 0 if absent. */
  readonly jitterNs?: number;
  /** Chance that a frame is held back by REORDER_NS, so that later ones overtake it. */
  readonly reorder?: number;
}

/** What hangs on a wire. receive() may read bytes[0..len) during the call; `view`, where given, is of the same bytes. */
export interface Attachment {
  receive(bytes: Uint8Array, len: number, view?: DataView): void;
}

/** `offered` counts a frame once for each station that should hear it; offered = lost + partitioned + arrived + on the way - duplicated. */
export const WIRE_COUNTERS = [
  'frames',
  'bytes',
  'lost',
  'duplicated',
  'partitioned',
  'reordered',
  'offered',
  'arrived',
  'unplugged',
] as const;
const FRAMES = 0;
const BYTES = 1;
const OFFERED = 6;
const ARRIVED = 7;

/** How long a frame that is to be overtaken is held back. */
export const REORDER_NS = 200_000;

/** Bytes on the medium besides the frame: preamble 8, check sequence 4, gap 12; and frames are padded to 60. */
const OVERHEAD = 24;
const FRAME_MIN = 60;
/** Bytes of a buffer at least. */
const BUFFER_MIN = 2048;

/** A frame on its way to one station: its bytes, and the event of its arrival. Kept and used again. */
interface Flight {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  len: number;
  to: Attachment | null;
  /** How often stations came and went before it left. */
  changes: number;
  readonly arrive: () => void;
}

export class Wire {
  readonly counters: Counters<(typeof WIRE_COUNTERS)[number]> = new Counters(WIRE_COUNTERS);
  rateBps: number;
  delayNs: number;
  loss: number;
  duplication: number;
  jitterNs: number;
  reorder: number;
  /** Frames between their end of sending and their arrival. */
  onTheWay = 0;
  /** Cut: nothing gets through, but ports still see a link. */
  partitioned = false;
  readonly #world: World;
  readonly #attached: Attachment[] = [];
  #changes = 0;
  /** Flights that are over: the first #spares of them. */
  readonly #spare: Flight[] = [];
  #spares = 0;
  /** When the last frame in order reaches each station. */
  readonly #lastNs = new Map<Attachment, number>();

  constructor(world: World, options: WireOptions = {}) {
    this.#world = world;
    this.rateBps = options.rateBps ?? 1e9;
    this.delayNs = options.delayNs ?? 5_000;
    this.loss = options.loss ?? 0;
    this.duplication = options.duplication ?? 0;
    this.jitterNs = options.jitterNs ?? 0;
    this.reorder = options.reorder ?? 0;
  }

  attach(attachment: Attachment): void {
    this.#attached.push(attachment);
    this.#changes++;
  }

  detach(attachment: Attachment): void {
    this.#changes++;
    const at = this.#attached.indexOf(attachment);
    if (at >= 0) this.#attached.splice(at, 1);
  }

  /** Nanoseconds for which a frame of `len` bytes occupies the sender. */
  serialisationNs(len: number): number {
    return ((Math.max(len, FRAME_MIN) + OVERHEAD) * 8 * 1e9) / this.rateBps;
  }

  /**
   * A frame has left `from`; it arrives everywhere else after the delay. The bytes are copied; `view`, where given, is of the
   * whole `memory`.
   */
  transmit(from: Attachment, memory: Uint8Array, offset: number, len: number, view?: DataView): void {
    const attached = this.#attached;
    const { values } = this.counters;
    values[FRAMES]!++;
    values[BYTES]! += len;
    if (this.partitioned) {
      const hearers = attached.includes(from) ? attached.length - 1 : attached.length;
      this.counters.count('offered', hearers);
      this.counters.count('partitioned', hearers);
      return;
    }
    for (let i = 0; i < attached.length; i++) {
      const to = attached[i]!;
      if (to === from) continue;
      values[OFFERED]!++;
      if (this.loss > 0 && this.#world.prng.chance(this.loss)) {
        this.counters.count('lost');
        continue;
      }
      this.#carry(to, memory, offset, len, view);
      if (this.duplication > 0 && this.#world.prng.chance(this.duplication)) {
        this.counters.count('duplicated');
        this.#carry(to, memory, offset, len, view);
      }
    }
  }

  #carry(to: Attachment, memory: Uint8Array, offset: number, len: number, view: DataView | undefined): void {
    const spare = this.#spares > 0 ? this.#spare[--this.#spares]! : null;
    const flight = spare !== null && spare.bytes.length >= len ? spare : this.#flight(Math.max(len, BUFFER_MIN));
    if (view === undefined) for (let i = 0; i < len; i++) flight.bytes[i] = memory[offset + i]!;
    else copyBytes(flight.bytes, flight.words, 0, view, offset, len);
    flight.len = len;
    flight.to = to;
    flight.changes = this.#changes;
    this.onTheWay++;
    this.#world.at(this.#arrivalNs(to), flight.arrive);
  }

  #flight(size: number): Flight {
    const words = new Int32Array((size + 3) >>> 2);
    const bytes = new Uint8Array(words.buffer);
    const arrive = () => this.#arrive(flight);
    const flight: Flight = { bytes, words, view: new DataView(words.buffer), len: 0, to: null, changes: 0, arrive };
    return flight;
  }

  #arrive(flight: Flight): void {
    const to = flight.to!;
    this.onTheWay--;
    this.counters.values[ARRIVED]!++;
    if (flight.changes === this.#changes || this.#attached.includes(to))
      to.receive(flight.bytes, flight.len, flight.view);
    else this.counters.count('unplugged');
    flight.to = null;
    this.#spare[this.#spares++] = flight;
  }

  /** Draws only for faults that are switched on, so that a wire without them takes no chance from the others. */
  #arrivalNs(to: Attachment): number {
    const { prng, nowNs } = this.#world;
    let atNs = nowNs + this.delayNs;
    if (this.jitterNs > 0) {
      atNs = Math.max(atNs + prng.below(this.jitterNs), this.#lastNs.get(to) ?? 0);
      this.#lastNs.set(to, atNs);
    }
    if (this.reorder > 0 && prng.chance(this.reorder)) {
      this.counters.count('reordered');
      return atNs + REORDER_NS;
    }
    return atNs;
  }
}
