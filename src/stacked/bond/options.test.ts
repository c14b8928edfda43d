import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { printMac } from '../../wire/address.ts';
import { BOND_LINK_UP, type Bonding } from './bond.ts';
import { BondRig } from './bond_rig.fixture.ts';
import {
  BOND_OPTIONS,
  type BondOptionName,
  type BondOptionSpec,
  bondOptionSpec,
  bondOptParse,
} from './option_table.ts';
import { bondGetOption, bondSetOption, bondSetOptions } from './options.ts';

const MODES = ['balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'];

/** A bond in `mode`, without slaves and down. */
function bondIn(mode: string | number, slaves = 0): BondRig {
  const rig = new BondRig({ slaves, bare: true });
  expect(bondSetOption(rig.bond, 'mode', String(mode))).toBe(0);
  return rig;
}

/** Name, a good value, what it reads as then, a bad value, the modes that have it. */
const NUMBERS: readonly (readonly [BondOptionName, string, string, string, string])[] = [
  ['packets_per_slave', '65535', '65535', '65536', '0'],
  ['xmit_hash_policy', 'vlan+srcmac', 'vlan+srcmac 5', 'layer5', '0123456'],
  ['arp_validate', 'filter_backup', 'filter_backup 6', '7', '0123'],
  ['arp_all_targets', 'all', 'all 1', 'some', '0123456'],
  ['fail_over_mac', 'follow', 'follow 2', '3', '0123456'],
  ['arp_interval', '2147483647', '2147483647', '2147483648', '0123'],
  ['arp_missed_max', '255', '255', '0', '0123'],
  ['miimon', '50', '50', '-1', '0123456'],
  ['min_links', '2', '2', 'two', '0123456'],
  ['lacp_rate', 'fast', 'fast 1', 'quick', '4'],
  ['lacp_active', 'off', 'off 0', '2', '4'],
  ['ad_select', 'count', 'count 2', '4', '0123456'],
  ['num_grat_arp', '255', '255', '256', '0123456'],
  ['num_unsol_na', '0', '0', '256', '0123456'],
  ['primary_reselect', 'better', 'better 1', 'worse', '0123456'],
  ['use_carrier', '1', '1', '0', '0123456'],
  ['all_slaves_active', 'on', '1', '2', '0123456'],
  ['resend_igmp', '255', '255', '256', '0123456'],
  ['lp_interval', '1', '1', '0', '0123456'],
  ['tlb_dynamic_lb', '0', '0', '2', '56'],
  ['ad_actor_sys_prio', '1', '1', '0', '4'],
  ['ad_user_port_key', '1023', '1023', '1024', '4'],
  ['coupled_control', 'off', 'off 0', '2', '4'],
  ['broadcast_neighbor', 'on', 'on 1', 'maybe', '4'],
];

describe('an option of a bond', () => {
  it.each(NUMBERS)('%s takes %s (reads %s), refuses %s, in modes %4$s only', (name, good, shown, bad, modes) => {
    for (const [number, mode] of MODES.entries()) {
      const { bond, log } = bondIn(mode);
      const has = modes.includes(String(number));
      expect(bondSetOption(bond, name, good), mode).toBe(has ? 0 : -Errno.EACCES);
      if (has) {
        expect(bondGetOption(bond, name)).toBe(shown);
        expect(bondSetOption(bond, name, bad)).toBe(-Errno.EINVAL);
        expect(bondGetOption(bond, name)).toBe(shown);
        const allowed: BondOptionSpec = BOND_OPTIONS[name];
        const lines = [`bond0: option ${name}: invalid value (${bad})`];
        if (allowed.max !== undefined)
          lines.push(`bond0: option ${name}: allowed values ${allowed.min} - ${allowed.max}`);
        expect(log.slice(-lines.length)).toEqual(lines);
      } else {
        expect(log.at(-1)).toBe(
          `bond0: option ${name}: mode dependency failed, not supported in mode ${mode}(${number})`,
        );
      }
    }
  });

  it.each(MODES.map((mode, i) => [mode, i] as const))('mode is %s by name and by number %i', (mode, i) => {
    expect(bondGetOption(bondIn(mode).bond, 'mode')).toBe(`${mode} ${i}`);
    expect(bondGetOption(bondIn(i).bond, 'mode')).toBe(`${mode} ${i}`);
  });

  it('has the kernel’s default under the name `default`, and in a new bond', () => {
    const { bond } = bondIn('802.3ad');
    for (const [name, spec] of Object.entries(BOND_OPTIONS) as [BondOptionName, BondOptionSpec][]) {
      if (spec.values === undefined || name === 'mode' || name === 'miimon') continue;
      expect([name, bondOptParse(spec, 'default')]).toEqual([name, spec.byDefault]);
      expect(bondGetOption(bond, name)?.split(' ').at(-1), name).toBe(String(spec.byDefault));
    }
  });

  it('that nobody knows is refused', () => {
    const { bond, log } = bondIn('balance-rr');
    expect(bondSetOption(bond, 'speed', '1')).toBe(-Errno.ENOENT);
    expect(bondGetOption(bond, 'speed')).toBeUndefined();
    expect(log.at(-1)).toBe('bond0: no option speed');
  });

  it.each(['mode', 'fail_over_mac'])('%s changes only while there are no slaves', (name) => {
    const { bond, log, ends } = bondIn('active-backup', 1);
    expect(bondSetOption(bond, 'slaves', `+${ends[0]!.name}`)).toBe(0);
    expect(bondSetOption(bond, name, '1')).toBe(-Errno.ENOTEMPTY);
    expect(log.at(-1)).toBe(`bond0: option ${name}: unable to set because the bond device has slaves`);
  });

  it.each([
    ['mode', 'balance-rr', '1'],
    ['lacp_rate', '802.3ad', '1'],
    ['lacp_active', '802.3ad', '0'],
    ['ad_select', 'balance-rr', '1'],
    ['tlb_dynamic_lb', 'balance-tlb', '0'],
    ['ad_user_port_key', '802.3ad', '7'],
    ['coupled_control', '802.3ad', '0'],
  ])('%s changes only while the bond is down (%s)', (name, mode, value) => {
    const { bond, log, dev } = bondIn(mode);
    devOpen(dev);
    expect(bondSetOption(bond, name, value)).toBe(-Errno.EBUSY);
    expect(log.at(-1)).toBe(`bond0: option ${name}: unable to set because the bond device is up`);
    devClose(dev);
    expect(bondSetOption(bond, name, value)).toBe(0);
  });

  it('never throws, whatever it is given, and keeps numbers within their range', () => {
    const { bond } = bondIn('active-backup', 1);
    const names = [...Object.keys(BOND_OPTIONS), 'x', '__proto__', 'constructor'];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.oneof(fc.string(), fc.integer().map(String)), (name, text) => {
        expect(bondSetOption(bond, name, text)).toBeLessThanOrEqual(0);
        const spec = bondOptionSpec(name);
        const value = Number(bondGetOption(bond, name));
        if (spec?.max !== undefined && !name.includes('delay')) expect(value).toBeLessThanOrEqual(spec.max);
      }),
    );
  });
});

describe('monitoring', () => {
  it('by MII and by ARP exclude each other; modes that need MII get it', () => {
    const { bond } = bondIn('active-backup');
    bondSetOption(bond, 'miimon', '100');
    bondSetOption(bond, 'arp_interval', '200');
    expect([bondGetOption(bond, 'miimon'), bondGetOption(bond, 'arp_interval')]).toEqual(['0', '200']);
    bondSetOption(bond, 'arp_validate', 'all');
    bondSetOption(bond, 'miimon', '100');
    expect([bond.params.miimon, bond.params.arpInterval, bond.params.arpValidate]).toEqual([100, 0, 0]);
    bondSetOption(bond, 'arp_interval', '200');
    bondSetOption(bond, 'mode', '802.3ad');
    expect([bond.params.miimon, bond.params.arpInterval]).toEqual([100, 0]);
  });

  it.each(['updelay', 'downdelay', 'peer_notif_delay'])('%s is a multiple of miimon, rounded down', (name) => {
    const { bond, log } = bondIn('active-backup');
    expect(bondSetOption(bond, name, '100')).toBe(-Errno.EPERM);
    expect(log.at(-1)).toBe(`bond0: Unable to set ${name} as MII monitoring is disabled`);
    bondSetOption(bond, 'miimon', '100');
    expect(bondSetOption(bond, name, '350')).toBe(0);
    expect(bondGetOption(bond, name)).toBe('300');
    expect(log.at(-1)).toBe(`bond0: ${name} (350) is not a multiple of miimon (100), value rounded to 300 ms`);
  });

  it('starts and stops with its interval while the bond is up', () => {
    const rig = new BondRig({ params: { mode: 1, miimon: 0 } });
    rig.link(0, false);
    rig.ms(500);
    expect(rig.bond.slaves[0]!.link).toBe(BOND_LINK_UP);
    bondSetOption(rig.bond, 'miimon', '100');
    rig.ms(10);
    expect(rig.bond.currActiveSlave?.dev.name).toBe('v1');
    bondSetOption(rig.bond, 'miimon', '0');
    rig.link(1, false);
    rig.ms(500);
    expect(rig.bond.currActiveSlave?.dev.name).toBe('v1');
  });
});

describe('targets', () => {
  it.each([
    ['arp_ip_target', '10.0.0.1', 'ARP', '255.255.255.255', '10.0.0.'],
    ['ns_ip6_target', '2001:db8::1', 'NS', 'ff02::1', '2001:db8::'],
  ])('%s: added, taken away, at most sixteen', (name, one, kind, impossible, prefix) => {
    const { bond, log } = bondIn('active-backup');
    const set = (text: string) => bondSetOption(bond, name, text);
    expect(set(`+${one}`)).toBe(0);
    expect([set(`+${one}`), log.at(-2)]).toEqual([-22, `bond0: ${kind} target ${one} is already present`]);
    expect(set('somewhere')).toBe(-Errno.EPERM);
    expect(log.at(-1)).toBe(`bond0: invalid ${kind} target specified`);
    expect(set(`+${impossible}`)).toBe(-22);
    for (let i = 2; i <= 16; i++) expect(set(`+${prefix}${i}`)).toBe(0);
    expect([set(`+${prefix}77`), log.at(-2)]).toEqual([-22, `bond0: ${kind} target table is full!`]);
    expect(set(`-${prefix}2`)).toBe(0);
    expect(bondGetOption(bond, name)?.split(' ').slice(0, 2)).toEqual([one, `${prefix}3`]);
    expect(set(`-${prefix}2`)).toBe(-22);
  });

  it('ad_actor_system is neither a group nor zero', () => {
    const { bond, log } = bondIn('802.3ad');
    for (const bad of ['01:00:5e:00:00:01', '00:00:00:00:00:00', 'x']) {
      expect(bondSetOption(bond, 'ad_actor_system', bad)).toBe(-Errno.EINVAL);
      expect(log.at(-2)).toBe('bond0: Invalid ad_actor_system MAC address.');
    }
    expect(bondSetOption(bond, 'ad_actor_system', '02:00:00:00:00:07')).toBe(0);
    expect(printMac(bond.params.adActorSystem)).toBe('02:00:00:00:00:07');
  });
});

describe('options that name a slave', () => {
  const three = (): [BondRig, Bonding] => {
    const rig = bondIn('active-backup', 3);
    bondSetOption(rig.bond, 'miimon', '100');
    for (const end of rig.ends) expect(bondSetOption(rig.bond, 'slaves', `+${end.name}`)).toBe(0);
    devOpen(rig.dev);
    rig.ms(200);
    return [rig, rig.bond];
  };

  it('slaves joins and releases by name', () => {
    const [, bond] = three();
    expect(bondGetOption(bond, 'slaves')).toBe('v0 v1 v2');
    expect(bondSetOption(bond, 'slaves', '-v1')).toBe(0);
    expect(bondGetOption(bond, 'slaves')).toBe('v0 v2');
    expect(bondSetOption(bond, 'slaves', 'v1')).toBe(-Errno.EPERM);
    expect(bondSetOption(bond, 'slaves', '+eth9')).toBe(-Errno.ENODEV);
    expect(bondSetOption(bond, 'slaves', '-v1')).toBe(-Errno.EINVAL);
  });

  it('active_slave must be one of ours with a link; empty chooses anew', () => {
    const [rig, bond] = three();
    expect([bondSetOption(bond, 'active_slave', 'v2'), bondGetOption(bond, 'active_slave')]).toEqual([0, 'v2']);
    rig.link(1, false);
    rig.ms(200);
    expect(bondSetOption(bond, 'active_slave', 'v1')).toBe(-Errno.EINVAL);
    expect(bondSetOption(bond, 'active_slave', 'p1')).toBe(-Errno.EINVAL);
    expect(rig.log.some((line) => line.includes('(slave p1): Device is not bonding slave'))).toBe(true);
    expect(bondSetOption(bond, 'active_slave', 'eth9')).toBe(-Errno.ENODEV);
    expect([bondSetOption(bond, 'active_slave', ''), bondGetOption(bond, 'active_slave')]).toEqual([0, 'v0']);
  });

  it('primary is remembered until its slave comes', () => {
    const [rig, bond] = three();
    const late = rig.pair(3);
    expect([bondSetOption(bond, 'primary', 'v3'), bondGetOption(bond, 'primary')]).toEqual([0, '']);
    expect(bondSetOption(bond, 'slaves', `+${late.name}`)).toBe(0);
    expect([bondGetOption(bond, 'primary'), bondGetOption(bond, 'active_slave')]).toEqual(['v3', 'v3']);
    expect([bondSetOption(bond, 'primary', ''), bondGetOption(bond, 'primary')]).toEqual([0, '']);
  });

  it('prio chooses where there is no primary', () => {
    const [rig, bond] = three();
    expect([bondSetOption(bond, 'prio', 'v1:5'), bondGetOption(bond, 'active_slave')]).toEqual([0, 'v1']);
    expect(bondGetOption(bond, 'prio')).toBe('v0:0 v1:5 v2:0');
    bondSetOption(bond, 'primary', 'v0');
    expect([bondSetOption(bond, 'prio', 'v2:9'), bondGetOption(bond, 'active_slave')]).toEqual([0, 'v0']);
    expect(rig.log.at(-1)).toContain('prio updated, but will not affect failover re-selection');
    for (const bad of ['v9:1', 'v1', 'v1:2147483648', 'v1:x']) expect(bondSetOption(bond, 'prio', bad)).toBe(-22);
  });

  it('queue_id belongs to one slave only', () => {
    const [, bond] = three();
    expect(bondSetOption(bond, 'queue_id', 'v0:1')).toBe(0);
    expect(bondSetOption(bond, 'queue_id', 'v1:1')).toBe(-Errno.EPERM);
    expect(bondSetOption(bond, 'queue_id', 'v1:99')).toBe(-Errno.EPERM);
    expect(bondGetOption(bond, 'queue_id')).toBe('v0:1 v1:0 v2:0');
  });

  it('several are set in one line, the mode first', () => {
    const { bond } = new BondRig({ slaves: 0, bare: true });
    expect(bondSetOptions(bond, 'miimon=50 updelay=100 lacp_rate=fast mode=802.3ad')).toBe(0);
    expect([bond.params.mode, bond.params.miimon, bond.params.updelay, bond.params.lacpRate]).toEqual([4, 50, 2, 1]);
    expect(bondSetOptions(bond, 'miimon=50 nonsense')).toBe(-Errno.ENOENT);
  });
});
