// hot
/**
 * UDP in (udp_rcv): length, checksum, then the socket bound to the destination port.
 *
 * A socket here is a function that is called in softirq context. The frame stays the stack's; its bytes may be read during
 * the call and not after it.
 */
import { NET_RX_DROP, NET_RX_SUCCESS, SetupError } from '../base/status.ts';
import { csumUnnecessary } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbMayPull, type SkBuff, skbPull, skbTrim } from '../skb/sk_buff.ts';
import { UDP_HLEN, udpChecksumOk, udpDestPort, udpLen } from '../wire/udp.ts';
import type { Inet } from './inet.ts';
import { Snmp } from './snmp.ts';

/**
 * Gets one datagram: `skb.data` is the payload's first byte, `skb.len` its length, `skb.transportHeader` the UDP header and
 * `skb.networkHeader` the IP header (its version says which).
 */
export type UdpSocket = (skb: SkBuff) => void;

/** Binds `socket` to a port; 0 gets every datagram that no other socket wants. Throws SetupError `ERR_NETPOLL_PORT_IN_USE`. */
export function udpBind(inet: Inet, port: number, socket: UdpSocket): void {
  if (inet.udpTable.get(port) !== null)
    throw new SetupError('ERR_NETPOLL_PORT_IN_USE', `UDP port ${port} is bound already`);
  inet.udpTable.add(port, socket);
}

export function udpUnbind(inet: Inet, port: number): void {
  inet.udpTable.remove(port);
}

/** `skb.data` is at the UDP header; `addressLen` is 4 or 16. Consumes the frame. */
export function udpRcv(inet: Inet, skb: SkBuff, addressLen: number): number {
  const { view } = skb.arena;
  const udp = skb.data;
  skb.transportHeader = udp;
  const len = pskbMayPull(skb, UDP_HLEN) ? udpLen(view, udp) : 0;
  if (len < UDP_HLEN || len > skb.len) {
    inet.snmp.add(Snmp.UdpInErrors);
    skb.pool.kfree(skb, DropReason.PKT_TOO_SMALL);
    return NET_RX_DROP;
  }
  if (!csumUnnecessary(skb.ipSummed) && !udpChecksumOk(view, skb.networkHeader, addressLen, udp, len)) {
    inet.snmp.add(Snmp.UdpInErrors);
    inet.snmp.add(Snmp.UdpInCsumErrors);
    skb.pool.kfree(skb, DropReason.UDP_CSUM);
    return NET_RX_DROP;
  }
  const socket = inet.udpTable.lookup(udpDestPort(view, udp));
  if (socket === null) {
    inet.snmp.add(Snmp.UdpNoPorts);
    skb.pool.kfree(skb, DropReason.NO_SOCKET);
    return NET_RX_DROP;
  }
  skbTrim(skb, len);
  skbPull(skb, UDP_HLEN);
  inet.snmp.add(Snmp.UdpInDatagrams);
  socket(skb);
  skb.pool.consume(skb);
  return NET_RX_SUCCESS;
}
