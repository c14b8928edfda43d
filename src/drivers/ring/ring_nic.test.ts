/** The textbook card and its driver on a simulated wire: interrupts, rings, thresholds, queues, netpoll, resets. */
import { describe, expect, it } from 'vitest';
import { NETDEV_TX_BUSY } from '../../base/status.ts';
import { ethtoolGetStats } from '../../device/ethtool.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { netifCarrierOk } from '../../device/net_device.ts';
import { netifQueueStopped } from '../../device/netdev_queue.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { Netpoll } from '../../netpoll/netpoll.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { netpollSetup } from '../../netpoll/setup.ts';
import { Hand, macOf, udpFrame } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { Wire, type WireOptions } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { CHECKSUM_PARTIAL } from '../../skb/checksum_state.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { skbAddFrag } from '../../skb/frags.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { writeEth } from '../../wire/eth.ts';
import { RingHardware } from './hardware.ts';
import { CAUSE_RX, Q_CAUSE, qreg } from './registers.ts';
import { createRingNic } from './ring_nic.ts';

const TYPE = 0x88b5;

function rig(options: { queues?: number; cpus?: number; wire?: WireOptions; slots?: number } = {}) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world, options.wire);
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
  const heard: { len: number; queue: number; hash: number }[] = [];
  const take = (skb: SkBuff) => {
    heard.push({ len: skb.len, queue: skb.queueMapping - 1, hash: skb.hash });
    skb.pool.consume(skb);
    return 0;
  };
  sim.stack.types.add(TYPE, take);
  sim.stack.types.add(0x0800, take);
  const hand = new Hand(world, wire);
  /** Down, and nothing is left. */
  const end = () => {
    world.runFor(1e9);
    devClose(dev);
    world.runFor(1e9);
    sim.net.netpollReserve.purge(DropReason.QUEUE_PURGE);
    expect(sim.machine.skbs.inUse).toBe(0);
    expect(sim.machine.arena.available).toBe(sim.machine.arena.slots);
  };
  return { ...sim, world, wire, hw, dev, heard, hand, end };
}

function frame(dev: NetDevice, len = 100, mark = 7): SkBuff {
  const skb = dev.net.machine.skbs.allocForDevice(dev, len)!;
  const at = skbPut(skb, len);
  skb.arena.bytes.fill(mark, at, at + len);
  writeEth(skb.arena.view, at, macOf(1), dev.devAddr, TYPE);
  return skb;
}

const plain = (len: number, mark = 1) => {
  const bytes = new Uint8Array(len).fill(mark);
  bytes.set(macOf(2));
  bytes.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6);
  return bytes;
};

describe('ring nic', () => {
  it('hands frames up whole with one interrupt a burst, and counts them', () => {
    const { world, dev, hand, heard, hw, end, machine } = rig();
    expect(devOpen(dev)).toBe(0);
    expect(netifCarrierOk(dev)).toBe(true);
    for (let i = 0; i < 40; i++) hand.send(plain(60 + i * 30));
    world.runFor(1e8);
    expect(heard.map(({ len }) => len)).toEqual(Array.from({ length: 40 }, (_, i) => 46 + i * 30));
    expect(dev.stats.get('rx_packets')).toBe(40);
    expect(hw.counters.get('interrupts')).toBeLessThanOrEqual(40);
    expect(machine.irqLines.find(({ name }) => name.startsWith('eth0'))?.count).toBe(hw.counters.get('interrupts'));
    end();
  });

  it('sends head and fragments as one frame, and frees them when the card has sent', () => {
    const { world, dev, hand, machine, hw, end } = rig();
    devOpen(dev);
    const skb = frame(dev, 100, 1);
    for (let i = 0; i < 3; i++) {
      const buf = machine.arena.alloc();
      machine.arena.bytes.fill(2 + i, machine.arena.start(buf), machine.arena.start(buf) + 300);
      skbAddFrag(skb, buf, machine.arena.start(buf), 300);
    }
    devQueueXmit(skb);
    world.runFor(1e7);
    const { bytes } = hand.heard[0]!;
    expect([bytes.length, bytes[99], bytes[100], bytes[400], bytes[700], bytes[999]]).toEqual([1000, 1, 2, 3, 4, 4]);
    expect(hw.counters.toJSON()).toMatchObject({ tx_frames: 1, tx_descriptors: 4 });
    expect(dev.stats.toJSON()).toMatchObject({ tx_packets: 1, tx_bytes: 1000 });
    end();
  });

  it('fills in the checksum that the stack has left to it', () => {
    const { world, dev, hand, end } = rig();
    devOpen(dev);
    const bytes = udpFrame({ payload: 'to be summed' });
    const skb = dev.net.machine.skbs.allocForDevice(dev, bytes.length)!;
    const at = skbPut(skb, bytes.length);
    skb.arena.bytes.set(bytes, at);
    // The pseudo-header's sum, not complemented, is what the stack leaves in the field.
    const pseudo = ~fold(sum32(skb.arena.view, at + 26, 8) + 17 + (bytes.length - 34)) & 0xffff;
    skb.arena.view.setUint16(at + 40, pseudo);
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = at + 34;
    skb.csumOffset = 6;
    skb.protocol = 0x0800;
    skb.networkHeader = at + 14;
    skb.transportHeader = at + 34;
    devQueueXmit(skb);
    world.runFor(1e7);
    expect([...hand.heard[0]!.bytes]).toEqual([...bytes]);
    end();
  });

  it('stops with fewer than 18 descriptors free, and wakes with 34', () => {
    const { world, dev, hw, end } = rig({ wire: { rateBps: 1e9 } });
    devOpen(dev);
    hw.setTxStalled(true);
    const txq = dev.txQueues[0]!;
    let sent = 0;
    while (!netifQueueStopped(txq)) {
      expect(dev.ops.startXmit(frame(dev), dev, txq)).toBe(0);
      sent++;
    }
    expect(sent).toBe(127 - 17);
    const skb = frame(dev);
    for (let i = 0; i < 17; i++) expect(dev.ops.startXmit(frame(dev), dev, txq)).toBe(0);
    expect(dev.ops.startXmit(skb, dev, txq)).toBe(NETDEV_TX_BUSY);
    skb.pool.consume(skb);
    hw.setTxStalled(false);
    // The first completion makes room for one: still stopped. 34 later it runs again.
    world.runFor(2e3);
    expect(netifQueueStopped(txq)).toBe(true);
    world.runFor(1e6);
    expect(netifQueueStopped(txq)).toBe(false);
    expect(hw.counters.get('tx_frames')).toBe(127);
    end();
  });

  it('sends everything that was queued while it was stopped', () => {
    const { world, dev, hand, end } = rig({ wire: { rateBps: 1e8 } });
    devOpen(dev);
    for (let i = 0; i < 500; i++) devQueueXmit(frame(dev, 100, i));
    world.runFor(1e9);
    expect(hand.heard.map(({ bytes }) => bytes[99])).toEqual(Array.from({ length: 500 }, (_, i) => i & 255));
    end();
  });

  it('spreads flows over its queues and CPUs, each flow staying on one', () => {
    const { world, dev, hand, heard, end, hw } = rig({ queues: 4, cpus: 4 });
    devOpen(dev);
    for (let round = 0; round < 2; round++) {
      for (let port = 1; port <= 64; port++) hand.send(udpFrame({ sourcePort: port, destMac: '02:00:00:00:00:02' }));
      world.runFor(1e8);
    }
    expect(heard.length).toBe(128);
    const queues = new Set(heard.map(({ queue }) => queue));
    expect([...queues].sort()).toEqual([0, 1, 2, 3]);
    const byHash = new Map(heard.map(({ hash, queue }) => [hash, queue]));
    for (const { hash, queue } of heard) expect(queue).toBe(byHash.get(hash));
    expect(byHash.size).toBe(64);
    expect(hw.counters.get('rx_frames')).toBe(128);
    end();
  });

  it('tells ethtool its rings, queues and counters, and moves flows when the table changes', () => {
    const { world, dev, hand, heard, end } = rig({ queues: 4 });
    devOpen(dev);
    const ops = dev.ethtoolOps!;
    expect(ops.getRingparam!(dev)).toMatchObject({ rx: 128, tx: 128 });
    expect(ops.getChannels!(dev).combined).toBe(4);
    expect(ops.setRxfh!(dev, new Array<number>(128).fill(4), null)).toBe(-22);
    expect(ops.setRxfh!(dev, new Array<number>(128).fill(2), null)).toBe(0);
    for (let port = 1; port <= 8; port++) hand.send(udpFrame({ sourcePort: port, destMac: '02:00:00:00:00:02' }));
    world.runFor(1e8);
    expect(heard.map(({ queue }) => queue)).toEqual(new Array<number>(8).fill(2));
    expect(ethtoolGetStats(dev)!.get('rx_queue_2_packets')).toBe(8);
    expect(ethtoolGetStats(dev)!.get('rx_frames')).toBe(8);
    end();
  });

  it('misses frames that find no descriptor, counts them, and goes on', () => {
    const { world, dev, hw, heard, end, machine } = rig();
    devOpen(dev);
    const were = machine.cpu.localIrqSave();
    for (let i = 0; i < 200; i++) hw.receive(plain(60), 60);
    machine.cpu.localIrqRestore(were);
    expect(hw.counters.toJSON()).toMatchObject({ rx_frames: 127, rx_missed: 73 });
    world.runFor(1e8);
    expect(heard.length).toBe(127);
    hw.receive(plain(60), 60);
    world.runFor(1e6);
    expect(heard.length).toBe(128);
    end();
  });

  it('drops and keeps its buffers when memory is out, and comes back', () => {
    const { world, dev, hw, heard, end, machine } = rig();
    devOpen(dev);
    const all: number[] = [];
    while (machine.arena.available > 0) all.push(machine.arena.alloc());
    for (let i = 0; i < 300; i++) {
      hw.receive(plain(60), 60);
      world.runFor(1e5);
    }
    expect(heard.length).toBe(0);
    expect(dev.stats.get('rx_dropped')).toBe(300);
    for (const buf of all) machine.arena.release(buf);
    hw.receive(plain(60), 60);
    world.runFor(1e6);
    expect(heard.length).toBe(1);
    end();
  });

  it('is not asked what others interrupted for: no cause, no poll', () => {
    const { dev, hw, machine, end } = rig();
    devOpen(dev);
    const line = machine.irqLines.find(({ name }) => name.startsWith('eth0'))!;
    line.raise();
    expect(dev.napiList[0]!.polls).toBe(0);
    expect(hw.read(qreg(0, Q_CAUSE)) & CAUSE_RX).toBe(0);
    end();
  });

  it('sees the link go and come', () => {
    const { world, dev, hw, end } = rig();
    devOpen(dev);
    hw.setLink(false);
    world.runFor(1e6);
    expect(netifCarrierOk(dev)).toBe(false);
    hw.setLink(true);
    world.runFor(1e6);
    expect(netifCarrierOk(dev)).toBe(true);
    end();
  });

  it('carries netpoll with interrupts off, past a full ring', () => {
    const { machine, net, dev, hand, end, world } = rig();
    dev.addresses.push({ family: 4, v4: 0x0a000002 });
    devOpen(dev);
    const parsed = netpollParseOptions('6665@10.0.0.2/eth0,6666@10.0.0.1/02:00:00:00:00:01');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const np = new Netpoll('test', parsed.options);
    expect(netpollSetup(net, np)).toBe(0);
    world.runFor(1e6);
    const were = machine.cpu.localIrqSave();
    for (let i = 0; i < 300; i++) netpollSendUdp(np, Uint8Array.of(i & 255), 1);
    // What the ring has, it sends by itself.
    const before = hand.heard.length;
    machine.cpu.localIrqRestore(were);
    world.runFor(1e8);
    expect(before).toBeGreaterThan(150);
    expect(hand.heard.filter(({ bytes }) => bytes[12] === 0x08 && bytes[13] === 0).length).toBe(300);
    end();
  });

  it('starts anew when the card is stuck, and loses only what the card had', () => {
    const { world, dev, hand, hw, machine, end } = rig();
    devOpen(dev);
    hw.setTxStalled(true);
    for (let i = 0; i < 5; i++) devQueueXmit(frame(dev));
    dev.ops.txTimeout!(dev, dev.txQueues[0]!);
    // One frame is what the byte limit of a fresh queue lets through: the others wait in the qdisc.
    expect(machine.skbs.drops.get('QUEUE_PURGE')).toBe(1);
    hw.setTxStalled(false);
    devQueueXmit(frame(dev));
    hand.send(plain(60));
    world.runFor(1e7);
    expect(hand.heard.length).toBe(5);
    expect(dev.stats.get('rx_packets')).toBe(1);
    end();
  });

  it('opens and closes again and again, whatever is under way', () => {
    const { world, dev, hand, end, heard } = rig({ queues: 2 });
    for (let life = 0; life < 5; life++) {
      devOpen(dev);
      for (let i = 0; i < 20; i++) {
        hand.send(plain(60));
        devQueueXmit(frame(dev));
      }
      world.runFor(life * 5e3);
      devClose(dev);
    }
    devOpen(dev);
    hand.send(plain(60));
    const before = heard.length;
    world.runFor(1e8);
    expect(heard.length).toBeGreaterThan(before);
    end();
  });
});
