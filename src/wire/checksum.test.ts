import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum, fold, sum32 } from './checksum.ts';

/** RFC 1071, word by word with end-around carry. */
function naive(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return ~sum & 0xffff;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe('internet checksum', () => {
  it('equals the word-by-word sum for any bytes at any offset and length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), (bytes, before) => {
        const padded = new Uint8Array(before + bytes.length + 3).fill(0xee);
        padded.set(bytes, before);
        expect(checksum(viewOf(padded), before, bytes.length)).toBe(naive(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('can be summed in parts of even length, in any order', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 64 }), (a, b) => {
        const even = a.length & 1 ? a.slice(1) : a;
        const whole = Uint8Array.of(...even, ...b);
        const parts = sum32(viewOf(b), 0, b.length) + sum32(viewOf(even), 0, even.length);
        expect(fold(parts)).toBe(naive(whole));
      }),
    );
  });

  it('is 0 over data that includes it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 100 }), (bytes) => {
        const even = bytes.length & 1 ? bytes.slice(1) : bytes;
        const whole = new Uint8Array(even.length + 2);
        whole.set(even, 2);
        viewOf(whole).setUint16(0, checksum(viewOf(whole), 2, even.length));
        expect(checksum(viewOf(whole), 0, whole.length)).toBe(0);
      }),
    );
  });

  it('loses nothing over 65,535 bytes of ones, and of nothing is 0xffff', () => {
    const ones = new Uint8Array(65535).fill(0xff);
    expect(checksum(viewOf(ones), 0, ones.length)).toBe(naive(ones));
    expect(checksum(viewOf(ones), 0, 0)).toBe(0xffff);
  });
});
