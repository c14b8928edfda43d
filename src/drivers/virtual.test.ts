/** Devices without hardware: lo, dummy and veth, with a stack above them. */
import { describe, expect, it } from 'vitest';
import type { NetDevice } from '../device/net_device.ts';
import { netifCarrierOk } from '../device/net_device.ts';
import { devClose, devOpen } from '../device/open.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { World } from '../sim/world.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { skbAddFrag } from '../skb/frags.ts';
import { PACKET_BROADCAST, PACKET_HOST, type SkBuff, skbPut } from '../skb/sk_buff.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { writeEth } from '../wire/eth.ts';
import { createDummy } from './dummy.ts';
import { createLoopback } from './loopback.ts';
import { createVethPair, removeVethPair } from './veth.ts';

const TYPE = 0x88b5;
const MAC_A = Uint8Array.of(2, 0, 0, 0, 0, 1);
const MAC_B = Uint8Array.of(2, 0, 0, 0, 0, 2);
const ZERO = new Uint8Array(6);

function frame(dev: NetDevice, dest: Uint8Array, len = 100, mark = 7): SkBuff {
  const skb = dev.net.machine.skbs.allocForDevice(dev, len)!;
  const at = skbPut(skb, len);
  skb.arena.bytes.fill(mark, at, at + len);
  writeEth(skb.arena.view, at, dest, dev.devAddr, TYPE);
  return skb;
}

function machine(world: World, hostname = 'a') {
  const sim = createSimMachine(world, { hostname });
  const heard: { dev: string; len: number; pktType: number; mark: number }[] = [];
  sim.stack.types.add(TYPE, (skb) => {
    heard.push({
      dev: skb.dev!.name,
      len: skb.len,
      pktType: skb.pktType,
      mark: skb.arena.bytes[skb.data]!,
    });
    skb.pool.consume(skb);
    return 0;
  });
  return { ...sim, heard };
}

describe('lo', () => {
  it('gives back what was sent, orphaned, counted without the link header on both sides', () => {
    const world = new World({ seed: 1 });
    const { net, heard, machine: host } = machine(world);
    const lo = createLoopback(net);
    expect(devOpen(lo)).toBe(0);
    let orphaned = 0;
    const skb = frame(lo, ZERO, 98);
    skb.destructor = () => orphaned++;
    devQueueXmit(skb);
    expect(orphaned).toBe(1);
    world.runFor(1e6);
    expect(heard).toEqual([{ dev: 'lo', len: 84, pktType: PACKET_HOST, mark: 7 }]);
    expect(lo.stats.toJSON()).toMatchObject({ rx_packets: 1, tx_packets: 1, rx_bytes: 84, tx_bytes: 84 });
    expect(host.skbs.inUse).toBe(0);
  });

  it('counts nothing as sent that its backlog refused', () => {
    const world = new World({ seed: 1 });
    const { net, machine: host } = machine(world);
    const lo = createLoopback(net);
    devOpen(lo);
    for (let i = 0; i < 1010; i++) lo.ops.startXmit(frame(lo, ZERO), lo, lo.txQueues[0]!);
    expect(lo.stats.get('tx_packets')).toBe(1001);
    expect(host.skbs.drops.get('CPU_BACKLOG')).toBe(9);
    world.runFor(1e8);
    expect(host.skbs.inUse).toBe(0);
  });
});

it('dummy takes everything, counts it and hears nothing', () => {
  const world = new World({ seed: 1 });
  const { net, heard, machine: host } = machine(world);
  const dev = createDummy(net, MAC_A);
  expect(dev.name).toBe('dummy0');
  devOpen(dev);
  for (let i = 0; i < 5; i++) devQueueXmit(frame(dev, MAC_B));
  world.runFor(1e6);
  expect(heard).toEqual([]);
  expect(dev.stats.toJSON()).toMatchObject({ tx_packets: 5, tx_bytes: 500, rx_packets: 0 });
  expect(host.skbs.inUse).toBe(0);
});

describe.each([
  ['in one machine, by the backlog', false, false],
  ['in one machine, by NAPI', false, true],
  ['between two machines, by the backlog', true, false],
  ['between two machines, by NAPI', true, true],
])('veth %s', (_, two, gro) => {
  function pair() {
    const world = new World({ seed: 1 });
    const a = machine(world);
    const b = two ? machine(world, 'b') : a;
    const [va, vb] = createVethPair({ net: a.net, mac: MAC_A, gro }, { net: b.net, mac: MAC_B, gro });
    return { world, a, b, va, vb };
  }

  it('has carrier only while both ends are up', () => {
    const { va, vb } = pair();
    expect([netifCarrierOk(va), netifCarrierOk(vb)]).toEqual([false, false]);
    devOpen(va);
    expect([netifCarrierOk(va), netifCarrierOk(vb)]).toEqual([false, false]);
    devOpen(vb);
    expect([netifCarrierOk(va), netifCarrierOk(vb)]).toEqual([true, true]);
    devClose(va);
    expect([netifCarrierOk(va), netifCarrierOk(vb)]).toEqual([false, false]);
  });

  it('carries frames over with their types, counts both ends, and leaves nothing alive', () => {
    const { world, a, b, va, vb } = pair();
    devOpen(va);
    devOpen(vb);
    devQueueXmit(frame(va, MAC_B, 100, 1));
    devQueueXmit(frame(va, vb.broadcast, 60, 2));
    world.runFor(1e6);
    expect(b.heard).toEqual([
      { dev: vb.name, len: 86, pktType: PACKET_HOST, mark: 1 },
      { dev: vb.name, len: 46, pktType: PACKET_BROADCAST, mark: 2 },
    ]);
    expect(va.stats.toJSON()).toMatchObject({ tx_packets: 2, tx_bytes: 160, tx_dropped: 0 });
    expect(vb.stats.toJSON()).toMatchObject({ rx_packets: 2, rx_bytes: 160, rx_dropped: 0 });
    expect(a.machine.skbs.inUse + b.machine.skbs.inUse).toBe(0);
    expect(b.machine.arena.available).toBe(b.machine.arena.slots);
  });

  it('takes a frame of mtu, header and tag, and drops one byte more', () => {
    const { world, a, b, va, vb } = pair();
    devOpen(va);
    devOpen(vb);
    devQueueXmit(frame(va, MAC_B, 1518));
    devQueueXmit(frame(va, MAC_B, 1519));
    world.runFor(1e6);
    expect(b.heard.map(({ len }) => len)).toEqual([1504]);
    expect(va.stats.get('tx_dropped')).toBe(1);
    expect(vb.stats.get('rx_dropped')).toBe(1);
    expect(a.machine.skbs.drops.values[DropReason.PKT_TOO_BIG]).toBe(1);
  });

  it('carries fragments', () => {
    const { world, a, b, va, vb } = pair();
    devOpen(va);
    devOpen(vb);
    vb.mtu = 9000;
    const skb = frame(va, MAC_B, 200);
    for (let i = 0; i < 3; i++) {
      const buf = a.machine.arena.alloc();
      skbAddFrag(skb, buf, a.machine.arena.start(buf), 2000);
    }
    devQueueXmit(skb);
    world.runFor(1e6);
    expect(b.heard.map(({ len }) => len)).toEqual([6186]);
    expect(a.machine.arena.available).toBe(a.machine.arena.slots);
    expect(b.machine.arena.available).toBe(b.machine.arena.slots);
  });

  it('drops what the peer cannot take because it is down, or has no room; nothing leaks', () => {
    const { world, a, b, va, vb } = pair();
    devOpen(va);
    devQueueXmit(frame(va, MAC_B));
    expect(va.stats.get('tx_dropped')).toBe(1);
    expect(a.machine.skbs.drops.get('QDISC_DROP')).toBe(1);
    devOpen(vb);
    for (let i = 0; i < 1200; i++) va.ops.startXmit(frame(va, MAC_B), va, va.txQueues[0]!);
    const taken = gro ? 256 : 1001;
    expect(va.stats.get('tx_dropped')).toBe(1 + 1200 - taken);
    world.runFor(1e8);
    expect(b.heard.length).toBe(taken);
    removeVethPair(va);
    expect(a.machine.skbs.inUse + b.machine.skbs.inUse).toBe(0);
    expect(a.net.devices.length).toBe(0);
  });
});
