import { describe, expect, it } from 'vitest';
import { neighbours, priorities } from './fairness.ts';
import { type LivelockPoint, livelockPoint, type Way } from './livelock.ts';

const runs = new Map<string, LivelockPoint>();
function at(way: Way, rate: number): LivelockPoint {
  const key = `${way} ${rate}`;
  const point = runs.get(key) ?? livelockPoint(way, rate, { measureMs: 90 });
  runs.set(key, point);
  return point;
}

/** What NAPI delivers at most; ten times that is the greatest load here. */
const SATURATION = 230e3;

describe('receive livelock', () => {
  it('collapses to nothing with an interrupt for each frame', () => {
    const peak = at('interrupt', 160e3).delivered;
    expect(peak).toBeGreaterThan(140e3);
    expect(at('interrupt', 300e3).delivered).toBeLessThan(0.6 * peak);
    expect(at('interrupt', 10 * SATURATION).delivered).toBe(0);
    expect(at('interrupt', 10 * SATURATION).shares.task).toBeLessThan(0.001);
    expect(at('interrupt', 10 * SATURATION).droppedByBacklog).toBeGreaterThan(900e3);
  });

  it('collapses to nothing when polled without a quota, though no frame interrupts', () => {
    expect(at('no quota', 200e3).delivered).toBeGreaterThan(190e3);
    expect(at('no quota', 10 * SATURATION).delivered).toBe(0);
    expect(at('no quota', 10 * SATURATION).interrupts).toBe(0);
  });

  it('stays within 5 % of its peak with NAPI, and leaves the task its share', () => {
    const loads = [200e3, SATURATION, 300e3, 5 * SATURATION, 10 * SATURATION].map((rate) => at('napi', rate));
    const peak = Math.max(...loads.map((point) => point.delivered));
    for (const point of loads.slice(1)) {
      expect(point.delivered).toBeGreaterThan(0.95 * peak);
      expect(point.shares.task).toBeGreaterThan(0.025);
      expect(point.droppedByBacklog).toBe(0);
    }
  });

  it('has the shape of the NAPI_HOWTO table: overload without interrupts and with full polls, low load one interrupt a frame', () => {
    const overload = at('napi', 5 * SATURATION);
    expect(overload.interrupts).toBeLessThan(100);
    expect(overload.notDone).toBeGreaterThan(20 * Math.max(1, overload.done));
    const low = at('napi', 20e3);
    expect(low.interrupts / low.delivered).toBeGreaterThan(0.85);
    expect(low.notDone).toBe(0);
    expect(low.delivered).toBeCloseTo(at('interrupt', 20e3).delivered, -3);
  });

  it('accounts for all of the time', () => {
    for (const point of runs.values()) {
      const sum = Object.values(point.shares).reduce((a, b) => a + b, 0);
      expect(sum).toBeGreaterThan(0.98);
      expect(sum).toBeLessThan(1.02);
    }
  });

  it('is the same again with the same seed', () => {
    const again = livelockPoint('napi', 200e3, { measureMs: 90 });
    expect(again).toEqual(at('napi', 200e3));
  });
});

describe('fairness', () => {
  it('bounds the latency of a quiet card by budget times cost while its neighbour is flooded', () => {
    const result = neighbours({ ms: 200 });
    expect(result.count).toBeGreaterThan(150);
    expect(result.floodDelivered).toBeGreaterThan(30_000);
    expect(result.maxNs).toBeLessThan(result.boundNs);
  });

  it('moves the balance between receive and application by the priority of ksoftirqd', () => {
    const points = priorities({ nices: [-10, 0, 10], ms: 60 });
    const [high, even, low] = points;
    expect(high!.applicationShare).toBeLessThan(0.2);
    expect(even!.applicationShare).toBeGreaterThan(0.4);
    expect(even!.applicationShare).toBeLessThan(0.6);
    expect(low!.received).toBeLessThan(even!.received);
    expect(even!.received).toBeLessThan(high!.received);
    expect(high!.read).toBeLessThan(even!.read);
  });
});
