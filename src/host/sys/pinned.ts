/**
 * Memory that the kernel is told the address of. It does not move, because a slow Buffer lies outside V8's heap, and it
 * lives as long as somebody holds the object: the owner keeps it in a field for as long as the kernel may look.
 */
import { libc } from './libc.ts';

export interface Pinned {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Address of byte 0. */
  readonly at: number;
}

/** `length` zero bytes, aligned to 16. */
export function pinned(length: number): Pinned {
  const bytes = Buffer.allocUnsafeSlow(length).fill(0);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, length), at: libc().addressOf(bytes) };
}

const TWO_32 = 2 ** 32;

/** Writes an address or a size_t, little-endian, without a BigInt. */
export function writeWord(view: DataView, o: number, value: number): void {
  view.setUint32(o, value >>> 0, true);
  view.setUint32(o + 4, Math.floor(value / TWO_32), true);
}

/** The upper half of an address whose lower half has become `low` by adding to it, where it was `upper` before. */
export function highWord(low: number, upper: number): number {
  return low >= TWO_32 ? upper + 1 : upper;
}

/** The memory as 32-bit words, in the machine's order. */
export function wordsOf({ bytes }: Pinned): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
}
