// hot
/**
 * ICMP for IPv4 (RFC 792): eight bytes, then what the type needs; the checksum covers all of it.
 *
 *     0      1      2       4                 8
 *     | type | code | check | id, seq or none | data, or the packet that is complained about
 */
import { checksum } from './checksum.ts';

export const ICMP_HLEN = 8;
export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETERPROB = 12;
/** Codes of DEST_UNREACH and TIME_EXCEEDED. */
export const ICMP_HOST_UNREACH = 1;
export const ICMP_PROT_UNREACH = 2;
export const ICMP_PORT_UNREACH = 3;
export const ICMP_EXC_FRAGTIME = 1;

export function icmpType(view: DataView, o: number): number {
  return view.getUint8(o);
}

export function icmpCode(view: DataView, o: number): number {
  return view.getUint8(o + 1);
}

/** The second word: identifier and sequence number of an echo. */
export function icmpRest(view: DataView, o: number): number {
  return view.getUint32(o + 4);
}

/** Writes the 8 bytes in front of `dataLen` bytes that are there already, checksum computed. */
export function writeIcmp(view: DataView, o: number, type: number, code: number, rest: number, dataLen: number): void {
  view.setUint16(o, (type << 8) | code);
  view.setUint16(o + 2, 0);
  view.setUint32(o + 4, rest);
  view.setUint16(o + 2, checksum(view, o, ICMP_HLEN + dataLen));
}
