// One queue's pace, completion by completion, over a real napi instance; nic_coalesce.test.ts has flows of frames.
import { describe, expect, it } from 'vitest';
import { COALESCE_DEFAULTS, type CoalesceParams } from '../../device/coalesce.ts';
import { netdevSetDefer } from '../../device/napi_struct.ts';
import { macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { createNic } from './nic.ts';
import { nicCoalesceValid, RxCoalesce } from './nic_coalesce.ts';
import { RxPace } from './rx_pace.ts';

function rig(params: Partial<CoalesceParams>) {
  const world = new World({ seed: 1 });
  const { net, machine } = createSimMachine(world, { hostname: 'me' });
  const port = new SimPort(world, { name: 'sim:0', mac: macOf(2), wire: new Wire(world) });
  const dev = createNic(net, port, 'eth0');
  const napi = dev.napiList[0]!;
  const coalesce = new RxCoalesce();
  const set = (some: Partial<CoalesceParams>) => coalesce.set({ ...COALESCE_DEFAULTS, ...some }, false);
  set(params);
  const pace = new RxPace(coalesce, napi, machine.executive);
  /** Time passes, and a poll completes; the instance counts its work afterwards. */
  const poll = (ns: number, work: number): number => {
    world.runFor(ns);
    pace.polled(work);
    napi.work += work;
    return pace.usecs;
  };
  return { dev, napi, set, poll };
}

const ADAPTIVE = { adaptiveRx: true, pktRateHigh: 100_000, rxUsecsHigh: 250 };

describe('the pace of a queue', () => {
  it('is by the rate since the last sample, this poll’s frames included', () => {
    const { poll } = rig(ADAPTIVE);
    expect(poll(1e6, 101)).toBe(250);
    expect(poll(1e6, 99)).toBe(0);
    expect(poll(1e6, 101)).toBe(250);
  });

  it('is not judged by less than half a millisecond', () => {
    const { poll } = rig(ADAPTIVE);
    expect(poll(1e6, 1)).toBe(0);
    expect(poll(499e3, 400)).toBe(0);
    expect(poll(1e3, 0)).toBe(250);
  });

  it('holds the interrupt back by its microseconds, and leaves as it came: at once, with what the device says', () => {
    const { dev, napi, set, poll } = rig(ADAPTIVE);
    netdevSetDefer(dev, 3, 7000);
    poll(1e6, 101);
    expect([napi.deferHardIrqs, napi.groFlushTimeoutNs]).toEqual([1, 250_000]);
    napi.deferCount = 1;
    poll(1e6, 1);
    expect([napi.deferHardIrqs, napi.groFlushTimeoutNs, napi.deferCount]).toEqual([3, 7000, 0]);
    poll(1e6, 101);
    napi.deferCount = 1;
    set({});
    poll(1e6, 101);
    expect([napi.deferHardIrqs, napi.groFlushTimeoutNs, napi.deferCount]).toEqual([3, 7000, 0]);
  });

  it('is nobody’s business here where the port moderates by itself', () => {
    const coalesce = new RxCoalesce();
    coalesce.set({ ...COALESCE_DEFAULTS, rxUsecs: 50 }, true);
    expect([coalesce.active, coalesce.params.rxUsecs]).toEqual([false, 0]);
    coalesce.set({ ...COALESCE_DEFAULTS, rxUsecs: 50 }, false);
    expect([coalesce.active, coalesce.params.rxUsecs]).toEqual([true, 50]);
  });

  it('takes whole microseconds up to a second, and rates from none on', () => {
    const valid = (params: Partial<CoalesceParams>) => nicCoalesceValid({ ...COALESCE_DEFAULTS, ...params });
    expect([0, 1, 1_000_000].map((rxUsecsHigh) => valid({ rxUsecsHigh }))).toEqual([true, true, true]);
    expect([-1, 0.5, 1_000_001].map((rxUsecsHigh) => valid({ rxUsecsHigh }))).toEqual([false, false, false]);
    expect([0, -1].map((pktRateLow) => valid({ pktRateLow }))).toEqual([true, false]);
  });
});
