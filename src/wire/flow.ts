// hot
/**
 * The hash of a flow: a number that frames of one conversation have in common, in both directions.
 *
 *     FlowKeys.dissect() --> protocols, tags | ports, the smaller first | addresses, the smaller first --> keyed hash, never 0
 *
 * The key is secret: nobody outside can choose frames that all meet. 0 means "no hash". One object a machine, reused for every frame.
 * (`flow_hash_from_keys`)
 */
import { FlowKeys } from './flow_dissect.ts';
import { SipHash } from './siphash.ts';

/** Words of the hash input: protocols, tags, ports, then the two addresses. */
const PROTOCOLS = 0;
const TAGS = 1;
const PORTS = 2;
const ADDRESSES = 3;

export class Flow extends FlowKeys {
  readonly #words = new Int32Array(ADDRESSES + 8);
  readonly #sip: SipHash;

  /** The four words of the secret key. */
  constructor(k0 = 0x6e657470, k1 = 0x6f6c6c20, k2 = 0x666c6f77, k3 = 0x68617368) {
    super();
    this.#sip = new SipHash(k0, k1, k2, k3);
  }

  /** Hash of what dissect() found last in `view`, whose bytes are the same still; unsigned, never 0, the same for both directions. */
  hash(view: DataView): number {
    const words = this.#words;
    words[PROTOCOLS] = (this.protocol << 16) | this.ipProtocol;
    words[TAGS] = (this.vlanId << 20) | this.flowLabel;
    const { portsOffset } = this;
    if (portsOffset >= 0) {
      const source = view.getUint16(portsOffset);
      const dest = view.getUint16(portsOffset + 2);
      words[PORTS] = source < dest ? (source << 16) | dest : (dest << 16) | source;
    } else {
      words[PORTS] = (this.icmp << 16) | this.icmpId;
    }
    return this.#sip.hash(words, 4 * this.#readAddresses(view)) || 1;
  }

  /** The smaller of the two goes first. Words of the hash input so far. */
  #readAddresses(view: DataView): number {
    const words = this.#words;
    const half = this.addressesLen >>> 1;
    let first = this.addressesOffset;
    let second = first + half;
    for (let i = 0; i + 4 <= half; i += 4) {
      const a = view.getUint32(first + i);
      const b = view.getUint32(second + i);
      if (a === b) continue;
      if (a > b) {
        second = first;
        first += half;
      }
      break;
    }
    let n = ADDRESSES;
    for (let i = 0; i < half; i += 4) words[n++] = view.getInt32(first + i);
    for (let i = 0; i + 4 <= half; i += 4) words[n++] = view.getInt32(second + i);
    return n;
  }
}
