// hot
/**
 * IPv6 in (ipv6_rcv): the fixed header, then extension headers one by one, then the protocol.
 *
 *     fixed header -> hop-by-hop -> destination options -> routing -> fragment (waits for the others) -> UDP, ICMPv6
 *
 * Options are read as far as they say what to do with a packet whose options are not known (RFC 8200, 4.2).
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import { devOf, IFF_LOOPBACK } from '../device/net_device.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull, pskbTrim } from '../skb/frags.ts';
import { PACKET_HOST, PACKET_OTHERHOST, type SkBuff, skbPull, skbResetTransportHeader } from '../skb/sk_buff.ts';
import { ICMPV6_HDR_FIELD, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR, IPPROTO_ICMPV6 } from '../wire/icmpv6.ts';
import { IPPROTO_UDP } from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6PayloadLen, ipv6Version } from '../wire/ipv6.ts';
import { icmpv6Rcv, icmpv6Send } from './icmpv6.ts';
import type { Inet } from './inet.ts';
import { ownBytes } from './ipv4.ts';
import { Snmp } from './snmp.ts';
import { udpRcv } from './udp.ts';

const NEXTHDR_HOP = 0;
const NEXTHDR_ROUTING = 43;
const NEXTHDR_FRAGMENT = 44;
const NEXTHDR_NONE = 59;
const NEXTHDR_DEST = 60;
const FRAGMENT_HLEN = 8;
/** More headers than that are nobody's honest packet. */
const HEADERS_MAX = 8;
const OPTION_PAD1 = 0;

export function ipv6Rcv(inet: Inet, skb: SkBuff): number {
  if (skb.pktType === PACKET_OTHERHOST && !inet.promiscuous) {
    skb.pool.kfree(skb, DropReason.OTHERHOST);
    return NET_RX_DROP;
  }
  inet.snmp.add(Snmp.Ip6InReceives);
  const { view, bytes } = skb.arena;
  const ip = skb.data;
  if (!pskbPull(skb, IPV6_HLEN)) return drop(inet, skb, Snmp.Ip6InHdrErrors, DropReason.HDR_TRUNC);
  if (ipv6Version(view, ip) !== 6) return drop(inet, skb, Snmp.Ip6InHdrErrors, DropReason.IP_INHDR);
  const total = IPV6_HLEN + ipv6PayloadLen(view, ip);
  if (total > skb.len) return drop(inet, skb, Snmp.Ip6InTruncatedPkts, DropReason.PKT_TOO_SMALL);
  if (!pskbTrim(skb, total)) return drop(inet, skb, Snmp.Ip6InDiscards, DropReason.NOMEM);
  skb.networkHeader = ip;
  if (inet.host) {
    if (bytes[ip + 8] === 0xff) return drop(inet, skb, Snmp.Ip6InAddrErrors, DropReason.IP_INVALID_SOURCE);
    const ours = inet.routes.isLocal6(bytes, ip + 24) || inet.routes.isOurGroup6(bytes, ip + 24);
    if (!ours) return drop(inet, skb, Snmp.Ip6InAddrErrors, DropReason.IP_INADDRERRORS);
    // What claims to come from ourselves, or is for ::1, has not been on a wire honestly.
    const wire = (devOf(skb).flags & IFF_LOOPBACK) === 0;
    if (wire && (inet.routes.isLocal6(bytes, ip + 8) || isLoopback6(view, ip + 8) || isLoopback6(view, ip + 24))) {
      return drop(inet, skb, Snmp.Ip6InAddrErrors, DropReason.IP_INVALID_SOURCE);
    }
  }
  skbPull(skb, IPV6_HLEN);
  return ipv6Deliver(inet, skb, ip + 6, HEADERS_MAX);
}

/** `at` is where the type of the header at `skb.data` stands. Bound: `left` more headers. (`ip6_protocol_deliver_rcu`) */
function ipv6Deliver(inet: Inet, skb: SkBuff, at: number, left: number): number {
  const { view } = skb.arena;
  let typeAt = at;
  for (let headers = left; headers > 0; headers--) {
    const type = view.getUint8(typeAt);
    skbResetTransportHeader(skb);
    switch (type) {
      case IPPROTO_UDP:
        inet.snmp.add(Snmp.Ip6InDelivers);
        return udpRcv(inet, skb, 16);
      case IPPROTO_ICMPV6:
        if (!inet.host) return drop(inet, skb, Snmp.Ip6InUnknownProtos, DropReason.IP_NOPROTO);
        inet.snmp.add(Snmp.Ip6InDelivers);
        return icmpv6Rcv(inet, skb);
      case NEXTHDR_FRAGMENT:
        return ipv6Defrag(inet, skb, typeAt, headers - 1);
      case NEXTHDR_HOP:
      case NEXTHDR_DEST:
      case NEXTHDR_ROUTING:
        break;
      case NEXTHDR_NONE:
        // Delivered: the sender has said that there is nothing in it.
        inet.snmp.add(Snmp.Ip6InDelivers);
        skb.pool.consume(skb);
        return NET_RX_SUCCESS;
      default:
        icmpv6Send(inet, skb, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR, typeAt - skb.networkHeader);
        return drop(inet, skb, Snmp.Ip6InUnknownProtos, DropReason.IP_NOPROTO);
    }
    const len = extensionLen(skb);
    const first = typeAt === skb.networkHeader + 6;
    if (len < 0 || (type === NEXTHDR_HOP && !first) || !acceptable(skb, type, len)) {
      return drop(inet, skb, Snmp.Ip6InHdrErrors, DropReason.IPV6_BAD_EXTHDR);
    }
    typeAt = skb.data;
    skbPull(skb, len);
  }
  return drop(inet, skb, Snmp.Ip6InHdrErrors, DropReason.IPV6_BAD_EXTHDR);
}

/** Bytes of the extension header at `data`, all of them in the head buffer; -1: they are not there. */
function extensionLen(skb: SkBuff): number {
  if (!pskbPull(skb, 8)) return -1;
  const len = (skb.arena.view.getUint8(skb.data + 1) + 1) * 8;
  return pskbPull(skb, len) ? len : -1;
}

/** A route that is at its end, options that are known or may be skipped. */
function acceptable(skb: SkBuff, type: number, len: number): boolean {
  const { view } = skb.arena;
  const o = skb.data;
  if (type === NEXTHDR_ROUTING) return view.getUint8(o + 3) === 0;
  for (let at = o + 2; at < o + len; ) {
    const option = view.getUint8(at);
    if (option === OPTION_PAD1) {
      at++;
      continue;
    }
    if (at + 2 > o + len || at + 2 + view.getUint8(at + 1) > o + len) return false;
    // The two high bits: what to do with a packet whose option one does not know; 0 is to go on.
    if (option > 1 && option >>> 6 !== 0) return false;
    at += 2 + view.getUint8(at + 1);
  }
  return true;
}

/** A fragment waits, or completes its datagram, which is delivered. (`ipv6_frag_rcv`) */
function ipv6Defrag(inet: Inet, fragment: SkBuff, at: number, left: number): number {
  inet.snmp.add(Snmp.Ip6ReasmReqds);
  if (!pskbPull(fragment, FRAGMENT_HLEN)) return drop(inet, fragment, Snmp.Ip6InHdrErrors, DropReason.HDR_TRUNC);
  const place = fragment.arena.view.getUint16(fragment.data + 2);
  if ((place & 0xfff9) === 0) {
    // All of the datagram in one fragment (RFC 6946).
    const typeAt = fragment.data;
    skbPull(fragment, FRAGMENT_HLEN);
    inet.snmp.add(Snmp.Ip6ReasmOKs);
    return ipv6Deliver(inet, fragment, typeAt, left);
  }
  const offset = place & 0xfff8;
  const more = (place & 1) !== 0;
  const len = fragment.len - FRAGMENT_HLEN;
  if ((more && (len & 7) !== 0) || offset + len > 0xffff) {
    if (fragment.pktType === PACKET_HOST) icmpv6Send(inet, fragment, ICMPV6_PARAMPROB, ICMPV6_HDR_FIELD, more ? 4 : 42);
    return drop(inet, fragment, Snmp.Ip6InHdrErrors, DropReason.PKT_TOO_BIG);
  }
  const typeOffset = at - fragment.networkHeader;
  const headersLen = fragment.data - fragment.networkHeader;
  // The headers in front of the payload must come along when the frame is copied.
  fragment.data -= headersLen;
  fragment.len += headersLen;
  const skb = ownBytes(fragment);
  if (skb === null) return drop(inet, fragment, Snmp.Ip6ReasmFails, DropReason.NOMEM);
  const { view, bytes } = skb.arena;
  const ip = skb.networkHeader;
  const source = addressKey(view, ip + 8);
  const key = source.concat(',', addressKey(view, ip + 24), ',', String(view.getUint32(ip + headersLen + 4)));
  if (offset === 0) {
    // The fragment header goes: the datagram looks as if it had never been cut.
    view.setUint8(ip + typeOffset, view.getUint8(ip + headersLen));
    bytes.copyWithin(ip + FRAGMENT_HLEN, ip, ip + headersLen);
    skb.networkHeader = ip + FRAGMENT_HLEN;
  }
  skbPull(skb, headersLen + FRAGMENT_HLEN);
  skb.csum = typeOffset;
  const whole = inet.fragments6.insert(key, source, skb, offset, more);
  if (whole === null) return NET_RX_SUCCESS;
  const start = whole.networkHeader;
  const payload = whole.data - start - IPV6_HLEN + whole.len;
  if (payload > 0xffff) return drop(inet, whole, Snmp.Ip6ReasmFails, DropReason.PKT_TOO_BIG);
  view.setUint16(start + 4, payload);
  inet.snmp.add(Snmp.Ip6ReasmOKs);
  return ipv6Deliver(inet, whole, start + whole.csum, left);
}

function isLoopback6(view: DataView, o: number): boolean {
  const zero = view.getUint32(o) === 0 && view.getUint32(o + 4) === 0 && view.getUint32(o + 8) === 0;
  return zero && view.getUint32(o + 12) === 1;
}

function addressKey(view: DataView, o: number): string {
  return String(view.getUint32(o)).concat(
    ':',
    String(view.getUint32(o + 4)),
    ':',
    String(view.getUint32(o + 8)),
    ':',
    String(view.getUint32(o + 12)),
  );
}

function drop(inet: Inet, skb: SkBuff, counter: number, reason: number): number {
  inet.snmp.add(counter);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
