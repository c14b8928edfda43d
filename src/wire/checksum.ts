// hot
/**
 * The internet checksum (RFC 1071): the ones-complement sum of 16-bit words.
 *
 * sum32() adds big-endian words into a double without folding, so partial sums of headers, pseudo-headers and payload can
 * be added in any order; fold() closes them. 65,535 bytes sum to below 2^32, so nothing is lost.
 */

/** Sum of `len` bytes at `o` as big-endian 16-bit words; an odd last byte counts as the high byte. */
export function sum32(view: DataView, o: number, len: number): number {
  let sum = 0;
  const even = o + (len & ~1);
  let at = o;
  for (const four = even - 3; at < four; at += 4) {
    const word = view.getUint32(at);
    sum += (word >>> 16) + (word & 0xffff);
  }
  if (at < even) sum += view.getUint16(at);
  if ((len & 1) !== 0) sum += view.getUint8(even) << 8;
  return sum;
}

/** Adds the carries back in and complements: the value for a checksum field, 0 for data that includes a right checksum. */
export function fold(sum: number): number {
  let s = sum;
  while (s > 0xffff) s = (s % 0x10000) + Math.floor(s / 0x10000);
  return ~s & 0xffff;
}

/** Checksum of `len` bytes at `o` (`ip_fast_csum` for a header). */
export function checksum(view: DataView, o: number, len: number): number {
  return fold(sum32(view, o, len));
}
