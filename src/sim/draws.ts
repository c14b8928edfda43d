/**
 * Record and replay of chance: what a world drew, and the same again.
 *
 *     new World({ seed, prng: new RecordingPrng(seed) })  -->  prng.draws       written down as they come
 *     new World({ seed, prng: new ReplayPrng(draws) })    -->  one history more
 *
 * A seed says the same in four bytes; the draws also hold after the program that drew them has changed, and can be edited: a
 * fault that is not needed for a failure is taken out by changing its draw to 0xffffffff, which is "no" to every chance.
 */
import { Bug } from '../base/assert.ts';
import { Prng } from '../base/prng.ts';

export class RecordingPrng extends Prng {
  readonly draws: number[] = [];
  /** The base class draws while it warms up; that is no history. */
  #ready = false;

  constructor(seed: number) {
    super(seed);
    this.#ready = true;
  }

  override u32(): number {
    const drawn = super.u32();
    if (#ready in this && this.#ready) this.draws.push(drawn);
    return drawn;
  }
}

export class ReplayPrng extends Prng {
  readonly #draws: readonly number[];
  #next = 0;
  #ready = false;

  constructor(draws: readonly number[]) {
    super(0);
    this.#draws = draws;
    this.#ready = true;
  }

  /** Draws that have not been asked for yet. */
  get left(): number {
    return this.#draws.length - this.#next;
  }

  override u32(): number {
    if (!(#ready in this) || !this.#ready) return super.u32();
    const drawn = this.#draws[this.#next++];
    if (drawn === undefined) throw new Bug('a replay draws as often as its recording: the program has changed');
    return drawn;
  }
}
