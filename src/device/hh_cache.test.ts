import { describe, expect, it } from 'vitest';
import { createNic } from '../drivers/nic/nic.ts';
import { Inet } from '../inet/inet.ts';
import { UdpSock } from '../inet/udp_socket.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { parseIp } from '../wire/address.ts';
import { ETH_P_802_3, ETH_P_IP } from '../wire/eth.ts';
import { devSetMacAddress } from './dev_addr.ts';
import { testDevice, testFrame, testNet } from './device.fixture.ts';
import { HhCache, hhInit, hhOutput } from './hh_cache.ts';
import { devOpen } from './open.ts';

describe('a kept link header', () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);

  it('is the one that would be written, also after the neighbour has moved', () => {
    const { net } = testNet();
    const dev = testDevice(net);
    const hh = new HhCache();
    expect(hhInit(hh, dev, ETH_P_IP, mac)).toBe(true);
    const [kept, written] = [testFrame(dev), testFrame(dev)];
    hhOutput(hh, kept);
    written.protocol = ETH_P_IP;
    dev.headerOps!.create(written, dev, ETH_P_IP, mac, null);
    const header = (skb: typeof kept) => [...skb.arena.bytes.subarray(skb.data, skb.data + 14)];
    expect([kept.len, header(kept)]).toEqual([74, header(written)]);
    dev.headerOps!.cacheUpdate!(hh, Uint8Array.of(2, 0, 0, 0, 0, 8));
    const moved = testFrame(dev);
    hhOutput(hh, moved);
    expect(header(moved).slice(0, 6)).toEqual([2, 0, 0, 0, 0, 8]);
  });

  it('is not kept where the type is a length, or the link layer keeps none', () => {
    const { net } = testNet();
    const dev = testDevice(net);
    const hh = new HhCache();
    expect([hhInit(hh, dev, ETH_P_802_3, mac), hh.len]).toEqual([false, 0]);
    dev.headerOps = null;
    expect(hhInit(hh, dev, ETH_P_IP, mac)).toBe(false);
  });

  it('carries a host’s packets, and has the new source after the device got another address', () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    const host = (n: number) => {
      const sim = createSimMachine(world, { hostname: `h${n}` });
      const port = new SimPort(world, { name: `sim:${n}`, mac: Uint8Array.of(2, 0, 0, 0, 0, n), wire });
      const dev = createNic(sim.net, port, 'eth0');
      devOpen(dev);
      const inet = new Inet(sim.stack, { host: true });
      inet.addAddress(dev, parseIp(`10.0.0.${n}`)!, 24);
      return { ...sim, dev, inet };
    };
    const [a, b] = [host(1), host(2)];
    const seen: number[] = [];
    wire.attach({
      receive: (bytes) => {
        if (bytes[12] === 8 && bytes[13] === 0) seen.push(bytes[5]! * 256 + bytes[11]!);
      },
    });
    const socket = new UdpSock(a.inet, { port: 7 });
    const sink = new UdpSock(b.inet, { port: 7 });
    const send = (): void => {
      socket.sendTo(parseIp('10.0.0.2')!, 7, Uint8Array.of(1));
      world.runFor(1e8);
    };
    send();
    send();
    expect(devSetMacAddress(a.dev, Uint8Array.of(2, 0, 0, 0, 0, 7))).toBe(0);
    send();
    expect([seen, sink.length]).toEqual([[0x0201, 0x0201, 0x0207], 3]);
  });
});
