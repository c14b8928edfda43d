/**
 * ICMP for IPv4: answers echoes, tells senders that nobody listens, hears what others tell us. (`net/ipv4/icmp.c`)
 *
 *     echo request     -> reply with the same bytes, to the sender, from the address it asked
 *     echo reply       -> whoever pings (`inet.onEchoReply`)
 *     errors           -> counted
 *
 * An error is never sent about an error, a group, a fragment that is not the first, or more often than the rate limit says.
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull, skbSum } from '../skb/frags.ts';
import { PACKET_HOST, type SkBuff } from '../skb/sk_buff.ts';
import { fold } from '../wire/checksum.ts';
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_HLEN,
  ICMP_PARAMETERPROB,
  ICMP_TIME_EXCEEDED,
  icmpRest,
  icmpType,
} from '../wire/icmp.ts';
import {
  IPPROTO_ICMP,
  IPV4_HLEN,
  ipv4Dest,
  ipv4FragmentOffset,
  ipv4HeaderLen,
  ipv4Protocol,
  ipv4Source,
} from '../wire/ipv4.ts';
import type { Inet } from './inet.ts';
import { ipSend } from './output.ts';
import { Snmp } from './snmp.ts';

/** An error with the packet that it complains about is at most this long (RFC 1812). */
const ERROR_MAX = 576;

/** `skb.data` is at the ICMP header, `skb.networkHeader` at the IP header. Consumes the frame. (`icmp_rcv`) */
export function icmpRcv(inet: Inet, skb: SkBuff): number {
  inet.snmp.add(Snmp.IcmpInMsgs);
  if (!pskbPull(skb, ICMP_HLEN)) return drop(inet, skb, DropReason.HDR_TRUNC);
  if (fold(skbSum(skb, 0, skb.len)) !== 0) {
    inet.snmp.add(Snmp.IcmpInCsumErrors);
    return drop(inet, skb, DropReason.ICMP_CSUM);
  }
  const { view } = skb.arena;
  const type = icmpType(view, skb.data);
  // Pings to groups are answered by nobody, lest one frame make many. (icmp_echo_ignore_broadcasts)
  const ours = inet.routes.isLocal4(ipv4Dest(view, skb.networkHeader));
  if (type === ICMP_ECHO) {
    inet.snmp.add(Snmp.IcmpInEchos);
    if (ours) icmpReply(inet, skb);
  } else if (type === ICMP_ECHOREPLY) {
    inet.snmp.add(Snmp.IcmpInEchoReps);
    if (ours) inet.onEchoReply?.(skb, icmpRest(view, skb.data));
  } else if (type === ICMP_DEST_UNREACH) {
    inet.snmp.add(Snmp.IcmpInDestUnreachs);
  } else if (type === ICMP_TIME_EXCEEDED) {
    inet.snmp.add(Snmp.IcmpInTimeExcds);
  }
  skb.pool.consume(skb);
  return NET_RX_SUCCESS;
}

function icmpReply(inet: Inet, skb: SkBuff): void {
  const { view } = skb.arena;
  const ip = skb.networkHeader;
  inet.snmp.add(Snmp.IcmpOutMsgs);
  inet.snmp.add(Snmp.IcmpOutEchoReps);
  ipSend(inet, {
    to: { family: 4, v4: ipv4Source(view, ip) },
    from: { family: 4, v4: ipv4Dest(view, ip) },
    protocol: IPPROTO_ICMP,
    word0: ICMP_ECHOREPLY << 24,
    word1: icmpRest(view, skb.data),
    payload: skb,
    start: ICMP_HLEN,
    len: skb.len - ICMP_HLEN,
  });
}

/** Sends an echo request; `rest` is identifier and sequence number. 0 or a negative errno. */
export function icmpEcho(inet: Inet, to: number, rest: number, payload: Uint8Array): number {
  inet.snmp.add(Snmp.IcmpOutMsgs);
  inet.snmp.add(Snmp.IcmpOutEchos);
  return ipSend(inet, {
    to: { family: 4, v4: to },
    from: null,
    protocol: IPPROTO_ICMP,
    word0: ICMP_ECHO << 24,
    word1: rest,
    payload,
    start: 0,
    len: payload.length,
  });
}

/** Complains to the sender of `skb`, whose IP header is at networkHeader, in the head buffer. The frame stays the caller's. (`icmp_send`) */
export function icmpSend(inet: Inet, skb: SkBuff, type: number, code: number): void {
  const { view } = skb.arena;
  const ip = skb.networkHeader;
  const source = ipv4Source(view, ip);
  const dest = ipv4Dest(view, ip);
  if (!inet.host || skb.pktType !== PACKET_HOST || !inet.routes.isLocal4(dest) || !unicast(inet, source)) return;
  if (ipv4FragmentOffset(view, ip) !== 0) return;
  const hlen = ipv4HeaderLen(view, ip);
  if (ipv4Protocol(view, ip) === IPPROTO_ICMP && isError(view, ip + hlen, skb)) return;
  const now = inet.machine.executive.now();
  if (!inet.icmpLimit.global(now)) {
    inet.snmp.add(Snmp.IcmpOutRateLimitGlobal);
    return;
  }
  if (!inet.icmpLimit.host(source ^ (source >>> 8), now)) {
    inet.snmp.add(Snmp.IcmpOutRateLimitHost);
    return;
  }
  inet.snmp.add(Snmp.IcmpOutMsgs);
  if (type === ICMP_DEST_UNREACH) inet.snmp.add(Snmp.IcmpOutDestUnreachs);
  else if (type === ICMP_TIME_EXCEEDED) inet.snmp.add(Snmp.IcmpOutTimeExcds);
  const quoted = quote(skb, ip, ERROR_MAX - IPV4_HLEN - ICMP_HLEN);
  ipSend(inet, {
    to: { family: 4, v4: source },
    from: { family: 4, v4: dest },
    protocol: IPPROTO_ICMP,
    word0: ((type << 24) | (code << 16)) >>> 0,
    word1: 0,
    payload: quoted,
    start: 0,
    len: quoted.length,
  });
}

/** The packet from its IP header on, at most `max` bytes of what lies in the head buffer. */
export function quote(skb: SkBuff, ip: number, max: number): Uint8Array {
  return skb.arena.bytes.slice(ip, Math.min(skb.tail, ip + max));
}

function unicast(inet: Inet, v4: number): boolean {
  return v4 !== 0 && v4 >>> 28 !== 0xe && !inet.routes.isBroadcast4(v4);
}

function isError(view: DataView, icmp: number, skb: SkBuff): boolean {
  if (icmp >= skb.tail) return true;
  const type = icmpType(view, icmp);
  return (
    type === ICMP_DEST_UNREACH || type === ICMP_TIME_EXCEEDED || type === ICMP_PARAMETERPROB || type === 4 || type === 5
  );
}

function drop(inet: Inet, skb: SkBuff, reason: number): number {
  inet.snmp.add(Snmp.IcmpInErrors);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
