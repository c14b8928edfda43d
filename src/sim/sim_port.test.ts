import { describe, expect, it } from 'vitest';
import { testFrame } from '../device/device.fixture.ts';
import { devClose, devOpen } from '../device/open.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { Hand, station, udpFrame } from './rig.fixture.ts';
import { Wire } from './wire.ts';
import { World } from './world.ts';

function rig(options: { ring?: number; rateBps?: number; slots?: number } = {}) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world, options.rateBps === undefined ? {} : { rateBps: options.rateBps });
  const me = station(world, wire, 2, options);
  return { world, wire, me, hand: new Hand(world, wire) };
}

describe('a simulated card', () => {
  it('filters addresses unless it is promiscuous, and hears nothing unplugged', () => {
    const { world, me, hand } = rig();
    const macs = ['02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '02:00:00:00:00:77'];
    for (const destMac of macs) hand.send(udpFrame({ destMac }));
    world.runIdle();
    expect(me.port.counters.toJSON()).toMatchObject({ rx_frames: 3, rx_filtered: 1 });
    me.port.promiscuous = true;
    hand.send(udpFrame({ destMac: macs[3]! }));
    world.runIdle();
    me.port.setLink(false);
    hand.send(udpFrame());
    world.runIdle();
    expect(me.port.counters.get('rx_frames')).toBe(4);
  });

  it('counts what its full ring and an empty arena make it lose', () => {
    const { me, hand } = rig({ ring: 8, slots: 4 });
    me.machine.cpu.localIrqSave();
    for (let i = 0; i < 10; i++) hand.send(udpFrame());
    me.machine.executive.spin(1e6);
    expect(me.port.counters.toJSON()).toMatchObject({ rx_frames: 4, rx_no_buffer: 6 });
    const full = rig({ ring: 8 });
    full.me.machine.cpu.localIrqSave();
    for (let i = 0; i < 10; i++) full.hand.send(udpFrame());
    full.me.machine.executive.spin(1e6);
    expect(full.me.port.counters.toJSON()).toMatchObject({ rx_frames: 8, rx_missed_errors: 2 });
  });

  it('sends one frame after the other at the wire’s rate', () => {
    const { world, me, hand, wire } = rig({ rateBps: 10e6 });
    for (let i = 0; i < 5; i++) devQueueXmit(testFrame(me.dev, i, 100));
    world.runIdle();
    expect(wire.serialisationNs(100)).toBeCloseTo(99_200);
    expect(wire.serialisationNs(20)).toBe(wire.serialisationNs(60));
    expect(hand.heard.map((each) => Math.round(each.atNs))).toEqual([1, 2, 3, 4, 5].map((n) => n * 99_200 + 5_000));
  });

  it('closed and opened again in the middle of a transmission loses that frame and no other, frees all', () => {
    const { world, me, hand } = rig({ rateBps: 10e6 });
    for (let i = 0; i < 3; i++) devQueueXmit(testFrame(me.dev, i, 100));
    world.runFor(50_000);
    devClose(me.dev);
    expect(me.machine.skbs.inUse).toBe(0);
    hand.send(udpFrame());
    devOpen(me.dev);
    for (let i = 10; i < 13; i++) devQueueXmit(testFrame(me.dev, i, 100));
    world.runIdle();
    expect(hand.heard.map((each) => each.bytes[0])).toEqual([10, 11, 12]);
    expect([me.machine.skbs.inUse, me.machine.arena.available]).toEqual([0, me.machine.arena.slots]);
  });

  it('takes no frame while it is closed', () => {
    const { world, me, hand } = rig();
    hand.send(udpFrame());
    devClose(me.dev);
    world.runIdle();
    expect([me.port.counters.get('rx_frames'), me.machine.arena.available]).toEqual([0, me.machine.arena.slots]);
  });

  it('works at the other end of a cut wire without knowing', () => {
    const { world, me, wire, hand } = rig();
    wire.partitioned = true;
    devQueueXmit(testFrame(me.dev, 1, 100));
    world.runIdle();
    expect([hand.heard.length, wire.counters.get('partitioned'), me.port.link()]).toEqual([0, 1, true]);
  });
});
