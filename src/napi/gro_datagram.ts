// hot
/**
 * Datagrams that nobody wants merged: most of what a collector gets. They pass receive offload without being compared with
 * anything, and leave it as the long way would leave them: with their checksum verified.
 *
 * The long way's rules, in its order (inet_gro_receive, udp4_gro_receive): the IP header is right and without options, it is
 * no fragment, its length is all there is; then the checksum is looked at, and a right one, or none, makes the frame
 * CHECKSUM_UNNECESSARY (that IPv6 demands one is UDP's own affair). Where one of these fails the frame passes as it is.
 */
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, ipv4PlainHeaderOk, ipv4TotalLen } from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6PayloadLen } from '../wire/ipv6.ts';
import { UDP_HLEN, udpChecksum, udpChecksumOk } from '../wire/udp.ts';

/** Bits beside the offset: all but "don't fragment" keep a packet from being merged. */
const NOT_DF = 0xbfff;

/** True: UDP directly behind an IP header without options, all in one piece; its checksum has been looked at. */
export function groPassDatagram(skb: SkBuff): boolean {
  if (skb.dataLen !== 0 || skb.len < IPV4_HLEN + UDP_HLEN) return false;
  if (skb.ipSummed !== CHECKSUM_NONE && skb.ipSummed !== CHECKSUM_UNNECESSARY) return false;
  const { bytes, view } = skb.arena;
  const ip = skb.data;
  if (skb.protocol === ETH_P_IP) {
    if (bytes[ip] !== 0x45 || bytes[ip + 9] !== IPPROTO_UDP) return false;
    if (skb.ipSummed === CHECKSUM_NONE && isWhole4(view, ip, skb.len)) verify(skb, IPV4_HLEN, 4);
    return true;
  }
  if (skb.protocol !== ETH_P_IPV6 || skb.len < IPV6_HLEN + UDP_HLEN) return false;
  if (bytes[ip]! >>> 4 !== 6 || bytes[ip + 6] !== IPPROTO_UDP) return false;
  if (skb.ipSummed === CHECKSUM_NONE && ipv6PayloadLen(view, ip) === skb.len - IPV6_HLEN) verify(skb, IPV6_HLEN, 16);
  return true;
}

function isWhole4(view: DataView, ip: number, len: number): boolean {
  return ipv4TotalLen(view, ip) === len && (view.getUint16(ip + 6) & NOT_DF) === 0 && ipv4PlainHeaderOk(view, ip);
}

function verify(skb: SkBuff, hlen: number, addressLen: number): void {
  const { view } = skb.arena;
  const ip = skb.data;
  const udp = ip + hlen;
  if (udpChecksum(view, udp) !== 0 && !udpChecksumOk(view, ip, addressLen, udp, skb.len - hlen)) return;
  skb.ipSummed = CHECKSUM_UNNECESSARY;
  skb.csumLevel = 0;
}
