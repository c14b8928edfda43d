// hot
/**
 * Flow dissection: what of a frame says to which conversation it belongs, and a hash of it.
 *
 *     VLAN tags -> IPv4 | IPv6 and its extension headers (-> IP inside IP) -> ports of TCP, UDP, ... or type and id of ICMP
 *
 *  1. dissect() walks the headers from the network header on and leaves what it found in fields. It stops where it cannot
 *     read on; what it has found until then counts. Of fragments the ports are not read: the later ones have none.
 *  2. hash() makes both directions alike (the smaller address and the smaller port first, each on its own) and hashes the
 *     words with a secret key. It is never 0, which means "no hash".
 *
 * One object a machine, reused for every frame; nothing is allocated. (`__skb_flow_dissect`, `flow_hash_from_keys`)
 */
import { ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from './ipv4.ts';
import { IPV6_HLEN } from './ipv6.ts';
import { SipHash } from './siphash.ts';

const ETH_P_8021AD = 0x88a8;
const IPPROTO_HOPOPTS = 0;
const IPPROTO_IPIP = 4;
const IPPROTO_DCCP = 33;
const IPPROTO_IPV6 = 41;
const IPPROTO_ROUTING = 43;
const IPPROTO_FRAGMENT = 44;
const IPPROTO_ESP = 50;
const IPPROTO_ICMPV6 = 58;
const IPPROTO_DSTOPTS = 60;
const IPPROTO_SCTP = 132;
const IPPROTO_UDPLITE = 136;
/** Headers that are walked at most. (`MAX_FLOW_DISSECT_HDRS`) */
const MAX_HEADERS = 15;

/** Words of the hash input: protocols, tags, ports, then the two addresses. */
const PROTOCOLS = 0;
const TAGS = 1;
const PORTS = 2;
const ADDRESSES = 3;

export class Flow {
  /** EtherType of the innermost network header, 0: nothing was found. */
  protocol = 0;
  /** Bytes of an address of it: 0, 4 or 16. */
  addressLen = 0;
  /** Where the innermost network header starts in the view, where the transport header does (-1: not reached). */
  networkOffset = -1;
  transportOffset = -1;
  ipProtocol = 0;
  sourcePort = 0;
  destPort = 0;
  /** The ports were there to be read: the hash tells connections apart. (`l4_hash`) */
  hasPorts = false;
  isFragment = false;
  vlanId = 0;
  flowLabel = 0;
  readonly #words = new Int32Array(ADDRESSES + 8);
  readonly #sip: SipHash;

  /** The four words of the secret key. */
  constructor(k0 = 0x6e657470, k1 = 0x6f6c6c20, k2 = 0x666c6f77, k3 = 0x68617368) {
    this.#sip = new SipHash(k0, k1, k2, k3);
  }

  /**
   * Reads the headers in bytes [o, end) of `view`, of which the first one is of EtherType `type`; `vlanTci` is a tag that the
   * device took out, or -1. True if it got as far as an IP header.
   */
  dissect(view: DataView, o: number, end: number, type: number, vlanTci = -1): boolean {
    this.protocol = 0;
    this.addressLen = 0;
    this.networkOffset = -1;
    this.transportOffset = -1;
    this.ipProtocol = 0;
    this.sourcePort = 0;
    this.destPort = 0;
    this.hasPorts = false;
    this.isFragment = false;
    this.vlanId = vlanTci >= 0 ? vlanTci & 0xfff : 0;
    this.flowLabel = 0;
    this.#words[PORTS] = 0;
    let at = o;
    let next = type;
    for (let headers = 0; headers < MAX_HEADERS; headers++) {
      if (next === ETH_P_IP) {
        at = this.#ipv4(view, at, end);
      } else if (next === ETH_P_IPV6) {
        at = this.#ipv6(view, at, end);
      } else if ((next === ETH_P_8021Q || next === ETH_P_8021AD) && at + 4 <= end) {
        if (this.vlanId === 0) this.vlanId = view.getUint16(at) & 0xfff;
        next = view.getUint16(at + 2);
        at += 4;
        continue;
      } else {
        break;
      }
      if (at < 0) break;
      if (this.ipProtocol === IPPROTO_IPIP) next = ETH_P_IP;
      else if (this.ipProtocol === IPPROTO_IPV6) next = ETH_P_IPV6;
      else {
        this.#transport(view, at, end);
        break;
      }
    }
    if (this.protocol === 0) this.protocol = next;
    return this.addressLen !== 0;
  }

  /** Hash of what dissect() found last; unsigned, never 0, the same for both directions. */
  hash(): number {
    const words = this.#words;
    words[PROTOCOLS] = (this.protocol << 16) | this.ipProtocol;
    words[TAGS] = (this.vlanId << 20) | this.flowLabel;
    if (this.hasPorts) {
      const low = Math.min(this.sourcePort, this.destPort);
      words[PORTS] = (low << 16) | (this.sourcePort + this.destPort - low);
    }
    const n = this.addressLen >>> 2;
    for (let i = 0; i < n; i++) {
      const a = words[ADDRESSES + i]! >>> 0;
      const b = words[ADDRESSES + n + i]! >>> 0;
      if (a === b) continue;
      if (b < a) this.#exchangeAddresses(n);
      break;
    }
    return this.#sip.hash(words, 4 * (ADDRESSES + 2 * n)) || 1;
  }

  #exchangeAddresses(n: number): void {
    const words = this.#words;
    for (let i = 0; i < n; i++) {
      const a = words[ADDRESSES + i]!;
      words[ADDRESSES + i] = words[ADDRESSES + n + i]!;
      words[ADDRESSES + n + i] = a;
    }
  }

  /** Where the header behind is, or -1: nothing to be read there. */
  #ipv4(view: DataView, o: number, end: number): number {
    if (o + 20 > end) return -1;
    const headerLen = (view.getUint8(o) & 0x0f) * 4;
    if (headerLen < 20 || o + headerLen > end) return -1;
    this.protocol = ETH_P_IP;
    this.addressLen = 4;
    this.networkOffset = o;
    this.ipProtocol = view.getUint8(o + 9);
    this.#words[ADDRESSES] = view.getInt32(o + 12);
    this.#words[ADDRESSES + 1] = view.getInt32(o + 16);
    this.transportOffset = o + headerLen;
    this.isFragment = (view.getUint16(o + 6) & 0x3fff) !== 0;
    return this.isFragment ? -1 : o + headerLen;
  }

  #ipv6(view: DataView, o: number, end: number): number {
    if (o + IPV6_HLEN > end) return -1;
    this.protocol = ETH_P_IPV6;
    this.addressLen = 16;
    this.networkOffset = o;
    for (let i = 0; i < 8; i++) this.#words[ADDRESSES + i] = view.getInt32(o + 8 + 4 * i);
    this.flowLabel = view.getUint32(o) & 0xfffff;
    let next = view.getUint8(o + 6);
    let at = o + IPV6_HLEN;
    for (let headers = 0; headers < MAX_HEADERS; headers++) {
      this.ipProtocol = next;
      if (next === IPPROTO_FRAGMENT) {
        this.isFragment = true;
        if (at + 8 <= end) this.ipProtocol = view.getUint8(at);
        return -1;
      }
      if (next !== IPPROTO_HOPOPTS && next !== IPPROTO_ROUTING && next !== IPPROTO_DSTOPTS) break;
      if (at + 2 > end) return -1;
      next = view.getUint8(at);
      at += 8 + 8 * view.getUint8(at + 1);
    }
    this.transportOffset = at;
    // A sender that labels its flows has said what belongs together: the ports add nothing.
    return this.flowLabel !== 0 ? -1 : at;
  }

  #transport(view: DataView, o: number, end: number): void {
    if (o + 4 > end) return;
    switch (this.ipProtocol) {
      case IPPROTO_TCP:
      case IPPROTO_UDP:
      case IPPROTO_DCCP:
      case IPPROTO_ESP:
      case IPPROTO_SCTP:
      case IPPROTO_UDPLITE:
        this.sourcePort = view.getUint16(o);
        this.destPort = view.getUint16(o + 2);
        this.hasPorts = true;
        break;
      case IPPROTO_ICMP:
      case IPPROTO_ICMPV6:
        this.#words[PORTS] = view.getUint16(o) << 16;
        if (o + 6 <= end && icmpHasId(this.ipProtocol, view.getUint8(o))) {
          this.#words[PORTS] = (view.getUint16(o) << 16) | (view.getUint16(o + 4) || 1);
        }
        break;
    }
  }
}

/** Echo, timestamp and address mask messages carry an identifier. */
function icmpHasId(protocol: number, type: number): boolean {
  if (protocol === IPPROTO_ICMPV6) return type === 128 || type === 129;
  return type === 0 || type === 8 || (type >= 13 && type <= 18);
}
