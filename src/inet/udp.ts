// hot
/**
 * UDP in (udp_rcv): length, checksum, then whoever is bound to the destination port.
 *
 * The low end of a socket is a function that is called in softirq context. The frame stays the stack's; its bytes may be read
 * during the call and not after it. A socket with a receive queue (udp_socket.ts) is such a function too.
 */
import { NET_RX_DROP, NET_RX_SUCCESS, SetupError } from '../base/status.ts';
import { NETIF_F_HW_CSUM, NETIF_F_SG } from '../device/features.ts';
import { csumUnnecessary } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull, pskbTrim, skbLinearize, skbSum } from '../skb/frags.ts';
import { PACKET_HOST, type SkBuff, skbIsGso, skbPull, skbPush } from '../skb/sk_buff.ts';
import { skbGsoSegment } from '../stack/gso.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from '../wire/icmp.ts';
import { ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH } from '../wire/icmpv6.ts';
import { IPPROTO_UDP } from '../wire/ipv4.ts';
import { UDP_HLEN, udpChecksum, udpChecksumOk } from '../wire/udp.ts';
import { icmpSend } from './icmp.ts';
import { icmpv6Send } from './icmpv6.ts';
import type { Inet } from './inet.ts';
import { Snmp } from './snmp.ts';

/**
 * Gets one datagram: `skb.data` is the payload's first byte, `skb.len` its length, `skb.transportHeader` the UDP header and
 * `skb.networkHeader` the IP header (its version says which).
 */
export type UdpSocket = (skb: SkBuff) => void;

/** What is bound to a port. */
export interface UdpBinding {
  /** Gets the datagram; the reason why it is dropped, or 0: it was taken. */
  readonly receive: (skb: SkBuff) => number;
  /** Reads payloads that do not lie in one piece; else they are brought into one, as far as a slot holds them. */
  readonly scattered: boolean;
}

/** Set-up: binds `socket` to a port; 0 gets every datagram that no other socket wants. Throws SetupError `ERR_NETPOLL_PORT_IN_USE`. */
export function udpBind(inet: Inet, port: number, socket: UdpSocket): void {
  const receive = (skb: SkBuff): number => {
    socket(skb);
    return 0;
  };
  udpBindLow(inet, port, { receive, scattered: false });
}

/** As udpBind, for who wants datagrams as they come and may refuse them. */
export function udpBindLow(inet: Inet, port: number, binding: UdpBinding): void {
  if (inet.udpTable.get(port) !== null)
    throw new SetupError('ERR_NETPOLL_PORT_IN_USE', `UDP port ${port} is bound already`);
  inet.udpTable.add(port, binding);
}

export function udpUnbind(inet: Inet, port: number): void {
  inet.udpTable.remove(port);
}

/** `skb.data` is at the UDP header; `addressLen` is 4 or 16. Consumes the frame. */
export function udpRcv(inet: Inet, skb: SkBuff, addressLen: number): number {
  if (!pskbPull(skb, UDP_HLEN)) return drop(inet, skb, DropReason.PKT_TOO_SMALL);
  const { view } = skb.arena;
  const udp = skb.data;
  const ports = view.getInt32(udp);
  const lenAndSum = view.getInt32(udp + 4);
  const len = lenAndSum >>> 16;
  skb.transportHeader = udp;
  if (len !== skb.len && (len < UDP_HLEN || len > skb.len || !pskbTrim(skb, len))) {
    return drop(inet, skb, DropReason.PKT_TOO_SMALL);
  }
  // Over IPv6 no checksum is a wrong one, whatever a device, or GRO, has said about it.
  const absent = addressLen !== 4 && (lenAndSum & 0xffff) === 0;
  if (absent || (!csumUnnecessary(skb.ipSummed) && !udpSumOk(skb, addressLen, len))) {
    inet.snmp.add(Snmp.UdpInCsumErrors);
    return drop(inet, skb, DropReason.UDP_CSUM);
  }
  const binding = inet.udpTable.lookup(ports & 0xffff);
  if (binding === null) {
    inet.snmp.add(Snmp.UdpNoPorts);
    if (inet.host && skb.pktType === PACKET_HOST) {
      if (addressLen === 4) icmpSend(inet, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH);
      else icmpv6Send(inet, skb, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH);
    }
    skb.pool.kfree(skb, DropReason.NO_SOCKET);
    return NET_RX_DROP;
  }
  if (skbIsGso(skb)) return udpRcvSegments(inet, skb, addressLen);
  skbPull(skb, UDP_HLEN);
  if (skb.dataLen !== 0 && !binding.scattered && !skbLinearize(skb)) return drop(inet, skb, DropReason.PKT_TOO_BIG);
  const refused = binding.receive(skb);
  if (refused !== 0) {
    if (refused === DropReason.SOCKET_RCVBUFF) inet.snmp.add(Snmp.UdpRcvbufErrors);
    return drop(inet, skb, refused);
  }
  inet.snmp.add(Snmp.UdpInDatagrams);
  skb.pool.consume(skb);
  return NET_RX_SUCCESS;
}

/**
 * Receive offload has made one of several datagrams of equal length, because the device was told to (GRO_UDP_FWD, GRO_FRAGLIST).
 * A socket knows nothing of that: it gets them one by one. (`udp_rcv_segment`) Consumes the frame.
 */
function udpRcvSegments(inet: Inet, skb: SkBuff, addressLen: number): number {
  const udp = skb.data - skb.macHeader;
  const ip = skb.networkHeader - skb.macHeader;
  skbPush(skb, udp);
  let each = skbGsoSegment(skb, NETIF_F_SG | NETIF_F_HW_CSUM);
  if (each === null || typeof each === 'number') return drop(inet, skb, DropReason.NOMEM);
  let result = NET_RX_SUCCESS;
  while (each !== null) {
    const next: SkBuff | null = each.next;
    each.next = null;
    each.prev = null;
    each.networkHeader = each.data + ip;
    skbPull(each, udp);
    if (udpRcv(inet, each, addressLen) !== NET_RX_SUCCESS) result = NET_RX_DROP;
    each = next;
  }
  skb.pool.consume(skb);
  return result;
}

/** Over pseudo-header, header and payload, wherever it lies; absent is right where IPv4 allows that. */
function udpSumOk(skb: SkBuff, addressLen: number, len: number): boolean {
  const { view } = skb.arena;
  if (skb.dataLen === 0) return udpChecksumOk(view, skb.networkHeader, addressLen, skb.data, len);
  if (udpChecksum(view, skb.data) === 0) return addressLen === 4;
  const addresses = addressLen === 4 ? skb.networkHeader + 12 : skb.networkHeader + 8;
  return fold(sum32(view, addresses, 2 * addressLen) + IPPROTO_UDP + len + skbSum(skb, 0, len)) === 0;
}

function drop(inet: Inet, skb: SkBuff, reason: number): number {
  inet.snmp.add(Snmp.UdpInErrors);
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
