import { describe, expect, it } from 'vitest';
import {
  DIM_APPLY_NEW_PROFILE,
  DIM_PARKING_ON_TOP,
  DIM_RX_CQE,
  DIM_RX_EQE,
  DIM_START_MEASURE,
  DIM_TX_CQE,
  DIM_TX_EQE,
  Dim,
  dimCompare,
  dimRates,
} from './dim.ts';

const pairs = (profiles: typeof DIM_RX_EQE) => profiles.map(({ usecs, frames }) => `${usecs}/${frames}`).join(' ');

describe('DIM', () => {
  it('has the kernel’s profiles', () => {
    expect([DIM_RX_EQE, DIM_RX_CQE, DIM_TX_EQE, DIM_TX_CQE].map(pairs)).toEqual([
      '1/256 8/256 64/256 128/256 256/256',
      '2/256 8/128 16/64 32/64 64/64',
      '1/128 8/128 32/128 64/128 128/128',
      '5/128 8/64 16/32 32/32 64/32',
    ]);
  });

  it('rounds rates up, counts 64 events, and measures nothing without time', () => {
    const start = { timeUs: 1000, packets: 10, bytes: 1000, events: 65530 };
    expect(dimRates(start, start)).toBeNull();
    expect(dimRates(start, { timeUs: 4000, packets: 20, bytes: 4001, events: 58 })).toEqual({
      ppms: 4,
      bpms: 1001,
      epms: 22,
    });
  });

  it.each([
    ['from nothing to something', [10, 10, 10], [0, 0, 0], 'better'],
    ['nothing still', [0, 0, 10], [0, 0, 0], 'same'],
    ['10 % more bytes', [100, 1100, 10], [100, 1000, 10], 'same'],
    ['11 % more bytes', [100, 1110, 10], [100, 1000, 10], 'better'],
    ['11 % fewer bytes, more packets', [900, 890, 10], [100, 1000, 10], 'worse'],
    ['more packets', [120, 1000, 10], [100, 1000, 10], 'better'],
    ['fewer packets, fewer interrupts', [80, 1000, 1], [100, 1000, 10], 'worse'],
    ['fewer interrupts', [100, 1000, 8], [100, 1000, 10], 'better'],
    ['more interrupts', [100, 1000, 12], [100, 1000, 10], 'worse'],
    ['no interrupts before', [100, 1000, 12], [100, 1000, 0], 'same'],
  ] as const)('compares: %s', (_what, now, before, verdict) => {
    const rates = ([ppms, bpms, epms]: readonly [number, number, number]) => ({ ppms, bpms, epms });
    expect(dimCompare(rates(now), rates(before))).toBe(verdict);
  });

  /** Traffic whose interrupts a millisecond depend on the profile; the driver applies at once. */
  function run(rounds: number, perMs: (ix: number) => { bytes: number; events: number }) {
    const visited: number[] = [];
    const dim = new Dim(DIM_RX_EQE, (_profile, index) => {
      visited.push(index);
      expect(dim.state).toBe(DIM_APPLY_NEW_PROFILE);
      dim.start();
    });
    let timeUs = 0;
    let bytes = 0;
    let packets = 0;
    let events = 0;
    for (let i = 0; i < rounds * 65; i++) {
      const rate = perMs(dim.profileIx);
      const us = 1000 / rate.events;
      timeUs += us;
      bytes += (rate.bytes * us) / 1000;
      packets = bytes / 1000;
      events = (events + 1) & 0xffff;
      dim.sample({ timeUs, packets, bytes, events });
    }
    return { dim, visited };
  }

  it('looks at nothing before 64 events', () => {
    const { visited } = run(0.9, () => ({ bytes: 1e6, events: 100 }));
    expect(visited).toEqual([]);
  });

  it('finds that fewer interrupts for the same bytes are better: ends at the right', () => {
    const { dim, visited } = run(60, (ix) => ({ bytes: 1e6, events: 200 / (ix + 1) }));
    expect(visited[0]).toBe(0);
    expect(dim.profileIx).toBe(4);
    expect(dim.tuneState).toBe(DIM_PARKING_ON_TOP);
  });

  it('finds the top in the middle, and steps back to it', () => {
    const best = [1e6, 1.3e6, 1.8e6, 1.2e6, 0.8e6];
    const { visited } = run(12, (ix) => ({ bytes: best[ix]!, events: 100 }));
    expect(visited.slice(0, 5)).toEqual([0, 1, 2, 3, 2]);
  });

  it('ignores samples until its profile is in the hardware', () => {
    let applied = 0;
    const dim = new Dim(DIM_RX_EQE, () => applied++);
    for (let i = 0; i < 1000; i++) dim.sample({ timeUs: i * 10, packets: i, bytes: i * 1000, events: i & 0xffff });
    expect([applied, dim.state]).toEqual([1, DIM_APPLY_NEW_PROFILE]);
    dim.start();
    expect(dim.state).toBe(DIM_START_MEASURE);
  });
});
