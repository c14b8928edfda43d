// hot
/**
 * IPv6 in (ipv6_rcv): fixed header only. A packet with extension headers is dropped and counted; netconsole sends none.
 */
import { NET_RX_DROP } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { PACKET_OTHERHOST, pskbMayPull, type SkBuff, skbPull, skbTrim } from '../skb/sk_buff.ts';
import { IPPROTO_UDP } from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader, ipv6PayloadLen, ipv6Version } from '../wire/ipv6.ts';
import type { Inet } from './inet.ts';
import { Snmp } from './snmp.ts';
import { udpRcv } from './udp.ts';

export function ipv6Rcv(inet: Inet, skb: SkBuff): number {
  if (skb.pktType === PACKET_OTHERHOST && !inet.promiscuous) {
    skb.pool.kfree(skb, DropReason.OTHERHOST);
    return NET_RX_DROP;
  }
  inet.snmp.add(Snmp.Ip6InReceives);
  const { view } = skb.arena;
  const ip = skb.data;
  if (!pskbMayPull(skb, IPV6_HLEN)) return drop(inet, skb, Snmp.Ip6InHdrErrors, DropReason.HDR_TRUNC);
  if (ipv6Version(view, ip) !== 6) return drop(inet, skb, Snmp.Ip6InHdrErrors, DropReason.IP_INHDR);
  const total = IPV6_HLEN + ipv6PayloadLen(view, ip);
  if (total > skb.len) return drop(inet, skb, Snmp.Ip6InTruncatedPkts, DropReason.PKT_TOO_SMALL);
  skbTrim(skb, total);
  skb.networkHeader = ip;
  if (ipv6NextHeader(view, ip) !== IPPROTO_UDP) return drop(inet, skb, Snmp.Ip6InUnknownProtos, DropReason.IP_NOPROTO);
  inet.snmp.add(Snmp.Ip6InDelivers);
  skbPull(skb, IPV6_HLEN);
  return udpRcv(inet, skb, 16);
}

function drop(inet: Inet, skb: SkBuff, counter: number, reason: number): number {
  inet.snmp.add(counter);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
