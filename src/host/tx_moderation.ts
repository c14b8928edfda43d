/**
 * Interrupts for frames that have left, moderated: for ports whose transmits are over when the call returns.
 *
 *     burst sent, its tags wait --> TX_FRAMES or more: interrupt in a later turn of the loop
 *                               --> fewer: after TX_USECS, unless somebody has reaped them by then
 *
 * Without it every burst would have a poll of its own, with two system calls to mask and unmask, only to free what it held; a forwarder
 * would poll twice for each frame. (`tx-frames` and `tx-usecs` of ethtool)
 */
import type { Watch } from './executive.ts';

/** Half of what a port keeps of tags (done_tags.ts). */
export const TX_FRAMES = 128;
export const TX_USECS = 1000;

export class TxModeration {
  readonly #watch: Pick<Watch, 'raise'>;
  readonly #waiting: () => number;
  #timer: NodeJS.Timeout | undefined;
  #pending = false;

  /** `waiting`: tags that nobody has reaped. */
  constructor(watch: Pick<Watch, 'raise'>, waiting: () => number) {
    this.#watch = watch;
    this.#waiting = waiting;
  }

  /** Frames have been sent while the interrupt is on. */
  sent(): void {
    if (this.#waiting() >= TX_FRAMES) {
      this.#watch.raise();
      return;
    }
    if (this.#pending) return;
    this.#pending = true;
    // One timer, wound up again: nothing is made for a frame.
    if (this.#timer === undefined) this.#timer = setTimeout(this.#fire, TX_USECS / 1000).unref();
    else this.#timer.refresh();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending = true;
  }

  readonly #fire = (): void => {
    this.#pending = false;
    if (this.#waiting() > 0) this.#watch.raise();
  };
}
