import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText, encodeText, escapeInto, printableText, unescapeBytes } from './netconsole_text.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
function escapeBytes(text: Uint8Array): string {
  const out = new Uint8Array(text.length * 4);
  return new TextDecoder().decode(out.subarray(0, escapeInto(text, text.length, out, 0, out.length)));
}

describe('escapes', () => {
  it.each([
    ['a\tb\\c', 'a\\x09b\\x5cc'],
    ['naïve ✓', 'na\\xc3\\xafve \\xe2\\x9c\\x93'],
    ['line1\nline2', 'line1\\x0aline2'],
    ['\x7f~ ', '\\x7f~ '],
  ])('writes %j as %s', (plain, wire) => {
    expect(escapeBytes(bytes(plain))).toBe(wire);
    const raw = bytes(wire);
    expect(decodeText(unescapeBytes(raw, 0, raw.length))).toBe(plain);
  });

  it('keeps a backslash that starts no escape', () => {
    const raw = bytes('a\\b \\xg1 \\x4');
    expect(decodeText(unescapeBytes(raw, 0, raw.length))).toBe('a\\b \\xg1 \\x4');
  });

  it('stops at the limit, in the middle of an escape too', () => {
    const out = new Uint8Array(8);
    expect(escapeInto(bytes('\n\n'), 2, out, 0, 6)).toBe(6);
    expect(new TextDecoder().decode(out)).toBe('\\x0a\\x\0\0');
  });

  it('round-trips any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (text) => {
        const out = new Uint8Array(text.length * 4);
        const n = escapeInto(text, text.length, out, 0, out.length);
        expect(unescapeBytes(out, 0, n)).toEqual(text);
      }),
    );
  });
});

describe('UTF-8 without loss', () => {
  it('maps each invalid byte to U+DC00 + byte', () => {
    expect(decodeText(new Uint8Array([0x61, 0xe9, 0x20, 0xc3, 0xa9]))).toBe('a\udce9 é');
    // overlong, a surrogate half, above U+10FFFF
    expect(decodeText(new Uint8Array([0xc0, 0x80]))).toBe('\udcc0\udc80');
    expect(decodeText(new Uint8Array([0xed, 0xa0, 0x80]))).toBe('\udced\udca0\udc80');
    expect(decodeText(new Uint8Array([0xf4, 0x90, 0x80, 0x80]))).toBe('\udcf4\udc90\udc80\udc80');
  });

  it('keeps a byte-order mark and a replacement character that were sent', () => {
    expect(decodeText(bytes('\ufeffa\ufffdb'))).toBe('\ufeffa\ufffdb');
  });

  it('gives every byte string back, also through JSON', () => {
    const any = fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.string({ unit: 'binary', maxLength: 20 }).map(bytes));
    fc.assert(
      fc.property(any, (raw) => {
        expect(encodeText(JSON.parse(JSON.stringify(decodeText(raw))))).toEqual(raw);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('printableText', () => {
  it('lets no control character through', () => {
    expect(printableText('\x1b[31mred\x07 \u009b1m \udce9 é\tx\u202ey')).toBe(
      '\\x1b[31mred\\x07 \\x9b1m \\xe9 é\tx\\u202ey',
    );
    expect(printableText('a\nb')).toBe('a\\x0ab');
    expect(printableText('a\nb', true)).toBe('a\nb');
    expect(printableText('🐧')).toBe('🐧');
  });
});
