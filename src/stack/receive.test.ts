import { describe, expect, it } from 'vitest';
import { testDevice, testFrame, testNet } from '../device/device.fixture.ts';
import { PACKET_HOST, PACKET_OTHERHOST } from '../skb/sk_buff.ts';
import { ETH_P_ALL } from '../wire/eth.ts';
import { netInit } from './net_init.ts';
import { netifReceiveSkb } from './receive.ts';

function rig() {
  const made = testNet();
  const { types } = netInit(made.net);
  const dev = testDevice(made.net);
  const order: string[] = [];
  const handler = (name: string) => (skb: Parameters<typeof netifReceiveSkb>[2]) => {
    order.push(name);
    skb.pool.consume(skb);
    return 0;
  };
  const receive = (protocol = 0x0800) => {
    const skb = testFrame(dev);
    skb.protocol = protocol;
    return netifReceiveSkb(made.net, types, skb);
  };
  return { ...made, types, dev, order, handler, receive };
}

describe('netifReceiveSkb', () => {
  it('asks netpoll, then shows taps a clone, then the rx handler, then the protocol', () => {
    const { types, dev, order, handler, receive, machine } = rig();
    types.add(ETH_P_ALL, handler('tap'));
    types.add(0x0800, handler('ip'));
    dev.rxTrap = () => {
      order.push('trap');
      return false;
    };
    dev.rxHandler = () => {
      order.push('rx handler');
      return 'pass';
    };
    expect([receive(), order, machine.skbs.inUse]).toEqual([0, ['trap', 'tap', 'rx handler', 'ip'], 0]);
  });

  it('drops what nobody wants, counted for the device and by reason', () => {
    const { dev, receive, machine } = rig();
    expect(receive(0x1234)).toBe(1);
    expect([machine.skbs.drops.get('UNHANDLED_PROTO'), dev.stats.get('rx_dropped')]).toEqual([1, 1]);
  });

  it('gives a frame that the rx handler moves to another device another round there', () => {
    const { net, types, dev, order, handler, receive } = rig();
    const upper = testDevice(net);
    types.add(0x0800, handler('ip'));
    upper.rxTrap = () => {
      order.push('upper trap');
      return false;
    };
    dev.rxHandler = (skb) => {
      skb.dev = upper;
      return 'another';
    };
    receive();
    expect(order).toEqual(['upper trap', 'ip']);
  });

  it('does not go round forever', () => {
    const { dev, receive, order, types, handler } = rig();
    let rounds = 0;
    types.add(0x0800, handler('ip'));
    dev.rxHandler = () => {
      rounds++;
      return 'another';
    };
    receive();
    expect([rounds, order]).toEqual([8, ['ip']]);
  });

  it('replaces a protocol’s handler, and forgets one that left', () => {
    const { types, order, handler, receive } = rig();
    const [a, b] = [handler('a'), handler('b')];
    types.add(0x0800, a);
    types.add(0x0800, b);
    receive();
    types.remove(0x0800, a);
    receive();
    types.remove(0x0800, b);
    expect([receive(), order]).toEqual([1, ['b', 'b']]);
  });

  it('takes a tag out of the frame before taps see it, and lets nobody else’s VLAN in', () => {
    const { net, types, dev, receive, machine } = rig();
    const seen: unknown[] = [];
    types.add(ETH_P_ALL, (skb) => {
      seen.push(['tap', skb.vlanTci, skb.protocol]);
      skb.pool.consume(skb);
      return 0;
    });
    types.add(0x0800, (skb) => {
      seen.push(['ip', skb.vlanTci, skb.pktType, skb.len]);
      skb.pool.consume(skb);
      return 0;
    });
    const tagged = (...tags: number[]) => {
      const skb = testFrame(dev, 0, 60);
      skb.macHeader = skb.data - 14;
      skb.protocol = 0x8100;
      tags.forEach((tci, i) => {
        skb.arena.view.setUint16(skb.data + 4 * i, tci);
        skb.arena.view.setUint16(skb.data + 4 * i + 2, i === tags.length - 1 ? 0x0800 : 0x8100);
      });
      netifReceiveSkb(net, types, skb);
      return seen.splice(0);
    };
    // A priority is no VLAN.
    expect(tagged(0xe000)).toEqual([
      ['tap', 0xe000, 0x800],
      ['ip', -1, PACKET_HOST, 56],
    ]);
    expect(tagged(0x2005)).toEqual([
      ['tap', 0x2005, 0x800],
      ['ip', -1, PACKET_OTHERHOST, 56],
    ]);
    expect(tagged(0xe000, 0x0007).at(-1)).toEqual(['ip', -1, PACKET_OTHERHOST, 52]);
    // Nor are many: whoever sends a frame of nothing but priorities gets one look at it, as for any other.
    const rounds = net.softnet[0]!.processed;
    expect(tagged(...new Array(13).fill(0xe000))).toEqual([
      ['tap', 0xe000, 0x8100],
      ['ip', -1, PACKET_HOST, 8],
    ]);
    expect(net.softnet[0]!.processed - rounds).toBe(1);
    net.vlanReceive = (skb) => {
      skb.vlanTci = -1;
      return 'another';
    };
    const before = net.softnet[0]!.processed;
    expect(tagged(0x2005).at(-1)).toEqual(['ip', -1, PACKET_HOST, 56]);
    expect(net.softnet[0]!.processed - before).toBe(2);
    net.vlanReceive = (skb) => {
      skb.pool.consume(skb);
      return 'consumed';
    };
    expect(tagged(0x2005)).toEqual([['tap', 0x2005, 0x800]]);
    receive();
    expect(machine.skbs.inUse).toBe(0);
  });
});
