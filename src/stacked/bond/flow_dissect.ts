// hot
/**
 * Flow dissection as a bond does it: which addresses and which ports say where a frame belongs.
 *
 *     bondFlowIp    the outer IP header and what follows at once; an ICMP error counts as the packet that it complains about
 *     dissect       through tags, sessions and tunnels to the innermost header:
 *
 *         802.1Q, 802.1ad, PPPoE, HSR, batman  -> IPv4 | IPv6 and extension headers -> IPIP, 6in4, GRE (Ethernet, PPTP) -> again
 *                                              -> ports | SPI | type, code and id of ICMP
 *
 * wire/flow.ts is the sibling for the frame's own hash: that one makes both directions alike, stops at flow labels and knows fewer
 * tunnels. What is left here: `addresses` = XOR of all address words, `ports` = the word behind. The kernel XORs words in the order
 * of the wire, as registers of a little-endian CPU hold them, and shifts the result: so words are read as such a CPU reads them.
 * Bytes [o, end) are read, never more. One object a bond, nothing is allocated. (`bond_flow_ip`, `__skb_flow_dissect`)
 */
import { ETH_HLEN, ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_ICMPV6 } from '../../wire/icmpv6.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN } from '../../wire/ipv4.ts';
import { IPV6_HLEN } from '../../wire/ipv6.ts';
import { ETH_P_8021AD, VLAN_HLEN } from '../../wire/vlan.ts';

const ETH_P_BATMAN = 0x4305;
const ETH_P_TEB = 0x6558;
const ETH_P_RARP = 0x8035;
const ETH_P_PPP = 0x880b;
const ETH_P_MPLS_UC = 0x8847;
const ETH_P_MPLS_MC = 0x8848;
const ETH_P_PPP_SES = 0x8864;
const ETH_P_TIPC = 0x88ca;
const ETH_P_1588 = 0x88f7;
const ETH_P_PRP = 0x88fb;
const ETH_P_CFM = 0x8902;
const ETH_P_FCOE = 0x8906;
const ETH_P_HSR = 0x892f;

const IPPROTO_HOPOPTS = 0;
const IPPROTO_IPIP = 4;
const IPPROTO_DCCP = 33;
const IPPROTO_IPV6 = 41;
const IPPROTO_ROUTING = 43;
const IPPROTO_FRAGMENT = 44;
const IPPROTO_GRE = 47;
const IPPROTO_ESP = 50;
const IPPROTO_AH = 51;
const IPPROTO_DSTOPTS = 60;
const IPPROTO_SCTP = 132;
const IPPROTO_UDPLITE = 136;
const IPPROTO_MPLS = 137;

const FRAGMENT_BITS = 0x3fff;
const ICMP_HLEN = 8;
const PTP_HLEN = 34;
const FCOE_HLEN = 38;
const HSR_HLEN = 6;
const TIPC_KEY_END = 16;
/** Unicast header of batman-adv, and what its first two bytes must be. */
const BATADV_UNICAST_HLEN = 10;
const BATADV_UNICAST = 0x400f;
const PPPOE_HLEN = 6;
const PPP_IP = 0x21;
const PPP_IPV6 = 0x57;
const PPP_MPLS_UC = 0x281;
const PPP_MPLS_MC = 0x283;
const GRE_CSUM = 0x8000;
const GRE_ROUTING = 0x4000;
const GRE_KEY = 0x2000;
const GRE_SEQ = 0x1000;
const GRE_ACK = 0x0080;
const GRE_VERSION = 0x0007;
/** Headers that are walked at most. (`MAX_FLOW_DISSECT_HDRS`) */
const MAX_HEADERS = 15;

/** What a step of dissect() says, where it does not name the next protocol. */
const GOOD = -1;
const BAD = -2;

export class FlowKeys {
  /** XOR of all 32-bit words of both addresses. */
  addresses = 0;
  /** The four bytes of the ports (or of an SPI) as one word; of ICMP with an id: type, code and id. */
  ports = 0;
  /** Where the header behind the one read last starts, and its protocol; -1: a fragment, there is none to be read. */
  #at = 0;
  #ipProtocol = -1;

  /** Reads an IP packet at `o` without looking into it. False: it is none, or cut off. (`bond_flow_dissect`) */
  bondFlowIp(view: DataView, o: number, end: number, type: number, withPorts: boolean): boolean {
    if (!this.#outerIp(view, o, end, type, withPorts)) return false;
    const protocol = this.#ipProtocol;
    if (protocol !== IPPROTO_ICMP && protocol !== IPPROTO_ICMPV6) return true;
    const icmp = this.#at;
    this.#icmp(view, icmp, end);
    const message = icmp + 2 <= end ? view.getUint8(icmp) : 0;
    const error = protocol === IPPROTO_ICMP ? icmpIsError(message) : icmp + 2 <= end && icmpv6IsError(message);
    return !error || this.#outerIp(view, icmp + ICMP_HLEN, end, type, withPorts);
  }

  #outerIp(view: DataView, o: number, end: number, type: number, withPorts: boolean): boolean {
    this.addresses = 0;
    this.ports = 0;
    this.#ipProtocol = -1;
    if (type === ETH_P_IP) {
      if (o + IPV4_HLEN > end) return false;
      this.#ipv4Addresses(view, o);
      this.#at = o + (view.getUint8(o) & 0x0f) * 4;
      if ((view.getUint16(o + 6) & FRAGMENT_BITS) === 0) this.#ipProtocol = view.getUint8(o + 9);
    } else if (type === ETH_P_IPV6) {
      if (o + IPV6_HLEN > end) return false;
      this.#ipv6Addresses(view, o);
      this.#at = o + IPV6_HLEN;
      this.#ipProtocol = view.getUint8(o + 6);
    } else {
      return false;
    }
    if (withPorts) this.#readPorts(view, this.#at, end);
    return true;
  }

  /**
   * Walks to the innermost header. False: something is not known or cut off. `tagBeside`: the frame's own tag is not in the bytes; Linux
   * then takes the first tag that is in them for that one, and goes on with `type` again. (`__skb_flow_dissect` with the bond's keys)
   */
  dissect(view: DataView, o: number, end: number, type: number, tagBeside = false): boolean {
    this.addresses = 0;
    this.ports = 0;
    this.#at = o;
    let next = type;
    let beside = tagBeside;
    for (let headers = 0; headers < MAX_HEADERS; headers++) {
      if (next === ETH_P_8021Q || next === ETH_P_8021AD) {
        next = beside ? type : this.#skipTo(view, end, VLAN_HLEN, 2);
        beside = false;
      } else if (next === ETH_P_IP || next === ETH_P_IPV6) {
        next = this.#ip(view, end, next);
      } else {
        next = this.#linkLayer(view, end, next);
      }
      if (next < 0) return next === GOOD;
    }
    return true;
  }

  /** The 16 bits at `typeAt` of a header of `length` bytes, which is left behind; BAD if it is cut off. */
  #skipTo(view: DataView, end: number, length: number, typeAt: number): number {
    const at = this.#at;
    if (at + length > end) return BAD;
    this.#at = at + length;
    return view.getUint16(at + typeAt);
  }

  /** What is below IP and not a tag. */
  #linkLayer(view: DataView, end: number, type: number): number {
    const at = this.#at;
    switch (type) {
      case ETH_P_PPP_SES:
        return this.#pppoe(view, end);
      // The sending node. (Linux deals keep-alive messages out by chance.)
      case ETH_P_TIPC:
        if (at + TIPC_KEY_END > end) return BAD;
        this.addresses = view.getInt32(at + 12, true);
        return GOOD;
      case ETH_P_MPLS_UC:
      case ETH_P_MPLS_MC:
      case ETH_P_ARP:
      case ETH_P_RARP:
      case ETH_P_CFM:
        return GOOD;
      case ETH_P_FCOE:
        return at + FCOE_HLEN > end ? BAD : GOOD;
      case ETH_P_1588:
        return at + PTP_HLEN > end ? BAD : GOOD;
      case ETH_P_PRP:
      case ETH_P_HSR:
        return this.#skipTo(view, end, HSR_HLEN, 4);
      case ETH_P_BATMAN:
        if (at + 2 > end || view.getUint16(at) !== BATADV_UNICAST) return BAD;
        return this.#skipTo(view, end, BATADV_UNICAST_HLEN + ETH_HLEN, BATADV_UNICAST_HLEN + 12);
      default:
        return BAD;
    }
  }

  /** The session's header says version 1, type 1, code 0. A protocol field of one byte (RFC 1661) is not looked at: RFC 2516 forbids it. */
  #pppoe(view: DataView, end: number): number {
    const at = this.#at;
    if (at + PPPOE_HLEN + 2 > end || view.getUint16(at) !== 0x1100) return BAD;
    const protocol = view.getUint16(at + PPPOE_HLEN);
    this.#at = at + PPPOE_HLEN + 2;
    if (protocol === PPP_IP) return ETH_P_IP;
    if (protocol === PPP_IPV6) return ETH_P_IPV6;
    if (protocol === PPP_MPLS_UC) return ETH_P_MPLS_UC;
    if (protocol === PPP_MPLS_MC) return ETH_P_MPLS_MC;
    return (protocol & 0x0101) === 0x0001 ? GOOD : BAD;
  }

  /** An IP header, its extension headers, and what is behind: GOOD at the ports, or the next EtherType of a tunnel. */
  #ip(view: DataView, end: number, type: number): number {
    const o = this.#at;
    let protocol: number;
    if (type === ETH_P_IP) {
      if (o + IPV4_HLEN > end || (view.getUint8(o) & 0x0f) < 5) return BAD;
      this.#ipv4Addresses(view, o);
      this.#at = o + (view.getUint8(o) & 0x0f) * 4;
      if ((view.getUint16(o + 6) & FRAGMENT_BITS) !== 0) return GOOD;
      protocol = view.getUint8(o + 9);
    } else {
      if (o + IPV6_HLEN > end) return BAD;
      this.#ipv6Addresses(view, o);
      this.#at = o + IPV6_HLEN;
      protocol = view.getUint8(o + 6);
      for (let headers = 0; isExtension(protocol); headers++) {
        // Of a chain that is too long, what is known so far counts.
        if (headers === MAX_HEADERS) return GOOD;
        const at = this.#at;
        if (at + (protocol === IPPROTO_FRAGMENT ? 8 : 2) > end) return BAD;
        if (protocol === IPPROTO_FRAGMENT) return GOOD;
        protocol = view.getUint8(at);
        this.#at = at + 8 + 8 * view.getUint8(at + 1);
      }
    }
    switch (protocol) {
      case IPPROTO_IPIP:
        return ETH_P_IP;
      case IPPROTO_IPV6:
        return ETH_P_IPV6;
      case IPPROTO_MPLS:
        return ETH_P_MPLS_UC;
      case IPPROTO_GRE:
        return this.#gre(view, end);
      case IPPROTO_ICMP:
      case IPPROTO_ICMPV6:
        this.#icmp(view, this.#at, end);
        return GOOD;
      default:
        this.#ipProtocol = protocol;
        this.#readPorts(view, this.#at, end);
        return GOOD;
    }
  }

  /** Version 0 carries anything, version 1 is PPTP's. */
  #gre(view: DataView, end: number): number {
    let at = this.#at;
    if (at + 4 > end) return BAD;
    const flags = view.getUint16(at);
    const type = view.getUint16(at + 2);
    const version = flags & GRE_VERSION;
    if ((flags & GRE_ROUTING) !== 0 || version > 1) return GOOD;
    if (version === 1 && (type !== ETH_P_PPP || (flags & GRE_KEY) === 0)) return GOOD;
    at += 4;
    if ((flags & GRE_CSUM) !== 0) at += 4;
    if ((flags & GRE_KEY) !== 0) {
      if (at + 4 > end) return BAD;
      at += 4;
    }
    if ((flags & GRE_SEQ) !== 0) at += 4;
    this.#at = at;
    if (version === 0) return type === ETH_P_TEB ? this.#skipTo(view, end, ETH_HLEN, 12) : type;
    if ((flags & GRE_ACK) !== 0) this.#at = at + 4;
    const ppp = this.#skipTo(view, end, 4, 2);
    if (ppp === BAD) return BAD;
    return ppp === PPP_IP ? ETH_P_IP : ppp === PPP_IPV6 ? ETH_P_IPV6 : ETH_P_PPP;
  }

  #ipv4Addresses(view: DataView, o: number): void {
    this.addresses = view.getInt32(o + 12, true) ^ view.getInt32(o + 16, true);
  }

  #ipv6Addresses(view: DataView, o: number): void {
    let words = 0;
    for (let at = o + 8; at < o + IPV6_HLEN; at += 4) words ^= view.getInt32(at, true);
    this.addresses = words;
  }

  /** (`__skb_flow_get_ports`) */
  #readPorts(view: DataView, o: number, end: number): void {
    const at = o + (this.#ipProtocol === IPPROTO_AH ? 4 : 0);
    if (hasPorts(this.#ipProtocol) && at + 4 <= end) this.ports = view.getInt32(at, true);
  }

  /** Messages that have an id belong together by it; an id of 0 counts as 1. (`skb_flow_get_icmp_tci`) */
  #icmp(view: DataView, o: number, end: number): void {
    if (o + ICMP_HLEN > end || !icmpHasId(view.getUint8(o))) return;
    this.ports = view.getUint16(o, true) | ((view.getUint16(o + 4) || 1) << 16);
  }
}

function isExtension(protocol: number): boolean {
  return (
    protocol === IPPROTO_HOPOPTS ||
    protocol === IPPROTO_ROUTING ||
    protocol === IPPROTO_DSTOPTS ||
    protocol === IPPROTO_FRAGMENT
  );
}

function hasPorts(protocol: number): boolean {
  return (
    protocol === IPPROTO_TCP ||
    protocol === IPPROTO_UDP ||
    protocol === IPPROTO_DCCP ||
    protocol === IPPROTO_ESP ||
    protocol === IPPROTO_AH ||
    protocol === IPPROTO_SCTP ||
    protocol === IPPROTO_UDPLITE
  );
}

/** Echo and time stamp messages of either protocol. (`icmp_has_id`) */
function icmpHasId(type: number): boolean {
  return type === 0 || type === 8 || type === 13 || type === 14 || type === 128 || type === 129;
}

/** Unreachable, source quench, redirect, time exceeded, parameter problem. (`icmp_is_err`) */
function icmpIsError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** Unreachable, too big, time exceeded, parameter problem. (`icmpv6_is_err`) */
function icmpv6IsError(type: number): boolean {
  return type >= 1 && type <= 4;
}
