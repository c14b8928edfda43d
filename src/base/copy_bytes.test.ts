import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyBytes } from './copy_bytes.ts';

test('copies just the bytes asked for, whatever their number and alignment', () => {
  const bytes = fc.uint8Array({ minLength: 40, maxLength: 90 });
  fc.assert(
    fc.property(bytes, fc.nat(15), fc.nat(15), fc.nat(25), (source, fromAt, toAt, len) => {
      const target = new Uint8Array(64).fill(0xee);
      const expected = target.slice();
      expected.set(source.subarray(fromAt, fromAt + len), toAt);
      const words = new Int32Array(target.buffer);
      copyBytes(target, words, toAt, new DataView(source.buffer, source.byteOffset), fromAt, len);
      expect(target).toEqual(expected);
    }),
  );
});
