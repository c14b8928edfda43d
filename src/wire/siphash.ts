// hot
/**
 * SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of short inputs, so that who sends us frames cannot choose where they
 * land. The kernel's software flow hash is its low half. (`siphash`)
 *
 * Four 64-bit words of state, kept as eight 32-bit halves in local variables; the input is a row of 32-bit words, the first
 * byte of the input being the lowest byte of the first word.
 */

/** A key of 128 bits as four words, lowest first, and the upper half of the last result. */
export class SipHash {
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  readonly #blockRounds: number;
  readonly #endRounds: number;
  /** Bits 32 to 63 of the last result. */
  high = 0;

  /** Two rounds a block and four at the end; SipHash-1-3 is the faster form for tables that never leave the machine. */
  constructor(k0: number, k1: number, k2: number, k3: number, blockRounds = 2, endRounds = 4) {
    this.#k0 = k0 | 0;
    this.#k1 = k1 | 0;
    this.#k2 = k2 | 0;
    this.#k3 = k3 | 0;
    this.#blockRounds = blockRounds;
    this.#endRounds = endRounds;
  }

  /** Hash of the first `byteLen` bytes of `words`: bits 0 to 31, unsigned; the others are in `high`. */
  hash(words: Int32Array, byteLen: number): number {
    let v0l = this.#k0 ^ 0x70736575;
    let v0h = this.#k1 ^ 0x736f6d65;
    let v1l = this.#k2 ^ 0x6e646f6d;
    let v1h = this.#k3 ^ 0x646f7261;
    let v2l = this.#k0 ^ 0x6e657261;
    let v2h = this.#k1 ^ 0x6c796765;
    let v3l = this.#k2 ^ 0x79746573;
    let v3h = this.#k3 ^ 0x74656462;
    const full = byteLen >>> 3;
    // Block `full` is what is left, with the length in its last byte; the one behind it closes: no input.
    for (let block = 0; block <= full + 1; block++) {
      let ml = 0;
      let mh = 0;
      let rounds = this.#blockRounds;
      if (block < full) {
        ml = words[2 * block]!;
        mh = words[2 * block + 1]!;
      } else if (block === full) {
        const left = byteLen & 7;
        if (left > 0) ml = left >= 4 ? words[2 * full]! : words[2 * full]! & ((1 << (8 * left)) - 1);
        if (left > 4) mh = words[2 * full + 1]! & ((1 << (8 * (left - 4))) - 1);
        mh |= byteLen << 24;
      } else {
        v2l ^= 0xff;
        rounds = this.#endRounds;
      }
      v3l ^= ml;
      v3h ^= mh;
      while (rounds-- > 0) {
        // The carry of a + b out of bit 31 is the top bit of (a & b) | ((a | b) & ~sum).
        // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
        let low = (v0l + v1l) | 0;
        v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~low)) >>> 31)) | 0;
        v0l = low;
        let turned = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
        v1l = turned;
        turned = v0l;
        v0l = v0h;
        v0h = turned;
        // v2 += v3; v3 = rotl(v3, 16) ^ v2
        low = (v2l + v3l) | 0;
        v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~low)) >>> 31)) | 0;
        v2l = low;
        turned = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
        v3l = turned;
        // v0 += v3; v3 = rotl(v3, 21) ^ v0
        low = (v0l + v3l) | 0;
        v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~low)) >>> 31)) | 0;
        v0l = low;
        turned = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
        v3l = turned;
        // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
        low = (v2l + v1l) | 0;
        v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~low)) >>> 31)) | 0;
        v2l = low;
        turned = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
        v1l = turned;
        turned = v2l;
        v2l = v2h;
        v2h = turned;
      }
      v0l ^= ml;
      v0h ^= mh;
    }
    this.high = (v0h ^ v1h ^ v2h ^ v3h) >>> 0;
    return (v0l ^ v1l ^ v2l ^ v3l) >>> 0;
  }
}
