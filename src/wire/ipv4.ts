// hot
/**
 * IPv4 header (RFC 791), without options when written.
 *
 *     0      1     2        4    6          8    9      10      12    16    20
 *     |ver,ihl|tos|tot_len |id  |flags,frag|ttl |proto |check  |src  |dst  |
 */
import { fold } from './checksum.ts';

export const IPV4_HLEN = 20;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
/** Any fragment: more-fragments bit, or an offset. */
export const IPV4_FRAGMENT = 0x3fff;

/** Header length in bytes as the header states it. */
export function ipv4HeaderLen(view: DataView, o: number): number {
  return (view.getUint8(o) & 0x0f) * 4;
}

export function ipv4Version(view: DataView, o: number): number {
  return view.getUint8(o) >>> 4;
}

/** Total length: header and payload. */
export function ipv4TotalLen(view: DataView, o: number): number {
  return view.getUint16(o + 2);
}

export function ipv4IsFragment(view: DataView, o: number): boolean {
  return (view.getUint16(o + 6) & IPV4_FRAGMENT) !== 0;
}

export function ipv4Id(view: DataView, o: number): number {
  return view.getUint16(o + 4);
}

/** Where the fragment's bytes stand in the packet. */
export function ipv4FragmentOffset(view: DataView, o: number): number {
  return (view.getUint16(o + 6) & 0x1fff) * 8;
}

export function ipv4MoreFragments(view: DataView, o: number): boolean {
  return (view.getUint16(o + 6) & 0x2000) !== 0;
}

export function ipv4Protocol(view: DataView, o: number): number {
  return view.getUint8(o + 9);
}

/** Source address as an unsigned 32-bit integer, host order. */
export function ipv4Source(view: DataView, o: number): number {
  return view.getUint32(o + 12);
}

export function ipv4Dest(view: DataView, o: number): number {
  return view.getUint32(o + 16);
}

/** Writes 20 bytes at `o`: no options, tos 0, not fragmented, ttl 64, checksum computed. */
export function writeIpv4(
  view: DataView,
  o: number,
  id: number,
  protocol: number,
  source: number,
  dest: number,
  payloadLen: number,
): void {
  const first = 0x45000000 | ((IPV4_HLEN + payloadLen) & 0xffff);
  const third = 0x40000000 | ((protocol & 0xff) << 16);
  const sum = words(first) + (id & 0xffff) + words(third) + words(source) + words(dest);
  view.setInt32(o, first);
  view.setInt32(o + 4, id << 16);
  view.setInt32(o + 8, third | fold(sum));
  view.setInt32(o + 12, source);
  view.setInt32(o + 16, dest);
}

/** True if the 20 bytes at `o` are right by their checksum. (`ip_fast_csum` for a header without options) */
export function ipv4PlainHeaderOk(view: DataView, o: number): boolean {
  const sum =
    words(view.getInt32(o)) +
    words(view.getInt32(o + 4)) +
    words(view.getInt32(o + 8)) +
    words(view.getInt32(o + 12)) +
    words(view.getInt32(o + 16));
  return fold(sum) === 0;
}

/** The same of the five words of a header that have been read already. */
export function ipv4WordsOk(first: number, second: number, third: number, source: number, dest: number): boolean {
  return fold(words(first) + words(second) + words(third) + words(source) + words(dest)) === 0;
}

/** Sum of the two 16-bit words of a 32-bit one. */
function words(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}
