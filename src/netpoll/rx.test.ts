import { describe, expect, it } from 'vitest';
import { ethTypeTrans } from '../device/eth.ts';
import { NETIF_F_GRO, NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import { createSnull } from '../drivers/snull.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { client, Hand, type Station, station, type UdpFrame, udpFrame } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { skbAddFrag } from '../skb/frags.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { printIp, printMac } from '../wire/address.ts';
import { npinfoOf } from './npinfo.ts';
import { netpollPoll } from './poll.ts';
import { netpollSetTrap, netpollTrap } from './rx.ts';
import { netpollSendUdp } from './send.ts';
import { netpollCleanup } from './setup.ts';

function rig(options: Parameters<typeof station>[3] = {}) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  return { world, me: station(world, wire, 2, options), hand: new Hand(world, wire) };
}

/** A client of station 2 that writes down what it gets. */
function listener(me: Station, text = '6666@10.0.0.2/eth0,6665@10.0.0.1/') {
  const got: string[] = [];
  const np = client(me, text, (_np, d) => {
    got.push(new TextDecoder().decode(d.bytes.slice(d.offset, d.offset + d.len)));
  });
  return { np, got };
}

describe('netpoll receives', () => {
  it.each([
    ['the whole tuple', {}, true],
    ['another destination port', { destPort: 7 }, false],
    ['another source address', { from: '10.0.0.9' }, false],
    ['another destination address', { to: '10.0.0.3' }, false],
    ['another source port (not checked)', { sourcePort: 9 }, true],
    ['another station’s hardware address', { destMac: '02:00:00:00:00:77' }, false],
  ] as [string, UdpFrame, boolean][])('by %s', (_name, frame, mine) => {
    const { world, me, hand } = rig({ promiscuous: true });
    const { got } = listener(me);
    hand.send(udpFrame(frame));
    world.runIdle();
    expect(got).toEqual(mine ? ['hello\n'] : []);
    expect(npinfoOf(me.dev)!.counters.get('received')).toBe(mine ? 1 : 0);
  });

  it('IPv6 datagrams, and whatever comes for a client that leaves port and sender open', () => {
    const { world, me, hand } = rig();
    const six = listener(me, '6666@fc00::2/eth0,6665@fc00::1/');
    const any = listener(me, '0@10.0.0.2/eth0,@10.0.0.1/');
    any.np.anyRemote = true;
    hand.send(udpFrame({ from: 'fc00::1', to: 'fc00::2', payload: 'six' }));
    hand.send(udpFrame({ from: '10.9.9.9', destPort: 99, payload: 'any' }));
    world.runIdle();
    expect([six.got, any.got]).toEqual([['six'], ['any']]);
  });

  it('with several clients on one device: each gets what is its own, all get what is common', () => {
    const { world, me, hand } = rig();
    const [a, b, c] = [listener(me), listener(me), listener(me, '7@10.0.0.2/eth0,@10.0.0.1/')];
    hand.send(udpFrame());
    hand.send(udpFrame({ destPort: 7, payload: 'seven' }));
    world.runIdle();
    expect([a.got, b.got, c.got]).toEqual([['hello\n'], ['hello\n'], ['seven']]);
    netpollCleanup(a.np);
    hand.send(udpFrame());
    world.runIdle();
    expect([a.got.length, b.got.length]).toEqual([1, 2]);
    netpollCleanup(b.np);
    netpollCleanup(c.np);
    expect([me.dev.rxTrap, me.dev.npinfo]).toEqual([null, null]);
  });

  it('each client by its own fields: local address, local port and remote address, in any mixture', () => {
    const { world, me, hand } = rig();
    const texts = {
      exact: '6666@10.0.0.2/eth0,6665@10.0.0.1/',
      anyPort: '0@10.0.0.2/eth0,6665@10.0.0.1/',
      otherRemote: '6666@10.0.0.2/eth0,6665@10.0.0.9/',
      otherLocal: '6666@10.0.0.3/eth0,6665@10.0.0.1/',
      six: '6666@fc00::2/eth0,6665@fc00::1/',
      anyRemote: '6666@10.0.0.2/eth0,6665@10.99.0.1/',
    };
    const clients = Object.entries(texts).map(([name, text]) => ({ name, ...listener(me, text) }));
    clients.at(-1)!.np.anyRemote = true;
    const got = (frame: UdpFrame) => {
      for (const each of clients) each.got.length = 0;
      hand.send(udpFrame(frame));
      world.runIdle();
      return clients.filter((each) => each.got.length === 1).map((each) => each.name);
    };
    expect(got({})).toEqual(['exact', 'anyPort', 'anyRemote']);
    expect(got({ destPort: 9 })).toEqual(['anyPort']);
    expect(got({ from: '10.0.0.9' })).toEqual(['otherRemote', 'anyRemote']);
    expect(got({ to: '10.0.0.3' })).toEqual(['otherLocal']);
    expect(got({ from: 'fc00::1', to: 'fc00::2' })).toEqual(['six']);
    expect(got({ from: '10.1.1.1', destPort: 9 })).toEqual([]);
  });

  it('the same for two clients that ask for the same: both, in the order of their set-up, each once', () => {
    const { world, me, hand } = rig();
    const order: string[] = [];
    const make = (name: string) =>
      client(me, '6666@10.0.0.2/eth0,6665@10.0.0.1/', (_np, d) => {
        order.push(`${name} ${printIp(d.remoteIp)}:${d.remotePort} ${printMac(d.remoteMac)}`);
      });
    const first = make('first');
    make('second');
    hand.send(udpFrame());
    world.runIdle();
    const from = '10.0.0.1:6665 02:00:00:00:00:01';
    expect(order).toEqual([`first ${from}`, `second ${from}`]);
    order.length = 0;
    netpollCleanup(first);
    make('third');
    hand.send(udpFrame());
    world.runIdle();
    expect(order.map((each) => each.split(' ')[0])).toEqual(['second', 'third']);
  });

  it('a datagram of its own where a hook polls and another one comes up meanwhile', () => {
    const { me, hand, world } = rig({ driver: createSnull });
    const seen: string[] = [];
    let depth = 0;
    client(me, '6666@10.0.0.2/eth0,6665@10.0.0.1/', (np, d) => {
      if (depth++ === 0) {
        const other = udpFrame({ from: '10.0.0.1', payload: 'inner' });
        const skb = me.machine.skbs.allocForDevice(me.dev, other.length)!;
        me.machine.arena.bytes.set(other, skb.tail);
        skb.tail += other.length;
        skb.len += other.length;
        skb.protocol = ethTypeTrans(skb, me.dev);
        me.net.softnet[0]!.enqueue(skb);
        netpollPoll(np);
      }
      seen.push(new TextDecoder().decode(d.bytes.slice(d.offset, d.offset + d.len)));
    });
    hand.send(udpFrame({ payload: 'outer' }));
    world.runIdle();
    expect(seen).toEqual(['inner', 'outer']);
  });

  it('whole datagrams where the device merges them, and the bytes of those that lie in pieces', () => {
    const { world, me, hand } = rig();
    me.dev.features |= NETIF_F_GRO | NETIF_F_GRO_UDP_FWD;
    const { got } = listener(me);
    me.machine.cpu.localIrqSave();
    for (const payload of ['one', 'two', 'six']) hand.send(udpFrame({ payload }));
    me.machine.executive.spin(100_000);
    me.machine.cpu.localIrqRestore(false);
    world.runIdle();
    expect(got).toEqual(['one', 'two', 'six']);
    const frame = udpFrame({ payload: 'in pieces' });
    const { skbs, arena } = me.machine;
    // Headers may be in the pieces, too.
    for (const head of [36, 16, 14]) {
      const skb = skbs.allocForDevice(me.dev, 64)!;
      arena.bytes.set(frame.subarray(0, head), skb.tail);
      skb.tail += head;
      skb.len += head;
      const buf = arena.alloc();
      arena.bytes.set(frame.subarray(head), arena.start(buf));
      skbAddFrag(skb, buf, arena.start(buf), frame.length - head);
      skb.protocol = ethTypeTrans(skb, me.dev);
      me.machine.cpu.localBhDisable();
      me.net.softnet[0]!.deliver(skb);
      me.machine.softirq.localBhEnable(me.machine.cpu);
      expect([got.pop(), me.machine.skbs.inUse]).toEqual(['in pieces', 32]);
    }
  });

  it('nothing that belongs to a VLAN on the device, nor what somebody else holds too', () => {
    const { me } = rig();
    const { got } = listener(me);
    const hand = (change: (skb: SkBuff) => void): boolean => {
      const frame = udpFrame();
      const skb = me.machine.skbs.allocForDevice(me.dev, frame.length)!;
      me.machine.arena.bytes.set(frame, skb.tail);
      skb.tail += frame.length;
      skb.len += frame.length;
      skb.protocol = ethTypeTrans(skb, me.dev);
      change(skb);
      const taken = me.dev.rxTrap!(skb);
      while (!taken && skb.users > 0) skb.pool.consume(skb);
      return taken;
    };
    expect(hand((skb) => void (skb.vlanTci = 5))).toBe(false);
    expect(hand((skb) => void skb.users++)).toBe(false);
    expect(got).toEqual([]);
    expect(hand((skb) => void (skb.vlanTci = 0xe000))).toBe(true);
    expect(got).toEqual(['hello\n']);
  });

  it('while a hook takes clients down, its own and the next one’s', () => {
    const { world, me, hand } = rig();
    const b = { np: null as ReturnType<typeof client> | null };
    let called = 0;
    client(me, '6666@10.0.0.2/eth0,6665@10.0.0.1/', (np) => {
      called++;
      netpollCleanup(np);
      if (b.np !== null) netpollCleanup(b.np);
    });
    b.np = listener(me).np;
    hand.send(udpFrame());
    hand.send(udpFrame());
    world.runIdle();
    expect([called, me.dev.npinfo]).toEqual([1, null]);
    expect(me.machine.skbs.inUse).toBe(32);
  });

  it('padding, IP options and an absent UDP checksum', () => {
    const { world, me, hand } = rig();
    const { got } = listener(me);
    const padded = new Uint8Array(60);
    padded.set(udpFrame());
    hand.send(padded);
    const unchecked = udpFrame({ payload: 'no checksum' });
    unchecked.set([0, 0], 40);
    hand.send(unchecked);
    world.runIdle();
    expect(got).toEqual(['hello\n', 'no checksum']);
  });

  it.each([
    ['a wrong UDP checksum', 40, 'bad_checksum'],
    ['a wrong IP checksum', 24, 'malformed'],
    ['a total length beyond the frame', 16, 'malformed'],
    ['a UDP length that does not fit', 39, 'malformed'],
    ['a header length below 20', 14, 'malformed'],
  ] as const)('nothing with %s: counted once, and left to the stack', (_name, at, counter) => {
    for (const driver of [undefined, createSnull] as const) {
      const { world, me, hand } = rig(driver === undefined ? {} : { driver });
      const { got } = listener(me);
      const frame = udpFrame();
      frame[at]! ^= at === 14 ? 0x01 : 0x40;
      hand.send(frame);
      world.runIdle();
      const { counters } = npinfoOf(me.dev)!;
      expect([got, counters.get(counter), counters.get('malformed') + counters.get('bad_checksum')]).toEqual([
        [],
        1,
        1,
      ]);
      expect(me.machine.skbs.drops.get('UNHANDLED_PROTO')).toBe(1);
    }
  });

  it('no fragment', () => {
    const { world, me, hand } = rig();
    const { got } = listener(me);
    const frame = udpFrame();
    frame[20] = 0x20;
    hand.send(frame);
    world.runIdle();
    expect(got).toEqual([]);
  });
});

describe('a trapped device', () => {
  it('keeps all other frames from the stack, with a reason, until the last owner lets go', () => {
    const { world, me, hand } = rig();
    let delivered = 0;
    udpBind(new Inet(me.stack), 7, () => delivered++);
    listener(me);
    netpollSetTrap(me.dev, true);
    netpollSetTrap(me.dev, true);
    netpollSetTrap(me.dev, false);
    expect(netpollTrap(me.dev)).toBe(true);
    hand.send(udpFrame({ destPort: 7 }));
    world.runIdle();
    expect([delivered, me.machine.skbs.drops.get('NETPOLL_TRAPPED')]).toEqual([0, 1]);
    netpollSetTrap(me.dev, false);
    netpollSetTrap(me.dev, false);
    hand.send(udpFrame({ destPort: 7 }));
    world.runIdle();
    expect(delivered).toBe(1);
  });
});

describe('while netpoll polls with interrupts off', () => {
  it('what is not netpoll’s waits on the backlog and reaches the stack afterwards, in order', () => {
    const { world, me, hand } = rig();
    const stack: string[] = [];
    udpBind(new Inet(me.stack), 7, (skb) => stack.push(String.fromCharCode(skb.arena.bytes[skb.data]!)));
    const { np, got } = listener(me);
    const were = me.machine.cpu.localIrqSave();
    for (const each of 'abcdef') hand.send(udpFrame({ destPort: 7, payload: each }));
    hand.send(udpFrame({ payload: 'mine' }));
    me.machine.executive.spin(100_000);
    expect(netpollPoll(np)).toBe(7);
    expect([got, stack]).toEqual([['mine'], []]);
    me.machine.cpu.localIrqRestore(were);
    world.runIdle();
    expect(stack.join('')).toBe('abcdef');
    expect(me.machine.skbs.inUse).toBe(32);
  });

  it('takes 16 frames a poll, and the rest at the next ones', () => {
    const { me, hand } = rig();
    const { np, got } = listener(me);
    me.machine.cpu.localIrqSave();
    for (let i = 0; i < 40; i++) hand.send(udpFrame());
    me.machine.executive.spin(100_000);
    expect([netpollPoll(np), netpollPoll(np), netpollPoll(np), netpollPoll(np)]).toEqual([16, 16, 8, 0]);
    expect(got).toHaveLength(40);
  });

  it('an answer from the hook is sent when the poll is over, not from inside it', () => {
    const { me, hand, world } = rig();
    const seen: number[] = [];
    const np = client(me, '6666@10.0.0.2/eth0,6665@10.0.0.1/02:00:00:00:00:01', (self) => {
      netpollSendUdp(self, Uint8Array.of(1));
      seen.push(me.port.counters.get('tx_frames') + npinfoOf(me.dev)!.txq.length);
    });
    const were = me.machine.cpu.localIrqSave();
    for (let i = 0; i < 3; i++) hand.send(udpFrame());
    me.machine.executive.spin(100_000);
    netpollPoll(np);
    expect(seen).toEqual([1, 2, 3]);
    expect(npinfoOf(me.dev)!.txq.length).toBe(0);
    me.machine.cpu.localIrqRestore(were);
    world.runIdle();
    expect(hand.heard).toHaveLength(3);
  });
});
