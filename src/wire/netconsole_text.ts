/**
 * Text between bytes on the wire and strings, without loss.
 *
 * 1. The wire escapes: a byte below 0x20, from 0x7f up, or `\` is written `\xNN` (two lowercase hex digits).
 *    `unescapeBytes` undoes it, `escapeInto` does it.
 * 2. The bytes are UTF-8, mostly. `decodeText` maps each byte that is not part of a valid sequence to one lone surrogate
 *    U+DC00 + byte (U+DC80..U+DCFF, the way of Python's "surrogateescape"); `encodeText` maps those back. Valid UTF-8
 *    never decodes to a surrogate, so every byte string comes back exactly, also through JSON, which writes `\udcXX`.
 * 3. `printableText` makes text safe for a terminal or a page: control characters and lost bytes become `\xNN` again.
 */

const BACKSLASH = 0x5c;
const LOWER_X = 0x78;
const HEX = '0123456789abcdef';
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** Value of a hex digit, or -1. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * `bytes[start, end)` with each `\xNN` made one byte: a copy, or where there is no backslash a view of the same memory.
 * A backslash that starts no escape stays as it is: a cut datagram must not lose its last bytes.
 */
export function unescapeBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const raw = bytes.subarray(start, end);
  if (!raw.includes(BACKSLASH)) return raw;
  const out = new Uint8Array(end - start);
  let n = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === BACKSLASH && i + 3 < end && bytes[i + 1] === LOWER_X) {
      const high = hexValue(bytes[i + 2]!);
      const low = hexValue(bytes[i + 3]!);
      if (high >= 0 && low >= 0) {
        out[n++] = high * 16 + low;
        i += 3;
        continue;
      }
    }
    out[n++] = byte;
  }
  return out.subarray(0, n);
}

/** Must this byte of a record's text be written as `\xNN`? */
export function mustEscape(byte: number): boolean {
  return byte < 0x20 || byte >= 0x7f || byte === BACKSLASH;
}

/**
 * Writes `text[0, length)` escaped into `out` from `at`, up to `limit` at most: what does not fit is cut, in the middle
 * of an escape too, as kernels do (7.x cuts at 2,048 bytes). Returns the position behind the last byte written.
 */
export function escapeInto(text: Uint8Array, length: number, out: Uint8Array, at: number, limit: number): number {
  for (let i = 0; i < length && at < limit; i++) {
    const byte = text[i]!;
    if (!mustEscape(byte)) {
      out[at++] = byte;
      continue;
    }
    out[at++] = BACKSLASH;
    if (at < limit) out[at++] = LOWER_X;
    if (at < limit) out[at++] = HEX.charCodeAt(byte >> 4);
    if (at < limit) out[at++] = HEX.charCodeAt(byte & 15);
  }
  return at;
}

/** Decodes `bytes[start, end)` as UTF-8; invalid bytes become U+DC80..U+DCFF one by one. */
export function decodeText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  const text = utf8.decode(bytes.subarray(start, end));
  // The replacement character tells that something was invalid (or that it was sent as such: then the slow way agrees).
  return text.includes('\ufffd') ? decodeBytewise(bytes, start, end) : text;
}

function decodeBytewise(bytes: Uint8Array, start: number, end: number): string {
  const parts: string[] = [];
  for (let i = start; i < end; ) {
    const length = sequenceLength(bytes, i, end);
    if (length === 0) {
      parts.push(String.fromCharCode(0xdc00 + bytes[i]!));
      i++;
    } else {
      parts.push(utf8.decode(bytes.subarray(i, i + length)));
      i += length;
    }
  }
  return parts.join('');
}

/** Length of the valid UTF-8 sequence at `i` (no overlong forms, no surrogates, up to U+10FFFF), or 0. */
function sequenceLength(bytes: Uint8Array, i: number, end: number): number {
  const lead = bytes[i]!;
  if (lead < 0x80) return 1;
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) === 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length === 0 || i + length > end) return 0;
  const second = bytes[i + 1]!;
  if (lead === 0xe0 && second < 0xa0) return 0;
  if (lead === 0xed && second > 0x9f) return 0;
  if (lead === 0xf0 && second < 0x90) return 0;
  if (lead === 0xf4 && second > 0x8f) return 0;
  for (let k = 1; k < length; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** The bytes that `decodeText` made this string of. */
export function encodeText(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return encoder.encode(text);
  const out = new Uint8Array(text.length * 3);
  let n = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) out[n++] = code - 0xdc00;
    else n += encoder.encodeInto(char, out.subarray(n)).written;
  }
  return out.slice(0, n);
}

/**
 * The text as a person may see it: C0, DEL and C1 control characters and bytes that are no UTF-8 become `\xNN`, the
 * marks that turn the direction of writing become `\u....`; tabs stay, newlines stay if `multiline`.
 */
export function printableText(text: string, multiline = false): string {
  return text.replace(/[\0-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, (char) => {
    const code = char.charCodeAt(0);
    if (code === 9 || (code === 10 && multiline)) return char;
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
