import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventQueue } from './event_queue.ts';

describe('EventQueue', () => {
  it('gives events by time, and those of one time in the order in which they were added', () => {
    const operation = fc.option(fc.nat(20), { freq: 3 });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
        const queue = new EventQueue();
        const model: { at: number; n: number }[] = [];
        let last = -1;
        operations.forEach((at, n) => {
          if (at !== null) {
            queue.add(at, () => {
              last = n;
            });
            model.push({ at, n });
            model.sort((a, b) => a.at - b.at || a.n - b.n);
          } else if (model.length > 0) {
            queue.take()();
            expect(last).toBe(model.shift()!.n);
          }
          expect(queue.length).toBe(model.length);
          expect(queue.nextNs).toBe(model[0]?.at ?? Number.POSITIVE_INFINITY);
        });
      }),
      { numRuns: 500 },
    );
  });
});
