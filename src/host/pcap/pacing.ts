// hot
/**
 * When the next frame of a capture is due.
 *
 *     max      at once
 *     times    as long after the one before as it was recorded, divided by the rate; a clock that went back counts as no time
 *     frames   frame n at start + n / rate
 *     bits     as long after the one before as that one takes at the rate
 *
 * Whoever comes late finds several due and takes them together: the rate holds on average whatever the timers are like.
 */
import type { PcapPace } from './pcap_spec.ts';

export class Pacing {
  /** When the next frame is due, monotonic nanoseconds; 0: at once. Set by `next`. */
  dueNs = 0;
  readonly #pace: PcapPace;
  #startNs = -1;
  #frames = 0;
  #lastUs = 0;
  #lastPartNs = 0;
  #lastBits = 0;

  constructor(pace: PcapPace) {
    this.#pace = pace;
  }

  /** The frame that comes next was recorded at `us` and `partNs` and has `bytes`. `nowNs` is when the first one was asked for. */
  next(us: number, partNs: number, bytes: number, nowNs: number): void {
    const { by, rate, maxSleepNs } = this.#pace;
    if (by === 'max') return;
    if (this.#startNs < 0) {
      this.#startNs = this.dueNs = nowNs;
    } else if (by === 'frames') {
      this.dueNs = this.#startNs + (++this.#frames / rate) * 1e9;
    } else {
      const gapNs =
        by === 'bits' ? (this.#lastBits / rate) * 1e9 : ((us - this.#lastUs) * 1e3 + partNs - this.#lastPartNs) / rate;
      this.dueNs += Math.min(Math.max(gapNs, 0), maxSleepNs);
    }
    this.#lastUs = us;
    this.#lastPartNs = partNs;
    this.#lastBits = bytes * 8;
  }

  /** The capture begins again: its first frame follows its last one at once. */
  again(us: number, partNs: number): void {
    this.#lastUs = us;
    this.#lastPartNs = partNs;
  }
}
