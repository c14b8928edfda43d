import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from './assert.ts';
import { Ring } from './ring.ts';

describe('Ring', () => {
  it('behaves like a bounded array under any sequence of operations', () => {
    const operation = fc.oneof(fc.integer(), fc.constant('shift' as const));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.array(operation, { maxLength: 200 }), (power, operations) => {
        const ring = new Ring<number>(2 ** power);
        const model: number[] = [];
        for (const each of operations) {
          if (each === 'shift') expect(ring.shift()).toBe(model.shift());
          else expect(ring.push(each)).toBe(model.length < ring.capacity ? (model.push(each), true) : false);
          expect(ring.length).toBe(model.length);
          expect(ring.peek()).toBe(model[0]);
        }
        for (let i = -1; i <= model.length; i++) expect(ring.at(i)).toBe(model[i]);
      }),
    );
  });

  it('says full and keeps what it has', () => {
    const ring = new Ring<string>(2);
    expect([ring.push('a'), ring.push('b'), ring.push('c')]).toEqual([true, true, false]);
    expect([ring.shift(), ring.shift(), ring.shift()]).toEqual(['a', 'b', undefined]);
  });

  it.each([0, 3, -4])('refuses a capacity of %i', (capacity) => {
    expect(() => new Ring(capacity)).toThrow(Bug);
  });
});
