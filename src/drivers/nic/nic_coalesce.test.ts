/** Moderation by the nic driver: who comes seldom interrupts at once, a flood is polled by the timer, and nothing is lost between. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import type { CoalesceParams } from '../../device/coalesce.ts';
import { ethtoolSetCoalesce } from '../../device/ethtool.ts';
import { netdevSetDefer } from '../../device/napi_struct.ts';
import { devOpen } from '../../device/open.ts';
import { macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { createNic } from './nic.ts';

const ADAPTIVE: Partial<CoalesceParams> = {
  adaptiveRx: true,
  pktRateLow: 20_000,
  rxUsecsLow: 0,
  pktRateHigh: 100_000,
  rxUsecsHigh: 250,
};

function rig(coalesce: Partial<CoalesceParams>) {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'me' });
  const port = new SimPort(world, { name: 'sim:0', mac: macOf(2), wire: new Wire(world) });
  const dev = createNic(sim.net, port, 'eth0');
  const heardNs: number[] = [];
  sim.stack.types.add(0x88b5, (skb) => {
    heardNs.push(sim.machine.executive.now());
    skb.pool.consume(skb);
    return 0;
  });
  expect(ethtoolSetCoalesce(dev, coalesce)).toBe(0);
  devOpen(dev);
  const bytes = new Uint8Array(60);
  bytes.set([...macOf(2), 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
  const line = sim.machine.irqLines.find(({ name }) => name === 'eth0-rx-0')!;
  return {
    ...sim,
    world,
    dev,
    line,
    heardNs,
    /** One frame now, and then time passes. */
    come(thenNs: number): void {
      port.receive(bytes, 60);
      world.runFor(thenNs);
    },
    /** So many frames, so far apart: how often it interrupted, and the longest wait of one. */
    flow(n: number, gapNs: number): { interrupts: number; longestNs: number; heard: number } {
      const before = line.count;
      heardNs.length = 0;
      const sentNs: number[] = [];
      for (let i = 0; i < n; i++) {
        sentNs.push(sim.machine.executive.now());
        this.come(gapNs);
      }
      world.runFor(10e6);
      const waits = heardNs.map((at, i) => at - sentNs[i]!);
      return { interrupts: line.count - before, longestNs: Math.max(...waits), heard: heardNs.length };
    },
  };
}

describe('interrupt moderation by the nic driver', () => {
  it('adaptive: lets every frame of a seldom flow interrupt at once', () => {
    const { interrupts, longestNs, heard } = rig(ADAPTIVE).flow(500, 200e3);
    expect([interrupts, heard]).toEqual([500, 500]);
    expect(longestNs).toBeLessThan(1e3);
  });

  it('adaptive: polls a flood by the timer, keeps no frame longer than rx-usecs-high, and interrupts at once after it', () => {
    const one = rig(ADAPTIVE);
    const flood = one.flow(20_000, 2e3);
    expect(flood.heard).toBe(20_000);
    // Those of the first half millisecond, before there is a rate.
    expect(flood.interrupts).toBeLessThan(300);
    expect(flood.longestNs).toBeLessThanOrEqual(251e3);
    const after = one.flow(200, 200e3);
    expect([after.interrupts, after.heard]).toEqual([200, 200]);
    expect(after.longestNs).toBeLessThan(1e3);
  });

  it('fixed where the port leaves it to the driver: polls every so often while frames come', () => {
    const one = rig({ adaptiveRx: true, pktRateHigh: 1, rxUsecsHigh: 100 });
    const { interrupts, longestNs, heard } = one.flow(5000, 10e3);
    expect(heard).toBe(5000);
    expect(interrupts).toBeLessThan(100);
    expect(longestNs).toBeLessThanOrEqual(101e3);
  });

  it('off: leaves napi_defer_hard_irqs and gro_flush_timeout as the device has them, before and after', () => {
    const one = rig({});
    netdevSetDefer(one.dev, 2, 20_000);
    one.flow(100, 100e3);
    const [napi] = one.dev.napiList;
    expect([napi!.deferHardIrqs, napi!.groFlushTimeoutNs]).toEqual([2, 20_000]);
    ethtoolSetCoalesce(one.dev, { ...ADAPTIVE, pktRateLow: 0 });
    one.flow(5000, 2e3);
    expect([napi!.deferHardIrqs, napi!.groFlushTimeoutNs]).toEqual([1, 250e3]);
    ethtoolSetCoalesce(one.dev, { adaptiveRx: false });
    one.flow(2, 1e6);
    expect([napi!.deferHardIrqs, napi!.groFlushTimeoutNs]).toEqual([2, 20_000]);
  });

  it('says by ethtool what is in force, and refuses what it does not know', () => {
    const { dev } = rig(ADAPTIVE);
    expect(dev.ethtoolOps!.getCoalesce!(dev)).toMatchObject({ ...ADAPTIVE, rxFrames: 1 });
    expect(ethtoolSetCoalesce(dev, { sampleInterval: 1 })).toBe(-Errno.EOPNOTSUPP);
    expect(ethtoolSetCoalesce(dev, { rxUsecs: -1 })).toBe(-Errno.EINVAL);
    expect(ethtoolSetCoalesce(dev, { rxUsecsHigh: 1.5 })).toBe(-Errno.EINVAL);
    expect(dev.ethtoolOps!.getCoalesce!(dev)).toMatchObject(ADAPTIVE);
  });

  it('loses no frame and leaves no interrupt masked, whatever the gaps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 300 }), (gaps) => {
        const one = rig({ ...ADAPTIVE, rxUsecs: 0 });
        for (const gap of gaps) one.come(gap);
        one.world.runFor(10e6);
        expect(one.heardNs.length).toBe(gaps.length);
        const before = one.line.count;
        one.come(1e3);
        expect([one.line.count - before, one.heardNs.length]).toEqual([1, gaps.length + 1]);
      }),
      { numRuns: 60 },
    );
  });
});
