// hot
/**
 * ICMP for IPv6 (RFC 4443): as ICMP, but the checksum also covers the addresses (as UDP's does).
 *
 *     0      1      2       4                 8
 *     | type | code | check | id, seq or none | data, or the packet that is complained about
 */
import { fold, sum32 } from './checksum.ts';

export const IPPROTO_ICMPV6 = 58;
export const ICMPV6_HLEN = 8;
export const ICMPV6_DEST_UNREACH = 1;
export const ICMPV6_PKT_TOOBIG = 2;
export const ICMPV6_TIME_EXCEED = 3;
export const ICMPV6_PARAMPROB = 4;
/** Types below this are errors, and are never answered with an error. */
export const ICMPV6_INFOMSG_MASK = 0x80;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
/** Codes: of DEST_UNREACH, of TIME_EXCEED, of PARAMPROB. */
export const ICMPV6_ADDR_UNREACH = 3;
export const ICMPV6_PORT_UNREACH = 4;
export const ICMPV6_EXC_FRAGTIME = 1;
export const ICMPV6_HDR_FIELD = 0;
export const ICMPV6_UNK_NEXTHDR = 1;

/** Sum over the pseudo-header of an upper layer of IPv6; both addresses lie side by side at `ip` + 8. */
export function ipv6PseudoSum(view: DataView, ip: number, protocol: number, len: number): number {
  return sum32(view, ip + 8, 32) + protocol + len;
}

/** True if the checksum of `len` bytes at `o`, under the IPv6 header at `ip`, is right. */
export function icmpv6ChecksumOk(view: DataView, ip: number, o: number, len: number): boolean {
  return fold(ipv6PseudoSum(view, ip, IPPROTO_ICMPV6, len) + sum32(view, o, len)) === 0;
}

/** Writes the 8 bytes in front of `dataLen` bytes that are there already; the IPv6 header at `ip` has its addresses. */
export function writeIcmpv6(
  view: DataView,
  ip: number,
  o: number,
  type: number,
  code: number,
  rest: number,
  dataLen: number,
): void {
  const len = ICMPV6_HLEN + dataLen;
  view.setUint16(o, (type << 8) | code);
  view.setUint16(o + 2, 0);
  view.setUint32(o + 4, rest);
  view.setUint16(o + 2, fold(ipv6PseudoSum(view, ip, IPPROTO_ICMPV6, len) + sum32(view, o, len)));
}
