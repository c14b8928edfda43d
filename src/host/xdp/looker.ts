/**
 * Looks again, and ever more seldom, at what nobody interrupts for: 1 ms after it is started, then 2, 4, ... 64 ms later, for as long as
 * there is something. Starting it while it runs costs nothing, and nothing is made for it.
 */
const FIRST_MS = 1;
const LAST_MS = 64;

export class Looker {
  readonly #look: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  /** Rounds of the timer between two looks, and those left of this one. */
  #every = 1;
  #left = 1;

  /** `look` says whether there is still something to look at. */
  constructor(look: () => boolean) {
    this.#look = look;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#every = 1;
    this.#left = 1;
    this.#again();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = true;
  }

  #again(): void {
    if (this.#timer === undefined) this.#timer = setTimeout(this.#fire, FIRST_MS).unref();
    else this.#timer.refresh();
  }

  readonly #fire = (): void => {
    if (--this.#left > 0) {
      this.#again();
      return;
    }
    if (!this.#look()) {
      this.#running = false;
      return;
    }
    this.#every = Math.min(LAST_MS / FIRST_MS, 2 * this.#every);
    this.#left = this.#every;
    this.#again();
  };
}
