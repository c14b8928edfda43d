// A bridge between simulated wires: what it learns, where it sends, what is its own; netpoll over it.
import { describe, expect, it } from 'vitest';
import { devSetMtu } from '../../device/change.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { IFF_UP, type NetDevice, netifCarrierOk } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { unregisterNetdevice } from '../../device/register.ts';
import { createNic } from '../../drivers/nic/nic.ts';
import { Netpoll } from '../../netpoll/netpoll.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollPoll } from '../../netpoll/poll.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { netpollSetup } from '../../netpoll/setup.ts';
import { client, Hand, macOf, station, udpFrame } from '../../sim/rig.fixture.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { skbPut } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { BOND_MODE_ACTIVEBACKUP, bondOf } from '../bond/bond.ts';
import { createBond } from '../bond/bond_dev.ts';
import { bondEnslave } from '../bond/enslave.ts';
import { createVlan } from '../vlan/vlan.ts';
import { type BridgeOptions, brAddIf, brDelIf, bridgeOf, createBridge, destroyBridge } from './bridge.ts';

const TYPE = 0x88b5;
const ALL = new Uint8Array(6).fill(0xff);

/** br0 over eth0 (02:..:02), eth1 (02:..:12) and eth2 (02:..:22), each on a wire of its own with a hand. */
function rig(options: BridgeOptions = {}) {
  const world = new World({ seed: 1 });
  const wires = [0, 1, 2].map(() => new Wire(world));
  const me = station(world, wires[0]!, 2);
  const devices = [me.dev];
  for (const i of [1, 2]) {
    const port = new SimPort(world, { name: `sim:2.${i}`, mac: macOf(2 + 16 * i), wire: wires[i]! });
    const dev = createNic(me.net, port, `eth${i}`);
    devOpen(dev);
    devices.push(dev);
  }
  const hands = wires.map((wire) => new Hand(world, wire));
  const dev = createBridge(me.net, 'br0', options);
  const br = bridgeOf(dev);
  for (const each of devices) expect(brAddIf(br, each)).toBe(0);
  expect(devOpen(dev)).toBe(0);
  const heard: string[] = [];
  me.stack.types.add(TYPE, (skb) => {
    heard.push(`${skb.dev!.name} ${skb.arena.bytes[skb.data]} ${skb.pktType}`);
    skb.pool.consume(skb);
    return 0;
  });
  /** Sends on wire `at` and gives what each wire heard, by the mark of its payload. */
  const pass = (at: number, to: Uint8Array, from: Uint8Array, mark: number, tag: number[] = []): string => {
    for (const hand of hands) hand.heard.length = 0;
    hands[at]!.send(frame(to, from, mark, tag));
    world.runFor(1e6);
    return hands.map(({ heard: got }) => got.map(({ bytes }) => bytes[14 + tag.length]).join()).join('|');
  };
  return { world, me, devices, hands, dev, br, heard, pass };
}

function frame(to: Uint8Array, from: Uint8Array, mark: number, tag: number[] = []): Uint8Array {
  return Buffer.concat([to, from, Buffer.from(tag), Buffer.from([0x88, 0xb5, mark]), Buffer.alloc(60)]);
}

const known = (dev: NetDevice): string[] =>
  bridgeOf(dev)
    .fdb.list()
    .filter((each) => !each.local)
    .map((each) => `${each.mac[5]} ${each.port?.dev.name}`);

describe('a bridge', () => {
  it('floods to whom it does not know, and sends to the one port of whom it does', () => {
    const { pass, dev, heard, me } = rig();
    expect(pass(0, macOf(9), macOf(8), 1)).toBe('|1|1');
    expect(known(dev)).toEqual(['8 eth0']);
    expect(pass(1, macOf(8), macOf(9), 2)).toBe('2||');
    expect(pass(0, macOf(9), macOf(8), 3)).toBe('|3|');
    // The neighbour has moved.
    expect(pass(2, macOf(8), macOf(9), 4)).toBe('4||');
    expect(pass(0, macOf(9), macOf(8), 5)).toBe('||5');
    // Both are on one wire: the bridge keeps out of it.
    expect(pass(2, macOf(9), macOf(7), 6)).toBe('||');
    expect(heard).toEqual([]);
    expect(me.machine.skbs.inUse).toBe(0);
  });

  it('takes what is for its own address or a port’s on any port, and what is for all or for a group', () => {
    const { pass, dev, heard } = rig();
    expect(Buffer.from(dev.devAddr).toString('hex')).toBe('020000000002');
    expect(pass(1, macOf(2), macOf(8), 1)).toBe('||');
    expect(pass(0, macOf(0x22), macOf(8), 2)).toBe('||');
    expect(pass(2, ALL, macOf(8), 3)).toBe('3|3|');
    expect(pass(2, Uint8Array.of(1, 0, 0x5e, 0, 0, 1), macOf(8), 4)).toBe('4|4|');
    expect(heard).toEqual(['br0 1 0', 'br0 2 3', 'br0 3 1', 'br0 4 2']);
    expect(dev.stats.toJSON()).toMatchObject({ rx_packets: 4, multicast: 1 });
  });

  it('keeps what is for the link alone, but for the spanning tree’s', () => {
    const { pass, heard } = rig();
    const group = (last: number): Uint8Array => Uint8Array.of(1, 0x80, 0xc2, 0, 0, last);
    expect(pass(0, group(0x0e), macOf(8), 1)).toBe('||');
    expect(pass(0, group(0x01), macOf(8), 2)).toBe('||');
    expect(pass(0, group(0x00), macOf(8), 3)).toBe('|3|3');
    expect(heard).toEqual(['eth0 1 2', 'br0 3 2']);
  });

  it('forgets after the ageing time, and what was behind a port whose link goes', () => {
    const { pass, dev, world, devices } = rig({ ageingNs: 1e9 });
    pass(0, macOf(9), macOf(8), 1);
    world.runFor(0.5e9);
    expect(known(dev)).toEqual(['8 eth0']);
    world.runFor(0.6e9);
    expect(known(dev)).toEqual([]);
    pass(0, macOf(9), macOf(8), 1);
    devClose(devices[0]!);
    expect(known(dev)).toEqual([]);
    expect(pass(1, macOf(8), macOf(9), 2)).toBe('||2');
    devOpen(devices[0]!);
    expect(pass(1, macOf(8), macOf(9), 3)).toBe('3||3');
  });

  it('learns no more than it has room for, and goes on', () => {
    const { pass, dev, br } = rig({ fdbMax: 8 });
    for (let i = 40; i < 60; i++) expect(pass(0, macOf(9), macOf(i), 1)).toBe('|1|1');
    expect([br.fdb.size, known(dev).length, br.fdb.full]).toEqual([11, 8, 12]);
  });

  it('learns nothing from a frame that claims our own address', () => {
    const { pass, br } = rig();
    expect(pass(1, macOf(9), macOf(2), 1)).toBe('1||1');
    expect(br.fdb.ownSource).toBe(1);
  });

  it('passes tagged frames on as they are, and up to the device of their tag on the bridge', () => {
    const { pass, dev, heard } = rig();
    const vlan = createVlan(dev, 5);
    devOpen(vlan);
    expect(pass(0, ALL, macOf(8), 1, [0x81, 0, 0, 5])).toBe('|1|1');
    expect(pass(0, ALL, macOf(8), 2, [0x81, 0, 0, 6])).toBe('|2|2');
    expect(heard).toEqual(['br0.5 1 1', 'br0 2 3']);
  });

  it('has the lowest address and the smallest MTU of its ports, unless it was given others', () => {
    const { dev, devices, br } = rig();
    devSetMtu(devices[1]!, 1000);
    expect(dev.mtu).toBe(1000);
    devClose(devices[2]!);
    expect(devSetMacAddress(devices[2]!, macOf(1))).toBe(0);
    expect(dev.devAddr[5]).toBe(1);
    expect(brDelIf(br, devices[2]!)).toBe(0);
    expect(dev.devAddr[5]).toBe(2);
    expect(devSetMacAddress(dev, macOf(0x77))).toBe(0);
    devSetMtu(dev, 900);
    brDelIf(br, devices[0]!);
    brDelIf(br, devices[1]!);
    expect([dev.devAddr[5], dev.mtu, netifCarrierOk(dev)]).toEqual([0x77, 900, false]);
    expect(devices.map((each) => [each.master, each.promiscuity, each.rxHandler])).toEqual([
      [null, 0, null],
      [null, 0, null],
      [null, 0, null],
    ]);
  });

  it('sends what this host sends to where the neighbour is, or to all', () => {
    const { dev, me, world, hands, pass } = rig();
    pass(1, ALL, macOf(9), 1);
    const send = (to: Uint8Array, mark: number): string => {
      for (const hand of hands) hand.heard.length = 0;
      const skb = me.machine.skbs.allocForDevice(dev, 80)!;
      const bytes = frame(to, dev.devAddr, mark);
      skb.arena.bytes.set(bytes, skbPut(skb, bytes.length));
      skb.protocol = TYPE;
      devQueueXmit(skb);
      world.runFor(1e6);
      return hands.map(({ heard }) => heard.map(({ bytes: b }) => b[14]).join()).join('|');
    };
    expect(send(macOf(9), 1)).toBe('|1|');
    expect(send(macOf(7), 2)).toBe('2|2|2');
    expect(send(ALL, 3)).toBe('3|3|3');
    expect(send(macOf(0x12), 4)).toBe('|4|');
    expect(me.machine.skbs.inUse).toBe(0);
  });

  it('refuses bridges, loops and what is somebody else’s; goes without its ports, and loses one that is unregistered', () => {
    const { br, dev, devices, me } = rig();
    const other = createBridge(me.net);
    expect(brAddIf(bridgeOf(other), dev)).toBe(-40);
    expect(brAddIf(bridgeOf(other), devices[0]!)).toBe(-16);
    expect(brDelIf(bridgeOf(other), devices[0]!)).toBe(-22);
    unregisterNetdevice(devices[1]!);
    expect(br.ports.map((port) => port.portNo)).toEqual([1, 3]);
    destroyBridge(dev);
    expect(devices[0]!.master).toBeNull();
    expect(devices[0]!.flags & IFF_UP).toBe(IFF_UP);
  });
});

describe('netpoll over a bridge', () => {
  it('sends by its ports and hears what is for the bridge on any, with interrupts off too', () => {
    const { me, dev, hands, world, pass } = rig();
    dev.addresses.push({ family: 4, v4: 0x0a000002 });
    pass(1, ALL, macOf(1), 1);
    for (const hand of hands) hand.heard.length = 0;
    const got: number[] = [];
    const np = client(me, '6666@10.0.0.2/br0,6665@10.0.0.1/02:00:00:00:00:01', (self, d) => {
      got.push(d.bytes[d.offset]!);
      netpollSendUdp(self, Uint8Array.of(d.bytes[d.offset]! + 1));
    });
    hands[1]!.send(udpFrame({ payload: Uint8Array.of(10) }));
    world.runFor(1e6);
    const were = me.machine.cpu.localIrqSave();
    hands[1]!.send(udpFrame({ payload: Uint8Array.of(20) }));
    hands[1]!.send(udpFrame({ payload: Uint8Array.of(30), destMac: '02:00:00:00:00:08' }));
    me.machine.executive.spin(100_000);
    netpollPoll(np);
    netpollSendUdp(np, Uint8Array.of(40));
    me.machine.cpu.localIrqRestore(were);
    world.runFor(1e6);
    expect(got).toEqual([10, 20]);
    expect(hands[1]!.heard.map(({ bytes }) => bytes[42]).sort()).toEqual([11, 21, 40]);
    expect(hands[0]!.heard.map(({ bytes }) => bytes[42])).toEqual([30]);
    expect(me.machine.skbs.inUse).toBe(me.net.netpollReserve.length);
  });

  it('is refused for a port, and where a port cannot; a port that cannot does not join later', () => {
    const { me, br, dev, devices } = rig();
    dev.addresses.push({ family: 4, v4: 0x0a000002 });
    const setup = (device: string): number => {
      const parsed = netpollParseOptions(`@10.0.0.2/${device},@10.0.0.1/`);
      if (!parsed.ok) throw new Error(parsed.error.reason);
      return netpollSetup(me.net, new Netpoll('test', parsed.options));
    };
    expect(setup('eth0')).toBe(-16);
    devices[2]!.netpollDisabled = true;
    expect(setup('br0')).toBe(-524);
    expect(br.ports.every((port) => port.np === null)).toBe(true);
    brDelIf(br, devices[2]!);
    expect(setup('br0')).toBe(0);
    expect(br.ports.every((port) => port.np !== null)).toBe(true);
    expect(brAddIf(br, devices[2]!)).toBe(-524);
    expect(devices[2]!.master).toBeNull();
  });

  it('works through a bond below and a VLAN device above', () => {
    const { me, br, dev, devices, hands, world } = rig();
    brDelIf(br, devices[0]!);
    devClose(devices[0]!);
    const bond = createBond(me.net, 'bond0', { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 });
    expect(bondEnslave(bondOf(bond), devices[0]!)).toBe(0);
    devOpen(bond);
    world.runFor(2e9);
    expect(brAddIf(br, bond)).toBe(0);
    const vlan = createVlan(dev, 5);
    devOpen(vlan);
    vlan.addresses.push({ family: 4, v4: 0x0a000002 });
    const got: number[] = [];
    const np = client(me, '6666@10.0.0.2/br0.5,6665@10.0.0.1/02:00:00:00:00:01', (_np, d) => {
      got.push(d.bytes[d.offset]!);
    });
    for (const hand of hands) hand.heard.length = 0;
    const were = me.machine.cpu.localIrqSave();
    const plain = udpFrame({
      payload: Uint8Array.of(3),
      destMac: [...vlan.devAddr].map((each) => each.toString(16).padStart(2, '0')).join(':'),
    });
    hands[0]!.send(Buffer.concat([plain.subarray(0, 12), Buffer.from([0x81, 0, 0, 5]), plain.subarray(12)]));
    me.machine.executive.spin(100_000);
    netpollPoll(np);
    netpollSendUdp(np, Uint8Array.of(9));
    me.machine.cpu.localIrqRestore(were);
    world.runFor(1e6);
    expect(got).toEqual([3]);
    expect(hands.map(({ heard }) => heard.map(({ bytes }) => bytes[46]).join())).toEqual(['9', '9', '9']);
  });
});
