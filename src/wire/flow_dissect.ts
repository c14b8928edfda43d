// hot
/**
 * Flow dissection: where in a frame it says to which conversation it belongs.
 *
 *     802.1Q, 802.1ad, PPPoE, HSR, batman  -> IPv4 | IPv6 and extension headers -> IPIP, 6in4, GRE (Ethernet, PPTP) -> again
 *                                          -> ports | SPI | type, code and id of ICMP
 *
 *  1. dissect() walks from the network header on through tags, sessions and tunnels to the innermost header, and keeps where the
 *     addresses and ports are. It stops where it cannot read on; what it has found until then counts.
 *  2. What is made of that is the caller's: flow.ts hashes it, the same both ways; a bond folds it as its policy says.
 *
 * Of fragments the ports are not read: the later ones have none. Bytes [o, end) are read, never more. One object serves frame after
 * frame; nothing is allocated. (`__skb_flow_dissect`)
 */
import { ETH_HLEN, ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { IPPROTO_ICMPV6 } from './icmpv6.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN } from './ipv4.ts';
import { IPV6_HLEN } from './ipv6.ts';
import { ETH_P_8021AD, VLAN_HLEN, VLAN_VID_MASK } from './vlan.ts';

/** A sender that labels its flows has said what belongs together: nothing is read behind such a header. */
export const FLOW_STOP_AT_LABEL = 1;
/** The first tag that is met in the bytes is taken for the one beside the frame: what `type` says comes again. (What Linux does.) */
export const FLOW_TAG_IN_TURN = 2;

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
  /** EtherType of the innermost header that was looked at. */
  protocol = 0;
  /** Where the innermost IP header starts in the view; -1: there is none. */
  networkOffset = -1;
  /** Where the addresses are, and how many bytes: 8 of IPv4, 32 of IPv6 (the sender's half first), 4 of TIPC, 0. */
  addressesOffset = 0;
  addressesLen = 0;
  /** The protocol behind it and its extension headers; 0 where there is none. */
  ipProtocol = 0;
  /** Where both ports, or an SPI, are: 4 bytes; -1: nowhere. With them connections can be told apart. */
  portsOffset = -1;
  /** Type and code of an ICMP message as they are in it; its id if it has one (0 is 1 then), else 0. */
  icmp = 0;
  icmpId = 0;
  isFragment = false;
  /** Of the outermost tag. */
  vlanId = 0;
  flowLabel = 0;
  /** Where the next header starts. */
  #at = 0;

  /** Nothing is known. */
  clear(): void {
    this.protocol = 0;
    this.networkOffset = -1;
    this.addressesOffset = 0;
    this.addressesLen = 0;
    this.ipProtocol = 0;
    this.portsOffset = -1;
    this.icmp = 0;
    this.icmpId = 0;
    this.isFragment = false;
    this.vlanId = 0;
    this.flowLabel = 0;
  }

  /**
   * Reads the headers in bytes [o, end) of `view`, of which the first one is of EtherType `type`; `vlanTci` is a tag beside the frame,
   * or -1; `flags` are FLOW_*. False: something is not known or cut off.
   */
  dissect(view: DataView, o: number, end: number, type: number, vlanTci = -1, flags = 0): boolean {
    this.clear();
    this.#at = o;
    let next = type;
    let tags = 0;
    let inTurn = false;
    if (vlanTci >= 0) {
      this.vlanId = vlanTci & VLAN_VID_MASK;
      inTurn = (flags & FLOW_TAG_IN_TURN) !== 0;
      tags = 1;
    }
    for (let headers = 0; headers < MAX_HEADERS; headers++) {
      this.protocol = next;
      if (next === ETH_P_IP) {
        next = this.#ipv4(view, end);
      } else if (next === ETH_P_IPV6) {
        next = this.#ipv6(view, end, (flags & FLOW_STOP_AT_LABEL) !== 0);
      } else if (next === ETH_P_8021Q || next === ETH_P_8021AD) {
        const at = this.#at;
        next = inTurn ? type : this.#skipTo(view, end, VLAN_HLEN, 2);
        if (tags === 0 && next !== BAD) this.vlanId = view.getUint16(at) & VLAN_VID_MASK;
        inTurn = false;
        tags++;
      } else {
        next = this.#linkLayer(view, end, next);
      }
      if (next < 0) return next === GOOD;
    }
    return true;
  }

  /** What stands at `o` behind IP, if that is ports or an SPI. (`__skb_flow_get_ports`) */
  ports(o: number, end: number, ipProtocol: number): void {
    const at = ipProtocol === IPPROTO_AH ? o + 4 : o;
    if (at + 4 <= end && hasPorts(ipProtocol)) this.portsOffset = at;
  }

  /** The ICMP header of either protocol at `o`, if all of it is there. (`skb_flow_get_icmp_tci`) */
  icmpHeader(view: DataView, o: number, end: number): void {
    if (o + ICMP_HLEN > end) return;
    this.icmp = view.getUint16(o);
    if (icmpHasId(this.icmp >>> 8)) this.icmpId = view.getUint16(o + 4) || 1;
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
        this.addressesOffset = at + 12;
        this.addressesLen = 4;
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

  #ipv4(view: DataView, end: number): number {
    const o = this.#at;
    if (o + IPV4_HLEN > end) return BAD;
    const headerLen = (view.getUint8(o) & 0x0f) * 4;
    if (headerLen < IPV4_HLEN) return BAD;
    this.networkOffset = o;
    this.addressesOffset = o + 12;
    this.addressesLen = 8;
    this.#at = o + headerLen;
    const protocol = view.getUint8(o + 9);
    this.ipProtocol = protocol;
    if ((view.getUint16(o + 6) & FRAGMENT_BITS) !== 0) {
      this.isFragment = true;
      return GOOD;
    }
    return this.#transport(view, end, protocol);
  }

  #ipv6(view: DataView, end: number, stopAtLabel: boolean): number {
    const o = this.#at;
    if (o + IPV6_HLEN > end) return BAD;
    this.networkOffset = o;
    this.addressesOffset = o + 8;
    this.addressesLen = 32;
    this.#at = o + IPV6_HLEN;
    let protocol = view.getUint8(o + 6);
    this.ipProtocol = protocol;
    this.flowLabel = view.getUint32(o) & 0xfffff;
    if (stopAtLabel && this.flowLabel !== 0) return GOOD;
    for (let headers = 0; isExtension(protocol); headers++) {
      // Of a chain that is too long, what is known so far counts.
      if (headers === MAX_HEADERS) return GOOD;
      const at = this.#at;
      const fragment = protocol === IPPROTO_FRAGMENT;
      if (at + (fragment ? 8 : 2) > end) return BAD;
      protocol = view.getUint8(at);
      this.ipProtocol = protocol;
      if (fragment) {
        this.isFragment = true;
        return GOOD;
      }
      this.#at = at + 8 + 8 * view.getUint8(at + 1);
    }
    return this.#transport(view, end, protocol);
  }

  /** Behind IP: GOOD at the ports, or the next EtherType of a tunnel. */
  #transport(view: DataView, end: number, protocol: number): number {
    switch (protocol) {
      // Nearly all frames end here.
      case IPPROTO_TCP:
      case IPPROTO_UDP:
        if (this.#at + 4 <= end) this.portsOffset = this.#at;
        return GOOD;
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
        this.icmpHeader(view, this.#at, end);
        return GOOD;
      default:
        this.ports(this.#at, end, protocol);
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
}

function isExtension(protocol: number): boolean {
  return (
    protocol === IPPROTO_HOPOPTS ||
    protocol === IPPROTO_ROUTING ||
    protocol === IPPROTO_DSTOPTS ||
    protocol === IPPROTO_FRAGMENT
  );
}

/** (`proto_ports_offset`) */
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
