import { describe, expect, test } from 'vitest';
import { goldenJson } from '../../test/golden/vectors.ts';
import { parseIpv4, parseIpv6 } from './address.ts';
import { RSS_DEFAULT_KEY, RSS_TABLE_SIZE, rssIndirDefault, rssQueue, Toeplitz } from './toeplitz.ts';

interface Vector {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly hash_l3: string;
  readonly hash_l3l4: string;
}
const vectors = goldenJson<{ key_hex: string; ipv4: Vector[]; ipv6: Vector[] }>('kernel-tests/toeplitz.json.gz');
const toeplitz = new Toeplitz();

/** A packet of which only addresses and ports are filled in; the ports stand behind the header. */
function packet(vector: Vector, addressLen: number): DataView {
  const view = new DataView(new ArrayBuffer(44));
  if (addressLen === 4) {
    view.setUint32(12, parseIpv4(vector.src)!);
    view.setUint32(16, parseIpv4(vector.dst)!);
  } else {
    const [source, dest] = [parseIpv6(vector.src)!, parseIpv6(vector.dst)!];
    for (let i = 0; i < 16; i++) {
      view.setUint8(8 + i, source[i]!);
      view.setUint8(24 + i, dest[i]!);
    }
  }
  view.setUint16(40, vector.sport);
  view.setUint16(42, vector.dport);
  return view;
}

describe('Toeplitz', () => {
  test('starts with the key of the verification suite', () => {
    expect(Buffer.from(RSS_DEFAULT_KEY).toString('hex')).toBe(vectors.key_hex);
  });

  test.each(vectors.ipv4)('hashes $src:$sport -> $dst:$dport as published', (vector) => {
    const view = packet(vector, 4);
    expect(toeplitz.packet(view, 0, 4, -1)).toBe(Number(vector.hash_l3));
    expect(toeplitz.packet(view, 0, 4, 40)).toBe(Number(vector.hash_l3l4));
  });

  test.each(vectors.ipv6)('hashes $src:$sport -> $dst:$dport as published', (vector) => {
    const view = packet(vector, 16);
    expect(toeplitz.packet(view, 0, 16, -1)).toBe(Number(vector.hash_l3));
    expect(toeplitz.packet(view, 0, 16, 40)).toBe(Number(vector.hash_l3l4));
  });

  test('does not read beyond its key', () => {
    const view = new DataView(new ArrayBuffer(64));
    for (let i = 0; i < 64; i++) view.setUint8(i, 0xff);
    expect(toeplitz.hash(view, 0, 64)).toBe(toeplitz.hash(view, 0, 36));
  });

  test('spreads hashes over the queues in turn', () => {
    const table = new Uint16Array(RSS_TABLE_SIZE);
    rssIndirDefault(table, 3);
    expect([0, 1, 2, 3, 127, 128, 0xffffffff].map((hash) => rssQueue(table, hash))).toEqual([0, 1, 2, 0, 1, 0, 1]);
  });
});
