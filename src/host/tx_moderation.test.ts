import { describe, expect, it } from 'vitest';
import type { Watch } from './executive.ts';
import { TX_FRAMES, TX_USECS, TxModeration } from './tx_moderation.ts';
import { Looker } from './xdp/looker.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('completion interrupts', () => {
  function rig() {
    const state = { waiting: 0, raised: 0 };
    const watch: Watch = { arm() {}, rest() {}, close() {}, raise: () => state.raised++ };
    return { state, moderation: new TxModeration(watch, () => state.waiting) };
  }

  it('come at once for many frames, later for few, and once for all that come in between', async () => {
    const { state, moderation } = rig();
    for (state.waiting = 1; state.waiting < TX_FRAMES; state.waiting++) moderation.sent();
    expect(state.raised).toBe(0);
    moderation.sent();
    expect(state.raised).toBe(1);
    state.waiting = 5;
    await pause((3 * TX_USECS) / 1000 + 10);
    expect(state.raised).toBe(2);
  });

  it('do not come for what somebody has reaped, nor after the end; they come again', async () => {
    const { state, moderation } = rig();
    state.waiting = 1;
    moderation.sent();
    state.waiting = 0;
    await pause(15);
    expect(state.raised).toBe(0);
    state.waiting = 1;
    moderation.sent();
    await pause(15);
    expect(state.raised).toBe(1);
    moderation.sent();
    moderation.close();
    moderation.sent();
    await pause(15);
    expect(state.raised).toBe(1);
  });
});

describe('looking again', () => {
  it('becomes more seldom for as long as there is something, and begins anew', async () => {
    const seen: number[] = [];
    let more = true;
    const looker = new Looker(() => {
      seen.push(performance.now());
      return more;
    });
    looker.start();
    looker.start();
    await pause(200);
    const gaps = seen.slice(1).map((at, i) => at - seen[i]!);
    // 1, 2, 4, 8, 16, 32, 64 ms after each other, if nobody else wants the processor.
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.length).toBeLessThan(9);
    expect(gaps.at(-1)).toBeGreaterThan(gaps[0]!);
    more = false;
    await pause(200);
    const stopped = seen.length;
    await pause(150);
    expect(seen.length).toBe(stopped);
    looker.start();
    await pause(30);
    expect(seen.length).toBe(stopped + 1);
    looker.start();
    looker.close();
    await pause(20);
    expect(seen.length).toBe(stopped + 1);
  });
});
