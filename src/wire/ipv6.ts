// hot
/**
 * IPv6 fixed header (RFC 8200).
 *
 *     0                     4            6        7          8            24           40
 *     |ver, class, label    |payload len |next hdr|hop limit |source (16) |dest (16)   |
 */
export const IPV6_HLEN = 40;

export function ipv6Version(view: DataView, o: number): number {
  return view.getUint8(o) >>> 4;
}

export function ipv6PayloadLen(view: DataView, o: number): number {
  return view.getUint16(o + 4);
}

export function ipv6NextHeader(view: DataView, o: number): number {
  return view.getUint8(o + 6);
}

export function ipv6HopLimit(view: DataView, o: number): number {
  return view.getUint8(o + 7);
}

/** Writes 40 bytes at `o`: class and flow label 0. `source` and `dest` are 16 bytes each. */
export function writeIpv6(
  view: DataView,
  o: number,
  nextHeader: number,
  hopLimit: number,
  source: Uint8Array,
  dest: Uint8Array,
  payloadLen: number,
): void {
  view.setUint32(o, 0x60000000);
  view.setUint16(o + 4, payloadLen);
  view.setUint8(o + 6, nextHeader);
  view.setUint8(o + 7, hopLimit);
  for (let i = 0; i < 16; i++) {
    view.setUint8(o + 8 + i, source[i]!);
    view.setUint8(o + 24 + i, dest[i]!);
  }
}
