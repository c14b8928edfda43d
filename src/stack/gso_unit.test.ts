import { describe, expect, test } from 'vitest';
import { goldenJson } from '../../test/golden/vectors.ts';
import { NETIF_F_GSO_PARTIAL, NETIF_F_HW_CSUM, NETIF_F_SG } from '../device/features.ts';
import { createArena } from '../skb/arena.ts';
import { skbAddFrag, skbAddFragList } from '../skb/frags.ts';
import { SkbPool } from '../skb/pool.ts';
import { GSO_BY_FRAGS } from '../skb/shared_info.ts';
import { type SkBuff, skbPut, skbReserve } from '../skb/sk_buff.ts';
import { freeSegments, skbSegment } from './gso_segment.ts';

interface Case {
  readonly name: string;
  readonly linear_len: number;
  readonly frags: number[];
  readonly frag_skbs: number[];
  readonly segs: number[];
  readonly gso_size: number | string;
  readonly features: string;
}
const { cases } = goldenJson<{ cases: Case[] }>('kernel-tests/gso-kunit.json.gz');
const HEADER = Buffer.from('abcdefgh\0');

function frame(pool: SkbPool, len: number): SkBuff {
  const skb = pool.alloc(len + 64)!;
  skb.next = null;
  skbReserve(skb, 32);
  const at = skbPut(skb, len);
  for (let i = 0; i < len; i++) pool.arena.bytes[at + i] = i * 7;
  return skb;
}

describe('skb_segment, as the kernel tests it', () => {
  test.each(cases)('$name', ({ linear_len, frags, frag_skbs, segs, gso_size, features }) => {
    const arena = createArena(64, 4096);
    const pool = new SkbPool(arena, 64);
    const skb = frame(pool, HEADER.length + linear_len);
    arena.bytes.set(HEADER, skb.data);
    for (const len of frags) {
      const part = frame(pool, len);
      arena.get(part.buf);
      skbAddFrag(skb, part.buf, part.data, len);
      pool.consume(part);
    }
    for (const len of frag_skbs) skbAddFragList(skb, frame(pool, len));
    skb.macHeader = skb.data;
    skb.data += HEADER.length;
    skb.len -= HEADER.length;
    skb.networkHeader = skb.data;
    skb.transportHeader = skb.data;
    skb.protocol = 0x809b;
    pool.info.gsoSize[skb.shinfo] = typeof gso_size === 'number' ? gso_size : GSO_BY_FRAGS;
    let bits = NETIF_F_HW_CSUM;
    if (!features.includes('no SG')) bits |= NETIF_F_SG;
    if (features.includes('GSO_PARTIAL')) bits |= NETIF_F_GSO_PARTIAL;

    const first = skbSegment(skb, bits);
    if (typeof first === 'number') throw new Error(`skb_segment gave ${first}`);
    const lengths: number[] = [];
    let last = first;
    for (let each: SkBuff | null = first; each !== null; each = each.next) {
      lengths.push(each.len - HEADER.length);
      expect(each.macHeader).toBe(each.data);
      expect(each.networkHeader).toBe(each.data + HEADER.length);
      expect(each.transportHeader).toBe(each.data + HEADER.length);
      expect(Buffer.from(arena.bytes.subarray(each.data, each.data + HEADER.length))).toEqual(HEADER);
      last = each;
    }
    expect(lengths).toEqual(segs);
    expect(first.prev).toBe(last);
    freeSegments(first);
    pool.consume(skb);
    expect([pool.inUse, arena.available]).toEqual([0, 64]);
  });
});
