import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ethTypeTrans } from '../device/eth.ts';
import { IFF_NOARP } from '../device/net_device.ts';
import { client, Hand, macOf, station } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { skbAddFrag } from '../skb/frags.ts';
import { parseIpv6, parseMac } from '../wire/address.ts';
import { ARPOP_REQUEST, writeArp } from '../wire/arp.ts';
import { ETH_P_ARP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import { hex } from '../wire/headers.fixture.ts';
import { IPPROTO_ICMPV6, writeIcmpv6 } from '../wire/icmpv6.ts';
import { writeIpv6 } from '../wire/ipv6.ts';
import { ipv6MulticastMac, solicitedNode } from '../wire/ndisc.ts';
import { npinfoOf } from './npinfo.ts';
import { netpollSetTrap } from './rx.ts';

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const me = station(world, wire, 1);
  const hand = new Hand(world, wire);
  client(me, '@10.0.0.1/eth0,@10.0.0.2/02:00:00:00:00:02');
  client(me, '@fc00::1/eth0,@fc00::2/', () => {});
  return { world, me, hand };
}

function arpRequest(asker: number, target: number): Uint8Array {
  const frame = new Uint8Array(60);
  const view = new DataView(frame.buffer);
  writeEth(view, 0, new Uint8Array(6).fill(0xff), macOf(asker), ETH_P_ARP);
  writeArp(view, 14, ARPOP_REQUEST, macOf(asker), 0x0a000000 + asker, new Uint8Array(6), target);
  return frame;
}

interface Solicitation {
  readonly from?: string;
  readonly target?: string;
  readonly hopLimit?: number;
  readonly code?: number;
  /** The source link-layer option: its bytes, or none. */
  readonly option?: readonly number[];
}

function solicitation(options: Solicitation = {}): Uint8Array {
  const { from = 'fc00::9', target = 'fc00::1', hopLimit = 255, code = 0 } = options;
  const option = options.option ?? [1, 1, ...macOf(8)];
  const to = parseIpv6(target)!;
  const group = solicitedNode(to, 0, new Uint8Array(16));
  const frame = new Uint8Array(14 + 40 + 24 + option.length);
  const view = new DataView(frame.buffer);
  writeEth(view, 0, ipv6MulticastMac(group, new Uint8Array(6)), macOf(9), ETH_P_IPV6);
  frame.set(to, 62);
  frame.set(option, 78);
  writeIpv6(view, 14, IPPROTO_ICMPV6, hopLimit, parseIpv6(from)!, group, 24 + option.length);
  writeIcmpv6(view, 14, 54, 135, code, 0, 16 + option.length);
  return frame;
}

describe('a trapped device answers ARP', () => {
  it('to whoever asked, in the golden form, for a client that only sends too, and only while it is trapped', () => {
    const { world, me, hand } = rig();
    hand.send(arpRequest(9, 0x0a000001));
    world.runIdle();
    expect(hand.heard).toEqual([]);
    netpollSetTrap(me.dev, true);
    hand.send(arpRequest(9, 0x0a000001));
    hand.send(arpRequest(9, 0x0a000005));
    world.runIdle();
    const golden = '020000000009 020000000001 0806 0001080006040002 020000000001 0a000001 020000000009 0a000009';
    expect(hand.heard.map((each) => hex(each.bytes))).toEqual([golden.replace(/ /g, '')]);
    expect(npinfoOf(me.dev)!.counters.toJSON()).toMatchObject({ arp_replies: 1, trapped_dropped: 1 });
  });

  it('unless it does without ARP', () => {
    const { world, me, hand } = rig();
    netpollSetTrap(me.dev, true);
    me.dev.flags |= IFF_NOARP;
    hand.send(arpRequest(9, 0x0a000001));
    world.runIdle();
    expect([hand.heard, npinfoOf(me.dev)!.counters.get('trapped_dropped')]).toEqual([[], 1]);
  });
});

describe('a trapped device answers neighbour solicitation', () => {
  const HEAD = '0200000000__ 020000000001 86dd 6000000000203aff fc000000000000000000000000000001';
  const TAIL = 'fc000000000000000000000000000001 0201 020000000001';

  it.each([
    ['to the address in its option', {}, '08', 'fc000000000000000000000000000009', '60000000'],
    ['to who sent the frame, without one', { option: [] }, '09', 'fc000000000000000000000000000009', '60000000'],
    [
      'to who sent the frame, where the option’s address is not Ethernet’s',
      { option: [1, 2, ...new Array(14).fill(7)] },
      '09',
      'fc000000000000000000000000000009',
      '60000000',
    ],
  ] as const)('%s', (_name, options, asker, to, flags) => {
    const { world, me, hand } = rig();
    hand.send(solicitation(options));
    world.runIdle();
    expect(hand.heard).toEqual([]);
    netpollSetTrap(me.dev, true);
    hand.send(solicitation(options));
    world.runIdle();
    const sent = hex(hand.heard[0]!.bytes);
    expect(sent.slice(0, 108)).toBe((HEAD.replace('__', asker) + to).replace(/ /g, ''));
    expect([sent.slice(108, 112), sent.slice(116)]).toEqual(['8800', (flags + TAIL).replace(/ /g, '')]);
    expect(npinfoOf(me.dev)!.counters.get('neigh_replies')).toBe(1);
  });

  it('to all nodes where somebody looks whether the address is taken', () => {
    const { world, me, hand } = rig();
    netpollSetTrap(me.dev, true);
    hand.send(solicitation({ from: '::', option: [] }));
    world.runIdle();
    const sent = hex(hand.heard[0]!.bytes);
    expect(sent.slice(0, 12)).toBe(hex(parseMac('33:33:00:00:00:01')!));
    expect(sent.slice(76, 108)).toBe('ff020000000000000000000000000001');
    expect(sent.slice(116, 124)).toBe('20000000');
  });

  it.each([
    ['another target', { target: 'fc00::3' }],
    ['a router’s hop limit', { hopLimit: 254 }],
    ['a code', { code: 1 }],
    ['broken options', { option: [1, 0, 0, 0, 0, 0, 0, 0] }],
    ['an address of nobody’s', { from: '::' }],
    ['a group’s source address', { from: 'ff02::9' }],
  ] as [string, Solicitation][])('but not one with %s', (_name, options) => {
    const { world, me, hand } = rig();
    netpollSetTrap(me.dev, true);
    hand.send(solicitation(options));
    world.runIdle();
    expect([hand.heard, npinfoOf(me.dev)!.counters.get('neigh_replies')]).toEqual([[], 0]);
    expect(me.machine.skbs.inUse).toBe(32);
  });

  it('but never one that was changed on the way, and whatever comes does not throw', () => {
    const { world, me, hand } = rig();
    netpollSetTrap(me.dev, true);
    fc.assert(
      fc.property(fc.nat(85), fc.integer({ min: 1, max: 255 }), fc.nat(86), (at, flip, cut) => {
        const frame = solicitation();
        frame[at]! ^= flip;
        hand.heard.length = 0;
        hand.send(frame);
        hand.send(solicitation().subarray(0, Math.max(14, cut)));
        world.runIdle();
        // What stands in front of the payload length is covered by no checksum.
        if (at >= 18 && cut < 86) expect(hand.heard).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(me.machine.skbs.inUse).toBe(32);
  });
});

it('a question is answered as well where the driver left it in a piece behind the head buffer', () => {
  const { world, me } = rig();
  netpollSetTrap(me.dev, true);
  const { skbs, arena } = me.machine;
  for (const frame of [arpRequest(2, 0x0a000001), solicitation()]) {
    const skb = skbs.allocForDevice(me.dev, 128)!;
    arena.bytes.set(frame.subarray(0, 14), skb.tail);
    skb.tail += 14;
    skb.len += 14;
    const buf = arena.alloc();
    arena.bytes.set(frame.subarray(14), arena.start(buf));
    skbAddFrag(skb, buf, arena.start(buf), frame.length - 14);
    skb.protocol = ethTypeTrans(skb, me.dev);
    me.dev.rxTrap!(skb);
  }
  world.runIdle();
  const { counters } = npinfoOf(me.dev)!;
  expect([counters.get('arp_replies'), counters.get('neigh_replies')]).toEqual([1, 1]);
});
