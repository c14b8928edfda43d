import { describe, expect, it } from 'vitest';
import { NET_RX_SUCCESS, NETDEV_TX_OK } from '../base/status.ts';
import { devChangeName } from '../device/change.ts';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { allocEtherdev } from '../device/eth.ts';
import { NetdevEvent } from '../device/net.ts';
import { devOf, type NetDevice } from '../device/net_device.ts';
import { QUEUE_STATE_FROZEN } from '../device/netdev_queue.ts';
import { devClose, devOpen } from '../device/open.ts';
import { registerNetdevice, unregisterNetdevice } from '../device/register.ts';
import { client, Hand, macOf, type Station, station, udpFrame } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { netpollAttach, netpollCleanup, netpollSetupLower } from './attach.ts';
import { Netpoll } from './netpoll.ts';
import { npinfoOf } from './npinfo.ts';
import { netpollParseOptions } from './options.ts';
import { netpollPoll, netpollPollDev } from './poll.ts';
import { netpollSendSkb, netpollSendUdp, netpollTxRunning } from './send.ts';
import { netpollSetup } from './setup.ts';

/** A stacked device over `lower` that does what bond, bridge and vlan do towards netpoll, and no more. */
function stack(lower: NetDevice): { upper: NetDevice; stackSent: number } {
  const made = { upper: lower, stackSent: 0 };
  let np: Netpoll | null = null;
  const upper = allocEtherdev(lower.net, {
    name: 'up0',
    ops: {
      open: () => 0,
      startXmit(skb, dev) {
        skb.dev = lower;
        if (netpollTxRunning(dev)) return np === null ? NETDEV_TX_OK : netpollSendSkb(np, skb);
        made.stackSent++;
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
      pollController: () => void netpollPollDev(lower),
      netpollSetup(dev) {
        const got = netpollSetupLower(dev, lower, (skb) => skb.vlanTci < 0);
        if (typeof got === 'number') return got;
        np = got;
        return 0;
      },
      netpollCleanup() {
        if (np !== null) netpollCleanup(np);
        np = null;
      },
    },
  });
  upper.devAddr.set(lower.devAddr);
  upper.addresses.push(...lower.addresses);
  if (registerNetdevice(upper) < 0 || devOpen(upper) < 0) throw new Error('up0 does not come up');
  lower.master = upper;
  made.upper = upper;
  return made;
}

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const me: Station = station(world, wire, 2);
  return { world, me, hand: new Hand(world, wire), ...stack(me.dev) };
}

function make(text: string): Netpoll {
  const parsed = netpollParseOptions(text);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  return new Netpoll('test', parsed.options);
}

describe('a stacked device', () => {
  it('is set up with the devices below it, which are refused to others, and taken down with the last client', () => {
    const { me, upper } = rig();
    const clients = [client(me, '@/up0,@10.0.0.1/'), client(me, '@/up0,@10.0.0.1/')];
    expect([npinfoOf(upper)!.refs, npinfoOf(me.dev)!.refs]).toEqual([2, 1]);
    expect(netpollSetup(me.net, make('@/eth0,@10.0.0.1/'))).toBe(-16);
    for (const np of clients) netpollCleanup(np);
    expect([upper.npinfo, me.dev.npinfo, upper.rxTrap, me.dev.rxTrap]).toEqual([null, null, null, null]);
  });

  it('sends through the lower device’s netpoll, never through the stack, and waits there if it has to', () => {
    const { world, me, upper, hand } = rig();
    const np = client(me, '6665@/up0,@10.0.0.1/');
    expect(netpollSendUdp(np, Uint8Array.of(1))).toBe(0);
    me.dev.txQueues[0]!.state = QUEUE_STATE_FROZEN;
    expect(netpollSendUdp(np, Uint8Array.of(2))).toBe(0);
    expect([npinfoOf(upper)!.txq.length, npinfoOf(me.dev)!.txq.length]).toEqual([0, 1]);
    me.dev.txQueues[0]!.state = 0;
    world.runIdle();
    expect(hand.heard.map(({ bytes }) => bytes[42])).toEqual([1, 2]);
    expect([npinfoOf(upper)!.counters.get('sent'), npinfoOf(me.dev)!.counters.get('deferred_sent')]).toEqual([2, 1]);
  });

  it('is polled through its lower devices, and its clients hear with interrupts off', () => {
    const { me, hand, world } = rig();
    const got: string[] = [];
    const np = client(me, '6666@10.0.0.2/up0,6665@10.0.0.1/02:00:00:00:00:01', (self, d) => {
      got.push(`${d.bytes[d.offset]} on ${self.dev?.name}`);
      netpollSendUdp(self, Uint8Array.of(d.bytes[d.offset]! + 1));
    });
    const were = me.machine.cpu.localIrqSave();
    hand.send(udpFrame({ payload: Uint8Array.of(7) }));
    hand.send(udpFrame({ destPort: 9, payload: Uint8Array.of(8) }));
    me.machine.executive.spin(100_000);
    netpollPollDev(me.dev);
    netpollPollDev(np.dev!);
    expect(got).toEqual([]);
    expect(netpollPoll(np)).toBe(2);
    expect(npinfoOf(me.dev)!.counters.get('deferred')).toBe(1);
    expect(got).toEqual(['7 on up0']);
    me.machine.cpu.localIrqRestore(were);
    world.runIdle();
    expect(hand.heard.map(({ bytes }) => bytes[42])).toEqual([8]);
  });

  it('with a device below it that refuses netpoll is refused as well, in the kernel’s words', () => {
    const { me, upper } = rig();
    const lines: string[] = [];
    me.machine.printk.registerConsole({ name: 'log', write: (r) => lines.push(new TextDecoder().decode(r.text)) });
    me.dev.netpollDisabled = true;
    const np = make('@/up0,@10.0.0.1/');
    expect([netpollSetup(me.net, np), np.dev, upper.npinfo, me.dev.npinfo]).toEqual([-524, null, null, null]);
    expect(lines.at(-1)).toBe("netpoll: up0: eth0 doesn't support polling, aborting");
  });
});

describe('a client whose device', () => {
  const setUp = () => {
    const made = testNet();
    const dev = testDevice(made.net);
    const np = make('@10.0.0.1/eth0,@10.0.0.2/');
    expect(netpollSetup(made.net, np)).toBe(0);
    return { ...made, dev, np };
  };

  it('is renamed goes by the new name', () => {
    const { dev, np } = setUp();
    devChangeName(dev, 'lan0');
    expect([np.devName, np.dev, netpollSendUdp(np, Uint8Array.of(1))]).toEqual(['lan0', dev, 0]);
  });

  it('is unregistered is released after everybody was told, with what waits dropped; it can be set up again', () => {
    const { net, dev, np, machine } = setUp();
    const order: unknown[] = [];
    net.registerNotifier((event, about) => {
      if (event === NetdevEvent.UNREGISTER && about === dev) order.push(np.dev);
      return 0;
    });
    dev.txQueues[0]!.state = 1;
    netpollSendUdp(np, Uint8Array.of(1));
    unregisterNetdevice(dev);
    expect(order).toEqual([dev]);
    expect([np.dev, dev.npinfo, machine.works.length, machine.skbs.inUse]).toEqual([null, null, 0, 32]);
    expect(netpollSendUdp(np, Uint8Array.of(1))).toBe(1);
    const other = testDevice(net);
    expect([netpollSetup(net, np), np.dev]).toEqual([0, other]);
  });

  it('goes down sends nothing, each refusal counted, and goes on when it is up again', () => {
    const { dev, np } = setUp();
    devClose(dev);
    expect([netpollSendUdp(np, Uint8Array.of(1)), npinfoOf(dev)!.counters.get('not_running')]).toEqual([1, 1]);
    devOpen(dev);
    expect(netpollSendUdp(np, Uint8Array.of(1))).toBe(0);
  });

  it('is enslaved goes on; only a new set-up is refused', () => {
    const { net, dev, np } = setUp();
    const master = testDevice(net, {});
    dev.master = master;
    dev.net.notify(NetdevEvent.JOIN, dev);
    expect(netpollSendUdp(np, Uint8Array.of(1))).toBe(0);
    netpollCleanup(np);
    expect(netpollSetup(net, np)).toBe(-16);
  });
});

describe('a client', () => {
  it('may have a source address of its own, and be attached without any IP address', () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    const me = station(world, wire, 1);
    const hand = new Hand(world, wire);
    const np = client(me, '@/eth0,@10.0.0.2/');
    np.localMac = macOf(99);
    netpollSendUdp(np, Uint8Array.of(1));
    world.runIdle();
    expect([...hand.heard[0]!.bytes.subarray(6, 12)]).toEqual([...macOf(99)]);
    const bare = make('@/eth0,@10.0.0.2/');
    expect([netpollAttach(bare, me.dev), bare.localIp, netpollSendUdp(bare, Uint8Array.of(1))]).toEqual([0, null, 1]);
    const skb = me.machine.skbs.allocForDevice(me.dev, 60)!;
    skb.tail += 60;
    skb.len += 60;
    expect([netpollSendSkb(bare, skb), devOf(skb)?.name ?? 'gone']).toEqual([NET_RX_SUCCESS, 'eth0']);
  });

  it('that refuses is bound by hardware address only to an Ethernet device', () => {
    const { net, machine } = testNet();
    const lines: string[] = [];
    machine.printk.registerConsole({ name: 'log', write: (r) => lines.push(new TextDecoder().decode(r.text)) });
    const dev = testDevice(net);
    dev.type = 772;
    expect(netpollSetup(net, make('@10.0.0.1/02:00:00:00:00:01,@10.0.0.2/'))).toBe(-19);
    expect(lines.at(-1)).toBe("netpoll: test: 02:00:00:00:00:01 doesn't exist, aborting");
  });
});
