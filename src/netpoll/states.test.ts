/**
 * Netpoll on every driver, with the machine in every state: what is sent arrives, what comes is heard, an answer never enters a
 * driver or a poll twice, and nothing takes longer than a tick.
 *
 *     driver   nic, ring, snull, veth, veth with NAPI, loopback, dummy
 *     state    normal, interrupts off, in an interrupt, in a softirq, wedged (no interrupt comes through), after a panic
 *     what     send, receive, answer from the hook on the same device, answer on another device, send into a stuck queue
 */
import { describe, expect, it } from 'vitest';
import { NETDEV_TX_OK } from '../base/status.ts';
import type { NetDevice } from '../device/net_device.ts';
import { QUEUE_STATE_FROZEN } from '../device/netdev_queue.ts';
import { devOpen } from '../device/open.ts';
import { createDummy } from '../drivers/dummy.ts';
import { createLoopback } from '../drivers/loopback.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { RingHardware } from '../drivers/ring/hardware.ts';
import { createRingNic } from '../drivers/ring/ring_nic.ts';
import { createSnull } from '../drivers/snull.ts';
import { createVethPair } from '../drivers/veth.ts';
import type { Machine } from '../machine/machine.ts';
import { panic } from '../machine/panic.ts';
import { Hand, macOf, udpFrame } from '../sim/rig.fixture.ts';
import { createSimMachine, type SimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { skbPut } from '../skb/sk_buff.ts';
import { parseIp } from '../wire/address.ts';
import { Netpoll, type RxHook } from './netpoll.ts';
import { npinfoOf } from './npinfo.ts';
import { netpollParseOptions } from './options.ts';
import { netpollPoll } from './poll.ts';
import { netpollSendUdp } from './send.ts';
import { netpollSetup } from './setup.ts';

interface Bench {
  readonly sim: SimMachine;
  readonly dev: NetDevice;
  /** First payload byte of each datagram that arrived at the other end. */
  readonly heard: () => number[];
  /** Puts a datagram for the client on its way. */
  readonly inject: (mark: number) => void;
}

type Maker = (world: World, sim: SimMachine) => Bench;
const MY_MAC = macOf(2);
const PAYLOAD = 42;

/** A card on a wire. */
function onWire(make: (sim: SimMachine, wire: Wire, world: World) => NetDevice): Maker {
  return (world, sim) => {
    const wire = new Wire(world);
    const dev = make(sim, wire, world);
    const hand = new Hand(world, wire);
    return {
      sim,
      dev,
      heard: () => hand.heard.map(({ bytes }) => bytes[PAYLOAD]!),
      inject: (mark) => hand.send(udpFrame({ payload: Uint8Array.of(mark) })),
    };
  };
}

function simPort(world: World, wire: Wire): SimPort {
  return new SimPort(world, { name: 'sim:2', mac: MY_MAC, wire });
}

function ring({ net }: SimMachine, wire: Wire, world: World): NetDevice {
  const hw: RingHardware = new RingHardware({
    mac: MY_MAC,
    queues: 1,
    after: (ns, action) => world.after(ns, action),
    serialisationNs: (len) => wire.serialisationNs(len),
    send: (bytes, offset, len) => wire.transmit(hw, bytes, offset, len),
  });
  wire.attach(hw);
  return createRingNic(net, hw, { name: 'eth0' });
}

/** The other end of a veth in a machine of its own, which takes note of what comes. */
function veth(gro: boolean): Maker {
  return (world, sim) => {
    const other = createSimMachine(world, { hostname: 'other' });
    const [dev, far] = createVethPair(
      { net: sim.net, mac: MY_MAC, name: 'eth0', gro },
      { net: other.net, mac: macOf(1), name: 'eth0' },
    );
    devOpen(far);
    const heard: number[] = [];
    other.stack.types.taps.push((skb) => {
      heard.push(skb.arena.bytes[skb.data + PAYLOAD - 14]!);
      skb.pool.consume(skb);
      return 0;
    });
    const inject = (mark: number) => {
      const frame = udpFrame({ payload: Uint8Array.of(mark) });
      const skb = other.machine.skbs.allocForDevice(far, frame.length)!;
      other.machine.arena.bytes.set(frame, skbPut(skb, frame.length));
      expect(far.ops.startXmit(skb, far, far.txQueues[0]!)).toBe(NETDEV_TX_OK);
    };
    return { sim, dev, heard: () => heard, inject };
  };
}

/** What is sent is what comes: both ends are clients of one device. */
const loopback: Maker = (_world, sim) => {
  const dev = createLoopback(sim.net);
  const heard: number[] = [];
  const inject = (mark: number) => {
    netpollSendUdp(far, Uint8Array.of(mark));
  };
  devOpen(dev);
  const far = setUp(sim, '6665@10.0.0.1/lo,6666@10.0.0.2/', (_np, d) => heard.push(d.bytes[d.offset]!));
  return { sim, dev, heard: () => heard, inject };
};

const dummy: Maker = (_world, sim) => {
  const dev = createDummy(sim.net, MY_MAC, 'eth0');
  const heard: number[] = [];
  const { startXmit } = dev.ops;
  Object.assign(dev, {
    ops: {
      ...dev.ops,
      startXmit(...args: Parameters<typeof startXmit>) {
        heard.push(args[0].arena.bytes[args[0].data + PAYLOAD]!);
        return startXmit(...args);
      },
    },
  });
  return { sim, dev, heard: () => heard, inject: () => {} };
};

const DRIVERS: Readonly<Record<string, { make: Maker; napi: boolean }>> = {
  nic: { make: onWire(({ net }, wire, world) => createNic(net, simPort(world, wire), 'eth0')), napi: true },
  ring: { make: onWire(ring), napi: true },
  snull: { make: onWire(({ net }, wire, world) => createSnull(net, simPort(world, wire), 'eth0')), napi: false },
  veth: { make: veth(false), napi: false },
  'veth with NAPI': { make: veth(true), napi: true },
  loopback: { make: loopback, napi: false },
  dummy: { make: dummy, napi: false },
};

/** Runs `body` with the machine in a state; afterwards the machine is as it was, unless it is dead. */
type State = (machine: Machine, world: World, body: () => void) => void;
const STATES: Readonly<Record<string, State>> = {
  normal: (_machine, _world, body) => body(),
  'interrupts off': ({ cpu }, _world, body) => {
    const were = cpu.localIrqSave();
    body();
    cpu.localIrqRestore(were);
  },
  'in an interrupt': (machine, _world, body) => {
    machine.requestIrq('test', machine.cpu, body).raise();
  },
  'in a softirq': (machine, world, body) => {
    let ran = false;
    const timer = machine.timers.create(() => {
      ran = true;
      expect(machine.cpu.inServingSoftirq).toBe(true);
      body();
    });
    machine.timers.mod(timer, machine.executive.now() + 1);
    for (let i = 0; i < 100 && !ran; i++) world.runFor(1000);
    expect(ran).toBe(true);
  },
  wedged: (machine, _world, body) => {
    for (const line of machine.irqLines) line.disable();
    body();
    for (const line of machine.irqLines) line.enable();
  },
  'after a panic': (machine, _world, body) => {
    panic(machine, 'test');
    body();
  },
};

function setUp(sim: SimMachine, text: string, rxHook: RxHook | null = null): Netpoll {
  const parsed = netpollParseOptions(text);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const np = new Netpoll('test', parsed.options);
  np.rxHook = rxHook;
  expect(netpollSetup(sim.net, np)).toBe(0);
  return np;
}

function rig(driver: string) {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'me' });
  const bench = DRIVERS[driver]!.make(world, sim);
  const { dev } = bench;
  dev.addresses.push(parseIp('10.0.0.2')!);
  devOpen(dev);
  const depths = deepest(dev);
  const text = `6666@10.0.0.2/${dev.name},6665@10.0.0.1/${dev.name === 'lo' ? '00:00:00:00:00:00' : '02:00:00:00:00:01'}`;
  return { world, ...bench, text, depths, info: () => npinfoOf(dev)! };
}

/** How deep the driver's startXmit was entered. */
function deepest(dev: NetDevice): { now: number; most: number } {
  const depth = { now: 0, most: 0 };
  const { startXmit } = dev.ops;
  Object.assign(dev, {
    ops: {
      ...dev.ops,
      startXmit(...args: Parameters<typeof startXmit>) {
        depth.most = Math.max(depth.most, ++depth.now);
        const status = startXmit(...args);
        depth.now--;
        return status;
      },
    },
  });
  return depth;
}

/** Time for the frame to come, then polls until nothing more does. */
function listen(machine: Machine, np: Netpoll): void {
  machine.executive.spin(100_000);
  for (let i = 0; i < 10; i++) netpollPoll(np);
}

const table = Object.keys(DRIVERS).flatMap((driver) => Object.keys(STATES).map((state) => [driver, state] as const));
const receiving = table.filter(([driver]) => driver !== 'dummy');

describe('netpoll', () => {
  it.each(table)('on %s, %s: sends at once', (driver, state) => {
    const { world, sim, text, heard, info, depths } = rig(driver);
    const np = setUp(sim, text);
    STATES[state]!(sim.machine, world, () => {
      const startNs = sim.machine.executive.now();
      expect([netpollSendUdp(np, Uint8Array.of(1)), netpollSendUdp(np, Uint8Array.of(2))]).toEqual([0, 0]);
      expect(sim.machine.executive.now() - startNs).toBeLessThanOrEqual(100_000);
    });
    world.runFor(1e9);
    expect(heard()).toEqual([1, 2]);
    expect(info().counters.toJSON()).toMatchObject({ sent: 2, deferred: 0, dropped: 0 });
    expect(depths.most).toBe(1);
  });

  it.each(receiving)('on %s, %s: hears a datagram once', (driver, state) => {
    const { world, sim, text, inject } = rig(driver);
    const got: number[] = [];
    const np = setUp(sim, text, (_np, d) => void got.push(d.bytes[d.offset]!));
    STATES[state]!(sim.machine, world, () => {
      inject(7);
      listen(sim.machine, np);
    });
    expect(got).toEqual([7]);
    if (!sim.machine.dead) world.runFor(1e9);
    expect(got).toEqual([7]);
  });

  it.each(receiving)('on %s, %s: an answer on the same device arrives, and enters nothing twice', (driver, state) => {
    const { world, sim, text, inject, heard, info, depths, dev } = rig(driver);
    let inHook = 0;
    const np = setUp(sim, text, (self, d) => {
      inHook++;
      expect(inHook).toBe(1);
      netpollSendUdp(self, Uint8Array.of(d.bytes[d.offset]! + 1));
      inHook--;
    });
    STATES[state]!(sim.machine, world, () => {
      inject(7);
      listen(sim.machine, np);
    });
    world.runFor(1e9);
    expect(heard()).toEqual([8]);
    expect(depths.most).toBe(1);
    // Deferred where the hook ran inside the device's poll, or inside its driver; at once where it did not.
    const inside = DRIVERS[driver]!.napi || dev.name === 'lo';
    const { deferred, deferred_sent, dropped } = info().counters.toJSON();
    expect([deferred, deferred_sent, dropped]).toEqual(inside ? [1, 1, 0] : [0, 0, 0]);
  });

  it.each(receiving)('on %s, %s: an answer on another device leaves at once', (driver, state) => {
    const { world, sim, text, inject, heard } = rig(driver);
    const wire = new Wire(world);
    const hand = new Hand(world, wire);
    const eth1 = createNic(sim.net, new SimPort(world, { name: 'sim:3', mac: macOf(3), wire }), 'eth1');
    devOpen(eth1);
    const away = setUp(sim, '1@10.9.0.3/eth1,2@10.9.0.4/02:00:00:00:00:04');
    const atOnce: number[] = [];
    const np = setUp(sim, text, (_np, d) => {
      expect(netpollSendUdp(away, Uint8Array.of(d.bytes[d.offset]! + 1))).toBe(0);
      atOnce.push(npinfoOf(eth1)!.counters.get('sent'));
    });
    STATES[state]!(sim.machine, world, () => {
      inject(7);
      listen(sim.machine, np);
    });
    world.runFor(1e9);
    expect([atOnce, npinfoOf(eth1)!.counters.get('deferred')]).toEqual([[1], 0]);
    expect(hand.heard.map(({ bytes }) => bytes[PAYLOAD])).toEqual([8]);
    expect(heard()).toEqual([]);
  });

  it.each(table)(
    'on %s, %s: gives up on a stuck queue after one tick, keeps the frame, sends it later',
    (driver, state) => {
      const { world, sim, text, heard, info, dev } = rig(driver);
      const np = setUp(sim, text);
      STATES[state]!(sim.machine, world, () => {
        dev.txQueues[0]!.state |= QUEUE_STATE_FROZEN;
        const startNs = sim.machine.executive.now();
        expect(netpollSendUdp(np, Uint8Array.of(1))).toBe(0);
        expect(sim.machine.executive.now() - startNs).toBe(sim.machine.jiffyNs);
        expect(info().txq.length).toBe(1);
        dev.txQueues[0]!.state &= ~QUEUE_STATE_FROZEN;
      });
      // After a panic nobody comes back to what waits but the next one who sends.
      if (sim.machine.dead) netpollSendUdp(np, Uint8Array.of(2));
      world.runFor(1e9);
      expect(heard()).toEqual(sim.machine.dead ? [1, 2] : [1]);
      expect(info().counters.toJSON()).toMatchObject({ deferred: 1, deferred_sent: 1 });
    },
  );

  it.each(Object.keys(DRIVERS))('%s has a pollController that can be called at any time', (driver) => {
    const { sim, dev } = rig(driver);
    expect(dev.ops.pollController).toBeTypeOf('function');
    for (let i = 0; i < 3; i++) dev.ops.pollController!(dev);
    sim.machine.cpu.localIrqSave();
    dev.ops.pollController!(dev);
    sim.machine.cpu.localIrqRestore(false);
  });
});
