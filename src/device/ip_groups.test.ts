/** Addresses and the groups that a device with a filter must hear for them. */
import { describe, expect, it } from 'vitest';
import { RingHardware } from '../drivers/ring/hardware.ts';
import { createRingNic } from '../drivers/ring/ring_nic.ts';
import { Inet } from '../inet/inet.ts';
import { netpollCleanup } from '../netpoll/attach.ts';
import { Netpoll } from '../netpoll/netpoll.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { netpollSetup } from '../netpoll/setup.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { parseIp, printMac } from '../wire/address.ts';
import { devJoinIpGroups, devLeaveIpGroups } from './ip_groups.ts';
import { devOpen } from './open.ts';
import { listedAddrs } from './rx_mode.ts';

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const sim = createSimMachine(world, { hostname: 'me', slots: 512 });
  const hw: RingHardware = new RingHardware({
    mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    after: (ns, action) => world.after(ns, action),
    serialisationNs: (len) => wire.serialisationNs(len),
    send: (bytes, offset, len) => wire.transmit(hw, bytes, offset, len),
  });
  wire.attach(hw);
  const dev = createRingNic(sim.net, hw, { name: 'eth0' });
  devOpen(dev);
  const groups = () => listedAddrs(dev.mc).map((mac) => printMac(mac));
  return { ...sim, world, hw, dev, groups };
}

describe('the groups of an address', () => {
  it('are heard while somebody has the address', () => {
    const { dev, groups } = rig();
    const [a, b] = [parseIp('fe80::1:2:3')!, parseIp('fe80::9:2:3')!];
    devJoinIpGroups(dev, a);
    devJoinIpGroups(dev, b);
    devJoinIpGroups(dev, parseIp('10.0.0.1')!);
    expect(groups()).toEqual(['33:33:00:00:00:01', '33:33:ff:02:00:03', '01:00:5e:00:00:01']);
    devLeaveIpGroups(dev, a);
    expect(groups().length).toBe(3);
    devLeaveIpGroups(dev, b);
    expect(groups()).toEqual(['01:00:5e:00:00:01']);
  });

  it('let neighbour solicitations through the filter of a card to a host', () => {
    const { stack, dev, hw, world } = rig();
    const solicitation = new Uint8Array(86);
    solicitation.set([0x33, 0x33, 0xff, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
    const taken = (): number => {
      const before = hw.counters.get('rx_frames');
      hw.receive(solicitation, 86);
      world.runFor(1e6);
      return hw.counters.get('rx_frames') - before;
    };
    expect(taken()).toBe(0);
    new Inet(stack, { host: true }).addAddress(dev, parseIp('fc00::2')!, 64);
    expect(taken()).toBe(1);
  });

  it('are joined for a client of netpoll, and left with it', () => {
    const { net, dev, groups } = rig();
    dev.addresses.push(parseIp('fc00::2')!);
    const parsed = netpollParseOptions('6665@fc00::2/eth0,6666@fc00::1/02:00:00:00:00:01');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const np = new Netpoll('test', parsed.options);
    expect(netpollSetup(net, np)).toBe(0);
    expect(groups()).toEqual(['33:33:00:00:00:01', '33:33:ff:00:00:02']);
    netpollCleanup(np);
    expect(groups()).toEqual([]);
  });
});
