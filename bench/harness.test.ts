import { describe, expect, it } from 'vitest';
import { bytesPerFrame, compare, median, rate } from './harness.ts';

// 13 words on a 64-bit V8: map, properties, elements, and ten fields = 104 bytes.
class Thing {
  a = 0;
  b = 1;
  c = 2;
  d = 3;
  e = 4;
  f = 5;
  g = 6;
  h = 7;
  i = 8;
  j = 9;
}
const kept: (Thing | null)[] = new Array(64).fill(null);
let sum = 0;

describe('bytesPerFrame', () => {
  it('measures 104 bytes where each frame makes one object of 104 bytes', () => {
    const work = (frames: number) => {
      for (let i = 0; i < frames; i++) kept[i & 63] = new Thing();
    };
    const { bytes, collections } = bytesPerFrame('an object a frame', work, 300_000);
    expect(bytes).toBeGreaterThan(103.5);
    expect(bytes).toBeLessThan(104.5);
    expect(collections).toBeGreaterThan(0); // what was freed in between is counted too
  });

  it('measures 0 where nothing is made', () => {
    const work = (frames: number) => {
      for (let i = 0; i < frames; i++) sum = (sum + i) | 0;
    };
    const { bytes, ok } = bytesPerFrame('a sum', work, 300_000, { atMost: 0.05 });
    expect(Math.abs(bytes)).toBeLessThan(0.05);
    expect(ok).toBe(true);
  });

  it('sees one number box of 16 bytes in every tenth frame', () => {
    const boxes: unknown[] = new Array(64).fill(null);
    const work = (frames: number) => {
      for (let i = 0; i < frames; i++) if (i % 10 === 0) boxes[(i / 10) & 63] = i + 0.5;
    };
    const { bytes } = bytesPerFrame('a box', work, 300_000, { atMost: 0.5 });
    expect(bytes).toBeGreaterThan(1);
    expect(bytes).toBeLessThan(3);
  });

  it('fails a broken limit', () => {
    const work = (frames: number) => {
      for (let i = 0; i < frames; i++) kept[i & 63] = new Thing();
    };
    expect(bytesPerFrame('an object', work, 20_000, { trials: 3, atMost: 0 }).ok).toBe(false);
  });
});

describe('compare', () => {
  it('alternates the order, throws the warm-up away, and gives the median ratio with its range', async () => {
    const order: string[] = [];
    const figures = { a: [99, 20, 20, 40, 20, 20], b: [99, 10, 20, 10, 10, 10] };
    const side = (name: 'a' | 'b') => ({
      name,
      measure: () => {
        order.push(name);
        return figures[name].shift()!;
      },
    });
    const found = await compare('x', 'frames/s', side('a'), side('b'), { rounds: 5, atLeast: 3 });
    expect(order.join('')).toBe('baabbaabbaab');
    expect(found).toMatchObject({ ratio: 2, min: 1, max: 4, a: { median: 20 }, b: { median: 10 }, ok: false });
  });

  it('refuses fewer than five rounds', async () => {
    const side = { name: 'x', measure: () => 1 };
    await expect(compare('x', 'y', side, side, { rounds: 4 })).rejects.toThrow(RangeError);
  });

  it('holds a ratio that is not a number to no limit', async () => {
    const side = { name: 'x', measure: () => 0 };
    expect((await compare('x', 'y', side, side, { rounds: 5, atLeast: 0.5 })).ok).toBe(false);
  });
});

it('median: of an odd number, an even number, none', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});

it('rate: pieces a second of the time that they took', () => {
  const busy = (n: number) => {
    const until = performance.now() + n;
    while (performance.now() < until) sum++;
  };
  const found = rate(busy, 20);
  expect(found).toBeGreaterThan(100);
  expect(found).toBeLessThanOrEqual(1000);
});
