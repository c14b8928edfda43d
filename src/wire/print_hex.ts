/**
 * Bytes as people read them: 16 a row in hexadecimal (-x), with their characters beside them (-X), or characters alone (-A).
 *
 *     \t0x0010:  000a 0102 ...                            the offset counts from the first byte shown
 */

const ROW = 16;
/** Columns of the hexadecimal part: two digits a byte, a space in front of each pair. */
const HEX_WIDTH = 40;

/** Rows, each with a newline and `indent` in front. */
export function printHex(bytes: Uint8Array, start: number, end: number, characters: boolean, indent = '\n\t'): string {
  let out = '';
  for (let row = start; row < end; row += ROW) {
    const stop = Math.min(row + ROW, end);
    let digits = '';
    let text = '';
    for (let i = row; i < stop; i++) {
      if ((i - row) % 2 === 0) digits += ' ';
      digits += bytes[i]!.toString(16).padStart(2, '0');
      text += graphic(bytes[i]!);
    }
    out += `${indent}0x${(row - start).toString(16).padStart(4, '0')}: ${characters ? `${digits.padEnd(HEX_WIDTH)}  ${text}` : digits}`;
  }
  return out;
}

/** Characters with the line breaks that are in them; everything else is a dot. */
export function printCharacters(bytes: Uint8Array, start: number, end: number): string {
  let out = '\n';
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    const crlf = byte === 0x0d && bytes[i + 1] === 0x0a && i + 1 < end;
    if (crlf) continue;
    out += byte === 0x0a ? '\n' : byte === 0x09 || byte === 0x20 ? String.fromCharCode(byte) : graphic(byte);
  }
  return out;
}

function graphic(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
}
