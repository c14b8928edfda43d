// hot
/**
 * IPv4 in (ip_rcv): is the packet for us, whole and right? Fragments wait for each other; then to its protocol.
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import { devOf, IFF_LOOPBACK } from '../device/net_device.ts';
import { skbCopyExpand } from '../skb/copy.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull, pskbTrim } from '../skb/frags.ts';
import { NET_SKB_PAD } from '../skb/pool.ts';
import { PACKET_OTHERHOST, type SkBuff, skbCloned, skbPull, skbResetTransportHeader } from '../skb/sk_buff.ts';
import { checksum } from '../wire/checksum.ts';
import { ICMP_DEST_UNREACH, ICMP_PROT_UNREACH } from '../wire/icmp.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_UDP,
  IPV4_FRAGMENT,
  IPV4_HLEN,
  ipv4Dest,
  ipv4FragmentOffset,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4WordsOk,
} from '../wire/ipv4.ts';
import { icmpRcv, icmpSend } from './icmp.ts';
import type { Inet } from './inet.ts';
import { Snmp } from './snmp.ts';
import { udpRcv } from './udp.ts';

export function ipv4Rcv(inet: Inet, skb: SkBuff): number {
  if (skb.pktType === PACKET_OTHERHOST && !inet.promiscuous) {
    skb.pool.kfree(skb, DropReason.OTHERHOST);
    return NET_RX_DROP;
  }
  inet.snmp.add(Snmp.IpInReceives);
  if (!pskbPull(skb, IPV4_HLEN)) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.HDR_TRUNC);
  const { view } = skb.arena;
  const ip = skb.data;
  // Each word of the header is read once: a byte's reading costs as much.
  const first = view.getInt32(ip);
  const second = view.getInt32(ip + 4);
  const third = view.getInt32(ip + 8);
  const source = view.getInt32(ip + 12);
  const dest = view.getInt32(ip + 16);
  const hlen = (first >>> 22) & 0x3c;
  if (first >>> 28 !== 4 || hlen < IPV4_HLEN) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_INHDR);
  if (hlen === IPV4_HLEN) {
    if (!ipv4WordsOk(first, second, third, source, dest)) {
      return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_CSUM);
    }
  } else {
    if (!pskbPull(skb, hlen)) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.HDR_TRUNC);
    if (checksum(view, ip, hlen) !== 0) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_CSUM);
  }
  const total = first & 0xffff;
  if (total !== skb.len) {
    if (total > skb.len) return drop(inet, skb, Snmp.IpInTruncatedPkts, DropReason.PKT_TOO_SMALL);
    if (total < hlen) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_INHDR);
    if (!pskbTrim(skb, total)) return drop(inet, skb, Snmp.IpInDiscards, DropReason.NOMEM);
  }
  skb.networkHeader = ip;
  if (inet.host) {
    const refused = refusal(inet, skb, source >>> 0, dest >>> 0);
    if (refused !== 0) return drop(inet, skb, Snmp.IpInAddrErrors, refused);
  }
  if ((second & IPV4_FRAGMENT) !== 0) return ipv4Defrag(inet, skb, hlen);
  skbPull(skb, hlen);
  return ipv4Deliver(inet, skb, (third >>> 16) & 0xff);
}

/** Why the packet is not for this host, or 0. (`ip_route_input_slow`) */
function refusal(inet: Inet, skb: SkBuff, source: number, dest: number): number {
  const { routes } = inet;
  if (source >>> 28 === 0xe || routes.isBroadcast4(source)) return DropReason.IP_INVALID_SOURCE;
  // What claims to come from ourselves, or is for 127.0.0.0/8, has not been on a wire honestly.
  if ((devOf(skb).flags & IFF_LOOPBACK) === 0) {
    if (routes.isLocal4(source)) return DropReason.IP_INVALID_SOURCE;
    if (dest >>> 24 === 127) return DropReason.IP_INADDRERRORS;
  }
  if (routes.isLocal4(dest) || dest >>> 28 === 0xe || routes.isBroadcast4(dest)) return 0;
  return DropReason.IP_INADDRERRORS;
}

/** To its protocol: `data` is behind the IP header. (`ip_local_deliver_finish`) */
function ipv4Deliver(inet: Inet, skb: SkBuff, protocol: number): number {
  skbResetTransportHeader(skb);
  if (protocol === IPPROTO_UDP) {
    inet.snmp.add(Snmp.IpInDelivers);
    return udpRcv(inet, skb, 4);
  }
  if (protocol === IPPROTO_ICMP && inet.host) {
    inet.snmp.add(Snmp.IpInDelivers);
    return icmpRcv(inet, skb);
  }
  icmpSend(inet, skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH);
  return drop(inet, skb, Snmp.IpInUnknownProtos, DropReason.IP_NOPROTO);
}

/** A fragment waits, or completes its datagram, which is delivered. (`ip_defrag`) */
function ipv4Defrag(inet: Inet, fragment: SkBuff, hlen: number): number {
  inet.snmp.add(Snmp.IpReasmReqds);
  const skb = ownBytes(fragment);
  if (skb === null) return drop(inet, fragment, Snmp.IpReasmFails, DropReason.NOMEM);
  const { view } = skb.arena;
  const ip = skb.networkHeader;
  const source = String(ipv4Source(view, ip));
  const idAndProtocol = String(ipv4Id(view, ip) * 256 + ipv4Protocol(view, ip));
  const key = source.concat(',', String(ipv4Dest(view, ip)), ',', idAndProtocol);
  const offset = ipv4FragmentOffset(view, ip);
  const more = ipv4MoreFragments(view, ip);
  skbPull(skb, hlen);
  const whole = inet.fragments4.insert(key, source, skb, offset, more);
  if (whole === null) return NET_RX_SUCCESS;
  const start = whole.networkHeader;
  const headerLen = whole.data - start;
  // A datagram that fills its 65535 bytes has no room for its own header.
  if (headerLen + whole.len > 0xffff) return drop(inet, whole, Snmp.IpReasmFails, DropReason.PKT_TOO_BIG);
  view.setUint16(start + 2, headerLen + whole.len);
  view.setUint16(start + 6, 0);
  view.setUint16(start + 10, 0);
  view.setUint16(start + 10, checksum(view, start, headerLen));
  inet.snmp.add(Snmp.IpReasmOKs);
  return ipv4Deliver(inet, whole, ipv4Protocol(view, start));
}

/**
 * A frame that may be kept and written to: one in one piece, whose bytes nobody else reads, in a slot (a port's own ring must not
 * wait for us), or in a longer buffer, if no slot takes it. The frame itself, or a copy, the original being gone; null: no memory, and it
 * is still the caller's.
 */
export function ownBytes(skb: SkBuff): SkBuff | null {
  const { slots, slotSize } = skb.arena;
  const stays = skb.buf < slots || skb.len > slotSize - NET_SKB_PAD;
  if (!skbCloned(skb) && skb.dataLen === 0 && stays) return skb;
  const copy = skbCopyExpand(skb, NET_SKB_PAD, 0);
  if (copy !== null) skb.pool.consume(skb);
  return copy;
}

function drop(inet: Inet, skb: SkBuff, counter: number, reason: number): number {
  inet.snmp.add(counter);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
