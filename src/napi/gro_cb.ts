// hot
/**
 * What receive offload knows of a frame while it looks at it or holds it (napi_gro_cb): columns indexed by `skb.id`, so a
 * frame costs nothing here. And the frames that one instance holds.
 *
 *     frame   | Ethernet | IP          | TCP        | payload ............ |
 *                        ^ skb.data    ^ transport  ^ data + offset          "the rest" = len - offset
 *                          + network
 *
 *     list    bucket 0..7 (hash & 7): at most 8 frames each, [oldest ... newest]
 */
import type { SkBuff } from '../skb/sk_buff.ts';

/** Frames that a bucket holds. (`MAX_GRO_SKBS`) */
export const MAX_GRO_SKBS = 8;
/** (`GRO_HASH_BUCKETS`) */
export const GRO_HASH_BUCKETS = 8;
/** A frame with its merged bytes stays below this. (`GRO_LEGACY_MAX_SIZE`) */
export const GRO_MAX_SIZE = 65536;
/** Headers within headers that are looked into. (`GRO_RECURSION_LIMIT`) */
const RECURSION_LIMIT = 15;

export class GroCb {
  /** How far, from skb.data, headers have been read. */
  readonly offset: Int32Array;
  /** Do not hold it, do not merge it. */
  readonly flush: Uint8Array;
  /** Held frames: the frame looked at may belong to it. The frame looked at: it was merged. */
  readonly sameFlow: Uint8Array;
  /** Segments in it. */
  readonly count: Int32Array;
  /** Its object is not needed any more: the bytes are now fragments of another frame. */
  readonly free: Uint8Array;
  /** Inside of a tunnel. */
  readonly encapMark: Uint8Array;
  readonly isFlist: Uint8Array;
  /** Bit 0 the outer, bit 1 the inner IPv4 header: the identification stays the same. */
  readonly fixedId: Uint8Array;
  readonly proto: Uint8Array;
  readonly depth: Uint8Array;
  /** Where, from skb.data, the outer and the inner network header are. */
  readonly network: Int32Array;
  readonly innerNetwork: Int32Array;
  /** Checksums that hardware has verified and nobody has used yet. */
  readonly csumCnt: Uint8Array;
  /** `csum` is the sum over the rest, as 16 bits. */
  readonly csumValid: Uint8Array;
  readonly csum: Int32Array;
  /** The jiffy in which it was held. */
  readonly age: Float64Array;
  /** To whom the next segment is appended. */
  readonly last: (SkBuff | null)[];

  /** For a pool of `size` frames. */
  constructor(size: number) {
    this.offset = new Int32Array(size);
    this.flush = new Uint8Array(size);
    this.sameFlow = new Uint8Array(size);
    this.count = new Int32Array(size);
    this.free = new Uint8Array(size);
    this.encapMark = new Uint8Array(size);
    this.isFlist = new Uint8Array(size);
    this.fixedId = new Uint8Array(size);
    this.proto = new Uint8Array(size);
    this.depth = new Uint8Array(size);
    this.network = new Int32Array(size);
    this.innerNetwork = new Int32Array(size);
    this.csumCnt = new Uint8Array(size);
    this.csumValid = new Uint8Array(size);
    this.csum = new Int32Array(size);
    this.age = new Float64Array(size);
    this.last = new Array<SkBuff | null>(size).fill(null);
  }

  /** A frame that was not looked at yet. */
  start(id: number): void {
    this.offset[id] = 0;
    this.flush[id] = 0;
    this.sameFlow[id] = 0;
    this.count[id] = 1;
    this.free[id] = 0;
    this.encapMark[id] = 0;
    this.isFlist[id] = 0;
    this.fixedId[id] = 0;
    this.proto[id] = 0;
    this.depth[id] = 0;
    this.network[id] = 0;
    this.innerNetwork[id] = 0;
    this.csumCnt[id] = 0;
    this.csumValid[id] = 0;
    this.csum[id] = 0;
    this.last[id] = null;
  }

  /** One header deeper; false: too many. */
  deeper(id: number): boolean {
    this.depth[id]!++;
    return this.depth[id]! < RECURSION_LIMIT;
  }

  /** Where the innermost network header is, from skb.data. */
  innermost(id: number): number {
    return this.encapMark[id] === 0 ? this.network[id]! : this.innerNetwork[id]!;
  }

  setInnermost(id: number, at: number): void {
    if (this.encapMark[id] === 0) this.network[id] = at;
    else this.innerNetwork[id] = at;
  }
}

/** Frames with equal hash bits; `held[0]` is the oldest. */
export class GroBucket {
  count = 0;
  readonly held: (SkBuff | null)[] = new Array<SkBuff | null>(MAX_GRO_SKBS).fill(null);

  add(skb: SkBuff): void {
    this.held[this.count++] = skb;
  }

  /** Takes out the frame at `at`. */
  take(at: number): SkBuff {
    const { held } = this;
    const skb = held[at]!;
    this.count--;
    for (let i = at; i < this.count; i++) held[i] = held[i + 1]!;
    held[this.count] = null;
    return skb;
  }

  remove(skb: SkBuff): void {
    this.take(this.held.indexOf(skb));
  }
}
