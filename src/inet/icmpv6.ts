/**
 * ICMP for IPv6: echoes and errors as for IPv4, and neighbour discovery, which is ICMPv6 too. (`net/ipv6/icmp.c`)
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull, skbSum } from '../skb/frags.ts';
import { PACKET_HOST, type SkBuff } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import { fold } from '../wire/checksum.ts';
import {
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HLEN,
  ICMPV6_INFOMSG_MASK,
  ICMPV6_PARAMPROB,
  ICMPV6_TIME_EXCEED,
  IPPROTO_ICMPV6,
  ipv6PseudoSum,
} from '../wire/icmpv6.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../wire/ipv6.ts';
import { NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION } from '../wire/ndisc.ts';
import { quote } from './icmp.ts';
import type { Inet } from './inet.ts';
import { ndiscRcv } from './ndisc.ts';
import { ipSend } from './output.ts';
import { Snmp } from './snmp.ts';

/** The least mtu of IPv6: an error with the packet that it complains about is not longer. */
const ERROR_MAX = 1280;

/** `skb.data` is at the ICMPv6 header, `skb.networkHeader` at the IP header. Consumes the frame. (`icmpv6_rcv`) */
export function icmpv6Rcv(inet: Inet, skb: SkBuff): number {
  inet.snmp.add(Snmp.Icmp6InMsgs);
  if (!pskbPull(skb, ICMPV6_HLEN)) return drop(inet, skb, DropReason.HDR_TRUNC);
  const { view, bytes } = skb.arena;
  const ip = skb.networkHeader;
  if (fold(ipv6PseudoSum(view, ip, IPPROTO_ICMPV6, skb.len) + skbSum(skb, 0, skb.len)) !== 0) {
    inet.snmp.add(Snmp.Icmp6InCsumErrors);
    return drop(inet, skb, DropReason.ICMP_CSUM);
  }
  const type = view.getUint8(skb.data);
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
      inet.snmp.add(Snmp.Icmp6InEchos);
      // To a group the kernel answers too, from the address of the link.
      icmpv6Reply(inet, skb);
      break;
    case ICMPV6_ECHO_REPLY:
      inet.snmp.add(Snmp.Icmp6InEchoReplies);
      if (inet.routes.isLocal6(bytes, ip + 24)) inet.onEchoReply?.(skb, view.getUint32(skb.data + 4));
      break;
    case NDISC_NEIGHBOUR_SOLICITATION:
    case NDISC_NEIGHBOUR_ADVERTISEMENT:
      if (!ndiscRcv(inet, skb, type)) return drop(inet, skb, DropReason.IPV6_NDISC_BAD_OPTIONS);
      break;
    case ICMPV6_DEST_UNREACH:
      inet.snmp.add(Snmp.Icmp6InDestUnreachs);
      break;
    case ICMPV6_TIME_EXCEED:
      inet.snmp.add(Snmp.Icmp6InTimeExcds);
      break;
  }
  skb.pool.consume(skb);
  return NET_RX_SUCCESS;
}

function icmpv6Reply(inet: Inet, skb: SkBuff): void {
  const { view, bytes } = skb.arena;
  const ip = skb.networkHeader;
  if (!unicast(bytes, ip + 8)) return;
  const toUs = inet.routes.isLocal6(bytes, ip + 24);
  inet.snmp.add(Snmp.Icmp6OutMsgs);
  inet.snmp.add(Snmp.Icmp6OutEchoReplies);
  ipSend(inet, {
    to: { family: 6, v6: bytes.slice(ip + 8, ip + 24) },
    from: toUs ? { family: 6, v6: bytes.slice(ip + 24, ip + 40) } : null,
    protocol: IPPROTO_ICMPV6,
    word0: (ICMPV6_ECHO_REPLY << 24) >>> 0,
    word1: view.getUint32(skb.data + 4),
    payload: skb,
    start: ICMPV6_HLEN,
    len: skb.len - ICMPV6_HLEN,
  });
}

/** Sends an echo request; `rest` is identifier and sequence number. 0 or a negative errno. */
export function icmpv6Echo(inet: Inet, to: IpAddress, rest: number, payload: Uint8Array): number {
  inet.snmp.add(Snmp.Icmp6OutMsgs);
  inet.snmp.add(Snmp.Icmp6OutEchos);
  return ipSend(inet, {
    to,
    from: null,
    protocol: IPPROTO_ICMPV6,
    word0: (ICMPV6_ECHO_REQUEST << 24) >>> 0,
    word1: rest,
    payload,
    start: 0,
    len: payload.length,
  });
}

/**
 * Complains to the sender of `skb`, whose IPv6 header is at networkHeader, in the head buffer; `pointer` is what PARAMPROB points at.
 * The frame stays the caller's. (`icmpv6_send`)
 */
export function icmpv6Send(inet: Inet, skb: SkBuff, type: number, code: number, pointer = 0): void {
  const { view, bytes } = skb.arena;
  const ip = skb.networkHeader;
  if (!inet.host || skb.pktType !== PACKET_HOST || !inet.routes.isLocal6(bytes, ip + 24) || !unicast(bytes, ip + 8))
    return;
  const upper = ip + IPV6_HLEN;
  const icmp = ipv6NextHeader(view, ip) === IPPROTO_ICMPV6;
  if (icmp && (upper >= skb.tail || (bytes[upper]! & ICMPV6_INFOMSG_MASK) === 0)) return;
  let hash = 0;
  for (let i = 0; i < 16; i++) hash = (hash * 31 + bytes[ip + 8 + i]!) | 0;
  const now = inet.machine.executive.now();
  if (!inet.icmpLimit.global(now) || !inet.icmpLimit.host(hash ^ (hash >>> 8), now)) {
    inet.snmp.add(Snmp.Icmp6OutRateLimitHost);
    return;
  }
  inet.snmp.add(Snmp.Icmp6OutMsgs);
  if (type === ICMPV6_DEST_UNREACH) inet.snmp.add(Snmp.Icmp6OutDestUnreachs);
  else if (type === ICMPV6_TIME_EXCEED) inet.snmp.add(Snmp.Icmp6OutTimeExcds);
  else if (type === ICMPV6_PARAMPROB) inet.snmp.add(Snmp.Icmp6OutParmProblems);
  const quoted = quote(skb, ip, ERROR_MAX - IPV6_HLEN - ICMPV6_HLEN);
  ipSend(inet, {
    to: { family: 6, v6: bytes.slice(ip + 8, ip + 24) },
    from: { family: 6, v6: bytes.slice(ip + 24, ip + 40) },
    protocol: IPPROTO_ICMPV6,
    word0: ((type << 24) | (code << 16)) >>> 0,
    word1: pointer,
    payload: quoted,
    start: 0,
    len: quoted.length,
  });
}

/** Neither a group nor nobody. */
function unicast(bytes: Uint8Array, o: number): boolean {
  if (bytes[o] === 0xff) return false;
  for (let i = 0; i < 16; i++) if (bytes[o + i] !== 0) return true;
  return false;
}

function drop(inet: Inet, skb: SkBuff, reason: number): number {
  inet.snmp.add(Snmp.Icmp6InErrors);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
