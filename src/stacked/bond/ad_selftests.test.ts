/**
 * The kernel's own tests of LACP (tools/testing/selftests/drivers/net/bonding), with machines for namespaces and virtual time for
 * sleep; and bonds over simulated cards and wires, the whole way through driver, NAPI, rx handler and back.
 */
import { describe, expect, it } from 'vitest';
import { devSetPromiscuity } from '../../device/change.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { type NetDevice, netifCarrierOk } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { createNic } from '../../drivers/nic/nic.ts';
import { createVethPair } from '../../drivers/veth.ts';
import { createSimMachine, type SimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { ETH_P_ALL, ETH_P_ARP } from '../../wire/eth.ts';
import { ETH_P_SLOW, LACP_STATE_ACTIVITY, LACP_STATE_DISTRIBUTING, LACP_STATE_EXPIRED } from '../../wire/lacp.ts';
import { ad3GetActiveAggInfo } from './ad_carrier.ts';
import type { AdPort } from './ad_port.ts';
import { type Bonding, bondGetSlaveByDev, bondOf } from './bond.ts';
import { createBond } from './bond_dev.ts';
import { bondEnslave } from './enslave.ts';
import { bondSetOption, bondSetOptions } from './options.ts';
import { bondRelease } from './release.ts';

const S = 1e9;

class Lab {
  readonly world = new World({ seed: 1 });
  #macs = 0;

  machine(hostname: string): SimMachine {
    return createSimMachine(this.world, { hostname, slots: 128 });
  }

  mac(): Uint8Array {
    return Uint8Array.of(2, 0, 0, 0, 1, ++this.#macs);
  }

  /** A cable between `name`d devices of two machines, both down. */
  veth(a: SimMachine, aName: string, b: SimMachine, bName: string): [NetDevice, NetDevice] {
    return createVethPair({ net: a.net, mac: this.mac(), name: aName }, { net: b.net, mac: this.mac(), name: bName });
  }

  run(seconds: number): void {
    this.world.runFor(seconds * S);
  }

  /** Runs until `test` says yes, at most `seconds`. */
  until(seconds: number, test: () => boolean): boolean {
    for (let i = 0; i < seconds * 10; i++) {
      if (test()) return true;
      this.run(0.1);
    }
    return test();
  }
}

/** A bond that is down, with slaves. */
function bondOver(sim: SimMachine, options: string, slaves: readonly NetDevice[]): Bonding {
  const bond = bondOf(createBond(sim.net, 'bond0'));
  expect(bondSetOptions(bond, options)).toBe(0);
  for (const dev of slaves) expect(bondEnslave(bond, dev)).toBe(0);
  return bond;
}

const portOf = (bond: Bonding, dev: NetDevice): AdPort => bondGetSlaveByDev(bond, dev)!.ad!;
const has = (bond: Bonding, dev: NetDevice, bit: number): boolean => (portOf(bond, dev).actor.state & bit) !== 0;
const sentBy = (bond: Bonding, dev: NetDevice): number => portOf(bond, dev).stats.get('lacpdu_tx');

describe('the selftest', () => {
  it('bond-break-lacpdu-tx: a bond whose address was set, under a bridge, goes on sending LACPDUs', () => {
    const lab = new Lab();
    const sim = lab.machine('one');
    const [veth1, end1] = lab.veth(sim, 'veth1-bond', sim, 'veth1-end');
    const [veth2, end2] = lab.veth(sim, 'veth2-bond', sim, 'veth2-end');
    let heard = 0;
    sim.stack.types.add(ETH_P_ALL, (skb) => {
      if (skb.protocol === ETH_P_SLOW && skb.dev === end1) heard++;
      skb.pool.consume(skb);
      return 0;
    });
    const bond = bondOver(sim, 'mode=4 miimon=200 xmit_hash_policy=layer2+3 lacp_rate=fast', []);
    expect(devSetMacAddress(bond.dev, Uint8Array.of(2, 2, 2, 2, 2, 2))).toBe(0);
    for (const dev of [veth1, veth2]) expect(bondEnslave(bond, dev)).toBe(0);
    for (const dev of [end1, end2, bond.dev]) expect(devOpen(dev)).toBe(0);
    // What a bridge does to its ports.
    devSetPromiscuity(bond.dev, 1);
    expect(lab.until(15, () => heard >= 2)).toBe(true);
    expect(sim.machine.skbs.inUse).toBe(0);
  });

  it('bond_passive_lacp: with lacp_active off a bond speaks when spoken to', () => {
    const lab = new Lab();
    const [client, server] = [lab.machine('client'), lab.machine('server')];
    const [c0, s0] = lab.veth(client, 'eth0', server, 'eth0');
    const [c1, s1] = lab.veth(client, 'eth1', server, 'eth1');
    const s = bondOver(server, 'mode=802.3ad lacp_active=on lacp_rate=fast', [s0, s1]);
    const c = bondOver(client, 'mode=802.3ad lacp_active=off lacp_rate=fast', [c0, c1]);
    devOpen(c.dev);
    lab.run(5);
    const alone = sentBy(c, c0);
    expect(alone).toBeLessThanOrEqual(2);
    lab.run(65);
    expect(sentBy(c, c0)).toBe(alone);
    devOpen(s.dev);
    lab.run(2);
    expect([has(c, c0, LACP_STATE_ACTIVITY), has(s, s0, LACP_STATE_ACTIVITY)]).toEqual([false, true]);
    expect(lab.until(5, () => has(s, s0, LACP_STATE_DISTRIBUTING))).toBe(true);
    expect(lab.until(10, () => has(s, s0, LACP_STATE_EXPIRED))).toBe(false);
    // Each end is left with one port whose partner is gone.
    expect([bondRelease(s, s0), bondRelease(c, c1)]).toEqual([0, 0]);
    devOpen(s0);
    devOpen(c1);
    lab.run(5);
    const [active, passive] = [sentBy(s, s1), sentBy(c, c0)];
    lab.run(65);
    expect(sentBy(s, s1) - active).toBeGreaterThanOrEqual(2);
    // One may still be left to say: that the port belongs to nobody now.
    expect(sentBy(c, c0) - passive).toBeLessThan(2);
    lab.run(300);
    expect(sentBy(c, c0) - passive).toBeLessThan(2);
  });

  it('bond_lacp_prio: with ad_select actor_port_prio the aggregator with the higher priorities is chosen', () => {
    const lab = new Lab();
    const [client, primary, backup] = [lab.machine('client'), lab.machine('switch'), lab.machine('backup')];
    const cables = [0, 1, 2, 3].map((i) => lab.veth(client, `eth${i}`, i < 2 ? primary : backup, `eth${i % 2}`));
    const bond = bondOver(
      client,
      'mode=802.3ad miimon=100 lacp_rate=fast ad_select=actor_port_prio',
      cables.map(([dev]) => dev),
    );
    const switches = [primary, backup].map((sim, i) =>
      bondOver(
        sim,
        'mode=802.3ad miimon=100 lacp_rate=fast',
        cables.slice(2 * i, 2 * i + 2).map(([, dev]) => dev),
      ),
    );
    for (const { dev } of [bond, ...switches]) expect(devOpen(dev)).toBe(0);
    lab.run(8);
    const follows = (name: string): boolean => {
      const eth1 = cables[1]![0];
      devClose(eth1);
      lab.run(0.5);
      devOpen(eth1);
      lab.run(0.5);
      const slave = bond.slaves.find(({ dev }) => dev.name === name)!;
      return slave.ad!.aggregator!.id === ad3GetActiveAggInfo(bond)!.aggregatorId;
    };
    expect(bondSetOption(bond, 'actor_port_prio', 'eth0:1000')).toBe(0);
    expect(bondSetOption(bond, 'actor_port_prio', 'eth2:10')).toBe(0);
    expect(follows('eth0')).toBe(true);
    expect(bondSetOption(bond, 'actor_port_prio', 'eth0:10')).toBe(0);
    expect(bondSetOption(bond, 'actor_port_prio', 'eth2:1000')).toBe(0);
    expect(follows('eth2')).toBe(true);
    lab.run(8);
    expect(bond.usableSlaves.map(({ dev }) => dev.name)).toEqual(['eth2', 'eth3']);
  });
});

interface Station {
  readonly sim: SimMachine;
  readonly ports: readonly SimPort[];
  readonly bond: Bonding;
}

/** Machines a and b, each with a card on each wire, and an open bond of them. */
function stations(lab: Lab, wires: readonly Wire[], more = ''): [Station, Station] {
  const make = (hostname: string): Station => {
    const sim = lab.machine(hostname);
    const ports = wires.map(
      (wire, i) => new SimPort(lab.world, { name: `sim:${i}`, mac: lab.mac(), wire, promiscuous: true }),
    );
    const options = `mode=802.3ad miimon=100 lacp_rate=fast xmit_hash_policy=layer3+4 ${more}`.trim();
    const devices = ports.map((port, i) => createNic(sim.net, port, `eth${i}`));
    const bond = bondOver(sim, options, devices);
    return { sim, ports, bond };
  };
  return [make('a'), make('b')];
}

const usable = ({ bond }: Station): string => bond.usableSlaves.map(({ dev }) => dev.name).join();

describe('over simulated cards', () => {
  it('two bonds agree, lose a cut wire after three seconds of silence, a pulled plug at once, and get both back', () => {
    const lab = new Lab();
    const wires = [new Wire(lab.world), new Wire(lab.world)];
    const ends = stations(lab, wires);
    const [a, b] = ends;
    for (const { bond } of ends) expect(devOpen(bond.dev)).toBe(0);
    lab.run(4);
    expect(ends.map(usable)).toEqual(['eth0,eth1', 'eth0,eth1']);
    expect(ends.map(({ bond }) => netifCarrierOk(bond.dev))).toEqual([true, true]);

    wires[1]!.partitioned = true;
    lab.run(3.5);
    expect(ends.map(usable)).toEqual(['eth0', 'eth0']);
    wires[1]!.partitioned = false;
    expect(lab.until(40, () => ends.every((end) => usable(end) === 'eth0,eth1'))).toBe(true);

    a.ports[0]!.setLink(false);
    lab.run(0.2);
    expect([usable(a), usable(b)]).toEqual(['eth1', 'eth0,eth1']);
    lab.run(3.3);
    expect(usable(b)).toBe('eth1');
    a.ports[0]!.setLink(true);
    expect(lab.until(40, () => ends.every((end) => usable(end) === 'eth0,eth1'))).toBe(true);
    for (const { sim } of ends) expect(sim.machine.skbs.inUse).toBe(0);
  });

  it.each([
    ['on', true],
    ['off', false],
  ])('with broadcast_neighbor=%s a bond announces itself on every link when one joins: %s', (value, announces) => {
    const lab = new Lab();
    const wires = [new Wire(lab.world), new Wire(lab.world)];
    const heard: number[] = [];
    for (const [i, wire] of wires.entries()) {
      wire.attach({ receive: (bytes) => void (((bytes[12]! << 8) | bytes[13]!) === ETH_P_ARP && heard.push(i)) });
    }
    const ends = stations(lab, wires, `broadcast_neighbor=${value}`);
    ends[0].bond.dev.addresses.push({ family: 4, v4: 0x0a000001 });
    for (const { bond } of ends) expect(devOpen(bond.dev)).toBe(0);
    lab.run(4);
    expect(ends.map(usable)).toEqual(['eth0,eth1', 'eth0,eth1']);
    expect(heard).toEqual(announces ? expect.arrayContaining([0, 1]) : []);
    // One more when a link comes back, on both.
    heard.length = 0;
    ends[0].ports[1]!.setLink(false);
    lab.run(1);
    ends[0].ports[1]!.setLink(true);
    expect(lab.until(40, () => ends.every((end) => usable(end) === 'eth0,eth1'))).toBe(true);
    lab.run(1);
    expect(heard.sort()).toEqual(announces ? [0, 1] : []);
  });
});
