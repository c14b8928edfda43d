/** The kernel's own test vectors. Its words are little-endian: sums come out with their bytes exchanged. */
import { describe, expect, test } from 'vitest';
import { goldenJson } from '../../test/golden/vectors.ts';
import { checksum, fold, sum32 } from './checksum.ts';

interface Vectors {
  readonly random_buf_hex: string;
  readonly random_init_sum: number;
  readonly csum_partial_fold: { readonly expected: number[] };
  readonly no_carry: { readonly init: number[] };
  readonly ip_fast_csum: { readonly expected: number[] };
  readonly csum_ipv6_magic: { readonly expected: number[] };
}
const vectors = goldenJson<Vectors>('kernel-tests/checksum-kunit.json.gz');
const random = Buffer.from(vectors.random_buf_hex, 'hex');

const exchanged = (word: number) => ((word & 0xff) << 8) | ((word >>> 8) & 0xff);
/** A 32-bit sum of little-endian words as a sum of big-endian ones. */
const sumOf = (le: number) => exchanged(le & 0xffff) + exchanged(le >>> 16);

function viewAt(bytes: Uint8Array, offset: number): DataView {
  const memory = new Uint8Array(bytes.length + offset);
  memory.set(bytes, offset);
  return new DataView(memory.buffer);
}

describe('checksum, with the vectors of lib/tests/checksum_kunit.c', () => {
  test('sums random bytes of every length at any alignment', () => {
    for (const offset of [0, 1, 2, 3, 7]) {
      const view = viewAt(random, offset);
      vectors.csum_partial_fold.expected.forEach((want, n) => {
        const sum = sum32(view, offset, n) + sumOf(vectors.random_init_sum);
        expect([offset, n, exchanged(fold(sum))]).toEqual([offset, n, want]);
      });
    }
  });

  test('carries nothing where nothing is to carry', () => {
    const view = viewAt(new Uint8Array(512).fill(4), 0);
    vectors.no_carry.init.forEach((init, n) => {
      expect([n, fold(sum32(view, 0, n) + sumOf(init))]).toEqual([n, 0]);
      const next = exchanged(fold(sum32(view, 0, n) + sumOf((init + 1) >>> 0)));
      expect([n, next]).toEqual([n, n > 0 ? 0xfffe : 0xffff]);
    });
  });

  test('carries everything where everything is', () => {
    const view = viewAt(new Uint8Array(512).fill(0xff), 0);
    for (let n = 0; n <= 512; n++) {
      const odd = (n & 1) !== 0;
      expect([n, exchanged(fold(sum32(view, 0, n) + sumOf(0xffffffff)))]).toEqual([n, odd ? 0xff00 : 0]);
      expect([n, exchanged(fold(sum32(view, 0, n)))]).toEqual([n, odd ? 0xff00 : n > 0 ? 0 : 0xffff]);
    }
  });

  test('sums IPv4 headers of every length', () => {
    const view = viewAt(random, 0);
    vectors.ip_fast_csum.expected.forEach((want, at) => {
      const words = 5 + Math.floor(at / 181);
      expect([at, exchanged(checksum(view, at % 181, 4 * words))]).toEqual([at, want]);
    });
  });

  test('sums the pseudo-header of IPv6', () => {
    const view = viewAt(random, 0);
    vectors.csum_ipv6_magic.expected.forEach((want, i) => {
      const len = view.getUint32(i + 32, true);
      const protocol = view.getUint8(i + 36);
      const sum = sum32(view, i, 32) + (len >>> 16) + (len & 0xffff) + protocol + sumOf(view.getUint32(i + 37, true));
      expect([i, exchanged(fold(sum))]).toEqual([i, want]);
    });
  });
});
