// hot
/**
 * Neighbour discovery (RFC 4861): who has this IPv6 address, and under which hardware address? ICMPv6 messages.
 *
 *     0      1      2       4                     8              24
 *     | 135  |  0   | check | 0                   | target (16)  | options: type, length in units of 8, value
 *     | 136  |  0   | check | R,S,O flags         | target (16)  |
 */
import { ETH_ALEN } from './eth.ts';

export const NDISC_NEIGHBOUR_SOLICITATION = 135;
export const NDISC_NEIGHBOUR_ADVERTISEMENT = 136;
/** Header and target. */
export const NDISC_LEN = 24;
/** Offset of the target from the ICMPv6 header. */
export const NDISC_TARGET = 8;
export const ND_OPT_SOURCE_LL_ADDR = 1;
export const ND_OPT_TARGET_LL_ADDR = 2;
export const NA_ROUTER = 0x80000000;
export const NA_SOLICITED = 0x40000000;
export const NA_OVERRIDE = 0x20000000;
/** Only a neighbour can send this: no router has passed it on. */
export const NDISC_HOP_LIMIT = 255;

/**
 * Where the option of `type` starts in options [o, end), -1 if there is none, -2 if the options are broken (a length of zero, or
 * one that leads past the end).
 */
export function ndiscOption(view: DataView, o: number, end: number, type: number): number {
  let found = -1;
  for (let at = o; at < end; ) {
    const size = at + 2 <= end ? view.getUint8(at + 1) * 8 : 0;
    if (size === 0 || at + size > end) return -2;
    if (found === -1 && view.getUint8(at) === type) found = at;
    at += size;
  }
  return found;
}

/** Writes the 8 bytes of a link-layer address option at `o`. */
export function writeLinkLayerOption(bytes: Uint8Array, o: number, type: number, mac: Uint8Array): void {
  bytes[o] = type;
  bytes[o + 1] = 1;
  for (let i = 0; i < ETH_ALEN; i++) bytes[o + 2 + i] = mac[i]!;
}

/** The group that the owner of the address at `o` listens to: ff02::1:ffXX:XXXX. Fills and returns `out` (16 bytes). */
export function solicitedNode(bytes: Uint8Array, o: number, out: Uint8Array): Uint8Array {
  out.fill(0);
  out[0] = 0xff;
  out[1] = 0x02;
  out[11] = 1;
  out[12] = 0xff;
  for (let i = 13; i < 16; i++) out[i] = bytes[o + i]!;
  return out;
}

/** The Ethernet group of an IPv6 multicast address: 33:33 and its last four bytes. Fills and returns `out` (6 bytes). */
export function ipv6MulticastMac(address: Uint8Array, out: Uint8Array): Uint8Array {
  out[0] = 0x33;
  out[1] = 0x33;
  for (let i = 0; i < 4; i++) out[2 + i] = address[12 + i]!;
  return out;
}

/** The Ethernet group of an IPv4 multicast address: 01:00:5e and its last 23 bits. Fills and returns `out` (6 bytes). */
export function ipv4MulticastMac(address: number, out: Uint8Array): Uint8Array {
  out[0] = 0x01;
  out[1] = 0x00;
  out[2] = 0x5e;
  out[3] = (address >>> 16) & 0x7f;
  out[4] = (address >>> 8) & 0xff;
  out[5] = address & 0xff;
  return out;
}

/** fe80:: and the interface identifier made from a hardware address (RFC 4291, appendix A). */
export function linkLocalAddress(mac: Uint8Array): Uint8Array {
  const out = new Uint8Array(16);
  out[0] = 0xfe;
  out[1] = 0x80;
  out[8] = mac[0]! ^ 2;
  out[9] = mac[1]!;
  out[10] = mac[2]!;
  out[11] = 0xff;
  out[12] = 0xfe;
  out[13] = mac[3]!;
  out[14] = mac[4]!;
  out[15] = mac[5]!;
  return out;
}
