// hot
/**
 * The headers that a UDP socket does not show, written in front of a received payload and read off a frame to be sent, so
 * that the stack above sees an ordinary Ethernet device.
 *
 *     slot:  | headroom | Ethernet 14 | IPv4 20 or IPv6 40 | UDP 8 | payload, as recvmmsg() placed it |
 *
 * Hardware addresses are made up (locally administered): 02:6e + the IPv4 address, or the last four bytes of the IPv6
 * address, so that one station keeps one address. The port itself is 02:70 + a hash of what it is bound to.
 */

import { fold } from '../../wire/checksum.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, ipv4HeaderLen, ipv4IsFragment, ipv4Protocol, writeIpv4 } from '../../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../../wire/ipv6.ts';
import { UDP_HLEN, udpLen, writeUdp } from '../../wire/udp.ts';

export const HEADERS_IPV4 = ETH_HLEN + IPV4_HLEN + UDP_HLEN;
export const HEADERS_IPV6 = ETH_HLEN + IPV6_HLEN + UDP_HLEN;
const PEER_MAC = 0x026e;
/** As they lie in memory: 45 00, 40 11 (ttl 64, UDP), and so on. */
const VERSION_WORD = 0x0045;
const TTL_WORD = 0x1140;
const PEER_MAC_WORD = 0x6e02;
const ETH_P_IP_WORD = 0x0008 << 16;

/** One end of a datagram: `o` is the position of the address bytes in `view`. */
export interface HeaderEnds {
  readonly source: DataView;
  sourceAt: number;
  sourcePort: number;
  readonly dest: DataView;
  destAt: number;
  destPort: number;
}

/**
 * Writes Ethernet, IPv4 and UDP headers before the payload at `payload`. The UDP checksum is 0 (none): the kernel has checked
 * the real one. Gives the position of the Ethernet header.
 */
export function writeIpv4Headers(
  view: DataView,
  payload: number,
  len: number,
  ends: HeaderEnds,
  id: number,
  mac: Uint8Array,
): number {
  const udp = payload - UDP_HLEN;
  const ip = udp - IPV4_HLEN;
  const source = ends.source.getInt32(ends.sourceAt);
  const dest = ends.dest.getInt32(ends.destAt);
  view.setInt32(udp, (ends.sourcePort << 16) | ends.destPort);
  view.setInt32(udp + 4, (UDP_HLEN + len) << 16);
  writeIpv4(view, ip, id, IPPROTO_UDP, source, dest, UDP_HLEN + len);
  const eth = ip - ETH_HLEN;
  writeMacs(view, eth, mac, source);
  // Broadcast, or 224.0.0.0/4.
  if (dest === -1) fillDest(view, eth, 0xffff, 0xffffffff);
  else if (dest >>> 28 === 0xe) fillDest(view, eth, 0x0100, 0x5e000000 + (dest & 0x7fffff));
  view.setInt16(eth + 12, ETH_P_IP);
  return eth;
}

/**
 * The same for a whole loop of them: `words` is the memory, in which the payload is word `payload`; addresses, `ports` (source's
 * first) and the hardware address (behind two bytes that are not used) are words as they lie in memory, so nothing is swapped but lengths.
 * The two bytes in front of the Ethernet header are overwritten. The destination is a unicast address (`isUnicast`).
 */
export function writeIpv4Words(
  words: Int32Array,
  payload: number,
  len: number,
  source: number,
  dest: number,
  ports: number,
  id: number,
  mac: Int32Array,
): void {
  const total = swap16(IPV4_HLEN + UDP_HLEN + len);
  const sum =
    VERSION_WORD + total + id + TTL_WORD + (source >>> 16) + (source & 0xffff) + (dest >>> 16) + (dest & 0xffff);
  words[payload - 11] = mac[0]!;
  words[payload - 10] = mac[1]!;
  words[payload - 9] = PEER_MAC_WORD | (source << 16);
  words[payload - 8] = (source >>> 16) | ETH_P_IP_WORD;
  words[payload - 7] = VERSION_WORD | (total << 16);
  words[payload - 6] = id;
  words[payload - 5] = TTL_WORD | (fold(sum) << 16);
  words[payload - 4] = source;
  words[payload - 3] = dest;
  words[payload - 2] = ports;
  words[payload - 1] = swap16(UDP_HLEN + len);
}

/** Set-up: `mac` as writeIpv4Words takes it. */
export function macWords(mac: Uint8Array): Int32Array {
  const bytes = new Uint8Array(8);
  bytes.set(mac, 2);
  return new Int32Array(bytes.buffer);
}

/** Neither broadcast nor 224.0.0.0/4; `address` as it lies in memory. */
export function isUnicast(address: number): boolean {
  return (address & 0xf0) !== 0xe0 && address !== -1;
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/** The same for IPv6, which has no "none": the UDP checksum is computed. */
export function writeIpv6Headers(
  view: DataView,
  payload: number,
  len: number,
  ends: HeaderEnds,
  mac: Uint8Array,
): number {
  const udp = payload - UDP_HLEN;
  const ip = udp - IPV6_HLEN;
  view.setUint32(ip, 0x60000000);
  view.setUint16(ip + 4, UDP_HLEN + len);
  view.setUint8(ip + 6, IPPROTO_UDP);
  view.setUint8(ip + 7, 64);
  for (let i = 0; i < 16; i += 4) {
    view.setUint32(ip + 8 + i, ends.source.getUint32(ends.sourceAt + i));
    view.setUint32(ip + 24 + i, ends.dest.getUint32(ends.destAt + i));
  }
  writeUdp(view, ip, 16, udp, ends.sourcePort, ends.destPort, len);
  const eth = ip - ETH_HLEN;
  writeMacs(view, eth, mac, view.getInt32(ip + 20));
  if (view.getUint8(ip + 24) === 0xff) fillDest(view, eth, 0x3333, view.getUint32(ip + 36));
  view.setUint16(eth + 12, ETH_P_IPV6);
  return eth;
}

/**
 * Where the UDP header lies of a frame of `len` bytes at `eth`, if it is a whole, unfragmented UDP datagram over IPv4 or
 * IPv6 without extension headers; -1 if not.
 */
export function findUdp(view: DataView, eth: number, len: number): number {
  if (len < HEADERS_IPV4) return -1;
  const ip = eth + ETH_HLEN;
  const type = view.getUint16(eth + 12);
  let udp = -1;
  if (type === ETH_P_IP && ipv4Protocol(view, ip) === IPPROTO_UDP && !ipv4IsFragment(view, ip)) {
    udp = ip + ipv4HeaderLen(view, ip);
  } else if (type === ETH_P_IPV6 && len >= HEADERS_IPV6 && ipv6NextHeader(view, ip) === IPPROTO_UDP) {
    udp = ip + IPV6_HLEN;
  }
  if (udp < ip + IPV4_HLEN || udp + UDP_HLEN > eth + len) return -1;
  const bytes = udpLen(view, udp);
  return bytes < UDP_HLEN || udp + bytes > eth + len ? -1 : udp;
}

/** 11 stores a frame in all, most of them words: a byte's store costs as much. */
function writeMacs(view: DataView, eth: number, mac: Uint8Array, station: number): void {
  view.setInt32(eth, (mac[0]! << 24) | (mac[1]! << 16) | (mac[2]! << 8) | mac[3]!);
  view.setInt32(eth + 4, (mac[4]! << 24) | (mac[5]! << 16) | PEER_MAC);
  view.setInt32(eth + 8, station);
}

function fillDest(view: DataView, eth: number, high: number, low: number): void {
  view.setUint16(eth, high);
  view.setUint32(eth + 2, low);
}
