/** Two machines on one simulated wire, each a host with its own stack: what they find out, send and lose. */
import { describe, expect, it } from 'vitest';
import { devOpen } from '../device/open.ts';
import { createLoopback } from '../drivers/loopback.ts';
import { Hand, macOf, type Station, station, udpFrame } from '../sim/rig.fixture.ts';
import { Wire, type WireOptions } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { parseIp } from '../wire/address.ts';
import { ARPOP_REPLY, arpOp } from '../wire/arp.ts';
import { arpAnnounce } from './arp.ts';
import { icmpEcho } from './icmp.ts';
import { icmpv6Echo } from './icmpv6.ts';
import { Inet } from './inet.ts';
import { UdpSock } from './udp_socket.ts';

const ip = (text: string) => parseIp(text)!;

interface Host extends Station {
  readonly inet: Inet;
}

function host(world: World, wire: Wire, number: number): Host {
  const at = station(world, wire, number);
  const inet = new Inet(at.stack, { host: true });
  inet.addAddress(at.dev, ip(`10.0.0.${number}`), 24);
  inet.addAddress(at.dev, ip(`fc00::${number}`), 64);
  inet.addLinkLocal(at.dev);
  return { ...at, inet };
}

function two(options: WireOptions = {}, seed = 1) {
  const world = new World({ seed });
  const wire = new Wire(world, options);
  return { world, wire, a: host(world, wire, 1), b: host(world, wire, 2) };
}

/** Every frame is free again, but for those that the tables keep. */
function quiet(world: World, ...hosts: Host[]): void {
  world.runFor(200e9);
  for (const each of hosts) {
    expect(each.machine.skbs.inUse).toBe(0);
    expect(each.machine.arena.available).toBe(each.machine.arena.slots);
  }
}

describe('two hosts', () => {
  it.each(['10.0.0.2', 'fc00::2'])('ping %s: resolve once, then answer with the same bytes', (where) => {
    const { world, a, b } = two();
    const seen: { rest: number; bytes: number[] }[] = [];
    a.inet.onEchoReply = (skb, rest) => {
      seen.push({ rest, bytes: [...skb.arena.bytes.slice(skb.data + 8, skb.data + skb.len)] });
    };
    const to = ip(where);
    for (let i = 0; i < 3; i++) {
      const payload = Uint8Array.of(i, 2, 3);
      expect(to.family === 4 ? icmpEcho(a.inet, to.v4, i, payload) : icmpv6Echo(a.inet, to, i, payload)).toBe(0);
    }
    world.runFor(1e9);
    expect(seen).toEqual([0, 1, 2].map((i) => ({ rest: i, bytes: [i, 2, 3] })));
    const table = to.family === 4 ? a.inet.arp : a.inet.nd;
    expect(table.print()).toContain(`${where} dev eth0 lladdr 02:00:00:00:00:02 REACHABLE`);
    expect(to.family === 4 ? b.inet.arp.size : b.inet.nd.size).toBe(1);
    quiet(world, a, b);
  });

  it('walk through the states of a neighbour, and forget him', () => {
    const { world, wire, a } = two();
    const send = () => icmpEcho(a.inet, 0x0a000002, 1, new Uint8Array(1));
    const state = () => /[A-Z]+$/.exec(a.inet.arp.print())?.[0];
    send();
    expect(state()).toBe('INCOMPLETE');
    world.runFor(1e9);
    expect(state()).toBe('REACHABLE');
    world.runFor(30e9);
    expect(state()).toBe('STALE');
    wire.partitioned = true;
    send();
    expect(state()).toBe('DELAY');
    world.runFor(5.1e9);
    expect(state()).toBe('PROBE');
    world.runFor(3e9);
    expect(state()).toBe('FAILED');
    wire.partitioned = false;
    send();
    world.runFor(1e9);
    expect(state()).toBe('REACHABLE');
    world.runFor(100e9);
    expect(a.inet.arp.print()).toBe('');
  });

  it('keep three frames for a neighbour who does not answer, and drop them when he is given up', () => {
    const { world, a } = two();
    for (let i = 0; i < 5; i++) icmpEcho(a.inet, 0x0a000063, i, new Uint8Array(10));
    const { drops } = a.machine.skbs;
    expect([drops.get('NEIGH_QUEUEFULL'), drops.get('NEIGH_FAILED')]).toEqual([2, 0]);
    world.runFor(2.9e9);
    expect(drops.get('NEIGH_FAILED')).toBe(0);
    world.runFor(0.2e9);
    expect(drops.get('NEIGH_FAILED')).toBe(3);
    quiet(world, a);
  });

  it('believe a gratuitous ARP of who they know, make no entry for who they do not', () => {
    const { world, wire, a, b } = two();
    arpAnnounce(b.inet, b.dev, 0x0a000002);
    world.runFor(1e6);
    expect(a.inet.arp.size).toBe(0);
    icmpEcho(a.inet, 0x0a000002, 1, new Uint8Array(1));
    world.runFor(2e9);
    b.dev.devAddr.set(macOf(9));
    arpAnnounce(b.inet, b.dev, 0x0a000002);
    world.runFor(1e6);
    expect(a.inet.arp.print()).toContain('10.0.0.2 dev eth0 lladdr 02:00:00:00:00:09 STALE');
    expect(wire.counters.get('frames')).toBeGreaterThan(0);
  });

  it('answer an address probe, whose sender has no address yet', () => {
    const { world, wire } = two();
    const hand = new Hand(world, wire);
    const probe = new Uint8Array(42);
    probe.fill(0xff, 0, 6);
    probe.set([2, 0, 0, 0, 0, 9, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9], 6);
    probe.set([10, 0, 0, 2], 38);
    hand.send(probe);
    world.runFor(1e6);
    const answer = hand.heard.at(-1)!.bytes;
    expect([arpOp(new DataView(answer.buffer), 14), [...answer.slice(0, 6)]]).toEqual([
      ARPOP_REPLY,
      [2, 0, 0, 0, 0, 9],
    ]);
  });

  it('say that a port is closed, six times at once and then once a second', () => {
    const { world, wire, a, b } = two();
    const socket = new UdpSock(a.inet);
    const flood = () => {
      for (let i = 0; i < 20; i++) socket.sendTo(ip('10.0.0.2'), 9, new Uint8Array(4));
      world.runFor(50e6);
    };
    socket.sendTo(ip('10.0.0.2'), 9, new Uint8Array(4));
    world.runFor(20e9);
    flood();
    expect(b.inet.snmp.get('IcmpOutDestUnreachs')).toBe(7);
    expect(b.inet.snmp.get('UdpNoPorts')).toBe(21);
    expect(a.inet.snmp.get('IcmpInDestUnreachs')).toBe(7);
    world.runFor(1e9);
    flood();
    expect(b.inet.snmp.get('IcmpOutDestUnreachs')).toBe(8);
    expect(wire.counters.get('lost')).toBe(0);
  });

  it('route what is far to the gateway, and nothing without one', () => {
    const { world, a, b } = two();
    const socket = new UdpSock(a.inet);
    expect(socket.sendTo(ip('192.168.1.1'), 9, new Uint8Array(4))).toBe(-101);
    expect(a.inet.snmp.get('IpOutNoRoutes')).toBe(1);
    a.inet.routes.addGateway(ip('10.0.0.2'));
    expect(socket.sendTo(ip('192.168.1.1'), 9, new Uint8Array(4))).toBe(0);
    world.runFor(1e9);
    expect(b.inet.snmp.get('IpInAddrErrors')).toBe(1);
    expect(b.machine.skbs.drops.get('IP_INADDRERRORS')).toBe(1);
    expect(() => a.inet.routes.addGateway(ip('172.16.0.1'))).toThrow('is not on a link');
  });
});

describe('one host', () => {
  it('talks to itself over lo, and lets nobody else use those addresses', () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    const a = host(world, wire, 1);
    const lo = createLoopback(a.net);
    devOpen(lo);
    a.inet.addAddress(lo, ip('127.0.0.1'), 8);
    a.inet.addAddress(lo, ip('::1'), 128);
    const into = new Uint8Array(10_000);
    const server = new UdpSock(a.inet, { port: 7000 });
    const client = new UdpSock(a.inet);
    for (const where of ['127.0.0.1', '::1', '10.0.0.1', 'fc00::1']) {
      expect(client.sendTo(ip(where), 7000, new Uint8Array(9000))).toBe(0);
      world.runFor(1e6);
      expect(server.receive(into)).toEqual({ from: ip(where), port: client.port, len: 9000 });
    }
    expect(wire.counters.get('frames')).toBe(0);
    const hand = new Hand(world, wire);
    const destMac = '02:00:00:00:00:01';
    hand.send(udpFrame({ from: '127.0.0.1', to: '10.0.0.1', destPort: 7000, destMac }));
    hand.send(udpFrame({ from: '10.0.0.9', to: '127.0.0.1', destPort: 7000, destMac }));
    hand.send(udpFrame({ from: '10.0.0.1', to: '10.0.0.1', destPort: 7000, destMac }));
    hand.send(udpFrame({ from: 'fc00::1', to: 'fc00::1', destPort: 7000, destMac }));
    hand.send(udpFrame({ from: 'fc00::9', to: '::1', destPort: 7000, destMac }));
    world.runFor(1e6);
    expect(server.length).toBe(0);
    expect([a.inet.snmp.get('IpInAddrErrors'), a.inet.snmp.get('Ip6InAddrErrors')]).toEqual([3, 2]);
    server.close();
    quiet(world, a);
  });
});

describe('sockets', () => {
  it('drop what costs more than their buffer, with reason and counters, and take one at least', () => {
    const { world, a, b } = two();
    const listener = new UdpSock(b.inet, { port: 7000, rcvBuf: 10_000 });
    const tiny = new UdpSock(b.inet, { port: 7001, rcvBuf: 1 });
    const sender = new UdpSock(a.inet);
    for (let i = 0; i < 20; i++) {
      sender.sendTo(ip('10.0.0.2'), 7000, Uint8Array.of(i));
      sender.sendTo(ip('10.0.0.2'), 7001, Uint8Array.of(i));
      world.runFor(1e6);
    }
    expect(listener.length).toBe(3);
    expect(tiny.length).toBe(1);
    expect(listener.drops + tiny.drops).toBe(36);
    expect(b.inet.snmp.toJSON()).toMatchObject({ UdpRcvbufErrors: 36, UdpInErrors: 36, UdpInDatagrams: 4 });
    expect(b.machine.skbs.drops.get('SOCKET_RCVBUFF')).toBe(36);
    const into = new Uint8Array(10);
    expect(listener.receive(into)).toMatchObject({ from: ip('10.0.0.1'), port: sender.port, len: 1 });
    expect(into[0]).toBe(0);
    listener.close();
    tiny.close();
    quiet(world, a, b);
  });

  it('exchange 10,000 datagrams over a lossy wire, every loss accounted for', () => {
    const { world, wire, a, b } = two({ loss: 0.02, duplication: 0.01 }, 7);
    // Known neighbours: nothing but datagrams is on the wire.
    for (const [from, number] of [
      [a, 2],
      [b, 1],
    ] as const) {
      expect(from.inet.arp.addPermanent(from.dev, ip(`10.0.0.${number}`), macOf(number))).toBe(true);
      expect(from.inet.nd.addPermanent(from.dev, ip(`fc00::${number}`), macOf(number))).toBe(true);
    }
    const into = new Uint8Array(2048);
    let answered = 0;
    const server = new UdpSock(b.inet, { port: 7000, rcvBuf: 20_000 });
    const serve = () => {
      for (let message = server.receive(into); message !== null; message = server.receive(into)) {
        expect(server.sendTo(message.from, message.port, into.subarray(0, message.len))).toBe(0);
        answered++;
      }
    };
    let heard = 0;
    const client = new UdpSock(a.inet, {
      onReadable(socket) {
        while (socket.receive(into) !== null) heard++;
      },
    });
    for (let i = 0; i < 10_000; i++) {
      expect(client.sendTo(ip(i % 2 === 0 ? '10.0.0.2' : 'fc00::2'), 7000, new Uint8Array(100 + (i % 900)))).toBe(0);
      world.runFor(20e3);
      // It reads so seldom that its buffer sometimes is full.
      if (i % 8 === 0) serve();
    }
    world.runFor(1e9);
    const taken = b.inet.snmp.get('UdpInDatagrams');
    const refused = b.inet.snmp.get('UdpRcvbufErrors');
    expect([a.inet.snmp.get('UdpOutDatagrams'), b.inet.snmp.get('UdpOutDatagrams')]).toEqual([10_000, answered]);
    expect(wire.counters.get('frames')).toBe(10_000 + answered);
    expect(taken).toBe(answered + server.length);
    expect(server.drops).toBe(refused);
    const missed = a.port.counters.get('rx_missed_errors') + b.port.counters.get('rx_missed_errors');
    expect(10_000 + answered - wire.counters.get('lost') + wire.counters.get('duplicated')).toBe(
      taken + refused + heard + missed,
    );
    expect(refused).toBeGreaterThan(10);
    expect(b.machine.skbs.drops.get('SOCKET_RCVBUFF')).toBe(refused);
    expect(heard).toBeGreaterThan(5_000);
    server.close();
    client.close();
    quiet(world, a, b);
  });

  it('carry a datagram of 60,000 bytes in fragments over both families, and refuse a longer one than can be', () => {
    const { world, a, b } = two();
    const big = Uint8Array.from({ length: 60_000 }, (_, i) => i * 7 + (i >>> 8));
    const into = new Uint8Array(65_536);
    const listener = new UdpSock(b.inet, { port: 7000 });
    const sender = new UdpSock(a.inet);
    for (const where of ['10.0.0.2', 'fc00::2']) {
      sender.sendTo(ip(where), 7000, Uint8Array.of(1));
      world.runFor(1e9);
      listener.receive(into);
      expect(sender.sendTo(ip(where), 7000, big)).toBe(0);
      world.runFor(1e9);
      expect(listener.receive(into)?.len).toBe(60_000);
      expect(Buffer.compare(into.subarray(0, 60_000), big)).toBe(0);
    }
    expect(b.inet.snmp.toJSON()).toMatchObject({ IpReasmOKs: 1, Ip6ReasmOKs: 1, IpReasmFails: 0, Ip6ReasmFails: 0 });
    expect(sender.sendTo(ip('10.0.0.2'), 7000, new Uint8Array(65_508))).toBe(-90);
    listener.close();
    quiet(world, a, b);
  });

  it('a passive stack says nothing, whatever it hears', () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    const me = station(world, wire, 2);
    new Inet(me.stack);
    const hand = new Hand(world, wire);
    hand.send(udpFrame({ destPort: 9 }));
    world.runFor(1e9);
    expect(hand.heard).toEqual([]);
  });
});
