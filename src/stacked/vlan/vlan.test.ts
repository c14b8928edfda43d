// VLAN devices on a simulated card, on a bond and on each other; with the stack and, with interrupts off, by netpoll.
import { describe, expect, it } from 'vitest';
import { devChangeFlags, devGetFlags, devSetMtu } from '../../device/change.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import {
  IFF_PROMISC,
  IFF_UP,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOk,
  netifCarrierOn,
} from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { unregisterNetdevice } from '../../device/register.ts';
import { netpollPoll } from '../../netpoll/poll.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { client, Hand, macOf, type Station, station, udpFrame } from '../../sim/rig.fixture.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { skbPut } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { arpRig } from '../bond/arp_rig.fixture.ts';
import { BOND_MODE_ACTIVEBACKUP, BOND_MODE_XOR, BOND_XMIT_POLICY_LAYER34, bondOf } from '../bond/bond.ts';
import { createBond } from '../bond/bond_dev.ts';
import { bondEnslave } from '../bond/enslave.ts';
import { createVlan, removeVlan } from './vlan.ts';

const TYPE = 0x88b5;

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const me = station(world, wire, 2);
  const hand = new Hand(world, wire);
  const heard: string[] = [];
  me.stack.types.add(TYPE, (skb) => {
    heard.push(`${skb.dev!.name} ${skb.arena.bytes[skb.data]} ${skb.vlanTci}`);
    skb.pool.consume(skb);
    return 0;
  });
  return { world, me, hand, heard };
}

/** A frame with these tags, outermost first, whose payload starts with `mark`. */
function tagged(tags: readonly number[], mark: number, dest = macOf(2)): Uint8Array {
  const tci = tags.map((each) => `8100${each.toString(16).padStart(4, '0')}`).join('');
  const head = `${Buffer.from(dest).toString('hex')}020000000001${tci}88b5${mark.toString(16).padStart(2, '0')}`;
  return Buffer.concat([Buffer.from(head, 'hex'), Buffer.alloc(45)]);
}

function send(me: Station, dev: NetDevice, mark: number): number {
  const skb = me.machine.skbs.allocForDevice(dev, 60)!;
  const at = skbPut(skb, 60);
  skb.arena.bytes.set(tagged([], mark, macOf(1)), at);
  skb.arena.bytes.set(dev.devAddr, at + 6);
  skb.protocol = TYPE;
  return devQueueXmit(skb);
}

const hex = (bytes: Uint8Array, len: number): string => Buffer.from(bytes.slice(0, len)).toString('hex');

describe('a VLAN device', () => {
  it('sends with its tag and hears what has its tag, without it', () => {
    const { world, me, hand, heard } = rig();
    const vlan = createVlan(me.dev, 5);
    expect(vlan.name).toBe('eth0.5');
    expect(devOpen(vlan)).toBe(0);
    send(me, vlan, 7);
    world.runIdle();
    expect(hex(hand.heard[0]!.bytes, 19)).toBe('0200000000010200000000028100000588b507');
    for (const [tags, mark] of [
      [[5], 1],
      [[6], 2],
      [[], 3],
      [[0xa005], 4],
    ] as const)
      hand.send(tagged(tags, mark));
    world.runIdle();
    expect(heard).toEqual(['eth0.5 1 -1', 'eth0 2 -1', 'eth0 3 -1', 'eth0.5 4 -1']);
    expect(vlan.stats.toJSON()).toMatchObject({ tx_packets: 1, tx_bytes: 60, rx_packets: 2 });
    expect(me.machine.skbs.inUse).toBe(0);
  });

  it('stands on another one: two tags', () => {
    const { world, me, hand, heard } = rig();
    const inner = createVlan(createVlan(me.dev, 5), 7, { name: 'qinq' });
    devOpen(me.net.byName('eth0.5')!);
    devOpen(inner);
    send(me, inner, 9);
    world.runIdle();
    expect(hex(hand.heard[0]!.bytes, 23)).toBe('02000000000102000000000281000005' + '8100000788b509');
    hand.send(tagged([5, 7], 1));
    world.runIdle();
    expect(heard).toEqual(['qinq 1 -1']);
  });

  it('is up while the real device is, has its carrier, its address and at most its MTU', () => {
    const { me, world } = rig();
    const vlan = createVlan(me.dev, 5);
    expect(devSetMtu(vlan, 1501)).toBe(-34);
    expect(devSetMtu(vlan, 1400)).toBe(0);
    devOpen(vlan);
    expect(netifCarrierOk(vlan)).toBe(true);
    netifCarrierOff(me.dev);
    world.runFor(1.1e9);
    expect(netifCarrierOk(vlan)).toBe(false);
    netifCarrierOn(me.dev);
    world.runFor(1.1e9);
    expect(netifCarrierOk(vlan)).toBe(true);
    devSetMtu(me.dev, 1000);
    expect(vlan.mtu).toBe(1000);
    devClose(me.dev);
    expect([vlan.flags & IFF_UP, netifCarrierOk(vlan), devOpen(vlan)]).toEqual([0, false, -100]);
    expect(devSetMacAddress(me.dev, macOf(9))).toBe(0);
    expect(hex(vlan.devAddr, 6)).toBe('020000000009');
    devOpen(me.dev);
    expect(vlan.flags & IFF_UP).toBe(IFF_UP);
  });

  it('with an address of its own keeps it, hears frames for it, and has the real device listen to it', () => {
    const { world, me, hand, heard } = rig();
    const vlan = createVlan(me.dev, 5, { mac: macOf(8) });
    devOpen(vlan);
    expect(me.dev.uc.count).toBe(1);
    hand.send(tagged([5], 1, macOf(8)));
    world.runIdle();
    expect(heard).toEqual(['eth0.5 1 -1']);
    devSetMacAddress(me.dev, macOf(9));
    expect(hex(vlan.devAddr, 6)).toBe('020000000008');
    devClose(vlan);
    expect(me.dev.uc.count).toBe(0);
  });

  it('wants of the real device what is wanted of it, while it is up', () => {
    const { me } = rig();
    const vlan = createVlan(me.dev, 5);
    devOpen(vlan);
    devChangeFlags(vlan, devGetFlags(vlan) | IFF_PROMISC);
    expect(me.dev.promiscuity).toBe(1);
    devClose(vlan);
    expect(me.dev.promiscuity).toBe(0);
    devOpen(vlan);
    expect(me.dev.promiscuity).toBe(1);
    removeVlan(vlan);
    expect([me.dev.promiscuity, me.dev.upper.length]).toEqual([0, 0]);
  });

  it('drops what comes while it is down, counted, and goes with the real device', () => {
    const { world, me, hand, heard } = rig();
    const vlan = createVlan(me.dev, 5);
    hand.send(tagged([5], 1));
    world.runIdle();
    expect([heard, vlan.stats.get('rx_dropped'), me.machine.skbs.inUse]).toEqual([[], 1, 0]);
    unregisterNetdevice(me.dev);
    expect(me.net.byName('eth0.5')).toBeUndefined();
  });

  it('is refused for a tag out of range, one that has a device, and a name that is taken', () => {
    const { me } = rig();
    createVlan(me.dev, 5);
    for (const id of [-1, 4095, 1.5]) expect(() => createVlan(me.dev, id)).toThrow(/a tag is 0 to 4094/);
    expect(() => createVlan(me.dev, 5, { name: 'other' })).toThrow(/there is a device of this tag/);
    expect(() => createVlan(me.dev, 6, { name: 'eth0' })).toThrow(/the name is taken/);
    expect(me.dev.upper).toHaveLength(1);
    createVlan(me.dev, 5, { name: 'provider', protocol: 0x88a8 });
  });
});

it('the tag of a VLAN device stays beside the frame as far as a bond’s slave, so that the bond deals out by what is behind it', () => {
  for (const protocol of [0x8100, 0x88a8]) {
    const rig = arpRig(2, { mode: BOND_MODE_XOR, miimon: 100, xmitPolicy: BOND_XMIT_POLICY_LAYER34 });
    rig.run(500);
    const { net } = rig;
    const vlan = createVlan(rig.bond.dev, 5, { protocol });
    devOpen(vlan);
    rig.seen.length = 0;
    for (let port = 2000; port < 2040; port += 2) {
      const bytes = udpFrame({ sourcePort: port });
      const skb = net.machine.skbs.allocForDevice(vlan, bytes.length)!;
      skb.arena.bytes.set(bytes, skbPut(skb, bytes.length));
      skb.protocol = 0x0800;
      devQueueXmit(skb);
    }
    const sent = rig.seen;
    expect(sent).toHaveLength(20);
    expect(new Set(sent.map(({ slave }) => slave))).toEqual(new Set([0, 1]));
    for (const { bytes } of sent) expect(hex(bytes.subarray(12), 6)).toBe(`${protocol.toString(16)}00050800`);
  }
});

describe('netpoll over a VLAN device', () => {
  it('sends with the tag, hears its clients’ frames, also with interrupts off, and answers from the hook', () => {
    const { world, me, hand } = rig();
    const vlan = createVlan(me.dev, 5);
    devOpen(vlan);
    vlan.addresses.push({ family: 4, v4: 0x0a000002 });
    const got: string[] = [];
    const np = client(me, '6666@10.0.0.2/eth0.5,6665@10.0.0.1/02:00:00:00:00:01', (self, d) => {
      got.push(`${d.bytes[d.offset]} on ${self.dev?.name}`);
      netpollSendUdp(self, Uint8Array.of(d.bytes[d.offset]! + 1));
    });
    const withTag = (frame: Uint8Array, tci: number): Uint8Array =>
      Buffer.concat([frame.subarray(0, 12), Buffer.from([0x81, 0, tci >>> 8, tci & 0xff]), frame.subarray(12)]);
    hand.send(withTag(udpFrame({ payload: Uint8Array.of(1) }), 5));
    hand.send(withTag(udpFrame({ payload: Uint8Array.of(20) }), 6));
    world.runIdle();
    expect(got).toEqual(['1 on eth0.5']);
    const were = me.machine.cpu.localIrqSave();
    hand.send(withTag(udpFrame({ payload: Uint8Array.of(3) }), 5));
    hand.send(withTag(udpFrame({ payload: Uint8Array.of(30) }), 6));
    hand.send(udpFrame({ payload: Uint8Array.of(31) }));
    me.machine.executive.spin(100_000);
    netpollPoll(np);
    expect(got).toEqual(['1 on eth0.5', '3 on eth0.5']);
    netpollSendUdp(np, Uint8Array.of(9));
    me.machine.cpu.localIrqRestore(were);
    world.runIdle();
    const sent = hand.heard.map(({ bytes }) => `${hex(bytes.slice(12), 6)} ${bytes[46]}`);
    expect(sent.sort()).toEqual(['810000050800 2', '810000050800 4', '810000050800 9']);
    expect(me.machine.skbs.inUse).toBe(me.net.netpollReserve.length);
  });

  it('works on a bond, with everything off', () => {
    const { world, me, hand } = rig();
    const bond = createBond(me.net, 'bond0', { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 });
    devClose(me.dev);
    expect(bondEnslave(bondOf(bond), me.dev)).toBe(0);
    devOpen(bond);
    world.runFor(5e8);
    const vlan = createVlan(bond, 5);
    devOpen(vlan);
    vlan.addresses.push({ family: 4, v4: 0x0a000002 });
    const got: number[] = [];
    const np = client(me, '6666@10.0.0.2/bond0.5,6665@10.0.0.1/02:00:00:00:00:01', (_self, d) => {
      got.push(d.bytes[d.offset]!);
    });
    hand.heard.length = 0;
    const were = me.machine.cpu.localIrqSave();
    netpollSendUdp(np, Uint8Array.of(9));
    const frame = udpFrame({ payload: Uint8Array.of(3) });
    hand.send(Buffer.concat([frame.subarray(0, 12), Buffer.from([0x81, 0, 0, 5]), frame.subarray(12)]));
    me.machine.executive.spin(100_000);
    netpollPoll(np);
    expect(got).toEqual([3]);
    me.machine.cpu.localIrqRestore(were);
    world.runFor(1e6);
    expect(hand.heard.map(({ bytes }) => `${hex(bytes.slice(12), 6)} ${bytes[46]}`)).toContain('810000050800 9');
  });
});
