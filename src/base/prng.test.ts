import { describe, expect, it } from 'vitest';
import { Prng } from './prng.ts';

const draw = (seed: number, n = 1000) => {
  const prng = new Prng(seed);
  return Array.from({ length: n }, () => prng.u32());
};

describe('Prng', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(0)[0]).not.toBe(draw(1)[0]);
  });

  it('gives unsigned 32-bit integers that fill the range evenly', () => {
    const values = draw(1, 20_000);
    expect(values.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true);
    for (let bit = 0; bit < 32; bit++) {
      const ones = values.filter((value) => ((value >>> bit) & 1) === 1).length;
      expect(Math.abs(ones - 10_000)).toBeLessThan(500);
    }
  });

  it('draws below a bound, and events with their probability', () => {
    const prng = new Prng(3);
    const seen = new Set(Array.from({ length: 500 }, () => prng.below(7)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(prng.chance(0)).toBe(false);
    expect(prng.chance(1)).toBe(true);
    const hits = Array.from({ length: 10_000 }, () => prng.chance(0.1)).filter(Boolean).length;
    expect(Math.abs(hits - 1000)).toBeLessThan(150);
  });

  it('makes locally administered unicast hardware addresses', () => {
    const prng = new Prng(4);
    for (let i = 0; i < 100; i++) expect(prng.macAddress()[0]! & 0x03).toBe(0x02);
  });
});
