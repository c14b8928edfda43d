import { describe, expect, it } from 'vitest';
import { client, Hand, station } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { fromHex, hex } from '../wire/headers.fixture.ts';
import { netpollSendUdp } from './send.ts';

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const sender = station(world, wire, 1);
  return { world, sender, hand: new Hand(world, wire) };
}

const HELLO = new TextEncoder().encode('hello\n');
const ETH = 'ffffffffffff020000000001';
const MODERN = `${ETH} 0800 4500002200010000401166c80a0000010a000002 1a091a0a000e73e0 68656c6c6f0a`;

describe('what netpoll puts on the wire', () => {
  it('is the golden IPv4 frame of today’s kernels, the first packet with identification 1', () => {
    const { world, sender, hand } = rig();
    const np = client(sender, '@10.0.0.1/eth0,@10.0.0.2/');
    netpollSendUdp(np, HELLO);
    netpollSendUdp(np, HELLO);
    world.runIdle();
    expect(hex(hand.heard[0]!.bytes)).toBe(MODERN.replace(/ /g, ''));
    expect(hex(hand.heard[1]!.bytes, 18, 2)).toBe('0002');
  });

  it('is the golden IPv6 frame with hop limit 32', () => {
    const { world, sender, hand } = rig();
    netpollSendUdp(client(sender, '@fc00::1/eth0,@fc00::2/'), HELLO);
    world.runIdle();
    const golden = `${ETH} 86dd 60000000000e1120 fc000000000000000000000000000001 fc000000000000000000000000000002
      1a091a0a000e8fde 68656c6c6f0a`;
    expect(hex(hand.heard[0]!.bytes)).toBe(golden.replace(/\s/g, ''));
  });

  it('has a computed checksum of 0 as ffff', () => {
    const { world, sender, hand } = rig();
    netpollSendUdp(client(sender, '@10.0.0.1/eth0,@10.0.0.2/'), fromHex('b7c4'));
    world.runIdle();
    expect(hex(hand.heard[0]!.bytes, 34)).toBe('1a091a0a000affffb7c4');
  });

  it('carries 1,460 bytes and an empty payload; more is refused, nothing is sent', () => {
    const { world, sender, hand } = rig();
    const np = client(sender, '@fc00::1/eth0,@fc00::2/');
    expect(netpollSendUdp(np, new Uint8Array(1460))).toBe(0);
    expect(netpollSendUdp(np, new Uint8Array(0))).toBe(0);
    expect(netpollSendUdp(np, new Uint8Array(1461))).toBe(-22);
    world.runIdle();
    expect(hand.heard.map((each) => each.bytes.length)).toEqual([14 + 40 + 8 + 1460, 14 + 40 + 8]);
  });

  it('starts its identification again at 0 after 65,535', () => {
    const { world, sender, hand } = rig();
    sender.net.ipId = 0xfffe;
    const np = client(sender, '@10.0.0.1/eth0,@10.0.0.2/');
    for (let i = 0; i < 3; i++) netpollSendUdp(np, HELLO);
    world.runIdle();
    expect(hand.heard.map((each) => hex(each.bytes, 18, 2))).toEqual(['ffff', '0000', '0001']);
  });
});
