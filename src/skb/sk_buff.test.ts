import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createArena } from './arena.ts';
import { SkbPool } from './pool.ts';
import {
  pskbMayPull,
  type SkBuff,
  SkbPanic,
  skbHeadlen,
  skbHeadroom,
  skbPull,
  skbPush,
  skbPut,
  skbReserve,
  skbTailroom,
  skbTrim,
} from './sk_buff.ts';

const fresh = (size: number): SkBuff => new SkbPool(createArena(1, size), 1).alloc(size)!;
const geometry = (skb: SkBuff) => [skb.data - skb.head, skb.tail - skb.head, skb.len];

describe('the geometry of an sk_buff', () => {
  it('follows the worked example: reserve 16, put 50, push 14, push 4 panics', () => {
    const skb = fresh(128);
    skbReserve(skb, 16);
    expect(geometry(skb)).toEqual([16, 16, 0]);
    expect(skbPut(skb, 50)).toBe(skb.head + 16);
    expect(geometry(skb)).toEqual([16, 66, 50]);
    expect(skbPush(skb, 14)).toBe(skb.head + 2);
    expect(geometry(skb)).toEqual([2, 66, 64]);
    expect(() => skbPush(skb, 4)).toThrow(/skb_under_panic: len:68 put:4 head:0 data:-2 tail:66 end:128 dev:<NULL>/);
  });

  it('equals a model under any sequence of operations', () => {
    const operation = fc.tuple(fc.constantFrom('put', 'push', 'pull', 'trim'), fc.nat(40));
    fc.assert(
      fc.property(fc.nat(64), fc.array(operation, { maxLength: 60 }), (reserve, operations) => {
        const skb = fresh(128);
        skbReserve(skb, reserve);
        let data = reserve;
        let tail = reserve;
        for (const [what, n] of operations) {
          if (what === 'put') {
            if (tail + n > 128) return void expect(() => skbPut(skb, n)).toThrow(SkbPanic);
            expect(skbPut(skb, n)).toBe(tail);
            tail += n;
          } else if (what === 'push') {
            if (n > data) return void expect(() => skbPush(skb, n)).toThrow(SkbPanic);
            data -= n;
            expect(skbPush(skb, n)).toBe(data);
          } else if (what === 'pull') {
            const can = n <= tail - data;
            if (can) data += n;
            expect(skbPull(skb, n)).toBe(can ? data : -1);
          } else {
            skbTrim(skb, n);
            tail = Math.min(tail, data + n);
          }
          expect([skb.data, skb.tail, skb.len]).toEqual([data, tail, tail - data]);
          expect([skbHeadroom(skb), skbTailroom(skb), skbHeadlen(skb)]).toEqual([data, 128 - tail, tail - data]);
          expect(pskbMayPull(skb, tail - data)).toBe(true);
          expect(pskbMayPull(skb, tail - data + 1)).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('reports the state after the illegal put, with the device', () => {
    const skb = fresh(64);
    skb.dev = { name: 'eth0', ifindex: 1 };
    skbPut(skb, 60);
    expect(() => skbPut(skb, 10)).toThrow(/skb_over_panic: len:70 put:10 head:0 data:0 tail:70 end:64 dev:eth0/);
  });

  it('reserves without looking, as the kernel does', () => {
    const skb = fresh(64);
    skbReserve(skb, 100);
    expect(geometry(skb)).toEqual([100, 100, 0]);
    expect(() => skbPut(skb, 0)).toThrow(SkbPanic);
  });
});

describe('a frame with fragments', () => {
  /** 20 bytes in the head buffer, 30 elsewhere. */
  function nonlinear(): SkBuff {
    const skb = fresh(128);
    skbPut(skb, 20);
    skb.len += 30;
    skb.dataLen = 30;
    return skb;
  }

  it('refuses put before anything has changed, and has no tailroom', () => {
    const skb = nonlinear();
    expect(() => skbPut(skb, 1)).toThrow(SkbPanic);
    expect([skb.tail, skb.len, skbTailroom(skb), skbHeadlen(skb)]).toEqual([20, 50, 0, 20]);
  });

  it('refuses a pull past its linear part, but answers -1 to one past its end', () => {
    expect(skbPull(nonlinear(), 51)).toBe(-1);
    expect(() => skbPull(nonlinear(), 21)).toThrow(SkbPanic);
    expect(skbPull(nonlinear(), 20)).toBe(20);
  });

  it('is not trimmed', () => {
    const skb = nonlinear();
    skbTrim(skb, 10);
    expect(skb.len).toBe(50);
  });
});
