// When frames of a capture are due, to the nanosecond; src/host/pcap/pcap_pace.test.ts has real files and real time.
import { describe, expect, it } from 'vitest';
import { Pacing } from './pacing.ts';
import type { PcapPace } from './pcap_spec.ts';

const START_NS = 5e9;

/** When each frame of `bytes`, recorded at [us, further ns], is due, from the first one on. */
function due(
  pace: Partial<PcapPace>,
  frames: readonly (readonly [us: number, partNs: number, bytes: number])[],
): number[] {
  const pacing = new Pacing({ by: 'times', rate: 1, maxSleepNs: Number.POSITIVE_INFINITY, spin: false, ...pace });
  return frames.map(([us, partNs, bytes]) => {
    pacing.next(us, partNs, bytes, START_NS);
    return pacing.dueNs - START_NS;
  });
}

describe('pacing a capture', () => {
  it('by its times: as far apart as recorded, nanoseconds included, divided by the rate', () => {
    const frames = [
      [1000, 900, 60],
      [1001, 100, 60],
      [1001, 350, 60],
    ] as const;
    expect(due({}, frames)).toEqual([0, 200, 450]);
    expect(due({ rate: 2 }, frames)).toEqual([0, 100, 225]);
  });

  it('by its times: a clock that went back is no time, and a long silence no longer than the longest sleep', () => {
    const frames = [
      [1000, 0, 60],
      [900, 0, 60],
      [901, 0, 60],
      [9_000_000, 0, 60],
    ] as const;
    expect(due({ maxSleepNs: 5000 }, frames)).toEqual([0, 0, 1000, 6000]);
  });

  it('by frames: the nth at n / rate', () => {
    const frames = [0, 1, 2].map(() => [7, 0, 60] as const);
    expect(due({ by: 'frames', rate: 4 }, frames)).toEqual([0, 0.25e9, 0.5e9]);
  });

  it('by bits: each after the time of the one before', () => {
    const frames = [
      [0, 0, 125],
      [0, 0, 250],
      [0, 0, 60],
    ] as const;
    expect(due({ by: 'bits', rate: 1e6 }, frames)).toEqual([0, 1e6, 3e6]);
  });

  it('again from the beginning: the first frame follows the last one at once, the second as recorded', () => {
    const pacing = new Pacing({ by: 'times', rate: 1, maxSleepNs: Number.POSITIVE_INFINITY, spin: false });
    const frames = [
      [1000, 30, 60],
      [1002, 10, 60],
    ] as const;
    const dueNs: number[] = [];
    for (let round = 0; round < 2; round++) {
      if (round > 0) pacing.again(1000, 30);
      for (const [us, partNs, bytes] of frames) {
        pacing.next(us, partNs, bytes, START_NS);
        dueNs.push(pacing.dueNs - START_NS);
      }
    }
    expect(dueNs).toEqual([0, 1980, 1980, 3960]);
  });
});
