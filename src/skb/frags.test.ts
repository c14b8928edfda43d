import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold, sum32 } from '../wire/checksum.ts';
import { createArena } from './arena.ts';
import { pskbCopy, pskbExpandHead, skbCopy, skbCow, skbUnshare } from './copy.ts';
import { pskbPull, pskbTrim, skbAddFrag, skbAddFragList, skbCopyBits, skbLinearize, skbSum, skbWalk } from './frags.ts';
import { SkbPool } from './pool.ts';
import { MAX_SKB_FRAGS } from './shared_info.ts';
import { type SkBuff, skbCloned, skbHeadroom, skbPut, skbReserve } from './sk_buff.ts';

/** Lengths of the head, of the fragments, and of frames (head and fragments) of the chain. */
const shape = fc.record({
  head: fc.integer({ min: 0, max: 90 }),
  frags: fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 5 }),
  chain: fc.array(
    fc.tuple(fc.integer({ min: 0, max: 40 }), fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 })),
    {
      maxLength: 3,
    },
  ),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

class Rig {
  readonly pool = new SkbPool(createArena(64, 1024), 64);
  #next = 1;

  linear(len: number): SkBuff {
    const skb = this.pool.alloc(1024)!;
    skbReserve(skb, 64);
    const at = skbPut(skb, len);
    for (let i = 0; i < len; i++) this.pool.arena.bytes[at + i] = this.#next++ & 0xff;
    return skb;
  }

  withFrags(head: number, frags: readonly number[]): SkBuff {
    const skb = this.linear(head);
    for (const len of frags) {
      const buf = this.pool.arena.alloc();
      const at = this.pool.arena.start(buf) + 3;
      for (let i = 0; i < len; i++) this.pool.arena.bytes[at + i] = this.#next++ & 0xff;
      expect(skbAddFrag(skb, buf, at, len)).toBe(true);
    }
    return skb;
  }

  make({ head, frags, chain }: Shape): SkBuff {
    const skb = this.withFrags(head, frags);
    for (const [len, more] of chain) skbAddFragList(skb, this.withFrags(len, more));
    return skb;
  }

  bytesOf(skb: SkBuff): number[] {
    const out: number[] = [];
    skbWalk(skb, 0, skb.len, (offset, len, at) => {
      expect(at).toBe(out.length);
      out.push(...this.pool.arena.bytes.subarray(offset, offset + len));
    });
    return out;
  }

  expectNothingLeft(): void {
    expect([this.pool.inUse, this.pool.arena.available]).toEqual([0, 64]);
  }
}

const cuts = fc.tuple(fc.nat(400), fc.nat(400));

describe('a frame in pieces', () => {
  it('is one sequence of bytes for who walks, copies or sums any part of it', () => {
    fc.assert(
      fc.property(shape, cuts, (which, [a, b]) => {
        const rig = new Rig();
        const skb = rig.make(which);
        const all = rig.bytesOf(skb);
        expect(all).toHaveLength(skb.len);
        const from = a % (skb.len + 1);
        const len = b % (skb.len - from + 1);
        const to = rig.linear(len);
        expect(skbCopyBits(skb, from, to.data, len)).toBe(true);
        expect(rig.bytesOf(to)).toEqual(all.slice(from, from + len));
        expect(fold(skbSum(skb, from, len))).toBe(fold(sum32(to.arena.view, to.data, len)));
        expect(skbCopyBits(skb, from, to.data, skb.len - from + 1)).toBe(false);
        rig.pool.consume(to);
        rig.pool.consume(skb);
        rig.expectNothingLeft();
      }),
    );
  });

  it('keeps its bytes when some are pulled forward, cut off, or all put in one piece', () => {
    fc.assert(
      fc.property(shape, cuts, (which, [a, b]) => {
        const rig = new Rig();
        const skb = rig.make(which);
        const all = rig.bytesOf(skb);
        const pulled = a % (all.length + 1);
        expect(pskbPull(skb, pulled)).toBe(true);
        expect(skb.len - skb.dataLen).toBeGreaterThanOrEqual(pulled);
        expect(rig.bytesOf(skb)).toEqual(all);
        const kept = b % (all.length + 1);
        expect(pskbTrim(skb, kept)).toBe(true);
        expect(rig.bytesOf(skb)).toEqual(all.slice(0, kept));
        expect(skbLinearize(skb)).toBe(true);
        expect([skb.dataLen, rig.bytesOf(skb)]).toEqual([0, all.slice(0, kept)]);
        rig.pool.consume(skb);
        rig.expectNothingLeft();
      }),
    );
  });

  it('has no more than 17 fragments, and cannot be pulled beyond its end', () => {
    const rig = new Rig();
    const skb = rig.withFrags(4, new Array(MAX_SKB_FRAGS).fill(2));
    const buf = rig.pool.arena.alloc();
    expect(skbAddFrag(skb, buf, 0, 1)).toBe(false);
    rig.pool.arena.release(buf);
    expect(pskbPull(skb, skb.len + 1)).toBe(false);
    rig.pool.consume(skb);
    rig.expectNothingLeft();
  });
});

describe('copies', () => {
  it('have the bytes, the headroom and the header places of the original, and memory of their own', () => {
    fc.assert(
      fc.property(shape, (which) => {
        const rig = new Rig();
        const skb = rig.make(which);
        skb.networkHeader = skb.data + 2;
        const all = rig.bytesOf(skb);
        for (const copy of [skbCopy(skb)!, pskbCopy(skb)!]) {
          expect(rig.bytesOf(copy)).toEqual(all);
          expect([skbHeadroom(copy), copy.networkHeader - copy.data]).toEqual([skbHeadroom(skb), 2]);
          rig.pool.consume(copy);
        }
        expect(rig.bytesOf(skb)).toEqual(all);
        rig.pool.consume(skb);
        rig.expectNothingLeft();
      }),
    );
  });

  it('leave a clone alone: who wants to write gets bytes of its own first', () => {
    fc.assert(
      fc.property(shape, fc.nat(200), (which, headroom) => {
        const rig = new Rig();
        const skb = rig.make(which);
        const all = rig.bytesOf(skb);
        const clone = rig.pool.clone(skb)!;
        expect(skbCloned(clone)).toBe(true);
        expect(skbCow(clone, headroom)).toBe(true);
        expect([skbCloned(clone), skbCloned(skb), skbHeadroom(clone) >= headroom]).toEqual([false, false, true]);
        for (let at = clone.data; at < clone.tail; at++) rig.pool.arena.bytes[at] = 0xee;
        expect(rig.bytesOf(skb)).toEqual(all);
        rig.pool.consume(clone);
        expect(skbUnshare(skb)).toBe(skb);
        rig.pool.consume(skb);
        rig.expectNothingLeft();
      }),
    );
  });

  it('fail without a trace when memory is out', () => {
    const rig = new Rig();
    const skb = rig.withFrags(10, [5]);
    const hog: SkBuff[] = [];
    for (let each = rig.pool.alloc(1); each !== null; each = rig.pool.alloc(1)) hog.push(each);
    const all = rig.bytesOf(skb);
    expect([skbCopy(skb), pskbCopy(skb), pskbExpandHead(skb, 1, 0)]).toEqual([null, null, false]);
    expect(rig.bytesOf(skb)).toEqual(all);
    for (const each of [...hog, skb]) rig.pool.consume(each);
    rig.expectNothingLeft();
  });
});
