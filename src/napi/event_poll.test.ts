/** Interrupt suspension (spec 4.6), and the kernel's napi_threaded test (spec 12.5). */
import { describe, expect, it } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { ethtoolSetChannels } from '../device/ethtool.ts';
import { napiResumeIrqs, napiSuspendIrqs, netdevSetIrqSuspend } from '../device/irq_suspend.ts';
import {
  NAPI_STATE_SCHED,
  NAPI_STATE_THREADED,
  type NapiStruct,
  napiCompleteDone,
  napiEnable,
  napiSchedule,
  netdevSetDefer,
  netifNapiAdd,
} from '../device/napi_struct.ts';
import { devOpen } from '../device/open.ts';
import { RingHardware } from '../drivers/ring/hardware.ts';
import { createRingNic } from '../drivers/ring/ring_nic.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { World } from '../sim/world.ts';
import { eventPoll } from './event_poll.ts';
import { napiInit } from './napi_init.ts';
import { devSetThreaded, napiSetThreaded } from './threaded.ts';

function rig() {
  const made = testNet();
  napiInit(made.net);
  const dev = testDevice(made.net);
  const card = { waiting: 0, taken: 0, unmasked: 0, polls: 0 };
  const napi = netifNapiAdd(dev, (self: NapiStruct, budget: number) => {
    const work = Math.min(card.waiting, budget);
    card.waiting -= work;
    card.taken += work;
    card.polls++;
    if (work < budget && napiCompleteDone(self, work)) card.unmasked++;
    return work;
  });
  napiEnable(napi);
  netdevSetDefer(dev, 1, 20_000);
  let handed = 0;
  /** The reader asks once. */
  const read = (): number =>
    eventPoll(
      made.net,
      napi.id,
      () => card.taken > handed,
      () => {
        const events = card.taken - handed;
        handed = card.taken;
        return events;
      },
      { ns: 5_000 },
    );
  const at = (ns: number): void => {
    made.executive.nowNs = ns;
    made.machine.turn();
  };
  return { ...made, dev, card, napi, read, at };
}

describe('interrupt suspension', () => {
  it('keeps interrupts masked past the deferral while the reader has events', () => {
    const { dev, card, napi, read, at } = rig();
    netdevSetIrqSuspend(dev, 1_000_000);
    card.waiting = 5;
    napiSchedule(napi);
    for (let round = 0; round < 5; round++) {
      card.waiting = 3;
      expect(read()).toBeGreaterThan(0);
      expect(napi.timer!.atNs).toBeGreaterThanOrEqual(1_000_000);
      at((round + 1) * 100_000);
    }
    expect(card.unmasked).toBe(0);
  });

  it('ends when a poll finds nothing: the deferral counts down, then the driver unmasks', () => {
    const { dev, card, napi, read, at, executive } = rig();
    netdevSetIrqSuspend(dev, 1_000_000);
    card.waiting = 5;
    expect(read()).toBe(5);
    expect(card.unmasked).toBe(0);
    expect(read()).toBe(0);
    const from = executive.nowNs;
    at(from + 20_000);
    at(from + 40_000);
    at(from + 60_000);
    expect(card.unmasked).toBeGreaterThan(0);
    expect(napi.state & NAPI_STATE_SCHED).toBe(0);
  });

  it('ends by the timer when the reader does not come back', () => {
    const { dev, card, read, at } = rig();
    netdevSetIrqSuspend(dev, 1_000_000);
    card.waiting = 5;
    expect(read()).toBe(5);
    card.waiting = 2;
    at(900_000);
    expect([card.waiting, card.unmasked]).toEqual([2, 0]);
    at(1_010_000);
    expect(card.waiting).toBe(0);
    at(1_100_000);
    at(1_200_000);
    expect(card.unmasked).toBe(1);
  });

  it('is nothing for an instance that has no timeout, or is not there', () => {
    const { net, napi, card, machine } = rig();
    napiSuspendIrqs(net, napi.id);
    napiSuspendIrqs(net, 999);
    napiResumeIrqs(net, napi.id);
    napiResumeIrqs(net, 999);
    machine.turn();
    expect([napi.timer, card.polls]).toEqual([null, 0]);
  });
});

describe('the kernel’s napi_threaded test', () => {
  function ring() {
    const world = new World({ seed: 1 });
    const sim = createSimMachine(world, { hostname: 'me', slots: 2048 });
    const hw = new RingHardware({
      mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
      queues: 2,
      after: (ns, action) => world.after(ns, action),
      serialisationNs: () => 1000,
      send: () => {},
    });
    const dev = createRingNic(sim.net, hw);
    devOpen(dev);
    const threaded = () => dev.napiList.map(({ state }) => (state & NAPI_STATE_THREADED) !== 0);
    return { dev, threaded };
  }

  it('sets every instance with the device', () => {
    const { dev, threaded } = ring();
    expect(threaded()).toEqual([false, false]);
    devSetThreaded(dev, true);
    expect(threaded()).toEqual([true, true]);
    devSetThreaded(dev, false);
    expect(threaded()).toEqual([false, false]);
  });

  it('keeps what was set for one instance while queues come and go, also of one that is not in use', () => {
    const { dev, threaded } = ring();
    devSetThreaded(dev, true);
    napiSetThreaded(dev.napiList[0]!, false);
    expect(threaded()).toEqual([false, true]);
    ethtoolSetChannels(dev, 0, 0, 1);
    expect(threaded()).toEqual([false, false]);
    ethtoolSetChannels(dev, 0, 0, 2);
    expect(threaded()).toEqual([false, true]);
    ethtoolSetChannels(dev, 0, 0, 1);
    napiSetThreaded(dev.napiList[1]!, false);
    ethtoolSetChannels(dev, 0, 0, 2);
    expect(threaded()).toEqual([false, false]);
  });
});
