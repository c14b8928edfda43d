// hot
/**
 * A frame's flow as a bond sees it: addresses and ports, folded to a word each.
 *
 *     bondFlowIp     the outer IP header and what follows at once; an ICMP error counts as the packet that it complains about.
 *                    (The encap policies look into tunnels, with FlowKeys.dissect.)
 *     networkAt      where to look: a frame that a packet socket handed over has no network header
 *     flowAddresses  XOR of all address words
 *     flowPorts      the word of the ports; of ICMP with an id: type, code and id
 *
 * The kernel XORs words in the order of the wire, as registers of a little-endian CPU hold them, and shifts the result: so words are
 * read as such a CPU reads them. Bytes [o, end) are read, never more. (`bond_flow_ip`, `bond_ip_hash`)
 */
import type { SkBuff } from '../../skb/sk_buff.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import type { FlowKeys } from '../../wire/flow_dissect.ts';
import { IPPROTO_ICMPV6 } from '../../wire/icmpv6.ts';
import { IPPROTO_ICMP, IPV4_HLEN } from '../../wire/ipv4.ts';
import { IPV6_HLEN } from '../../wire/ipv6.ts';

const FRAGMENT_BITS = 0x3fff;
const ICMP_HLEN = 8;

/** Where the network header is of a frame whose Ethernet header is at `data`. It may lie behind the frame's end. */
export function networkAt(skb: SkBuff): number {
  return skb.networkHeader >= skb.data ? skb.networkHeader : skb.data + ETH_HLEN;
}

/** Fills `keys` from the IP packet at `o` without looking into it. False: it is none, or cut off. */
export function bondFlowIp(keys: FlowKeys, view: DataView, o: number, end: number, type: number): boolean {
  const icmp = outerIp(keys, view, o, end, type);
  if (icmp < 0) return false;
  const { ipProtocol } = keys;
  if (keys.isFragment || (ipProtocol !== IPPROTO_ICMP && ipProtocol !== IPPROTO_ICMPV6)) return true;
  keys.icmpHeader(view, icmp, end);
  if (icmp + 2 > end) return true;
  const message = view.getUint8(icmp);
  const error = ipProtocol === IPPROTO_ICMP ? icmpIsError(message) : icmpv6IsError(message);
  return !error || outerIp(keys, view, icmp + ICMP_HLEN, end, type) >= 0;
}

/** Where the header behind it starts; -1: there is no IP header. */
function outerIp(keys: FlowKeys, view: DataView, o: number, end: number, type: number): number {
  keys.clear();
  let at: number;
  if (type === ETH_P_IP) {
    if (o + IPV4_HLEN > end) return -1;
    keys.addressesOffset = o + 12;
    keys.addressesLen = 8;
    keys.ipProtocol = view.getUint8(o + 9);
    keys.isFragment = (view.getUint16(o + 6) & FRAGMENT_BITS) !== 0;
    at = o + (view.getUint8(o) & 0x0f) * 4;
  } else if (type === ETH_P_IPV6) {
    if (o + IPV6_HLEN > end) return -1;
    keys.addressesOffset = o + 8;
    keys.addressesLen = 32;
    keys.ipProtocol = view.getUint8(o + 6);
    at = o + IPV6_HLEN;
  } else {
    return -1;
  }
  if (!keys.isFragment) keys.ports(at, end, keys.ipProtocol);
  return at;
}

/** 0 where there are none. */
export function flowAddresses(keys: FlowKeys, view: DataView): number {
  const end = keys.addressesOffset + keys.addressesLen;
  let words = 0;
  for (let at = keys.addressesOffset; at < end; at += 4) words ^= view.getInt32(at, true);
  return words;
}

/** 0 where there are none. (`icmp.id` first, then `ports`) */
export function flowPorts(keys: FlowKeys, view: DataView): number {
  if (keys.icmpId !== 0) return (keys.icmp >>> 8) | ((keys.icmp & 0xff) << 8) | (keys.icmpId << 16);
  return keys.portsOffset >= 0 ? view.getInt32(keys.portsOffset, true) : 0;
}

/** Unreachable, source quench, redirect, time exceeded, parameter problem. (`icmp_is_err`) */
function icmpIsError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** Unreachable, too big, time exceeded, parameter problem. (`icmpv6_is_err`) */
function icmpv6IsError(type: number): boolean {
  return type >= 1 && type <= 4;
}
