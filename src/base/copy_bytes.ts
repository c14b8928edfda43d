// hot
/** Copies bytes between two memories, four at a time: for frames too short for a built-in copy to be worth its call. */

/** `len` bytes of `from` at `fromAt` to `to` at `toAt`, which lie in other memory or do not overlap. */
export function copyBytes(to: DataView, toAt: number, from: DataView, fromAt: number, len: number): void {
  const words = len & ~3;
  for (let i = 0; i < words; i += 4) to.setInt32(toAt + i, from.getInt32(fromAt + i, true), true);
  for (let i = words; i < len; i++) to.setUint8(toAt + i, from.getUint8(fromAt + i));
}
