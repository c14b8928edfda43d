/** What makes a frame longer, shorter, or one piece: padding, pulling, coalescing, and sums that stay right meanwhile. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold, sum32 } from '../wire/checksum.ts';
import { createArena } from './arena.ts';
import { pskbTrimRcsum, skbPostpullRcsum, skbPullRcsum, skbPushRcsum } from './checksum_pull.ts';
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_PARTIAL } from './checksum_state.ts';
import { skbTryCoalesce } from './coalesce.ts';
import { skbReallocHeadroom } from './copy.ts';
import { DropReason } from './drop_reason.ts';
import { skbAddFrag, skbAddFragList, skbSum, skbWalk } from './frags.ts';
import { ETH_ZLEN, ethSkbPad, skbPad, skbPadto, skbPutPadto } from './pad.ts';
import { SkbPool } from './pool.ts';
import { pskbPullTail, skbLinearizeCow, skbPullData } from './pull_tail.ts';
import { MAX_SKB_FRAGS } from './shared_info.ts';
import { type SkBuff, skbCloned, skbPull, skbPut, skbReserve } from './sk_buff.ts';
import { truesize } from './truesize.ts';

const SLOT = 512;

function rig(slots = 64) {
  const pool = new SkbPool(createArena(slots, SLOT), 64);
  const { arena } = pool;
  arena.bytes.fill(0xee);
  let next = 1;
  const write = (at: number, len: number): void => {
    for (let i = 0; i < len; i++) arena.bytes[at + i] = next++ & 0xff;
  };
  const make = (head: number, frags: readonly number[] = [], room = SLOT): SkBuff => {
    const skb = pool.alloc(SLOT)!;
    skb.end = skb.head + Math.max(room, head);
    write(skbPut(skb, head), head);
    for (const len of frags) {
      const buf = arena.alloc();
      write(arena.start(buf) + 1, len);
      skbAddFrag(skb, buf, arena.start(buf) + 1, len);
    }
    return skb;
  };
  const bytesOf = (skb: SkBuff): number[] => {
    const out: number[] = [];
    skbWalk(skb, 0, skb.len, (offset, len) => {
      out.push(...arena.bytes.subarray(offset, offset + len));
    });
    return out;
  };
  const end = (...frames: SkBuff[]): void => {
    for (const skb of frames) pool.consume(skb);
    expect([pool.inUse, arena.available]).toEqual([0, slots]);
  };
  return { pool, arena, make, bytesOf, end };
}

describe('padding', () => {
  it('puts zeros behind the data, and makes them part of it only where asked to', () => {
    const { make, bytesOf, end, arena } = rig();
    const short = make(10);
    const before = bytesOf(short);
    expect(skbPadto(short, 14)).toBe(true);
    expect([short.len, ...arena.bytes.subarray(short.tail, short.tail + 5)]).toEqual([10, 0, 0, 0, 0, 0xee]);
    expect(ethSkbPad(short)).toBe(true);
    expect(bytesOf(short)).toEqual([...before, ...new Array(ETH_ZLEN - 10).fill(0)]);
    expect(skbPutPadto(short, 20)).toBe(true);
    expect(short.len).toBe(ETH_ZLEN);
    end(short);
  });

  it('does not write into bytes that somebody else reads', () => {
    const { make, bytesOf, end, pool } = rig();
    const skb = make(10);
    const reader = pool.clone(skb)!;
    const old = skb.buf;
    expect(skbPutPadto(skb, 12)).toBe(true);
    expect([skb.buf === old, skbCloned(skb), bytesOf(skb).length, bytesOf(reader).length]).toEqual([
      false,
      false,
      12,
      10,
    ]);
    end(skb, reader);
  });

  it('finds a bigger buffer where there is no room, and puts pieces into one', () => {
    const { make, bytesOf, end } = rig();
    const tight = make(10, [], 10);
    const scattered = make(10, [5, 6], 16);
    const bytes = bytesOf(scattered);
    expect([skbPad(tight, 50), skbPutPadto(scattered, 30)]).toEqual([true, true]);
    expect(bytesOf(scattered)).toEqual([...bytes, ...new Array(9).fill(0)]);
    end(tight, scattered);
  });

  it('frees the frame when there is no memory, unless it is told not to', () => {
    const { make, end, pool } = rig(2);
    const [a, b] = [make(10, [], 10), make(10, [], 10)];
    expect(skbPutPadto(a, 40, false)).toBe(false);
    expect([a.users, pool.drops.get('NOMEM')]).toEqual([1, 0]);
    expect(skbPad(b, SLOT)).toBe(false);
    expect([pool.inUse, pool.drops.values[DropReason.NOMEM]]).toEqual([1, 1]);
    end(a);
  });
});

describe('pskbPullTail', () => {
  it('brings bytes to the front through a new buffer where the old one is full or shared', () => {
    const { make, bytesOf, end, pool } = rig();
    const full = make(20, [30, 40], 20);
    const shared = make(20, [30]);
    const reader = pool.clone(shared)!;
    for (const skb of [full, shared]) {
      const bytes = bytesOf(skb);
      expect(pskbPullTail(skb, 25)).toBe(true);
      expect([skb.len - skb.dataLen, ...bytesOf(skb)]).toEqual([45, ...bytes]);
    }
    expect(bytesOf(reader).length).toBe(50);
    expect(skbLinearizeCow(full)).toBe(true);
    expect(full.dataLen).toBe(0);
    end(full, shared, reader);
  });

  it('leaves the frame as it is where it cannot', () => {
    const { make, bytesOf, end } = rig(1 + 2);
    const skb = make(400, [100, 100], 400);
    const bytes = bytesOf(skb);
    expect([pskbPullTail(skb, 201), pskbPullTail(skb, 150)]).toEqual([false, false]);
    expect(bytesOf(skb)).toEqual(bytes);
    end(skb);
  });

  it('gives the old start from skbPullData, or nothing', () => {
    const { make, end } = rig();
    const skb = make(10);
    const at = skb.data;
    expect([skbPullData(skb, 4), skb.data, skb.len, skbPullData(skb, 7), skb.len]).toEqual([at, at + 4, 6, -1, 6]);
    end(skb);
  });
});

describe('skbTryCoalesce', () => {
  it('copies what fits, and refers to what does not', () => {
    const { make, bytesOf, end } = rig();
    const to = make(20, [], 60);
    const [small, large] = [make(30), make(50, [10])];
    const bytes = [to, small, large].flatMap(bytesOf);
    expect([skbTryCoalesce(to, small), skbTryCoalesce(to, large)]).toEqual([true, true]);
    expect([to.dataLen, ...bytesOf(to)]).toEqual([60, ...bytes]);
    expect(truesize(to)).toBe(576 + 3 * SLOT);
    end(small, large, to);
  });

  it('refuses shared, chained and too many', () => {
    const { make, end, pool } = rig();
    const [to, from, chained, many] = [make(20, [], 20), make(50), make(5), make(5, new Array(MAX_SKB_FRAGS).fill(1))];
    const reader = pool.clone(from)!;
    skbAddFragList(chained, make(100));
    expect(skbTryCoalesce(to, from)).toBe(false);
    expect(skbTryCoalesce(reader, to)).toBe(false);
    expect(skbTryCoalesce(to, chained)).toBe(false);
    expect(skbTryCoalesce(to, many)).toBe(false);
    expect(to.len).toBe(20);
    end(to, from, chained, many, reader);
  });
});

describe('skbReallocHeadroom', () => {
  it('gives a frame with the room asked for, whose headers are its own, and leaves the other alone', () => {
    const { make, bytesOf, end } = rig();
    const skb = make(20, [30], 100);
    const bytes = bytesOf(skb);
    const [roomy, same] = [skbReallocHeadroom(skb, 40)!, skbReallocHeadroom(skb, 0)!];
    expect([roomy.data - roomy.head, same.data - same.head, skb.data - skb.head]).toEqual([64, 0, 0]);
    for (const copy of [roomy, same]) {
      copy.arena.bytes[copy.data] = 0xff;
      expect(bytesOf(copy)).toEqual([0xff, ...bytes.slice(1)]);
    }
    expect(bytesOf(skb)).toEqual(bytes);
    end(skb, roomy, same);
  });

  it('gives nothing without memory', () => {
    const { make, end } = rig(2);
    const skb = make(20, [30], 100);
    expect(skbReallocHeadroom(skb, 40)).toBe(null);
    end(skb);
  });
});

describe('a device’s sum over the whole frame', () => {
  const folded = (skb: SkBuff): number => fold(skbSum(skb, 0, skb.len)) % 0xffff;

  it('stays the sum of what is left, whatever is pulled, pushed and cut', () => {
    const step = fc.record({ what: fc.constantFrom('pull', 'push', 'trim'), n: fc.nat(30) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 90 }),
        fc.array(fc.nat(40), { maxLength: 3 }),
        fc.array(step),
        (...drawn) => {
          const [head, frags, steps] = drawn;
          const { make, end } = rig();
          const skb = make(head, frags);
          skb.ipSummed = CHECKSUM_COMPLETE;
          skb.csum = skbSum(skb, 0, skb.len);
          for (const { what, n } of steps) {
            if (what === 'pull' && n <= skb.len - skb.dataLen) skbPullRcsum(skb, n);
            if (what === 'push' && n <= skb.data - skb.head) skbPushRcsum(skb, n);
            if (what === 'trim') pskbTrimRcsum(skb, Math.max(skb.len - n, 0));
            expect(fold(skb.csum) % 0xffff).toBe(folded(skb));
          }
          end(skb);
        },
      ),
    );
  });

  it('is forgotten where its start is pulled off, and kept from being cut off', () => {
    const { make, end, arena } = rig();
    const skb = make(40);
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = skb.data + 10;
    skb.csumOffset = 6;
    expect([pskbTrimRcsum(skb, 17), skb.len, pskbTrimRcsum(skb, 18), skb.len]).toEqual([false, 40, true, 18]);
    const at = skb.data;
    skbPull(skb, 12);
    skbPostpullRcsum(skb, at, 12);
    expect([skb.ipSummed, sum32(arena.view, skb.data, 0)]).toEqual([CHECKSUM_NONE, 0]);
    end(skb);
  });
});

describe('SkbPool.allocFclone', () => {
  it('keeps an object for the first clone, which is had when there is no other left', () => {
    const pool = new SkbPool(createArena(4, SLOT), 3);
    const skb = pool.allocFclone(10)!;
    const last = pool.alloc(10)!;
    expect([pool.alloc(10), pool.allocFclone(10), pool.inUse]).toEqual([null, null, 3]);
    const clone = pool.clone(skb)!;
    expect([clone === null, pool.clone(skb), pool.inUse]).toEqual([false, null, 3]);
    for (const each of [skb, last, clone]) pool.consume(each);
    expect(pool.inUse).toBe(0);
    const unused = pool.allocFclone(10)!;
    skbReserve(unused, 4);
    pool.consume(unused);
    expect([pool.inUse, pool.arena.available]).toEqual([0, 4]);
  });
});
