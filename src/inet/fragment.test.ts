/** Reassembly under fragments in any order, doubled, missing, overlapping, and under noise. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prng } from '../base/prng.ts';
import { Hand, station, udpFrame } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { parseIp } from '../wire/address.ts';
import { checksum } from '../wire/checksum.ts';
import { Inet } from './inet.ts';
import { UdpSock } from './udp_socket.ts';

function rig(slots = 1024) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world, { rateBps: 1e10 });
  const me = station(world, wire, 2, { slots });
  const inet = new Inet(me.stack, { host: true });
  inet.addAddress(me.dev, parseIp('10.0.0.2')!, 24);
  inet.addAddress(me.dev, parseIp('fc00::2')!, 64);
  const socket = new UdpSock(inet, { port: 6666, rcvBuf: 1 << 22 });
  const hand = new Hand(world, wire);
  const send = (frame: Uint8Array) => {
    hand.send(frame);
    world.runFor(100e3);
  };
  const end = () => {
    socket.close();
    world.runFor(100e9);
    expect(me.machine.skbs.inUse).toBe(0);
    expect(me.machine.arena.available).toBe(me.machine.arena.slots);
    expect([inet.fragments4.memory, inet.fragments6.memory, inet.fragments4.size, inet.fragments6.size]).toEqual([
      0, 0, 0, 0,
    ]);
  };
  return { world, me, inet, socket, send, end, hand };
}

/** The frames of one UDP datagram cut at multiples of 8 bytes, over IPv4 or IPv6. */
function fragments(payload: Uint8Array, cuts: number[], six: boolean, id = 77): Uint8Array[] {
  const whole = udpFrame(six ? { from: 'fc00::1', to: 'fc00::2', payload } : { payload });
  const hlen = six ? 54 : 34;
  const body = whole.slice(hlen);
  const edges = [
    0,
    ...[...new Set(cuts.map((cut) => cut * 8))].filter((cut) => cut > 0 && cut < body.length),
    body.length,
  ];
  edges.sort((a, b) => a - b);
  return edges.slice(0, -1).map((at, i) => piece(whole, six, body, at, edges[i + 1]!, id));
}

function piece(whole: Uint8Array, six: boolean, body: Uint8Array, at: number, to: number, id: number): Uint8Array {
  const hlen = six ? 62 : 34;
  const frame = new Uint8Array(hlen + to - at);
  const view = new DataView(frame.buffer);
  frame.set(whole.slice(0, six ? 54 : 34));
  frame.set(body.slice(at, to), hlen);
  const more = to < body.length;
  if (six) {
    view.setUint16(18, 8 + to - at);
    view.setUint8(20, 44);
    view.setUint16(54, 17 << 8);
    view.setUint16(56, at | Number(more));
    view.setUint32(58, id);
  } else {
    view.setUint16(16, 20 + to - at);
    view.setUint16(18, id);
    view.setUint16(20, (at >>> 3) | (more ? 0x2000 : 0));
    view.setUint16(24, 0);
    view.setUint16(24, checksum(view, 14, 20));
  }
  return frame;
}

const bytes = (len: number) => Uint8Array.from({ length: len }, (_, i) => i * 11 + (i >>> 7));

describe('reassembly', () => {
  it('puts fragments together in whatever order, with duplicates among them', () => {
    const { socket, send, end, inet } = rig();
    const into = new Uint8Array(4096);
    let id = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 24, max: 1200 }),
        fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 12 }),
        fc.boolean(),
        fc.infiniteStream(fc.nat()),
        (len, cuts, six, draws) => {
          const payload = bytes(len);
          const all = fragments(payload, cuts, six, ++id);
          const draw = () => draws.next().value as number;
          const order = all.map((frame) => ({ frame, at: draw() })).sort((a, b) => a.at - b.at);
          // Before the last one, any of the others may come again.
          const last = order.pop()!;
          for (const { frame, at } of order) {
            send(frame);
            if (at % 3 === 0) send(frame);
          }
          send(last.frame);
          expect(socket.receive(into)?.len).toBe(len);
          expect(Buffer.compare(into.subarray(0, len), payload)).toBe(0);
          expect(socket.receive(into)).toBe(null);
        },
      ),
      { numRuns: 150 },
    );
    expect(inet.snmp.get('UdpInErrors')).toBe(0);
    end();
  });

  it.each([false, true])('drops the whole datagram where fragments overlap (IPv6: %s)', (six) => {
    const { me, inet, socket, send, end } = rig();
    const whole = udpFrame(six ? { from: 'fc00::1', to: 'fc00::2', payload: bytes(400) } : { payload: bytes(400) });
    const body = whole.slice(six ? 54 : 34);
    send(piece(whole, six, body, 0, 160, 5));
    send(piece(whole, six, body, 152, 400, 5));
    expect(me.machine.skbs.drops.get('DUP_FRAG')).toBe(2);
    expect(inet.snmp.get(six ? 'Ip6ReasmFails' : 'IpReasmFails')).toBe(1);
    send(piece(whole, six, body, 160, 408, 5));
    expect(socket.length).toBe(0);
    end();
  });

  it('gives up after 30 seconds, and says so to the sender if it has the start', () => {
    const { world, me, inet, send, end, hand } = rig();
    send(fragments(bytes(400), [10], false)[0]!);
    send(fragments(bytes(400), [10], false, 78)[1]!);
    world.runFor(29.9e9);
    expect(inet.fragments4.size).toBe(2);
    world.runFor(0.2e9);
    expect(inet.snmp.toJSON()).toMatchObject({
      IpReasmTimeout: 2,
      IpReasmReqds: 2,
      IpReasmOKs: 0,
      IcmpOutTimeExcds: 1,
    });
    expect(me.machine.skbs.drops.get('FRAG_REASM_TIMEOUT')).toBe(2);
    // The complaint waits for the neighbour, who does not answer: it asks for him.
    expect(hand.heard.some(({ bytes: frame }) => frame[12] === 0x08 && frame[13] === 0x06)).toBe(true);
    end();
  });

  it('bounds what one source and all together may keep', () => {
    const { me, inet, send, end } = rig(256);
    for (let id = 1; id <= 70; id++) send(fragments(bytes(400), [10], false, id)[0]!);
    const { drops } = me.machine.skbs;
    expect(inet.fragments4.size).toBeLessThanOrEqual(64);
    expect(inet.fragments4.memory).toBeLessThanOrEqual(inet.fragments4.memoryMax);
    expect(drops.get('FRAG_TOO_FAR') + drops.get('NOMEM')).toBe(70 - inet.fragments4.size);
    end();
  });

  it('takes 10,000 random and bent frames without a throw, and accounts for each of them', () => {
    const { me, inet, send, end, world } = rig();
    const prng = new Prng(20261121);
    const seeds = [
      ...fragments(bytes(600), [10, 40], false),
      ...fragments(bytes(600), [10, 40], true),
      udpFrame({ payload: bytes(50) }),
      udpFrame({ from: 'fc00::1', to: 'fc00::2', payload: bytes(50) }),
      echo(false),
      echo(true),
      solicitation(),
      arpRequest(),
    ];
    for (let i = 0; i < 10_000; i++) {
      const frame = seeds[prng.below(seeds.length)]!.slice();
      const cut = prng.chance(0.2) ? 14 + prng.below(frame.length - 13) : frame.length;
      // Addresses stay mostly as they are, so that the noise gets past the first checks.
      for (let n = prng.below(4); n > 0; n--) frame[14 + prng.below(frame.length - 14)] = prng.u32() & 0xff;
      if (frame[12] === 0x08 && frame[13] === 0 && prng.chance(0.9)) {
        const view = new DataView(frame.buffer);
        view.setUint16(24, 0);
        view.setUint16(24, checksum(view, 14, 20));
      }
      send(frame.slice(0, cut));
      if (i % 1000 === 999) world.runFor(1e9);
    }
    expect(me.port.counters.get('rx_frames')).toBe(me.dev.stats.get('rx_packets') + me.dev.stats.get('rx_errors'));
    const { snmp } = inet;
    expect(snmp.get('IpInReceives')).toBeGreaterThan(3000);
    expect(snmp.get('Ip6InReceives')).toBeGreaterThan(3000);
    expect(snmp.get('Icmp6InNeighborSolicits')).toBeGreaterThan(100);
    end();
  });
});

function echo(six: boolean): Uint8Array {
  const frame = six
    ? udpFrame({ from: 'fc00::1', to: 'fc00::2', payload: bytes(20) })
    : udpFrame({ payload: bytes(20) });
  const view = new DataView(frame.buffer);
  const o = six ? 54 : 34;
  view.setUint8(six ? 20 : 23, six ? 58 : 1);
  view.setUint16(o, six ? 0x8000 : 0x0800);
  view.setUint16(o + 2, 0);
  const sum = six ? sixSum(view, o, frame.length - o) : checksum(view, o, frame.length - o);
  view.setUint16(o + 2, sum);
  if (!six) {
    view.setUint16(24, 0);
    view.setUint16(24, checksum(view, 14, 20));
  }
  return frame;
}

function solicitation(): Uint8Array {
  const frame = udpFrame({ from: 'fc00::1', to: 'fc00::2', payload: bytes(24) });
  const view = new DataView(frame.buffer);
  frame.fill(0, 54);
  view.setUint8(20, 58);
  view.setUint8(21, 255);
  view.setUint8(54, 135);
  frame.set(parseV6('fc00::2'), 62);
  frame.set([1, 1, 2, 0, 0, 0, 0, 1], 78);
  view.setUint16(56, sixSum(view, 54, 32));
  return frame;
}

function arpRequest(): Uint8Array {
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1], 6);
  frame.set([10, 0, 0, 2], 38);
  return frame;
}

function parseV6(text: string): Uint8Array {
  const parsed = parseIp(text)!;
  return parsed.family === 6 ? parsed.v6 : new Uint8Array(16);
}

/** ICMPv6's checksum: addresses, length and protocol stand in front of the message. */
function sixSum(view: DataView, o: number, len: number): number {
  const whole = new Uint8Array(40 + len);
  whole.set(new Uint8Array(view.buffer, view.byteOffset + 22, 32));
  new DataView(whole.buffer).setUint32(32, len);
  whole[39] = 58;
  whole.set(new Uint8Array(view.buffer, view.byteOffset + o, len), 40);
  return checksum(new DataView(whole.buffer), 0, whole.length);
}
