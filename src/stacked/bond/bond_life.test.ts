/** Whatever is done to a bond, in whatever order, it stays whole: nothing throws, nothing leaks, who leaves is what he was. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNetconsole, type Netconsole, parseNetconsoleParam } from '../../clients/netconsole/netconsole.ts';
import { IFF_SLAVE, IFF_UP, type NetDevice } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { devMcAdd, devMcDel, devSetPromiscuity } from '../../device/rx_mode.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { parseIp } from '../../wire/address.ts';
import { bondIsActiveSlave } from './bond.ts';
import { destroyBond } from './bond_dev.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondSetOption } from './options.ts';
import { bondReport } from './proc_bonding.ts';

const SLAVES = 4;
const GROUP = Uint8Array.of(1, 0, 0x5e, 1, 2, 3);
const OPTIONS = [
  ...['balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'].map(
    (mode) => ['mode', mode] as const,
  ),
  ...(['miimon', 'arp_interval', 'updelay', 'downdelay', 'peer_notif_delay'] as const).flatMap((name) =>
    ['0', '100', '300'].map((value) => [name, value] as const),
  ),
  ...['none', 'active', 'follow'].map((fom) => ['fail_over_mac', fom] as const),
  ...['v0', 'v1', 'v9', ''].flatMap((name) => [['primary', name] as const, ['active_slave', name] as const]),
  ...['v0:10', 'v1:-5', 'v2:7'].map((prio) => ['prio', prio] as const),
  ...['layer2', 'layer3+4', 'vlan+srcmac'].map((policy) => ['xmit_hash_policy', policy] as const),
  ['primary_reselect', 'better'],
  ['primary_reselect', 'failure'],
  ['all_slaves_active', '1'],
  ['all_slaves_active', '0'],
  ['tlb_dynamic_lb', '0'],
  ['lacp_rate', 'fast'],
  ['min_links', '2'],
  ['arp_ip_target', '+10.0.0.9'],
  ['arp_ip_target', '-10.0.0.9'],
  ['packets_per_slave', '0'],
] as const;

const step = fc.oneof(
  fc.record({
    what: fc.constantFrom('enslave', 'release', 'down', 'up', 'down', 'up', 'receive', 'rename'),
    i: fc.nat(SLAVES - 1),
  }),
  fc.record({
    what: fc.constantFrom('open', 'close', 'send', 'say', 'netconsole', 'quiet', 'promisc', 'group'),
    i: fc.nat(3),
  }),
  fc.record({ what: fc.constant('option'), i: fc.nat(OPTIONS.length - 1) }),
  fc.record({ what: fc.constant('wait'), i: fc.constantFrom(1, 50, 150, 1100) }),
);

const start = fc.record({ mode: fc.nat(6), slaves: fc.nat(SLAVES), open: fc.boolean() });

/** IPv4 UDP, ARP, an unknown protocol, IPv6 to a group. */
const FRAMES = [
  [0x08, 0x00, 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x1a, 9, 0x1a, 10, 0, 26],
  [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x10, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9],
  [0x88, 0xb5],
  [0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 59, 1],
].map((tail, i) => {
  const to = i % 2 === 1 ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 1, 0x10];
  return Uint8Array.from({ length: 60 }, (_, at) => [...to, 2, 0, 0, 0, 0, 0x10, ...tail][at] ?? 0);
});

class Life {
  readonly rig = new BondRig({ slaves: SLAVES, bare: true, params: { miimon: 100 } });
  netconsole: Netconsole | null = null;
  promisc = 0;
  grouped = false;
  renamed = 0;

  constructor(mode: number, slaves: number, open: boolean) {
    const { rig } = this;
    rig.dev.addresses.push(parseIp('10.0.0.1')!);
    bondSetOption(rig.bond, 'mode', String(mode));
    for (let i = 0; i < slaves; i++) this.run({ what: 'enslave', i });
    if (open) devOpen(rig.dev);
  }

  run({ what, i }: { what: string; i: number }): void {
    const { rig } = this;
    const { bond, dev, ends } = rig;
    const end = ends[i];
    switch (what) {
      case 'enslave':
        if ((end!.flags & IFF_UP) === 0) bondSetOption(bond, 'slaves', `+${end!.name}`);
        break;
      case 'release':
        bondSetOption(bond, 'slaves', `-${end!.name}`);
        break;
      case 'down':
      case 'up':
        rig.link(i, what === 'up');
        break;
      case 'receive':
        if ((rig.peers[i]!.flags & IFF_UP) !== 0) rig.receive(i, FRAMES[i % FRAMES.length]!);
        break;
      case 'rename':
        end!.net.notify(11, end!);
        break;
      case 'open':
        devOpen(dev);
        break;
      case 'close':
        devClose(dev);
        break;
      case 'send':
        if ((dev.flags & IFF_UP) !== 0) rig.send(FRAMES[i]!);
        break;
      case 'say':
        rig.sim.machine.printk.info(`record ${i}`);
        break;
      case 'netconsole':
        this.netconsole ??= this.#netconsole();
        break;
      case 'quiet':
        this.#quiet();
        break;
      case 'promisc':
        devSetPromiscuity(dev, this.promisc === 0 ? 1 : -1);
        this.promisc ^= 1;
        break;
      case 'group':
        if (this.grouped) devMcDel(dev, GROUP);
        else devMcAdd(dev, GROUP);
        this.grouped = !this.grouped;
        break;
      case 'option': {
        const [name, value] = OPTIONS[i]!;
        bondSetOption(bond, name, value);
        break;
      }
      case 'wait':
        rig.ms(i);
    }
  }

  #netconsole(): Netconsole {
    const parsed = parseNetconsoleParam('6665@10.0.0.1/bond0,6666@10.0.0.2/02:00:00:00:01:10');
    if (!parsed.ok) throw new Error(parsed.reason);
    return createNetconsole(this.rig.sim.net, parsed.specs);
  }

  #quiet(): void {
    this.netconsole?.close();
    this.netconsole = null;
  }

  /** What holds at every moment. */
  check(): void {
    const { bond, dev, ends } = this.rig;
    expect(dev.lower).toEqual(bond.slaves.map((slave) => slave.dev));
    for (const [i, end] of ends.entries()) {
      const slave = bond.slaves.find((each) => each.dev === end);
      expect([end.master, end.rxHandler !== null, (end.flags & IFF_SLAVE) !== 0]).toEqual(
        slave === undefined ? [null, false, false] : [dev, true, true],
      );
      if (slave === undefined) this.#free(end, i);
      else expect(slave.np !== null).toBe(npinfoOf(dev) !== null);
    }
    const { currActiveSlave, primarySlave } = bond;
    for (const each of [currActiveSlave, primarySlave]) expect(each === null || bond.slaves.includes(each)).toBe(true);
    for (const each of [...bond.usableSlaves, ...bond.allSlaves]) expect(bond.slaves).toContain(each);
    if (bond.params.mode === 1) {
      expect(bond.slaves.filter((slave) => bondIsActiveSlave(slave) && slave.link === 0).length).toBeLessThanOrEqual(1);
    }
    expect(bond.blockNetpollTx).toBe(0);
    expect(bondReport(bond).length).toBeGreaterThan(100);
  }

  /** A device that is no slave is as it was made. */
  #free(end: NetDevice, i: number): void {
    const { promiscuity, mtu, mc, npinfo } = end;
    expect([this.rig.mac(end), mtu, promiscuity, mc.count, npinfo]).toEqual([`02:00:00:00:00:1${i}`, 1500, 0, 0, null]);
  }

  /** The end: everything is given back. */
  end(): void {
    const { rig } = this;
    this.#quiet();
    destroyBond(rig.dev);
    rig.ms(2000);
    for (const [i, end] of rig.ends.entries()) this.#free(end, i);
    const { machine, net } = rig.sim;
    expect(machine.works.length).toBe(0);
    // Only netpoll's reserve, which a machine keeps once it was needed.
    expect(machine.skbs.inUse).toBe(net.netpollReserve.length);
  }
}

describe('a bond', () => {
  it('stays whole, whatever is done to it', () => {
    fc.assert(
      fc.property(start, fc.array(step, { minLength: 1, maxLength: 40 }), ({ mode, slaves, open }, steps) => {
        const life = new Life(mode, slaves, open);
        for (const each of steps) {
          life.run(each);
          life.check();
        }
        life.end();
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
