// hot
/**
 * Socket addresses of the IP families, as bytes in memory that the kernel reads and writes.
 *
 *     struct sockaddr_in   { u16 family @0; be16 port @2; be32 address @4 }                                        16 bytes
 *     struct sockaddr_in6  { u16 family @0; be16 port @2; be32 flowinfo @4; u8 address[16] @8; u32 scope @24 }     28 bytes
 *
 * On an IPv6 socket that takes both families, an IPv4 address comes and goes as ::ffff:a.b.c.d.
 */
import { ETH_HLEN, ETH_P_IP } from '../../wire/eth.ts';
import { ipv4Dest } from '../../wire/ipv4.ts';
import { udpDestPort } from '../../wire/udp.ts';
import { AF_INET, AF_INET6 } from '../sys/socket.ts';

export const SOCKADDR_IN_SIZE = 16;
export const SOCKADDR_IN6_SIZE = 28;
/** Room for either, on a multiple of 16. */
export const NAME_SIZE = 32;
export const SIN_ADDR = 4;
export const SIN6_ADDR = 8;

export function sockaddrPort(view: DataView, o: number): number {
  return view.getUint16(o + 2);
}

export function writeSockaddrIn(view: DataView, o: number, port: number, address: number): void {
  view.setUint16(o, AF_INET, true);
  view.setUint16(o + 2, port);
  view.setUint32(o + 4, address);
  view.setUint32(o + 8, 0);
  view.setUint32(o + 12, 0);
}

/** Without the address's 16 bytes, which the caller puts at o + SIN6_ADDR. */
export function writeSockaddrIn6(view: DataView, o: number, port: number, scope: number): void {
  view.setUint16(o, AF_INET6, true);
  view.setUint16(o + 2, port);
  view.setUint32(o + 4, 0);
  view.setUint32(o + 24, scope, true);
}

/** True if the 16 bytes at `o` are an IPv4 address in IPv6 form. */
export function isMapped(view: DataView, o: number): boolean {
  return view.getUint32(o) === 0 && view.getUint32(o + 4) === 0 && view.getUint32(o + 8) === 0xffff;
}

/** Writes ::ffff:`address` at `o`. */
export function writeMapped(view: DataView, o: number, address: number): void {
  view.setUint32(o, 0);
  view.setUint32(o + 4, 0);
  view.setUint32(o + 8, 0xffff);
  view.setUint32(o + 12, address);
}

/** True for fe80::/10, which means nothing without an interface. */
export function isLinkLocal(view: DataView, o: number): boolean {
  return (view.getUint16(o) & 0xffc0) === 0xfe80;
}

/** What a socket can be sent to by. */
export interface UdpFamilies {
  /** The socket is AF_INET6. */
  readonly six: boolean;
  /** The socket takes IPv4 destinations: it is AF_INET, or AF_INET6 for both families. */
  readonly four: boolean;
  /** Interface index for link-local destinations, 0 if none. */
  readonly scope: number;
  /** Bytes of an address of the socket's family. */
  readonly nameLen: number;
}

const SIN_PORT = 2;
const IPV4_DEST = 16;
const IPV6_DEST = 24;

/** Writes to `name` where the datagram goes whose frame is at `eth`; an AF_INET name is one already. False: not a family of this socket. */
export function writeDestination(
  names: DataView,
  name: number,
  view: DataView,
  eth: number,
  udp: number,
  families: UdpFamilies,
): boolean {
  const ip = eth + ETH_HLEN;
  const port = udpDestPort(view, udp);
  const { six, four, scope } = families;
  const isFour = view.getUint16(eth + 12) === ETH_P_IP;
  if (isFour ? !four : !six) return false;
  if (!six) {
    names.setInt16(name + SIN_PORT, port);
    names.setInt32(name + SIN_ADDR, view.getInt32(ip + IPV4_DEST));
  } else if (isFour) {
    writeSockaddrIn6(names, name, port, 0);
    writeMapped(names, name + SIN6_ADDR, ipv4Dest(view, ip));
  } else {
    const address = ip + IPV6_DEST;
    writeSockaddrIn6(names, name, port, isLinkLocal(view, address) ? scope : 0);
    for (let k = 0; k < 16; k += 4) names.setUint32(name + SIN6_ADDR + k, view.getUint32(address + k));
  }
  return true;
}

/** Whether the addresses at `a` and `b` are the same. */
export function sameName(names: DataView, a: number, b: number, len: number): boolean {
  for (let k = 0; k < len; k += 4) if (names.getUint32(a + k) !== names.getUint32(b + k)) return false;
  return true;
}
