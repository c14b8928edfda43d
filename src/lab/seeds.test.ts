import { describe, expect, it } from 'vitest';
import { PLANTS } from './seed_station.ts';
import { runSeed } from './seeds.ts';

/** As many as a test run has the time for; `netpoll lab seeds --count 10000` has them all. */
const SEEDS = Number(process.env.NETPOLL_SEEDS ?? 500);

describe('the seed farm', () => {
  it(`finds nothing wrong in ${SEEDS} worlds`, { timeout: 120_000 }, () => {
    let frames = 0;
    let panics = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const verdict = runSeed(seed);
      expect(verdict.wrong, `netpoll lab seeds --from ${seed} --count 1`).toEqual([]);
      frames += verdict.frames;
      panics += verdict.panics;
    }
    expect(frames).toBeGreaterThan(SEEDS * 50);
    if (SEEDS >= 100) expect(panics).toBeGreaterThan(0);
  });

  it('has the same history for the same seed', () => {
    expect(runSeed(7)).toEqual(runSeed(7));
  });
});

describe('the canary', () => {
  it.each(PLANTS)('finds a planted fault: %s', (plant) => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) for (const each of runSeed(seed, plant).wrong) found.add(each);
    const expected = {
      'double free': /freed as often as it was taken|a tag names a living frame/,
      'lost frame': /never freed/,
      'lost by the card': /unaccounted for/,
      'wrong context': /without the tx lock/,
      'interrupts off': /not called with interrupts off/,
      starvation: /starved, not run for more than/,
      'old frame': /ms old when it ended/,
    }[plant];
    expect([...found].filter((each) => expected.test(each)).length, [...found].join('\n')).toBeGreaterThan(0);
  });
});
