/**
 * The one source of chance in this program: a seeded generator (sfc32), so that a run can be had again from its seed.
 *
 * Not for secrets.
 */
export class Prng {
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#a = 0x9e3779b9 ^ this.seed;
    this.#b = 0x243f6a88;
    this.#c = 0xb7e15162 ^ Math.imul(this.seed, 0x85ebca6b);
    this.#d = 1;
    for (let i = 0; i < 16; i++) this.u32();
  }

  /** A uniform integer in [0, 2^32). */
  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  /** A uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.u32() / 0x100000000) * bound);
  }

  /** True with the given probability (0 to 1). */
  chance(probability: number): boolean {
    return this.u32() < probability * 0x100000000;
  }

  /** Writes a random locally administered unicast MAC address (`eth_random_addr`). */
  macAddress(out: Uint8Array = new Uint8Array(6)): Uint8Array {
    for (let i = 0; i < 6; i++) out[i] = this.u32() & 0xff;
    out[0] = (out[0]! & 0xfe) | 0x02;
    return out;
  }
}
