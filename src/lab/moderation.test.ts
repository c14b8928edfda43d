import { describe, expect, it } from 'vitest';
import { type ModerationWay, moderationPoint } from './moderation.ts';

const at = (way: ModerationWay, rate: number) => moderationPoint(way, rate, { ms: 20 });

describe('interrupt moderation on the textbook card', () => {
  it('off: about one interrupt a frame at low load, each frame at once', () => {
    const point = at('off', 5e3);
    expect(point.interruptsPerFrame).toBeGreaterThan(0.9);
    expect(point.interruptsPerFrame).toBeLessThanOrEqual(1);
    expect(point.meanNs).toBeLessThan(10e3);
  });

  it('fixed: a frame waits its 50 us also where nothing follows it, and few interrupt where many do', () => {
    const [low, high] = [at('fixed', 1e3), at('fixed', 100e3)];
    expect(low.meanNs).toBeGreaterThan(45e3);
    expect(low.interruptsPerFrame).toBeGreaterThan(0.8);
    expect(high.interruptsPerFrame).toBeLessThan(0.2);
    expect(high.maxNs).toBeLessThan(100e3);
    expect(high.delivered).toBeGreaterThan(90e3);
  });

  it('adaptive: short where frames are rare, and a fraction of the interrupts where they are not', () => {
    const [low, high] = [at('adaptive', 1e3), at('adaptive', 100e3)];
    expect([low.rxUsecs, high.rxUsecs]).toEqual([8, 256]);
    expect(low.meanNs).toBeLessThan(20e3);
    expect(high.interruptsPerFrame).toBeLessThan(at('off', 100e3).interruptsPerFrame / 10);
    expect(high.delivered).toBeGreaterThan(90e3);
  });

  it('makes no difference under overload: there NAPI polls without interrupts', () => {
    for (const way of ['off', 'fixed', 'adaptive'] as const)
      expect(at(way, 800e3).interruptsPerFrame).toBeLessThan(0.02);
  });
});
