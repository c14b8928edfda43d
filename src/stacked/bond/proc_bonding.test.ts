/**
 * /proc/net/bonding, byte for byte: a bond is brought into the state that a real kernel's report tells of, and must print that
 * very report.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { netifCarrierOff, netifCarrierOn } from '../../device/net_device.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { World } from '../../sim/world.ts';
import { parseMac } from '../../wire/address.ts';
import type { LacpParty } from '../../wire/lacp.ts';
import { AD_CHURN_NAMES, AdBondInfo, AdPort } from './ad_port.ts';
import {
  BOND_LINK_DOWN,
  BOND_LINK_UP,
  BOND_MODE_NAMES,
  type Bonding,
  bondOf,
  DUPLEX_FULL,
  DUPLEX_HALF,
  DUPLEX_UNKNOWN,
  Slave,
} from './bond.ts';
import { createBond } from './bond_dev.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondSetOption } from './options.ts';
import { bondReport } from './proc_bonding.ts';

/** The lines of one block as a map; `details` lines belong to the side that was named last. */
function fields(block: string): Map<string, string> {
  const out = new Map<string, string>();
  let side = '';
  for (const line of block.split('\n')) {
    const details = /^details (\w+) lacp pdu:$/.exec(line);
    if (details !== null) side = `${details[1]} `;
    const at = line.indexOf(':');
    if (at > 0) out.set((line.startsWith('    ') ? side : '') + line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return out;
}

/** A bond in the state that `report` tells of. */
function fromReport(report: string): Bonding {
  const [head = '', ...blocks] = report.split('\n\n');
  const release = /: v(.*)$/.exec(head)![1]!;
  const sim = createSimMachine(new World({ seed: 1 }), { hostname: 'report', release });
  const rig = new BondRig({ slaves: 0, bare: true });
  const dev = createBond(sim.net, 'bond0');
  const bond = bondOf(dev);
  const master = fields(blocks.filter((block) => !block.startsWith('Slave Interface')).join('\n'));
  const get = (name: string) => master.get(name) ?? '';
  bond.params.mode = (BOND_MODE_NAMES as readonly string[]).indexOf(get('Bonding Mode'));
  const policy = /\((\d)\)$/.exec(get('Transmit Hash Policy'));
  if (policy !== null) bond.params.xmitPolicy = Number(policy[1]);
  bond.params.miimon = Number(get('MII Polling Interval (ms)'));
  const ticks = (name: string) => (bond.params.miimon === 0 ? 0 : Number(get(name)) / bond.params.miimon);
  bond.params.updelay = ticks('Up Delay (ms)');
  bond.params.downdelay = ticks('Down Delay (ms)');
  bond.params.peerNotifDelay = ticks('Peer Notification Delay (ms)');
  if (get('MII Status') === 'up') netifCarrierOn(dev);
  else netifCarrierOff(dev);
  bond.params.lacpRate = get('LACP rate') === 'fast' ? 1 : 0;
  bond.params.minLinks = Number(get('Min links'));
  const slaves = blocks.filter((block) => block.startsWith('Slave Interface')).map(fields);
  for (const [i, slave] of slaves.entries()) addSlave(bond, rig, i, slave);
  bond.currActiveSlave = bond.slaves.find(({ dev: { name } }) => name === get('Currently Active Slave')) ?? null;
  if (master.has('System priority')) adState(bond, master, slaves);
  return bond;
}

function addSlave(bond: Bonding, rig: BondRig, i: number, of: Map<string, string>): void {
  const dev = rig.pair(i);
  dev.name = of.get('Slave Interface')!;
  const slave = new Slave(bond, dev);
  slave.link = of.get('MII Status') === 'up' ? BOND_LINK_UP : BOND_LINK_DOWN;
  const speed = /^(\d+) Mbps/.exec(of.get('Speed')!);
  if (speed !== null) slave.speed = Number(speed[1]);
  slave.duplex = { full: DUPLEX_FULL, half: DUPLEX_HALF }[of.get('Duplex')!] ?? DUPLEX_UNKNOWN;
  slave.linkFailureCount = Number(of.get('Link Failure Count'));
  slave.permHwaddr.set(parseMac(of.get('Permanent HW addr')!)!);
  slave.queueId = Number(of.get('Slave queue ID'));
  bond.slaves.push(slave);
}

function adState(bond: Bonding, master: Map<string, string>, slaves: Map<string, string>[]): void {
  bond.ad = new AdBondInfo();
  bond.ad.systemPriority = Number(master.get('System priority'));
  bond.ad.system.set(parseMac(master.get('System MAC address')!)!);
  for (const [i, slave] of bond.slaves.entries()) slave.ad = new AdPort(slave, i + 1, i + 1, bond.params);
  const active = master.get('Aggregator ID');
  for (const [i, slave] of bond.slaves.entries()) {
    const of = slaves[i]!;
    const port = slave.ad!;
    const id = Number(of.get('Aggregator ID'));
    port.aggregator = bond.slaves[id - 1]!.ad!.own;
    port.aggregator.ports.push(port);
    port.churnActorState = (AD_CHURN_NAMES as readonly string[]).indexOf(of.get('Actor Churn State')!);
    port.churnPartnerState = (AD_CHURN_NAMES as readonly string[]).indexOf(of.get('Partner Churn State')!);
    port.churnActorCount = Number(of.get('Actor Churned Count'));
    port.churnPartnerCount = Number(of.get('Partner Churned Count'));
    partyFrom(port.actor, of, 'actor', 'port key');
    partyFrom(port.partner, of, 'partner', 'oper key');
  }
  if (active === undefined) return;
  const aggregator = bond.slaves[Number(active) - 1]!.ad!.own;
  aggregator.isActive = true;
  aggregator.actorKey = Number(master.get('Actor Key'));
  aggregator.partnerKey = Number(master.get('Partner Key'));
  aggregator.partnerSystem.set(parseMac(master.get('Partner Mac Address')!)!);
  let up = Number(master.get('Number of ports'));
  for (const port of aggregator.ports) port.isEnabled = up-- > 0;
}

function partyFrom(party: LacpParty, of: Map<string, string>, side: string, key: string): void {
  const get = (name: string) => of.get(`${side} ${name}`)!;
  party.systemPriority = Number(get('system priority'));
  party.system.set(parseMac(get('system mac address'))!);
  party.key = Number(get(key));
  party.portPriority = Number(get('port priority'));
  party.port = Number(get('port number'));
  party.state = Number(get('port state'));
}

describe('/proc/net/bonding', () => {
  const file = new URL('../../../test/golden/bonding/proc-net-bonding-k61.json.gz', import.meta.url);
  const recorded = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { from: string; report: string }[];

  it.each(recorded.map((each, i) => [i, each.from, each.report] as const))(
    'is that of a real bond: %i %s',
    (_, __, report) => {
      expect(bondReport(fromReport(report))).toBe(report);
    },
  );

  const corpora = process.env.NETPOLL_CORPORA ?? fileURLToPath(new URL('../../../../shared/corpora', import.meta.url));
  const folder = join(corpora, 'bonding/xmit-hash');
  it.skipIf(!existsSync(folder)).each(['k61', 'k72'])(
    'is that of a real bond of 31 slaves of %s (skipped where the corpora are absent)',
    (kernel) => {
      const report = readFileSync(join(folder, `${kernel}-proc-net-bonding-example.txt`), 'utf8');
      expect(bondReport(fromReport(report))).toBe(report);
    },
  );

  it('has the lines of ARP monitoring, of an address that fails over, of a primary slave', () => {
    const rig = new BondRig({ slaves: 2, bare: true });
    const set = (name: string, text: string) => expect(bondSetOption(rig.bond, name, text)).toBe(0);
    set('mode', 'active-backup');
    set('fail_over_mac', 'follow');
    set('arp_interval', '250');
    set('arp_ip_target', '+10.0.0.1');
    set('arp_ip_target', '+10.0.0.9');
    set('ns_ip6_target', '+2001:db8::1');
    for (const name of ['v0', 'v1']) set('slaves', `+${name}`);
    set('primary', 'v1');
    set('primary_reselect', 'failure');
    expect(bondReport(rig.bond).split('\n').slice(2, 16)).toEqual([
      'Bonding Mode: fault-tolerance (active-backup) (fail_over_mac follow)',
      'Primary Slave: v1 (primary_reselect failure)',
      'Currently Active Slave: v1',
      'MII Status: up',
      'MII Polling Interval (ms): 0',
      'Up Delay (ms): 0',
      'Down Delay (ms): 0',
      'Peer Notification Delay (ms): 0',
      'ARP Polling Interval (ms): 250',
      'ARP Missed Max: 2',
      'ARP IP target/s (n.n.n.n form): 10.0.0.1, 10.0.0.9',
      'NS IPv6 target/s (xx::xx form): 2001:db8::1',
      '',
      'Slave Interface: v0',
    ]);
  });

  it('keeps the ports’ details for administrators', () => {
    const report = recorded.find(({ from }) => from.startsWith('802.3ad'))!.report;
    const text = bondReport(fromReport(report), { unprivileged: true });
    expect(text).toContain(
      '802.3ad info\nLACP active: on\nLACP rate: fast\nMin links: 0\nAggregator selection policy (ad_select): stable\n\n',
    );
    expect(text).not.toMatch(/details|System|Active Aggregator/);
  });
});
