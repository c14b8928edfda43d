import { describe, expect, it } from 'vitest';
import { Errno, NETDEV_TX_BUSY, NETDEV_TX_OK } from '../base/status.ts';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { napiEnable, napiSchedule, netifNapiAdd } from '../device/napi_struct.ts';
import type { DeviceOps } from '../device/net_device.ts';
import { netifStopQueue, netifWakeQueue } from '../device/netdev_queue.ts';
import { devClose } from '../device/open.ts';
import { createSnull } from '../drivers/snull.ts';
import { napiInit } from '../napi/napi_init.ts';
import { client, Hand, station, udpFrame } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { Netpoll, type RxHook } from './netpoll.ts';
import { npinfoOf } from './npinfo.ts';
import { netpollParseOptions } from './options.ts';
import { netpollPoll, netpollPollDev } from './poll.ts';
import { netpollSendUdp } from './send.ts';
import { netpollSetup } from './setup.ts';

/** A client on a device whose driver the test writes. */
function rig(ops: Partial<DeviceOps> = {}, rxHook: RxHook | null = null) {
  const made = testNet();
  napiInit(made.net);
  const sent: number[] = [];
  const dev = testDevice(made.net, {
    startXmit(skb) {
      sent.push(skb.arena.bytes[skb.tail - 1]!);
      skb.pool.consume(skb);
      return NETDEV_TX_OK;
    },
    ...ops,
  });
  const parsed = netpollParseOptions('@10.0.0.1/eth0,@10.0.0.2/');
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const np = new Netpoll('test', parsed.options);
  np.rxHook = rxHook;
  expect(netpollSetup(made.net, np)).toBe(0);
  const send = (n: number) => netpollSendUdp(np, Uint8Array.of(n));
  return { ...made, dev, np, info: npinfoOf(dev)!, sent, send, queue: dev.txQueues[0]! };
}

describe('netpoll never enters a driver twice', () => {
  it('a send from inside startXmit is deferred, and follows in process context', () => {
    let depth = 0;
    let deepest = 0;
    const sent: number[] = [];
    const made = rig({
      startXmit(skb) {
        deepest = Math.max(deepest, ++depth);
        const n = skb.arena.bytes[skb.tail - 1]!;
        sent.push(n);
        if (n < 3) made.send(n + 1);
        depth--;
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
    });
    made.send(1);
    expect([sent, made.info.counters.get('deferred')]).toEqual([[1], 1]);
    made.machine.turn();
    made.executive.nowNs += 1e9;
    made.machine.turn();
    expect([sent, deepest]).toEqual([[1, 2, 3], 1]);
  });

  it('nor for a driver that complains about every frame does one run of the queue go on forever', () => {
    let calls = 0;
    const made = rig({
      startXmit(skb) {
        calls++;
        made.send(1);
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
    });
    made.send(1);
    made.machine.turn();
    expect(calls).toBeLessThan(10);
    expect(made.info.txq.length).toBe(1);
  });

  it('a send from inside this CPU’s poll is deferred; polling the device there sends nothing either', () => {
    const made = rig();
    const statuses: number[] = [];
    const napi = netifNapiAdd(made.dev, (_napi, budget) => {
      statuses.push(made.send(7), netpollPoll(made.np));
      return Math.min(budget, 0);
    });
    napiEnable(napi);
    napiSchedule(napi);
    made.machine.turn();
    expect([statuses, made.sent, made.info.txq.length]).toEqual([[0, 0], [], 1]);
    made.machine.turn();
    expect(made.sent).toEqual([7]);
  });

  it('polls no device that it polls already, that is down, or whose driver this CPU is inside of', () => {
    const inside: boolean[] = [];
    const made = rig({
      pollController: () => void inside.push(netpollPollDev(made.dev)),
      startXmit(skb) {
        inside.push(netpollPollDev(made.dev));
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
    });
    expect(netpollPollDev(made.dev)).toBe(true);
    made.send(1);
    expect(inside).toEqual([false, false]);
    devClose(made.dev);
    expect(netpollPollDev(made.dev)).toBe(false);
  });
});

describe('netpoll on a queue that does not take frames', () => {
  it('polls and waits 50 us between tries, for one tick, with interrupts off', () => {
    const irqs: boolean[] = [];
    const made = rig({
      startXmit: () => NETDEV_TX_BUSY,
      pollController: (dev) => void irqs.push(dev.net.machine.cpu.irqsDisabled),
    });
    expect(made.send(1)).toBe(0);
    expect(made.executive.nowNs).toBe(made.machine.jiffyNs);
    expect([irqs.length, irqs.every(Boolean), made.machine.cpu.irqsDisabled]).toEqual([80, true, false]);
    expect(made.info.counters.toJSON()).toMatchObject({ sent: 0, deferred: 1, spins: 80, polls: 80 });
  });

  it('goes on as soon as polling has woken it', () => {
    let polls = 0;
    const made = rig({ pollController: (dev) => void (++polls === 3 && netifWakeQueue(dev.txQueues[0]!)) });
    netifStopQueue(made.queue, 0);
    made.send(1);
    expect([made.sent, polls]).toEqual([[1], 3]);
  });

  it('keeps order: what waits is sent before what is new, and new frames queue behind it', () => {
    const made = rig();
    netifStopQueue(made.queue, 0);
    made.send(1);
    made.send(2);
    netifWakeQueue(made.queue);
    made.send(3);
    expect([made.sent, made.info.counters.get('deferred_sent')]).toEqual([[1, 2, 3], 2]);
  });

  it('tries what waits again after 100 ms, and frees it with a reason once the device is down', () => {
    const made = rig();
    netifStopQueue(made.queue, 0);
    made.send(1);
    made.machine.turn();
    expect(made.machine.timers.nextNs).toBe(made.executive.nowNs + 1e8);
    devClose(made.dev);
    made.executive.nowNs += 1e8;
    made.machine.turn();
    expect([made.info.txq.length, made.machine.skbs.drops.get('NETPOLL_NOT_RUNNING')]).toEqual([0, 1]);
  });

  it('an error that is not BUSY means that the driver has consumed the frame', () => {
    const made = rig({
      startXmit(skb) {
        skb.pool.kfree(skb);
        return -12;
      },
    });
    made.send(1);
    expect(made.info.counters.toJSON()).toMatchObject({ sent: 1, deferred: 0 });
  });
});

describe('netpoll when memory is out', () => {
  it('takes frames from the reserve, polls ten times when that is empty, then gives up with -ENOMEM', () => {
    let polls = 0;
    const made = rig({ startXmit: () => NETDEV_TX_BUSY, pollController: () => void polls++ });
    const hog: unknown[] = [];
    for (let skb = made.machine.skbs.alloc(1); skb !== null; skb = made.machine.skbs.alloc(1)) hog.push(skb);
    made.np.drop = (_np, skb) => {
      hog.push(skb);
      return 0;
    };
    for (let i = 0; i < 32; i++) expect(made.send(i)).toBe(0);
    expect(made.net.netpollReserve.length).toBe(0);
    polls = 0;
    expect([made.send(99), polls, made.info.counters.get('no_memory')]).toEqual([-12, 10, 1]);
  });

  it('goes on when polling frees a frame', () => {
    const hog: SkBuff[] = [];
    const made = rig({ pollController: () => void made.machine.skbs.consume(hog.pop()!) });
    while (made.net.netpollReserve.length > 0) hog.push(made.net.netpollReserve.dequeue()!);
    for (let skb = made.machine.skbs.alloc(1); skb !== null; skb = made.machine.skbs.alloc(1)) hog.push(skb);
    expect([made.send(5), made.sent]).toEqual([0, [5]]);
  });
});

describe('a device with several queues', () => {
  it('is sent by the queue that its driver chooses, or that the frame names, of those in use', () => {
    const made = testNet();
    const queues: number[] = [];
    let choice = 2;
    const startXmit: DeviceOps['startXmit'] = (skb, _dev, queue) => {
      queues.push(queue.index);
      skb.pool.consume(skb);
      return NETDEV_TX_OK;
    };
    const dev = testDevice(made.net, { startXmit, selectQueue: () => choice }, 4);
    const parsed = netpollParseOptions('@10.0.0.1/eth0,@10.0.0.2/');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const np = new Netpoll('test', parsed.options);
    netpollSetup(made.net, np);
    netpollSendUdp(np, Uint8Array.of(1));
    choice = -1;
    netpollSendUdp(np, Uint8Array.of(1));
    choice = 3;
    dev.realNumTxQueues = 2;
    netpollSendUdp(np, Uint8Array.of(1));
    expect(queues).toEqual([2, 0, 1]);
  });
});

describe('an interrupt-only driver', () => {
  it('whose hook polls while more frames come is not entered again: each frame is handed up once, in order', () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    const me = station(world, wire, 2, { driver: createSnull });
    const hand = new Hand(world, wire);
    const got: number[] = [];
    client(me, '6666@10.0.0.2/eth0,6665@10.0.0.1/02:00:00:00:00:01', (np, d) => {
      got.push(d.bytes[d.offset]!);
      me.machine.executive.spin(100_000);
      netpollPoll(np);
      netpollSendUdp(np, d.bytes, d.offset, 1);
    });
    // Five frames wait when interrupts are on again; the others come while those are handed up.
    const were = me.machine.cpu.localIrqSave();
    for (let i = 0; i < 40; i++) {
      world.after(i * 20_000, () => hand.send(udpFrame({ payload: Uint8Array.of(i) })));
    }
    me.machine.executive.spin(100_000);
    me.machine.cpu.localIrqRestore(were);
    world.runIdle();
    expect(got).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(hand.heard.map((each) => each.bytes[42])).toEqual(got);
    expect([me.machine.skbs.inUse, me.machine.arena.available]).toEqual([32, me.machine.arena.slots - 32]);
  });
});

it('a datagram to an address of the other family is refused, and nothing leaves', () => {
  const { np, sent, machine } = rig();
  const before = machine.skbs.inUse;
  const to = { remoteIp: { family: 6 as const, v6: new Uint8Array(16) }, remotePort: 1, remoteMac: new Uint8Array(6) };
  expect(netpollSendUdp(np, Uint8Array.of(1), 0, 1, to)).toBe(-Errno.EINVAL);
  expect([sent, machine.skbs.inUse]).toEqual([[], before]);
});
