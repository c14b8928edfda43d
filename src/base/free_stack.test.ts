import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from './assert.ts';
import { FreeStack } from './free_stack.ts';

describe('FreeStack', () => {
  it('gives out what was pushed last, as an array does', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { maxLength: 100 }), (operations) => {
        const stack = new FreeStack(16);
        const model: number[] = [];
        for (const value of operations) {
          if (value === null) expect(stack.pop()).toBe(model.pop() ?? -1);
          else if (model.length === 16) expect(() => stack.push(value)).toThrow(Bug);
          else {
            stack.push(value);
            model.push(value);
          }
          expect(stack.depth).toBe(model.length);
        }
      }),
    );
  });

  it('is filled so that the first value comes out first', () => {
    const stack = new FreeStack(4);
    stack.fill(10, 4);
    expect([stack.pop(), stack.pop(), stack.pop(), stack.pop(), stack.pop()]).toEqual([10, 11, 12, 13, -1]);
  });
});
