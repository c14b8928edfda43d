// hot
/**
 * The header that pktgen puts in front of its payload, by which its frames are known and counted at the far end.
 *
 *     | magic be9be955 @0 | sequence number @4 | seconds @8 | microseconds @12 |        big-endian, 16 bytes
 *
 * Sequence numbers of a run begin with 1 and wrap at 2^32. The time is when the frame was made, 0 with NO_TIMESTAMP.
 * Answers to: net/core/pktgen.c, struct pktgen_hdr.
 */
export const PKTGEN_MAGIC = 0xbe9be955;
export const PKTGEN_HLEN = 16;

export function isPktgen(view: DataView, o: number): boolean {
  return view.getUint32(o) === PKTGEN_MAGIC;
}

export function pktgenSeq(view: DataView, o: number): number {
  return view.getUint32(o + 4);
}

/** Microseconds since 1970, 0: not stamped. */
export function pktgenTimeUs(view: DataView, o: number): number {
  return view.getUint32(o + 8) * 1e6 + view.getUint32(o + 12);
}
