/** What ethtool and ip change on the textbook card: rings, queues, coalescing, features, addresses; up or down, under traffic. */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { ethtoolGetStats, ethtoolSetChannels, ethtoolSetCoalesce, ethtoolSetRingparam } from '../../device/ethtool.ts';
import { NETIF_F_HW_VLAN_CTAG_RX, NETIF_F_HW_VLAN_CTAG_TX, NETIF_F_RXHASH } from '../../device/features.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { devMcAdd, devMcDel, devSetAllmulti, devSetPromiscuity, devUcAdd, devUcDel } from '../../device/rx_mode.ts';
import { devSetWantedFeatures } from '../../device/update_features.ts';
import { Hand, macOf, udpFrame } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { ETH_P_ALL } from '../../wire/eth.ts';
import { RingHardware } from './hardware.ts';
import { createRingNic } from './ring_nic.ts';

const TYPE = 0x88b5;

function rig(options: { queues?: number; cpus?: number; slots?: number } = {}) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const sim = createSimMachine(world, { hostname: 'me', cpus: options.cpus ?? 1, slots: options.slots ?? 2048 });
  const hw: RingHardware = new RingHardware({
    mac: macOf(2),
    queues: options.queues ?? 1,
    after: (ns, action) => world.after(ns, action),
    serialisationNs: (len) => wire.serialisationNs(len),
    send: (bytes, offset, len) => wire.transmit(hw, bytes, offset, len),
  });
  wire.attach(hw);
  const dev = createRingNic(sim.net, hw, { name: 'eth0' });
  const heard: { len: number; vlanTci: number; queue: number; hash: number }[] = [];
  sim.stack.types.add(ETH_P_ALL, (skb) => {
    if (skb.pktType !== 4) {
      heard.push({ len: skb.len, vlanTci: skb.vlanTci, queue: skb.queueMapping - 1, hash: skb.hash });
    }
    skb.pool.consume(skb);
    return 0;
  });
  const hand = new Hand(world, wire);
  const end = () => {
    world.runFor(1e9);
    devClose(dev);
    world.runFor(1e9);
    sim.net.netpollReserve.purge(DropReason.QUEUE_PURGE);
    expect(sim.machine.skbs.inUse).toBe(0);
    expect(sim.machine.arena.available).toBe(sim.machine.arena.slots);
  };
  /** What of these frames, each for one address, gets in. */
  const takes = (...macs: number[][]): number => {
    heard.length = 0;
    for (const mac of macs) {
      const bytes = new Uint8Array(60);
      bytes.set(mac);
      bytes.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6);
      hw.receive(bytes, 60);
    }
    world.runFor(1e6);
    return heard.length;
  };
  return { ...sim, world, wire, hw, dev, heard, hand, end, takes };
}

function frame(dev: ReturnType<typeof rig>['dev'], vlanTci = -1): SkBuff {
  const skb = dev.net.machine.skbs.allocForDevice(dev, 100)!;
  const at = skbPut(skb, 100);
  skb.arena.bytes.fill(7, at, at + 100);
  skb.arena.bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5], at);
  skb.protocol = TYPE;
  skb.vlanTci = vlanTci;
  return skb;
}

describe('ethtool -G and -L on the ring', () => {
  it('change the rings while frames come and go, and lose none that had been taken', () => {
    const { world, dev, hand, heard, end } = rig();
    devOpen(dev);
    for (const [rx, tx] of [
      [64, 100],
      [128, 64],
      [80, 128],
    ] as const) {
      expect(ethtoolSetRingparam(dev, rx, tx)).toBe(0);
      expect(dev.ethtoolOps!.getRingparam!(dev)).toEqual({ rx, tx, rxMax: 128, txMax: 128 });
      for (let i = 0; i < 300; i++) {
        hand.send(udpFrame({ sourcePort: i, destMac: '02:00:00:00:00:02' }));
        devQueueXmit(frame(dev));
      }
      world.runFor(1e8);
    }
    expect([heard.length, hand.heard.length]).toEqual([900, 900]);
    end();
  });

  it('refuse what is too much, round up what is too little', () => {
    const { dev } = rig();
    expect(ethtoolSetRingparam(dev, 129, 64)).toBe(-Errno.EINVAL);
    expect(ethtoolSetRingparam(dev, 1, 1)).toBe(0);
    expect(dev.ethtoolOps!.getRingparam!(dev)).toMatchObject({ rx: 64, tx: 64 });
  });

  it('go back to what was when there is no memory', () => {
    const { dev, machine, end } = rig({ slots: 256 });
    ethtoolSetRingparam(dev, 64, 64);
    devOpen(dev);
    const held: number[] = [];
    while (machine.arena.available > 20) held.push(machine.arena.alloc());
    expect(ethtoolSetRingparam(dev, 128, 64)).toBe(-Errno.ENOMEM);
    expect(dev.ethtoolOps!.getRingparam!(dev)).toMatchObject({ rx: 64, tx: 64 });
    expect([dev.napiList[0]!.state & 1, dev.carrierUpCount > 0]).toEqual([0, true]);
    for (const buf of held) machine.arena.release(buf);
    end();
  });

  it('take queues out of use and into it, with all flows and frames on those that are', () => {
    const { world, dev, hand, heard, end } = rig({ queues: 4, cpus: 2 });
    devOpen(dev);
    const used = (queues: number): number[] => {
      expect(ethtoolSetChannels(dev, 0, 0, queues)).toBe(0);
      heard.length = 0;
      for (let port = 1; port <= 64; port++) hand.send(udpFrame({ sourcePort: port, destMac: '02:00:00:00:00:02' }));
      for (let i = 0; i < 50; i++) devQueueXmit(frame(dev));
      world.runFor(1e8);
      expect(heard.length).toBe(64);
      return [...new Set(heard.map(({ queue }) => queue))].sort();
    };
    expect(used(2)).toEqual([0, 1]);
    expect([dev.realNumTxQueues, dev.realNumRxQueues, dev.ethtoolOps!.getChannels!(dev).combined]).toEqual([2, 2, 2]);
    expect(used(1)).toEqual([0]);
    expect(used(4)).toEqual([0, 1, 2, 3]);
    expect(hand.heard.length).toBe(150);
    expect([ethtoolSetChannels(dev, 0, 0, 5), ethtoolSetChannels(dev, 1, 1, 0)]).toEqual([
      -Errno.EINVAL,
      -Errno.EINVAL,
    ]);
    end();
  });
});

describe('ethtool -C and -S on the ring', () => {
  it('refuse a pair that never interrupts and what the card does not know', () => {
    const { dev } = rig();
    expect(ethtoolSetCoalesce(dev, { rxUsecs: 0, rxFrames: 0 })).toBe(-Errno.EINVAL);
    expect(ethtoolSetCoalesce(dev, { rxUsecsHigh: 5 })).toBe(-Errno.EOPNOTSUPP);
    expect(ethtoolSetCoalesce(dev, { rxUsecs: 30, txFrames: 8 })).toBe(0);
    expect(dev.ethtoolOps!.getCoalesce!(dev)).toMatchObject({ rxUsecs: 30, rxFrames: 1, txUsecs: 0, txFrames: 8 });
  });

  it('hold the interrupt back until so many frames are there, or the first is so old', () => {
    const { world, dev, hw, heard, end } = rig();
    devOpen(dev);
    ethtoolSetCoalesce(dev, { rxUsecs: 100, rxFrames: 4 });
    const bytes = new Uint8Array(60);
    bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    const come = (n: number): void => {
      for (let i = 0; i < n; i++) hw.receive(bytes, 60);
    };
    come(3);
    world.runFor(99e3);
    expect(heard.length).toBe(0);
    world.runFor(1e3);
    expect(heard.length).toBe(3);
    come(4);
    world.runFor(1);
    expect(heard.length).toBe(7);
    // The timer of a round that is over announces nothing.
    come(1);
    world.runFor(50e3);
    come(3);
    come(1);
    world.runFor(50e3);
    expect(heard.length).toBe(11);
    world.runFor(50e3);
    expect(heard.length).toBe(12);
    expect(ethtoolGetStats(dev)!.get('rx_queue_0_packets')).toBe(12);
    expect(ethtoolGetStats(dev)!.get('queue_0_interrupts')).toBe(4);
    end();
  });

  it('frees what was sent when the moderated interrupt comes', () => {
    const { world, dev, machine, end } = rig();
    devOpen(dev);
    ethtoolSetCoalesce(dev, { txUsecs: 500, txFrames: 0 });
    devQueueXmit(frame(dev));
    world.runFor(400e3);
    expect(machine.skbs.inUse).toBe(1);
    world.runFor(200e3);
    expect(machine.skbs.inUse).toBe(0);
    end();
  });
});

describe('the ring’s filter', () => {
  const [other, more, group] = [
    [2, 0, 0, 0, 0, 9],
    [2, 0, 0, 0, 0, 10],
    [0x33, 0x33, 0, 0, 0, 1],
  ] as const;

  it('takes its own address and broadcasts, then what is added, and no longer what is deleted', () => {
    const { dev, takes, hw, end } = rig();
    devOpen(dev);
    const all = [[...other], [...group], [2, 0, 0, 0, 0, 2], [255, 255, 255, 255, 255, 255]];
    expect(takes(...all)).toBe(2);
    devUcAdd(dev, Uint8Array.from(other));
    devMcAdd(dev, Uint8Array.from(group));
    expect([takes(...all), takes([...more])]).toEqual([4, 0]);
    devUcDel(dev, Uint8Array.from(other));
    devMcDel(dev, Uint8Array.from(group));
    expect(takes(...all)).toBe(2);
    expect(hw.counters.get('rx_filtered')).toBe(5);
    devSetAllmulti(dev, 1);
    expect(takes(...all)).toBe(3);
    devSetPromiscuity(dev, 1);
    expect(takes(...all, [...more])).toBe(5);
    end();
  });

  it('keeps its entries over a reset, and takes everything where it has too few', () => {
    const { dev, takes, end } = rig();
    devMcAdd(dev, Uint8Array.from(group));
    devOpen(dev);
    expect(takes([...group])).toBe(1);
    devClose(dev);
    devOpen(dev);
    expect([takes([...group]), takes([0x33, 0x33, 0, 0, 0, 2])]).toEqual([1, 0]);
    for (let i = 0; i < 17; i++) devMcAdd(dev, Uint8Array.of(0x33, 0x33, 1, 1, 1, i));
    expect([takes([0x33, 0x33, 0, 0, 0, 2]), takes([...other])]).toEqual([1, 0]);
    for (let i = 0; i < 17; i++) devUcAdd(dev, Uint8Array.of(2, 1, 1, 1, 1, i));
    expect(takes([...other])).toBe(1);
    end();
  });

  it('follows another address while the device is up', () => {
    const { dev, takes, end } = rig();
    devOpen(dev);
    expect(devSetMacAddress(dev, Uint8Array.from(other))).toBe(0);
    expect([takes([...other]), takes([2, 0, 0, 0, 0, 2])]).toEqual([1, 0]);
    expect(devSetMacAddress(dev, Uint8Array.from(group))).toBe(-Errno.EADDRNOTAVAIL);
    end();
  });
});

describe('ethtool -K on the ring', () => {
  it('has tags taken out and put in by the card, or by the stack, and the frames are the same', () => {
    const { world, dev, hand, heard, end } = rig();
    devOpen(dev);
    const tagged = new Uint8Array(104).fill(7);
    tagged.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0x00, 0x60, 0x05, 0x88, 0xb5]);
    for (const on of [true, false]) {
      const bits = NETIF_F_HW_VLAN_CTAG_RX | NETIF_F_HW_VLAN_CTAG_TX;
      devSetWantedFeatures(dev, on ? bits : 0, on ? 0 : bits);
      heard.length = 0;
      hand.heard.length = 0;
      hand.send(tagged);
      devQueueXmit(frame(dev, 0x6005));
      world.runFor(1e7);
      expect(heard).toMatchObject([{ len: 86, vlanTci: 0x6005 }]);
      expect([...hand.heard[0]!.bytes.subarray(0, 20)]).toEqual([
        ...[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0x60, 0x05, 0x88, 0xb5, 7, 7],
      ]);
      expect(hand.heard[0]!.bytes.length).toBe(104);
    }
    end();
  });

  it('leaves the hash out when it is off', () => {
    const { world, dev, hand, heard, end } = rig({ queues: 2 });
    devOpen(dev);
    for (const off of [0, NETIF_F_RXHASH]) {
      devSetWantedFeatures(dev, NETIF_F_RXHASH & ~off, off);
      hand.send(udpFrame({ destMac: '02:00:00:00:00:02' }));
      world.runFor(1e7);
    }
    expect(heard.map(({ hash }) => hash !== 0)).toEqual([true, false]);
    end();
  });
});
