import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { testDevice, testNet } from './device.fixture.ts';
import { Dql } from './dql.ts';
import {
  netdevTxCompletedQueue,
  netdevTxResetQueue,
  netdevTxSentQueue,
  netifTxqCompletedWake,
  netifTxqMaybeStop,
  QUEUE_STATE_STACK_XOFF,
} from './netdev_queue.ts';

describe('dynamic queue limits', () => {
  it('start at 0: the first frame passes and is over the limit', () => {
    const dql = new Dql();
    expect(dql.available).toBe(0);
    dql.queued(1500);
    expect([dql.available, dql.inflight]).toEqual([-1500, 1500]);
  });

  it('grow by what a round completed when the hardware ran dry over the limit', () => {
    const dql = new Dql();
    dql.queued(1500);
    dql.completed(1500, 0);
    expect([dql.limit, dql.available]).toEqual([1500, 1500]);
    dql.queued(1500);
    dql.queued(1500);
    dql.completed(3000, 1e6);
    // All that was completed since the last round, not only the 1500 that were over.
    expect([dql.limit, dql.available]).toEqual([4500, 4500]);
  });

  it('stay while there is neither want nor waste', () => {
    const dql = new Dql();
    dql.queued(3000);
    dql.completed(3000, 0);
    for (let i = 1; i < 50; i++) {
      dql.queued(1000);
      dql.completed(1000, i * 1e6);
    }
    expect(dql.limit).toBe(3000);
  });

  it('shrink by the least slack of a second of work that never ran dry', () => {
    const dql = new Dql();
    dql.queued(60000);
    dql.completed(60000, 0);
    const grown = dql.limit;
    // Always 6000 in flight, 1000 completed a round: busy throughout, and far below the limit.
    dql.queued(6000);
    dql.completed(1000, 1e6);
    for (let i = 2; i < 1200; i++) {
      dql.queued(1000);
      dql.completed(1000, i * 1e6);
    }
    expect(grown).toBe(60000);
    expect(dql.limit).toBeLessThan(10000);
  });

  it('do not complete more than was queued', () => {
    const dql = new Dql();
    dql.queued(10);
    expect(() => dql.completed(11, 0)).toThrow(Bug);
  });

  it('keep their sums whatever is queued and completed, across the wrap of 32 bits', () => {
    const step = fc.tuple(fc.integer({ min: 1, max: 65536 }), fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.boolean(), (steps, wrap) => {
        const dql = new Dql();
        if (wrap) {
          dql.queued(0xffff0000);
          dql.completed(0xffff0000, 0);
        }
        let inflight = 0;
        let now = 0;
        for (const [bytes, share] of steps) {
          dql.queued(bytes);
          inflight += bytes;
          const done = Math.floor(inflight * share);
          now += 5e7;
          if (done > 0) dql.completed(done, now);
          inflight -= done;
          expect(dql.inflight).toBe(inflight);
          expect(dql.limit).toBeGreaterThanOrEqual(dql.minLimit);
          expect(dql.limit).toBeLessThanOrEqual(dql.maxLimit);
          if (done > 0) expect(dql.available).toBe((dql.limit - inflight) | 0);
        }
      }),
    );
  });
});

describe('a queue with byte limits', () => {
  it('is stopped by the stack when it has enough, and woken by the completion', () => {
    const { net } = testNet();
    const txq = testDevice(net).txQueues[0]!;
    netdevTxSentQueue(txq, 1000);
    expect(txq.state).toBe(QUEUE_STATE_STACK_XOFF);
    netdevTxCompletedQueue(txq, 1, 1000);
    expect([txq.state, txq.dql.limit]).toEqual([0, 1000]);
    netdevTxSentQueue(txq, 500);
    expect(txq.state).toBe(0);
    netdevTxSentQueue(txq, 600);
    netdevTxResetQueue(txq);
    expect([txq.state, txq.dql.inflight]).toEqual([0, 0]);
  });

  it('is stopped for want of descriptors, unless a completion comes in between', () => {
    const txq = testDevice(testNet().net).txQueues[0]!;
    expect(netifTxqMaybeStop(txq, () => 20, 18, 36)).toBe(1);
    let free = 10;
    const racing = () => {
      const now = free;
      free = 40;
      return now;
    };
    expect([netifTxqMaybeStop(txq, racing, 18, 36), txq.state]).toEqual([-1, 0]);
    expect([netifTxqMaybeStop(txq, () => 10, 18, 36), txq.state]).toEqual([0, 1]);
    expect(netifTxqCompletedWake(txq, 1, 0, 20, 36)).toBe(-1);
    expect([netifTxqCompletedWake(txq, 1, 0, 36, 36), txq.state]).toEqual([0, 0]);
    expect(netifTxqCompletedWake(txq, 1, 0, 36, 36)).toBe(1);
  });
});
