// A cable between two simulated cards: what passes, what does not and where that is counted, how many frames a doorbell carries.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../base/status.ts';
import { devSetMtu } from '../device/change.ts';
import { IFF_ALLMULTI, IFF_PROMISC } from '../device/net_device.ts';
import { devClose, devOpen } from '../device/open.ts';
import { createNic, nicPort } from '../drivers/nic/nic.ts';
import { Hand, macOf, station, udpFrame } from '../sim/rig.fixture.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { createL2Forward, type L2Forward } from './l2_forward.ts';

/** eth0 and eth1 of one machine on a wire each, joined, and a hand on each wire. */
function rig() {
  const world = new World({ seed: 1 });
  const wires = [new Wire(world), new Wire(world)] as const;
  const me = station(world, wires[0], 2);
  const port = new SimPort(world, { name: 'sim:2.1', mac: macOf(18), wire: wires[1] });
  const other = createNic(me.net, port, 'eth1');
  devOpen(other);
  const hands = wires.map((wire) => new Hand(world, wire)) as [Hand, Hand];
  const free = me.machine.arena.available;
  const joined = createL2Forward(me.dev, other) as L2Forward;
  return { world, me, other, hands, joined, free };
}

const numbered = (n: number, len = 4) => {
  const payload = new Uint8Array(len);
  payload.fill(n & 255);
  return udpFrame({ destMac: '02:00:00:00:00:99', payload });
};

describe('l2 forward', () => {
  it('gives each frame to the other wire as it is, in order, whoever it is for, and frees all of them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 4, max: 1400 })), { minLength: 1, maxLength: 60 }),
        (frames) => {
          const { world, me, hands, joined, free } = rig();
          const sent: [Uint8Array[], Uint8Array[]] = [[], []];
          frames.forEach(([left, len], i) => {
            const bytes = numbered(i, len);
            sent[left ? 0 : 1].push(bytes);
            hands[left ? 0 : 1].send(bytes);
          });
          world.runFor(20e6);
          const arrived = (hand: Hand) => hand.heard.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
          const expected = (all: Uint8Array[]) => all.map((bytes) => Buffer.from(bytes).toString('hex'));
          expect(arrived(hands[1])).toEqual(expected(sent[0]));
          expect(arrived(hands[0])).toEqual(expected(sent[1]));
          joined.ways.forEach(({ counters }, i) => {
            expect(counters.toJSON()).toMatchObject({ frames: sent[i]!.length, dropped: 0, too_long: 0 });
          });
          expect(me.machine.arena.available).toBe(free);
          expect(me.machine.skbs.inUse).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('hands the frames of one poll to the other card at once', () => {
    const { world, me, other, hands, joined } = rig();
    const port = nicPort(other);
    const bursts: number[] = [];
    const txBurst = port.txBurst.bind(port);
    port.txBurst = (queue, batch, n) => {
      bursts.push(n);
      return txBurst(queue, batch, n);
    };
    me.port.irqStuck = true;
    for (let i = 0; i < 100; i++) hands[0].send(numbered(i));
    world.runFor(20e6);
    me.port.irqStuck = false;
    hands[0].send(numbered(100));
    world.runFor(20e6);
    expect(joined.ways[0].counters.toJSON().frames).toBe(101);
    // A poll takes 64.
    expect(bursts).toEqual([64, 37]);
  });

  it('drops what is too long for the other device, and what finds it down, and says which', () => {
    const { world, me, other, hands, joined, free } = rig();
    const heard = (hand: Hand) => hand.heard.length;
    devSetMtu(other, 200);
    hands[0].send(numbered(1, 180));
    hands[0].send(numbered(2, 150));
    world.runFor(5e6);
    expect(joined.ways[0].counters.toJSON()).toMatchObject({ frames: 1, too_long: 1, dropped: 0 });
    devClose(other);
    hands[0].send(numbered(3));
    world.runFor(5e6);
    const { frames, too_long, dropped } = joined.ways[0].counters.toJSON();
    expect([frames, too_long + dropped]).toEqual([1, 2]);
    expect(heard(hands[1])).toBe(1);
    expect(me.machine.arena.available).toBe(free);
  });

  it('takes the devices as they are, and leaves them so', () => {
    const { me, other, joined, hands, world } = rig();
    for (const dev of [me.dev, other])
      expect(dev.flags & (IFF_PROMISC | IFF_ALLMULTI)).toBe(IFF_PROMISC | IFF_ALLMULTI);
    expect(createL2Forward(me.dev, me.dev)).toBe(-Errno.EINVAL);
    expect(createL2Forward(me.dev, other)).toBe(-Errno.EBUSY);
    joined.close();
    for (const dev of [me.dev, other]) expect(dev.flags & (IFF_PROMISC | IFF_ALLMULTI)).toBe(0);
    hands[0].send(numbered(1));
    world.runFor(5e6);
    expect(hands[1].heard).toEqual([]);
    expect(typeof createL2Forward(me.dev, other)).toBe('object');
  });

  it('leaves the first device alone where the second one is somebody else’s', () => {
    const { me, other, joined } = rig();
    joined.close();
    other.rxHandler = () => 'pass';
    expect(createL2Forward(me.dev, other)).toBe(-Errno.EBUSY);
    expect(me.dev.rxHandler).toBeNull();
    expect(me.dev.flags & IFF_PROMISC).toBe(0);
  });

  it('joins no devices of two machines', () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    expect(createL2Forward(station(world, wire, 1).dev, station(world, wire, 2).dev)).toBe(-Errno.EINVAL);
  });
});
