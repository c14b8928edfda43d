// hot
/**
 * skb_shared_info: what all clones of a frame share besides its bytes: who uses them, the fragments, the chain, and how the
 * frame is to be cut again.
 *
 *     SkBuff --shinfo (an index)--> dataref | frags[0..17): (buf, offset, len) | fragList | gsoSize, gsoSegs, gsoType
 *     clone  --^
 *
 * A table of columns instead of objects: a record costs nothing until it is used, and taking one is a pop. Fragments are
 * references to arena buffers, which the record owns; the chain is frames, which it owns too. Both go with the last user.
 */
import { FreeStack } from '../base/free_stack.ts';
import type { SkBuff } from './sk_buff.ts';

/** Fragments of a frame at most. (`MAX_SKB_FRAGS`) */
export const MAX_SKB_FRAGS = 17;

/** As gsoSize: the frame is cut where the frames of its chain end. */
export const GSO_BY_FRAGS = 0xffff;

/** What a frame with gsoSize is made of (`SKB_GSO_*`). */
export const SKB_GSO_TCPV4 = 1 << 0;
export const SKB_GSO_DODGY = 1 << 1;
export const SKB_GSO_TCP_ECN = 1 << 2;
export const SKB_GSO_TCP_FIXEDID = 1 << 3;
export const SKB_GSO_TCPV6 = 1 << 4;
export const SKB_GSO_GRE = 1 << 6;
export const SKB_GSO_GRE_CSUM = 1 << 7;
export const SKB_GSO_IPXIP4 = 1 << 8;
export const SKB_GSO_IPXIP6 = 1 << 9;
export const SKB_GSO_PARTIAL = 1 << 13;
export const SKB_GSO_UDP_L4 = 1 << 17;
export const SKB_GSO_FRAGLIST = 1 << 18;
/** CWR is a part of a counter here: all segments have it, or none. */
export const SKB_GSO_TCP_ACCECN = 1 << 19;
/** As FIXEDID, of the IPv4 header in a tunnel. */
export const SKB_GSO_TCP_FIXEDID_INNER = 1 << 20;

export class SharedInfoTable {
  /** Frames that use the head buffer. */
  readonly dataref: Int32Array;
  /** How many of them promised to leave the headers alone (`nohdr`). */
  readonly payloadRefs: Int32Array;
  readonly nrFrags: Uint8Array;
  readonly gsoSize: Uint16Array;
  readonly gsoSegs: Uint16Array;
  readonly gsoType: Int32Array;
  /** Columns of the fragments; fragment i of record s is at s * MAX_SKB_FRAGS + i. */
  readonly fragBuf: Int32Array;
  readonly fragOffset: Int32Array;
  readonly fragLen: Int32Array;
  readonly #fragList: (SkBuff | null)[];
  readonly #free: FreeStack;

  /** At most `size` records. */
  constructor(size: number) {
    this.dataref = new Int32Array(size);
    this.payloadRefs = new Int32Array(size);
    this.nrFrags = new Uint8Array(size);
    this.gsoSize = new Uint16Array(size);
    this.gsoSegs = new Uint16Array(size);
    this.gsoType = new Int32Array(size);
    this.fragBuf = new Int32Array(size * MAX_SKB_FRAGS);
    this.fragOffset = new Int32Array(size * MAX_SKB_FRAGS);
    this.fragLen = new Int32Array(size * MAX_SKB_FRAGS);
    this.#fragList = new Array<SkBuff | null>(size).fill(null);
    this.#free = new FreeStack(size);
    this.#free.fill(0, size);
  }

  /** A record with one user and nothing in it, or -1. */
  take(): number {
    const s = this.#free.pop();
    if (s >= 0) this.renew(s);
    return s;
  }

  /** Makes a record that was given up, and kept, one with one user and nothing in it. */
  renew(s: number): void {
    this.dataref[s] = 1;
    this.payloadRefs[s] = 0;
    this.nrFrags[s] = 0;
    this.gsoSize[s] = 0;
    this.gsoSegs[s] = 0;
    this.gsoType[s] = 0;
  }

  /** The record is nobody's any more; what it owned must be gone. */
  give(s: number): void {
    this.#free.push(s);
  }

  fragList(s: number): SkBuff | null {
    return this.#fragList[s]!;
  }

  /** The chain belongs to the record from here on. */
  setFragList(s: number, first: SkBuff | null): void {
    this.#fragList[s] = first;
  }
}
