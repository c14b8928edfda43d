/**
 * Those of the kernel's netconsole self-tests that need a bond or a small ring, on simulated machines:
 * bonding/netcons_over_bonding.sh and netpoll_basic.py. The others are in test/netns and test/qemu.
 */
import { describe, expect, it } from 'vitest';
import { createCollector, type Message } from '../../collector/index.ts';
import { receiveInto } from '../../collector/receive.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { createNic } from '../../drivers/nic/nic.ts';
import { createVethPair } from '../../drivers/veth.ts';
import { Inet } from '../../inet/inet.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { macOf, station } from '../../sim/rig.fixture.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { bondOf } from '../../stacked/bond/bond.ts';
import { createBond, destroyBond } from '../../stacked/bond/bond_dev.ts';
import { bondEnslave } from '../../stacked/bond/enslave.ts';
import { parseIp, printMac } from '../../wire/address.ts';
import { createNetconsole } from './netconsole.ts';

const MESSAGE = 'netconsole selftest: netcons';

/** A sender with two cards, and a collector, all on one wire. */
function rig(ring = 256, rateBps = 1e9) {
  const world = new World({ seed: 7 });
  const wire = new Wire(world, { rateBps });
  const tx = station(world, wire, 1, { ring });
  const second = createNic(tx.net, new SimPort(world, { name: 'sim:11', mac: macOf(11), wire, ring }), 'eth1');
  const rx = station(world, wire, 2, { slots: 4096, ring: 1024 });
  const collector = createCollector();
  const messages: Message[] = [];
  collector.onMessage((message) => messages.push(message));
  receiveInto(collector, new Inet(rx.stack), { port: 6666, wallUs: () => world.nowNs / 1000 });
  const netconsole = createNetconsole(tx.net, []);
  const { configfs } = netconsole;
  /** create_dynamic_target, without enabling it. */
  const make = (name: string, device: string): void => {
    expect(configfs.mkdir(name)).toBe(0);
    for (const [attribute, value] of [
      ['remote_ip', '10.0.0.2'],
      ['local_ip', '10.0.0.1'],
      ['remote_mac', printMac(macOf(2))],
      ['dev_name', device],
      ['extended', '1'],
    ]) {
      expect(configfs.write(`${name}/${attribute}`, value!)).toBe(value!.length);
    }
    configfs.mkdir(`${name}/userdata/key`);
    configfs.write(`${name}/userdata/key/value`, 'value');
  };
  const enabled = (name: string): string => configfs.read(`${name}/enabled`) as string;
  const lastLine = (): string => {
    const { printk } = tx.machine;
    return new TextDecoder().decode(printk.record(printk.nextSeq - 1)!.text);
  };
  return { world, tx, second, collector, messages, configfs, make, enabled, lastLine, netconsole };
}

/** A bond of `slaves`, round robin, up. */
function bondOver(slaves: readonly NetDevice[]): NetDevice {
  const bond = createBond(slaves[0]!.net, 'bond0');
  bond.addresses.push(parseIp('10.0.0.1')!);
  for (const slave of slaves) {
    devClose(slave);
    expect(bondEnslave(bondOf(bond), slave)).toBe(0);
  }
  expect(devOpen(bond)).toBe(0);
  return bond;
}

describe('bonding/netcons_over_bonding.sh', () => {
  it('1: a target on the bond delivers message and userdata, over every slave', () => {
    const { tx, second, world, make, configfs, messages, collector } = rig();
    bondOver([tx.dev, second]);
    world.runFor(1e9);
    make('t', 'bond0');
    expect(configfs.write('t/enabled', '1')).toBe(1);
    for (let i = 0; i < 10; i++) tx.machine.printk.notice(`${MESSAGE} ${i}`);
    world.runFor(1e9);
    collector.flush(world.nowNs / 1000 + 60e6);
    const ours = messages.filter(({ text }) => text.startsWith(MESSAGE));
    expect(ours.map(({ text }) => text)).toEqual(Array.from({ length: 10 }, (_, i) => `${MESSAGE} ${i}`));
    expect(ours.every(({ dict }) => dict.key === 'value')).toBe(true);
    for (const dev of [tx.dev, second]) expect(npinfoOf(dev)!.counters.get('sent')).toBeGreaterThan(3);
  });

  it('2: it cannot be enabled on a slave; 3: on one that was set free it can; 4: enslaving stops it', () => {
    const { tx, second, world, make, enabled, configfs, lastLine } = rig();
    const bond = bondOver([tx.dev, second]);
    world.runFor(1e9);
    make('t', 'eth0');
    expect(configfs.write('t/enabled', '1')).toBe(-16);
    expect([enabled('t'), lastLine()]).toEqual(['0\n', 'netpoll: netconsole: eth0 is a slave device, aborting']);
    destroyBond(bond);
    expect([configfs.write('t/enabled', '1'), enabled('t')]).toEqual([1, '1\n']);
    const again = createBond(tx.net, 'bond1');
    devClose(tx.dev);
    expect(bondEnslave(bondOf(again), tx.dev)).toBe(0);
    expect(enabled('t')).toBe('0\n');
    const { printk } = tx.machine;
    const lines = Array.from({ length: 12 }, (_, i) => printk.record(printk.nextSeq - 1 - i))
      .filter((record) => record !== undefined)
      .map((record) => new TextDecoder().decode(record.text));
    expect(lines).toContain('netconsole: network logging stopped on interface eth0 as it is joining a master device');
  });

  it('5: a second slave leaves it enabled; 6: one that cannot do netpoll is refused', () => {
    const { tx, second, world, make, enabled, configfs, messages, collector } = rig();
    const bond = bondOver([tx.dev]);
    world.runFor(1e9);
    make('t', 'bond0');
    expect(configfs.write('t/enabled', '1')).toBe(1);
    devClose(second);
    expect(bondEnslave(bondOf(bond), second)).toBe(0);
    expect([enabled('t'), npinfoOf(second) !== null]).toEqual(['1\n', true]);
    const [veth] = createVethPair({ net: tx.net, mac: macOf(21) }, { net: tx.net, mac: macOf(22) });
    veth.netpollDisabled = true;
    expect(bondEnslave(bondOf(bond), veth)).toBeLessThan(0);
    world.runFor(1e9);
    for (let i = 0; i < 4; i++) tx.machine.printk.notice(`${MESSAGE} ${i}`);
    world.runFor(1e9);
    collector.flush(world.nowNs / 1000 + 60e6);
    expect(messages.filter(({ text }) => text.startsWith(MESSAGE))).toHaveLength(4);
  });
});

describe('netpoll_basic.py', () => {
  it('polls the device when its small ring is full, while targets come and go, and loses nothing uncounted', () => {
    const { tx, world, make, configfs, messages, collector, netconsole } = rig(8, 10e6);
    let polls = 0;
    let sent = 0;
    for (let round = 0; round < 20; round++) {
      make('t', 'eth0');
      expect(configfs.write('t/enabled', '1')).toBe(1);
      for (let i = 0; i < 40; i++) tx.machine.printk.notice(`${MESSAGE} ${round}.${i}`);
      world.runFor(100e6);
      const counters = npinfoOf(tx.dev)!.counters;
      polls += counters.get('polls');
      sent += counters.get('sent') + counters.get('deferred_sent');
      expect([counters.get('dropped'), netconsole.find('t')!.transmitErrors]).toEqual([0, 0]);
      configfs.write('t/enabled', '0');
      configfs.rmdir('t/userdata/key');
      expect(configfs.rmdir('t')).toBe(0);
    }
    world.runFor(1e9);
    collector.flush(world.nowNs / 1000 + 60e6);
    expect(polls).toBeGreaterThan(0);
    // Forty and "network logging started" a round.
    expect([sent, messages.length]).toEqual([20 * 41, 20 * 41]);
  });
});
