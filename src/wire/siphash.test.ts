import { describe, expect, test } from 'vitest';
import { goldenJson } from '../../test/golden/vectors.ts';
import { SipHash } from './siphash.ts';

const { arrays } = goldenJson<{ arrays: Record<string, string[]> }>('kernel-tests/siphash-kunit.json.gz');
// Input of length n is bytes 0, 1, ..., n - 1, and so is the key.
const words = new Int32Array(Uint8Array.from({ length: 64 }, (_, i) => i).buffer);
const key = [words[0]!, words[1]!, words[2]!, words[3]!] as const;

describe('siphash', () => {
  test('gives the reference values of SipHash-2-4 for 64 lengths', () => {
    const sip = new SipHash(...key);
    arrays.test_vectors_siphash!.forEach((want, n) => {
      const low = sip.hash(words, n);
      expect([n, (BigInt(sip.high) << 32n) | BigInt(low)]).toEqual([n, BigInt(want)]);
    });
  });

  test('gives the values of the shorter form, SipHash-1-3, for 64 lengths', () => {
    const sip = new SipHash(...key, 1, 3);
    arrays.test_vectors_hsiphash!.forEach((want, n) => {
      expect([n, sip.hash(words, n)]).toEqual([n, Number(want)]);
    });
  });
});
