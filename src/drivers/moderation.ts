// hot
/**
 * Interrupt moderation as a card does it, for one queue and direction: completions are announced together.
 *
 *     completion --> first that nobody knows of? the timer starts --usecs later--> announce
 *               \--> as many as `frames`: announce at once
 *
 * With usecs 0 and frames 0 or 1 every completion is announced. The driver that has looked at the ring clears what is not announced
 * yet; what completes afterwards starts a new round. (`struct ethtool_coalesce`; the rule is coalesceDue's in device/coalesce.ts)
 */
export class Moderation {
  usecs = 0;
  frames = 1;
  /** Completions that nobody knows of. */
  pending = 0;
  readonly #after: (ns: number, action: () => void) => void;
  readonly #announce: () => void;
  #round = 0;

  /** `announce` interrupts; `after` is the card's clock. */
  constructor(after: (ns: number, action: () => void) => void, announce: () => void) {
    this.#after = after;
    this.#announce = announce;
  }

  /** True if every completion is announced for itself. */
  get off(): boolean {
    return this.usecs === 0 && this.frames <= 1;
  }

  /** A frame was received, or sent. */
  completed(): void {
    if (this.off) {
      this.#announce();
      return;
    }
    this.pending++;
    if (this.frames > 0 && this.pending >= this.frames) this.#fire();
    else if (this.pending === 1) this.#start();
  }

  /** The driver has seen what is there. */
  clear(): void {
    this.pending = 0;
    this.#round++;
  }

  /** Other values; what waits by the old ones is announced now. */
  set(usecs: number, frames: number): void {
    this.usecs = usecs;
    this.frames = frames;
    if (this.pending > 0) this.#fire();
  }

  /** For a card that is unmasked with `waiting` completions which it has not announced: they are waited for, not forgotten. */
  rearm(waiting: number): void {
    if (waiting === 0 || this.off || this.pending > 0) return;
    this.pending = waiting;
    if (this.frames > 0 && waiting >= this.frames) this.#fire();
    else this.#start();
  }

  #fire(): void {
    this.clear();
    this.#announce();
  }

  /** Set-up of a timer, once a round. */
  #start(): void {
    if (this.usecs === 0) return;
    const round = this.#round;
    this.#after(this.usecs * 1000, () => {
      if (round === this.#round) this.#fire();
    });
  }
}
