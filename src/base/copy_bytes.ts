// hot
/**
 * Copies bytes between two memories, a word at a time: for frames too short for a built-in copy to be worth its call.
 *
 * Words are read through a DataView, from any place, and written through an Int32Array: V8 checks a DataView anew after every
 * write through one, and a typed array only once.
 */

/** An Int32Array has the processor's order of bytes. */
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * `len` bytes of `from` at `fromAt` to `to` at `toAt`, in other memory or where they do not overlap; `words` is of the same bytes
 * as `to`. Fastest where `toAt` is a multiple of four.
 */
export function copyBytes(
  to: Uint8Array,
  words: Int32Array,
  toAt: number,
  from: DataView,
  fromAt: number,
  len: number,
): void {
  let i = 0;
  if ((toAt & 3) === 0) {
    let word = toAt >>> 2;
    for (const sixteen = len - 15; i < sixteen; i += 16) {
      const at = fromAt + i;
      words[word] = from.getInt32(at, LITTLE_ENDIAN);
      words[word + 1] = from.getInt32(at + 4, LITTLE_ENDIAN);
      words[word + 2] = from.getInt32(at + 8, LITTLE_ENDIAN);
      words[word + 3] = from.getInt32(at + 12, LITTLE_ENDIAN);
      word += 4;
    }
    for (const four = len - 3; i < four; i += 4) words[word++] = from.getInt32(fromAt + i, LITTLE_ENDIAN);
  }
  for (; i < len; i++) to[toAt + i] = from.getUint8(fromAt + i);
}
