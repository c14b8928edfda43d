// hot
/**
 * UDP header (RFC 768) and its checksum over IPv4 and IPv6.
 *
 *     0          2          4       6       8
 *     | src port | dst port | len   | check | payload
 *
 * The checksum covers a pseudo-header (addresses, protocol, length), header and payload. On IPv4 zero in the field means
 * "none"; a computed zero is therefore sent as 0xffff.
 */
import { fold, sum32 } from './checksum.ts';
import { IPPROTO_UDP } from './ipv4.ts';

export const UDP_HLEN = 8;

export function udpSourcePort(view: DataView, o: number): number {
  return view.getUint16(o);
}

export function udpDestPort(view: DataView, o: number): number {
  return view.getUint16(o + 2);
}

/** Header and payload. */
export function udpLen(view: DataView, o: number): number {
  return view.getUint16(o + 4);
}

export function udpChecksum(view: DataView, o: number): number {
  return view.getUint16(o + 6);
}

/**
 * Sum over the pseudo-header of a datagram of `len` bytes; `ip` is where the IP header starts, `addressLen` 4 or 16. Both
 * addresses lie side by side in either header: from byte 12 in IPv4, from byte 8 in IPv6.
 */
function pseudoSum(view: DataView, ip: number, addressLen: number, len: number): number {
  const addresses = addressLen === 4 ? ipv4Sum(view, ip + 12) : sum32(view, ip + 8, 2 * addressLen);
  return addresses + IPPROTO_UDP + len;
}

/** Of the two IPv4 addresses at `o`. */
function ipv4Sum(view: DataView, o: number): number {
  const source = view.getInt32(o);
  const dest = view.getInt32(o + 4);
  return (source >>> 16) + (source & 0xffff) + (dest >>> 16) + (dest & 0xffff);
}

/** True if the checksum is right, or absent where IPv4 allows that. `len` bytes of UDP at `o` must be there. */
export function udpChecksumOk(view: DataView, ip: number, addressLen: number, o: number, len: number): boolean {
  if (udpChecksum(view, o) === 0) return addressLen === 4;
  return fold(pseudoSum(view, ip, addressLen, len) + sum32(view, o, len)) === 0;
}

/** Writes the 8 bytes of the header at `o`, before a payload that is there already; the IP header at `ip` has its addresses. */
export function writeUdp(
  view: DataView,
  ip: number,
  addressLen: number,
  o: number,
  sourcePort: number,
  destPort: number,
  payloadLen: number,
): void {
  const len = UDP_HLEN + payloadLen;
  const header = (sourcePort & 0xffff) + (destPort & 0xffff) + (len & 0xffff);
  const sum = pseudoSum(view, ip, addressLen, len) + header + sum32(view, o + UDP_HLEN, payloadLen);
  view.setInt32(o, (sourcePort << 16) | (destPort & 0xffff));
  view.setInt32(o + 4, (len << 16) | (fold(sum) || 0xffff));
}
