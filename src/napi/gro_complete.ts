// hot
/**
 * Ends an aggregation: the headers of a held frame are made true for all that it has now (dev_gro_complete).
 *
 *     IPv4 length and checksum, IPv6 and UDP length        for every header, from the outside in
 *     TCP, UDP checksum                                    the pseudo-header's sum, CHECKSUM_PARTIAL: whoever cuts it fills it in
 *     gsoSize, gsoSegs, gsoType                            how to cut it
 */
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import {
  SKB_GSO_FRAGLIST,
  SKB_GSO_GRE,
  SKB_GSO_GRE_CSUM,
  SKB_GSO_IPXIP4,
  SKB_GSO_IPXIP6,
  SKB_GSO_TCP_ACCECN,
  SKB_GSO_TCP_FIXEDID,
  SKB_GSO_TCP_FIXEDID_INNER,
  SKB_GSO_TCPV4,
  SKB_GSO_TCPV6,
  SKB_GSO_UDP_L4,
} from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { fold } from '../wire/checksum.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, ipv4Protocol, ipv4TotalLen } from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../wire/ipv6.ts';
import { setTcpChecksum, TCP_CHECK_OFFSET, TCP_FLAG_CWR, tcpFlags } from '../wire/tcp.ts';
import { udpChecksum } from '../wire/udp.ts';
import { VLAN_HLEN, vlanProtocol } from '../wire/vlan.ts';
import type { GroCb } from './gro_cb.ts';
import { pseudoSum } from './gro_checksum.ts';
import { GRE_CSUM, greHeaderLen, IPPROTO_GRE, IPPROTO_IPV6 } from './gro_network.ts';

/** Where the checksum lies in a UDP header. */
const UDP_CHECK_OFFSET = 6;

/** Makes `skb`, which is held no longer, ready to be delivered. Its device or pool is not asked for anything. */
export function groComplete(cb: GroCb, skb: SkBuff): void {
  const { info } = skb.pool;
  // Alone: as it came.
  if (cb.count[skb.id] === 1) info.gsoSize[skb.shinfo] = 0;
  else completeType(cb, skb, 0, skb.protocol);
  cb.last[skb.id] = null;
}

/** Every step goes to a header further in, so the recursion ends where groReceive's did. */
function completeType(cb: GroCb, skb: SkBuff, off: number, type: number): void {
  const { view } = skb.arena;
  if (type === ETH_P_IP) completeIpv4(cb, skb, off);
  else if (type === ETH_P_IPV6) completeIpv6(cb, skb, off);
  else completeType(cb, skb, off + VLAN_HLEN, vlanProtocol(view, skb.data + off));
}

function completeIpv4(cb: GroCb, skb: SkBuff, off: number): void {
  const { view } = skb.arena;
  const ip = skb.data + off;
  const was = ipv4TotalLen(view, ip);
  const len = skb.len - off;
  view.setUint16(ip + 2, len);
  // Only one word has changed: the checksum changes by as much.
  view.setUint16(ip + 10, fold((~view.getUint16(ip + 10) & 0xffff) + (~was & 0xffff) + len));
  completeProtocol(cb, skb, off + IPV4_HLEN, ipv4Protocol(view, ip), ip, SKB_GSO_IPXIP4);
}

function completeIpv6(cb: GroCb, skb: SkBuff, off: number): void {
  const { view } = skb.arena;
  const ip = skb.data + off;
  view.setUint16(ip + 4, skb.len - off - IPV6_HLEN);
  let proto = ipv6NextHeader(view, ip);
  let at = off + IPV6_HLEN;
  // The extension headers that were stepped over on the way in, and no others.
  while (proto === 0 || proto === 43 || proto === 60) {
    proto = view.getUint8(skb.data + at);
    at += (view.getUint8(skb.data + at + 1) + 1) * 8;
  }
  completeProtocol(cb, skb, at, proto, ip, SKB_GSO_IPXIP6);
}

/** `ip` is where the network header in front is, `tunnel` what a tunnel directly in it is called. */
function completeProtocol(cb: GroCb, skb: SkBuff, off: number, proto: number, ip: number, tunnel: number): void {
  const { info } = skb.pool;
  if (proto === IPPROTO_TCP) {
    completeTcp(cb, skb, off, ip);
  } else if (proto === IPPROTO_UDP) {
    completeUdp(cb, skb, off, ip);
  } else if (proto === IPPROTO_GRE) {
    completeGre(cb, skb, off);
  } else {
    info.gsoType[skb.shinfo]! |= tunnel;
    if (proto === IPPROTO_IPV6) completeIpv6(cb, skb, off);
    else completeIpv4(cb, skb, off);
  }
}

function completeGre(cb: GroCb, skb: SkBuff, off: number): void {
  const { view } = skb.arena;
  const flags = view.getUint16(skb.data + off);
  skb.pool.info.gsoType[skb.shinfo]! |= (flags & GRE_CSUM) !== 0 ? SKB_GSO_GRE_CSUM : SKB_GSO_GRE;
  completeType(cb, skb, off + greHeaderLen(flags), view.getUint16(skb.data + off + 2));
}

function completeTcp(cb: GroCb, skb: SkBuff, off: number, ip: number): void {
  const { info } = skb.pool;
  const { view } = skb.arena;
  const th = skb.data + off;
  const family = view.getUint8(ip) >>> 4 === 6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
  if (cb.isFlist[skb.id] !== 0) {
    info.gsoType[skb.shinfo]! |= SKB_GSO_FRAGLIST | family;
    completeList(cb, skb);
    return;
  }
  setTcpChecksum(view, th, ~fold(pseudoSum(view, ip, IPPROTO_TCP, skb.len - off)) & 0xffff);
  const fixed = cb.fixedId[skb.id]!;
  let type = family;
  if ((fixed & 1) !== 0) type |= SKB_GSO_TCP_FIXEDID;
  if ((fixed & 2) !== 0) type |= SKB_GSO_TCP_FIXEDID_INNER;
  if ((tcpFlags(view, th) & TCP_FLAG_CWR) !== 0) type |= SKB_GSO_TCP_ACCECN;
  completePartial(cb, skb, th, TCP_CHECK_OFFSET, type);
}

function completeUdp(cb: GroCb, skb: SkBuff, off: number, ip: number): void {
  const { view } = skb.arena;
  const uh = skb.data + off;
  view.setUint16(uh + 4, skb.len - off);
  // Not in a tunnel, as in the kernel: there it is to be cut like any other, though its segments are a list.
  if (cb.isFlist[skb.id] !== 0 && cb.encapMark[skb.id] === 0) {
    skb.pool.info.gsoType[skb.shinfo]! |= SKB_GSO_FRAGLIST | SKB_GSO_UDP_L4;
    completeList(cb, skb);
    return;
  }
  if (udpChecksum(view, uh) !== 0) {
    view.setUint16(uh + UDP_CHECK_OFFSET, ~fold(pseudoSum(view, ip, IPPROTO_UDP, skb.len - off)) & 0xffff);
  }
  completePartial(cb, skb, uh, UDP_CHECK_OFFSET, SKB_GSO_UDP_L4);
}

/** The checksum is filled in by whoever cuts the frame. */
function completePartial(cb: GroCb, skb: SkBuff, transport: number, checkOffset: number, type: number): void {
  const { info } = skb.pool;
  skb.csumStart = transport;
  skb.csumOffset = checkOffset;
  skb.ipSummed = CHECKSUM_PARTIAL;
  info.gsoSegs[skb.shinfo] = cb.count[skb.id]!;
  info.gsoType[skb.shinfo]! |= type;
}

/** The segments have their own headers with their own checksums, which are right. */
function completeList(cb: GroCb, skb: SkBuff): void {
  skb.pool.info.gsoSegs[skb.shinfo] = cb.count[skb.id]!;
  if (skb.ipSummed === CHECKSUM_UNNECESSARY) {
    skb.csumLevel = Math.min(skb.csumLevel + 1, 3);
  } else if (skb.ipSummed === CHECKSUM_NONE) {
    skb.ipSummed = CHECKSUM_UNNECESSARY;
    skb.csumLevel = 0;
  }
}
