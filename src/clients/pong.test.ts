import { describe, expect, it } from 'vitest';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { client, Hand, macOf, station, udpFrame } from '../sim/rig.fixture.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { printIp } from '../wire/address.ts';
import { createPong, type Pong, type PongOptions } from './pong.ts';

function rig(options: PongOptions = {}) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const me = station(world, wire, 2);
  const hand = new Hand(world, wire);
  const parsed = netpollParseOptions('7@10.0.0.2/eth0,7@10.0.0.1/02:00:00:00:00:01');
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const make = (more: PongOptions = {}) => createPong(me.net, parsed.options, { ...options, ...more }) as Pong;
  const ping = (from = '10.0.0.1') => hand.send(udpFrame({ from, destPort: 7, sourcePort: 9999, payload: 'ping' }));
  return { world, me, hand, make, ping };
}

const payload = (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(42));

describe('pong', () => {
  it('answers who asked, at his address, port and hardware address; deferred, for the hook is inside the poll', () => {
    const { world, me, hand, make, ping } = rig({ anyRemote: true });
    const seen: number[] = [];
    const pong = make({ onPing: () => seen.push(npinfoOf(me.dev)!.txq.length) });
    for (let i = 0; i < 3; i++) ping('10.0.0.77');
    world.runIdle();
    expect(hand.heard.map(({ bytes }) => payload(bytes))).toEqual(['PONG', 'PONG', 'PONG']);
    const [answer] = hand.heard;
    expect([...answer!.bytes.subarray(0, 6)]).toEqual([...macOf(1)]);
    const view = new DataView(answer!.bytes.buffer);
    expect([printIp({ family: 4, v4: view.getUint32(30) }), view.getUint16(36)]).toEqual(['10.0.0.77', 9999]);
    expect([pong.answered, pong.refused]).toEqual([3, 0]);
    expect(npinfoOf(me.dev)!.counters.toJSON()).toMatchObject({ deferred: 3, deferred_sent: 3, sent: 0 });
  });

  it('through another device answers at once', () => {
    const { world, me, hand, make, ping } = rig();
    const wire = new Wire(world);
    const far = new Hand(world, wire);
    const eth1 = createNic(me.net, new SimPort(world, { name: 'sim:3', mac: macOf(3), wire }), 'eth1');
    eth1.addresses.push({ family: 4, v4: 0x0a000003 });
    devOpen(eth1);
    const sentInHook: number[] = [];
    const through = client({ ...me, dev: eth1 }, '7@10.0.0.3/eth1,7@10.0.0.1/');
    const pong = make({ through });
    const { rxHook } = pong.np;
    pong.np.rxHook = (np, datagram) => {
      rxHook?.(np, datagram);
      sentInHook.push(npinfoOf(eth1)!.counters.get('sent'));
    };
    ping();
    ping();
    world.runIdle();
    expect(sentInHook).toEqual([1, 2]);
    expect([hand.heard.length, far.heard.map(({ bytes }) => payload(bytes))]).toEqual([0, ['PONG', 'PONG']]);
    expect(npinfoOf(eth1)!.counters.toJSON()).toMatchObject({ sent: 2, deferred: 0 });
  });

  it('answers only its remote address unless told otherwise, counts what netpoll does not take, and stops', () => {
    const { world, me, hand, make, ping } = rig();
    const pong = make();
    ping('10.0.0.77');
    world.runIdle();
    expect([pong.answered, hand.heard.length]).toEqual([0, 0]);
    pong.np.drop = null;
    ping();
    world.runIdle();
    expect([pong.answered, pong.refused, me.machine.skbs.drops.get('NETPOLL_DROPPED')]).toEqual([0, 1, 1]);
    pong.close();
    ping();
    world.runIdle();
    expect([pong.refused, me.dev.npinfo]).toEqual([1, null]);
  });
});
