// balance-tlb and balance-alb over a bond as it is opened: addresses of slaves, loads that even out, clients that are told.
import { describe, expect, it } from 'vitest';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { netifCarrierOff, netifCarrierOn } from '../../device/net_device.ts';
import { devOpen } from '../../device/open.ts';
import { Netpoll } from '../../netpoll/netpoll.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollSetup } from '../../netpoll/setup.ts';
import { skbPut } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { ARPOP_REPLY, ARPOP_REQUEST, writeArp } from '../../wire/arp.ts';
import { ETH_P_ARP, writeEth } from '../../wire/eth.ts';
import { brAddIf, bridgeOf, createBridge } from '../bridge/bridge.ts';
import { type ArpRig, arpRig } from './arp_rig.fixture.ts';
import { BOND_MODE_ALB, BOND_MODE_TLB } from './bond.ts';
import { bondRelease } from './release.ts';

const mac = (bytes: Uint8Array): string => Buffer.from(bytes.slice(0, 6)).toString('hex');
const addresses = (rig: ArpRig): string[] => rig.bond.slaves.map((each) => mac(each.dev.devAddr));
const ZERO = new Uint8Array(6);

/** Sends a UDP datagram of `len` bytes to 10.0.0.`host`; the slave that it left by, and its source address. */
function send(rig: ArpRig, host: number, len = 100): { slave: number; source: string } {
  const { dev } = rig.bond;
  const skb = rig.machine.skbs.allocForDevice(dev, len)!;
  const at = skbPut(skb, len);
  const { view, bytes } = skb.arena;
  bytes.fill(0, at, at + len);
  writeEth(view, at, Uint8Array.of(2, 0, 0, 0, 0xee, host), dev.devAddr, 0x0800);
  view.setUint32(at + 14, 0x45000000 + len - 14);
  view.setUint8(at + 23, 17);
  view.setUint32(at + 26, 0x0a000001);
  view.setUint32(at + 30, 0x0a000000 + host);
  skb.protocol = 0x0800;
  const before = rig.seen.length;
  devQueueXmit(skb);
  const frame = rig.seen[before]!;
  return { slave: frame.slave, source: mac(frame.bytes.subarray(6)) };
}

/** An ARP of the bond's about client 10.0.0.`host`; what left. */
function arp(rig: ArpRig, op: number, host: number, clientMac: Uint8Array): { slave: number; bytes: Buffer } {
  const { dev } = rig.bond;
  const skb = rig.machine.skbs.allocForDevice(dev, 42)!;
  const at = skbPut(skb, 42);
  const to = op === ARPOP_REPLY ? clientMac : dev.broadcast;
  writeEth(skb.arena.view, at, to, dev.devAddr, ETH_P_ARP);
  writeArp(
    skb.arena.view,
    at + 14,
    op,
    dev.devAddr,
    0x0a000001,
    op === ARPOP_REPLY ? clientMac : ZERO,
    0x0a000000 + host,
  );
  skb.protocol = ETH_P_ARP;
  const before = rig.seen.length;
  devQueueXmit(skb);
  return rig.seen[before]!;
}

const clientMac = (host: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0xee, host);

/** What clients were told since `from`: slave, client, the address that they should send to. */
function told(rig: ArpRig, from: number): string[] {
  return rig.seen
    .slice(from)
    .filter(({ bytes }) => bytes.readUInt16BE(12) === ETH_P_ARP && bytes.readUInt16BE(20) === ARPOP_REPLY)
    .map(({ slave, bytes }) => `v${slave} ${mac(bytes)} ${mac(bytes.subarray(22))}`);
}

describe('balance-tlb', () => {
  it('keeps to the first slave until loads are known, then spreads them, each from its own address', () => {
    const rig = arpRig(2, { mode: BOND_MODE_TLB, miimon: 100, xmitPolicy: 1 });
    rig.run(500);
    expect(rig.run(0)).toBe('v0 up, v1 up, active v0');
    expect(addresses(rig)).toEqual(['020000000000', '020000000001']);
    for (let host = 2; host < 18; host++) expect(send(rig, host, 1000)).toEqual({ slave: 0, source: '020000000000' });
    rig.run(10_000);
    const by = Array.from({ length: 16 }, (_, i) => send(rig, i + 2, 1000));
    for (const slave of [0, 1]) expect(by.filter((each) => each.slave === slave)).toHaveLength(8);
    for (const each of by) expect(each.source).toBe(each.slave === 0 ? '020000000000' : '020000000001');
  });

  it('moves everything when a link goes, exchanges addresses with the new active slave, and announces it', () => {
    const rig = arpRig(2, { mode: BOND_MODE_TLB, miimon: 100 });
    rig.run(500);
    send(rig, 2);
    netifCarrierOff(rig.devices[0]!);
    const from = rig.seen.length;
    expect(rig.run(300)).toBe('v0 down, v1 up, active v1');
    expect(addresses(rig)).toEqual(['020000000001', '020000000000']);
    const learning = rig.seen.slice(from).filter(({ bytes }) => bytes.readUInt16BE(12) === 0x9000);
    expect(learning[0]!.slave).toBe(1);
    expect(mac(learning[0]!.bytes)).toBe('020000000000');
    expect(send(rig, 2)).toEqual({ slave: 1, source: '020000000000' });
    netifCarrierOn(rig.devices[0]!);
    expect(rig.run(300)).toBe('v0 up, v1 up, active v1');
  });

  it('without the table takes usable slaves by hash', () => {
    const rig = arpRig(2, { mode: BOND_MODE_TLB, miimon: 100, tlbDynamicLb: false });
    rig.run(500);
    const by = Array.from({ length: 20 }, (_, i) => send(rig, i + 2).slave);
    expect(new Set(by)).toEqual(new Set([0, 1]));
    netifCarrierOff(rig.devices[1]!);
    rig.run(300);
    expect(new Set(Array.from({ length: 20 }, (_, i) => send(rig, i + 2).slave))).toEqual(new Set([0]));
  });
});

describe('balance-alb', () => {
  const setup = (): ArpRig => {
    const rig = arpRig(2, { mode: BOND_MODE_ALB, miimon: 100 });
    rig.run(500);
    return rig;
  };

  it('answers clients in turn with the addresses of different slaves', () => {
    const rig = setup();
    const first = arp(rig, ARPOP_REPLY, 2, clientMac(2));
    const second = arp(rig, ARPOP_REPLY, 3, clientMac(3));
    expect(new Set([first.slave, second.slave])).toEqual(new Set([0, 1]));
    for (const { slave, bytes } of [first, second]) {
      expect(mac(bytes.subarray(22))).toBe(addresses(rig)[slave]);
      expect(mac(bytes.subarray(6))).toBe(addresses(rig)[slave]);
    }
    // Asked again, a client keeps its slave.
    expect(arp(rig, ARPOP_REPLY, 2, clientMac(2)).slave).toBe(first.slave);
  });

  it('tells a client, twice, that it had asked for itself, once the answer has come and two seconds are over', () => {
    const rig = setup();
    arp(rig, ARPOP_REQUEST, 2, ZERO);
    const client = rig.bond.alb!.rx!.used[0]!;
    const i = rig.bond.slaves.indexOf(client.slave!);
    const reply = new Uint8Array(60);
    const view = new DataView(reply.buffer);
    writeEth(view, 0, rig.bond.dev.devAddr, clientMac(2), ETH_P_ARP);
    writeArp(view, 14, ARPOP_REPLY, clientMac(2), 0x0a000002, rig.bond.dev.devAddr, 0x0a000001);
    rig.receive(0, reply);
    const from = rig.seen.length;
    rig.run(1500);
    expect(told(rig, from)).toEqual([]);
    rig.run(1500);
    const line = `v${i} ${mac(clientMac(2))} ${addresses(rig)[i]}`;
    expect(told(rig, from)).toEqual([line, line]);
    rig.run(5000);
    expect(told(rig, from)).toHaveLength(2);
  });

  it('gives the clients of a lost slave to another one and tells them several times; the other one hears everything meanwhile', () => {
    const rig = setup();
    for (const host of [2, 3, 4, 5]) arp(rig, ARPOP_REPLY, host, clientMac(host));
    rig.run(3000);
    const from = rig.seen.length;
    netifCarrierOff(rig.devices[1]!);
    rig.run(300);
    expect(rig.devices[0]!.promiscuity).toBe(1);
    rig.run(12_000);
    expect(rig.devices[0]!.promiscuity).toBe(0);
    const lines = told(rig, from);
    expect(lines.every((line) => line.startsWith('v0 ') && line.endsWith('020000000000'))).toBe(true);
    expect(new Set(lines).size).toBe(2);
    expect(lines.length).toBe(2 * 2 * 4);
    const later = rig.seen.length;
    netifCarrierOn(rig.devices[1]!);
    rig.run(3000);
    expect(told(rig, later).some((line) => line.startsWith('v1 '))).toBe(true);
  });

  it('exchanges addresses with the new active slave and gives them back to a slave that leaves', () => {
    const rig = setup();
    netifCarrierOff(rig.devices[0]!);
    expect(rig.run(300)).toBe('v0 down, v1 up, active v1');
    expect(addresses(rig)).toEqual(['020000000001', '020000000000']);
    expect(bondRelease(rig.bond, rig.devices[1]!)).toBe(0);
    expect(mac(rig.devices[1]!.devAddr)).toBe('020000000001');
  });

  it('takes another address for the bond, which the active slave gets', () => {
    const rig = setup();
    expect(devSetMacAddress(rig.bond.dev, Uint8Array.of(2, 0, 0, 0, 1, 1))).toBe(0);
    expect(addresses(rig)).toEqual(['020000000101', '020000000001']);
    expect(devSetMacAddress(rig.bond.dev, Uint8Array.of(2, 0, 0, 0, 0, 1))).toBe(0);
    expect(addresses(rig)).toEqual(['020000000001', '020000000101']);
  });

  it('forgets a client of an address that somebody else has now', () => {
    const rig = setup();
    arp(rig, ARPOP_REPLY, 2, clientMac(2));
    expect(rig.bond.alb!.rx!.used).toHaveLength(1);
    const stolen = new Uint8Array(60);
    const view = new DataView(stolen.buffer);
    writeEth(view, 0, rig.bond.dev.broadcast, clientMac(9), ETH_P_ARP);
    writeArp(view, 14, ARPOP_REQUEST, clientMac(9), 0x0a000001, ZERO, 0x0a000002);
    rig.receive(0, stolen);
    rig.run(100);
    expect(rig.bond.alb!.rx!.used).toHaveLength(0);
  });

  it('sends ARP of others, which came over a bridge, untouched and by the active slave', () => {
    const rig = setup();
    const { dev } = rig.bond;
    const skb = rig.machine.skbs.allocForDevice(dev, 42)!;
    const at = skbPut(skb, 42);
    writeEth(skb.arena.view, at, clientMac(3), clientMac(2), ETH_P_ARP);
    writeArp(skb.arena.view, at + 14, ARPOP_REPLY, clientMac(2), 0x0a000002, clientMac(3), 0x0a000003);
    skb.protocol = ETH_P_ARP;
    const sent = Buffer.from(skb.arena.bytes.slice(at, at + 42));
    const before = rig.seen.length;
    devQueueXmit(skb);
    expect(rig.seen[before]).toEqual({ slave: 0, bytes: sent });
    expect(rig.bond.alb!.rx!.used).toHaveLength(0);
  });

  it('with interrupts off tells a client that has to give way by the slave’s netpoll, if there is one', () => {
    const rig = setup();
    arp(rig, ARPOP_REPLY, 2, clientMac(2));
    const first = rig.bond.alb!.rx!.used[0]!.slave!;
    const other = rig.bond.slaves.find((each) => each !== first)!;
    rig.bond.currActiveSlave = other;
    const parsed = netpollParseOptions('@10.0.0.1/bond0,@10.0.0.9/');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    expect(netpollSetup(rig.net, new Netpoll('test', parsed.options))).toBe(0);
    const { dev } = rig.bond;
    const skb = rig.machine.skbs.allocForDevice(dev, 42)!;
    const at = skbPut(skb, 42);
    // 10.0.2.0 falls on the same place of the table as 10.0.0.2.
    writeEth(skb.arena.view, at, clientMac(7), dev.devAddr, ETH_P_ARP);
    writeArp(skb.arena.view, at + 14, ARPOP_REPLY, dev.devAddr, 0x0a000001, clientMac(7), 0x0a000200);
    skb.protocol = ETH_P_ARP;
    const from = rig.seen.length;
    const were = rig.machine.cpu.localIrqSave();
    dev.ops.startXmit(skb, dev, dev.txQueues[0]!);
    rig.machine.cpu.localIrqRestore(were);
    const name = rig.bond.slaves.indexOf(other);
    expect(told(rig, from).filter((line) => line.includes(mac(clientMac(2))))).toEqual(
      Array.from({ length: 2 }, () => `v${name} ${mac(clientMac(2))} ${mac(other.dev.devAddr)}`),
    );
  });

  it('under a bridge receives what clients send to slaves as sent to the bond', () => {
    const rig = setup();
    const br = createBridge(rig.net);
    expect(brAddIf(bridgeOf(br), rig.bond.dev)).toBe(0);
    devOpen(br);
    rig.run(100);
    const got: string[] = [];
    rig.stack.types.add(0x88b5, (skb) => {
      got.push(`${skb.dev!.name} ${skb.pktType}`);
      skb.pool.consume(skb);
      return 0;
    });
    const frame = new Uint8Array(60);
    writeEth(new DataView(frame.buffer), 0, rig.devices[1]!.devAddr, clientMac(2), 0x88b5);
    rig.receive(1, frame);
    rig.run(10);
    expect(got).toEqual(['br0 0']);
  });
});
