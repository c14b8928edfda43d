// hot
/**
 * IPv4 in (ip_rcv): is the packet for us, whole and right? Then to its protocol.
 *
 * Fragments are dropped and counted (no reassembly yet): a netconsole datagram has at most 1000 bytes and is never cut.
 */
import { NET_RX_DROP } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { PACKET_OTHERHOST, pskbMayPull, type SkBuff, skbPull, skbTrim } from '../skb/sk_buff.ts';
import { checksum } from '../wire/checksum.ts';
import {
  IPPROTO_UDP,
  IPV4_HLEN,
  ipv4HeaderLen,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4TotalLen,
  ipv4Version,
} from '../wire/ipv4.ts';
import type { Inet } from './inet.ts';
import { Snmp } from './snmp.ts';
import { udpRcv } from './udp.ts';

export function ipv4Rcv(inet: Inet, skb: SkBuff): number {
  if (skb.pktType === PACKET_OTHERHOST && !inet.promiscuous) {
    skb.pool.kfree(skb, DropReason.OTHERHOST);
    return NET_RX_DROP;
  }
  inet.snmp.add(Snmp.IpInReceives);
  if (!pskbMayPull(skb, IPV4_HLEN)) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.HDR_TRUNC);
  const { view } = skb.arena;
  const ip = skb.data;
  const hlen = ipv4HeaderLen(view, ip);
  if (ipv4Version(view, ip) !== 4 || hlen < IPV4_HLEN) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_INHDR);
  if (!pskbMayPull(skb, hlen)) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.HDR_TRUNC);
  if (checksum(view, ip, hlen) !== 0) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_CSUM);
  const total = ipv4TotalLen(view, ip);
  if (total > skb.len) return drop(inet, skb, Snmp.IpInTruncatedPkts, DropReason.PKT_TOO_SMALL);
  if (total < hlen) return drop(inet, skb, Snmp.IpInHdrErrors, DropReason.IP_INHDR);
  skbTrim(skb, total);
  skb.networkHeader = ip;
  if (ipv4IsFragment(view, ip)) return drop(inet, skb, Snmp.IpReasmFails, DropReason.IP_FRAGMENT);
  if (ipv4Protocol(view, ip) !== IPPROTO_UDP) return drop(inet, skb, Snmp.IpInUnknownProtos, DropReason.IP_NOPROTO);
  inet.snmp.add(Snmp.IpInDelivers);
  skbPull(skb, hlen);
  return udpRcv(inet, skb, 4);
}

function drop(inet: Inet, skb: SkBuff, counter: number, reason: number): number {
  inet.snmp.add(counter);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
