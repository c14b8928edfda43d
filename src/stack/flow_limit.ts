// hot
/**
 * The flow limit: when a CPU's backlog is half full, a flow that has more than its share of it loses frames before others do.
 *
 *     the last 128 frames --> bucket of each --> how many of them are in this bucket? more than 64: dropped
 *
 * Off until a CPU is given one. (`skb_flow_limit`, `net.core.flow_limit_cpu_bitmap`)
 */

const HISTORY = 128;
const SHARE = HISTORY / 2;
/** Buckets unless told otherwise. (`net.core.flow_limit_table_len`) */
export const FLOW_LIMIT_TABLE_LEN = 4096;
const GOLDEN_RATIO = 0x61c88647;

/** The upper `bits` bits of `value` times the golden ratio. (`hash_32`) */
export function hash32(value: number, bits: number): number {
  return bits === 0 ? 0 : Math.imul(value, GOLDEN_RATIO) >>> (32 - bits);
}

export class FlowLimit {
  /** Frames dropped by it (a column of softnet_stat). */
  count = 0;
  readonly #bits: number;
  readonly #buckets: Uint8Array;
  readonly #history = new Uint32Array(HISTORY);
  #next = 0;

  /** `size` is a power of two. */
  constructor(size = FLOW_LIMIT_TABLE_LEN) {
    this.#bits = 31 - Math.clz32(size);
    this.#buckets = new Uint8Array(size);
  }

  /** Counts a frame with this flow hash; true: its flow has had its share. Asked only while the backlog is half full. */
  exceeded(hash: number): boolean {
    const bucket = hash32(hash, this.#bits);
    const old = this.#history[this.#next]!;
    this.#history[this.#next] = bucket;
    this.#next = (this.#next + 1) % HISTORY;
    if (this.#buckets[old]! > 0) this.#buckets[old]!--;
    if (++this.#buckets[bucket]! <= SHARE) return false;
    this.count++;
    return true;
  }
}
