// hot
/**
 * The headers in front of TCP and UDP, each with its rule for what may be merged; they contain each other.
 *
 *     EtherType -> VLAN tag -> ... -> IPv4 | IPv6 + extension headers -> TCP | UDP
 *                                          `-> IPv4 | IPv6 | GRE -> ...              one tunnel, not one in another
 *
 * Each function compares its header with those of the held frames that still may be of the same flow, and takes out those
 * which are not. It returns the held frame that is to be completed, or null. `flush` on the frame itself: it is not held.
 */
import { pskbPull } from '../skb/frags.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { checksum } from '../wire/checksum.ts';
import { ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, ipv4IsFragment, ipv4Protocol, ipv4TotalLen } from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader, ipv6PayloadLen } from '../wire/ipv6.ts';
import { ETH_P_8021AD, VLAN_HLEN, vlanProtocol } from '../wire/vlan.ts';
import type { GroBucket, GroCb } from './gro_cb.ts';
import { groCsumPull, groCsumValidate } from './gro_checksum.ts';
import { tcpGroReceive } from './gro_tcp.ts';
import { udpGroReceive } from './gro_udp.ts';

export const IPPROTO_IPIP = 4;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_GRE = 47;
const NEXTHDR_HOP = 0;
const NEXTHDR_ROUTING = 43;
const NEXTHDR_DEST = 60;
/** GRE flags that are understood: a checksum, a key. */
export const GRE_CSUM = 0x8000;
export const GRE_KEY = 0x2000;
const IP_RESERVED = 0x8000;

/** Has the protocol behind an Ethernet header, VLAN tag or GRE header a rule here? (`gro_find_receive_by_type`) */
export function groKnowsType(type: number): boolean {
  return type === ETH_P_IP || type === ETH_P_IPV6 || type === ETH_P_8021Q || type === ETH_P_8021AD;
}

/** Reads the header of EtherType `type`, which groKnowsType knows. */
export function typeGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff, type: number): SkBuff | null {
  // Headers nested too deep.
  if (!cb.deeper(skb.id)) return refuse(cb, skb.id);
  if (type === ETH_P_IP) return inetGroReceive(cb, bucket, skb);
  if (type === ETH_P_IPV6) return ipv6GroReceive(cb, bucket, skb);
  return vlanGroReceive(cb, bucket, skb);
}

function refuse(cb: GroCb, id: number): null {
  cb.flush[id] = 1;
  return null;
}

/** Held frames whose `len` bytes at `off` differ are of other flows. */
function compareHeld(cb: GroCb, bucket: GroBucket, skb: SkBuff, off: number, len: number): void {
  const { bytes } = skb.arena;
  for (let i = bucket.count - 1; i >= 0; i--) {
    const p = bucket.held[i]!;
    if (cb.sameFlow[p.id] === 0) continue;
    for (let at = off; at < off + len; at++) {
      if (bytes[p.data + at] === bytes[skb.data + at]) continue;
      cb.sameFlow[p.id] = 0;
      break;
    }
  }
}

function vlanGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff): SkBuff | null {
  const { id } = skb;
  const off = cb.offset[id]!;
  if (!pskbPull(skb, off + VLAN_HLEN)) return refuse(cb, id);
  const type = vlanProtocol(skb.arena.view, skb.data + off);
  if (!groKnowsType(type)) return refuse(cb, id);
  compareHeld(cb, bucket, skb, off, VLAN_HLEN);
  cb.offset[id] = off + VLAN_HLEN;
  groCsumPull(cb, skb, skb.data + off, VLAN_HLEN);
  return typeGroReceive(cb, bucket, skb, type);
}

function inetGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff): SkBuff | null {
  const { id } = skb;
  const { view } = skb.arena;
  const off = cb.offset[id]!;
  if (!pskbPull(skb, off + IPV4_HLEN)) return refuse(cb, id);
  const ip = skb.data + off;
  const proto = ipv4Protocol(view, ip);
  if (!knowsProtocol(proto)) return refuse(cb, id);
  // Options, or not IPv4; a fragment; a wrong header checksum.
  if (view.getUint8(ip) !== 0x45 || ipv4IsFragment(view, ip) || checksum(view, ip, IPV4_HLEN) !== 0) {
    return refuse(cb, id);
  }
  // Padded behind the packet or cut short; a reserved bit that is to be zero. Flow and checksum are looked at all the same.
  if (ipv4TotalLen(view, ip) !== skb.len - off || (view.getUint16(ip + 6) & IP_RESERVED) !== 0) cb.flush[id] = 1;
  compareHeld(cb, bucket, skb, off + 9, 1);
  compareHeld(cb, bucket, skb, off + 12, 8);
  cb.setInnermost(id, off);
  cb.offset[id] = off + IPV4_HLEN;
  return protocolGroReceive(cb, bucket, skb, proto);
}

function ipv6GroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff): SkBuff | null {
  const { id } = skb;
  const { view } = skb.arena;
  const off = cb.offset[id]!;
  if (!pskbPull(skb, off + IPV6_HLEN)) return refuse(cb, id);
  const ip = skb.data + off;
  cb.setInnermost(id, off);
  const flush = ipv6PayloadLen(view, ip) !== skb.len - off - IPV6_HLEN;
  cb.offset[id] = off + IPV6_HLEN;
  let proto = ipv6NextHeader(view, ip);
  if (!knowsProtocol(proto)) {
    proto = pullExtensionHeaders(cb, skb, proto);
    if (!knowsProtocol(proto)) return refuse(cb, id);
  }
  compareIpv6(cb, bucket, skb, off);
  // Padded behind the packet or cut short.
  if (flush) cb.flush[id] = 1;
  groCsumPull(cb, skb, ip, cb.offset[id]! - off);
  return protocolGroReceive(cb, bucket, skb, proto);
}

/** Version and flow label, next header, addresses and extension headers; not the traffic class, which ends an aggregation. */
function compareIpv6(cb: GroCb, bucket: GroBucket, skb: SkBuff, off: number): void {
  const { view } = skb.arena;
  const first = view.getInt32(skb.data + off);
  for (let i = bucket.count - 1; i >= 0; i--) {
    const p = bucket.held[i]!;
    if (((view.getInt32(p.data + off) ^ first) & 0xf00fffff) !== 0) cb.sameFlow[p.id] = 0;
  }
  compareHeld(cb, bucket, skb, off + 6, 1);
  compareHeld(cb, bucket, skb, off + 8, cb.offset[skb.id]! - off - 8);
}

/** Steps over hop-by-hop, routing and destination options; the protocol behind them. (`ipv6_gro_pull_exthdrs`) */
function pullExtensionHeaders(cb: GroCb, skb: SkBuff, first: number): number {
  const { view } = skb.arena;
  let proto = first;
  let off = cb.offset[skb.id]!;
  while (proto === NEXTHDR_HOP || proto === NEXTHDR_ROUTING || proto === NEXTHDR_DEST) {
    if (!pskbPull(skb, off + 2)) break;
    const len = (view.getUint8(skb.data + off + 1) + 1) * 8;
    if (!pskbPull(skb, off + len)) break;
    proto = view.getUint8(skb.data + off);
    off += len;
  }
  cb.offset[skb.id] = off;
  return proto;
}

function knowsProtocol(proto: number): boolean {
  return (
    proto === IPPROTO_TCP ||
    proto === IPPROTO_UDP ||
    proto === IPPROTO_IPIP ||
    proto === IPPROTO_IPV6 ||
    proto === IPPROTO_GRE
  );
}

function protocolGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff, proto: number): SkBuff | null {
  const { id } = skb;
  skb.transportHeader = skb.data + cb.offset[id]!;
  cb.proto[id] = proto;
  if (proto === IPPROTO_TCP) return tcpGroReceive(cb, bucket, skb);
  if (proto === IPPROTO_UDP) return udpGroReceive(cb, bucket, skb);
  // A tunnel in a tunnel; headers nested too deep.
  if (cb.encapMark[id] !== 0 || !cb.deeper(id)) return refuse(cb, id);
  cb.encapMark[id] = 1;
  if (proto === IPPROTO_GRE) return greGroReceive(cb, bucket, skb);
  return proto === IPPROTO_IPIP ? inetGroReceive(cb, bucket, skb) : ipv6GroReceive(cb, bucket, skb);
}

function greGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff): SkBuff | null {
  const { id } = skb;
  const { view } = skb.arena;
  const off = cb.offset[id]!;
  if (!pskbPull(skb, off + 4)) return refuse(cb, id);
  const gre = skb.data + off;
  const flags = view.getUint16(gre);
  const type = view.getUint16(gre + 2);
  // Routing, sequence numbers, another version; an unknown protocol inside.
  if ((flags & ~(GRE_KEY | GRE_CSUM)) !== 0 || !groKnowsType(type)) return refuse(cb, id);
  const hlen = greHeaderLen(flags);
  if (!pskbPull(skb, off + hlen)) return refuse(cb, id);
  if ((flags & GRE_CSUM) !== 0 && cb.flush[id] === 0 && !groCsumValidate(cb, skb, 0, false)) return refuse(cb, id);
  compareHeld(cb, bucket, skb, off, 4);
  // The word behind flags and protocol, which is where the key is if there is no checksum.
  if ((flags & GRE_KEY) !== 0) compareHeld(cb, bucket, skb, off + 4, 4);
  cb.offset[id] = off + hlen;
  groCsumPull(cb, skb, gre, hlen);
  return typeGroReceive(cb, bucket, skb, type);
}

export function greHeaderLen(flags: number): number {
  return 4 + ((flags & GRE_CSUM) !== 0 ? 4 : 0) + ((flags & GRE_KEY) !== 0 ? 4 : 0);
}
