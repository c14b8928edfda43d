import { describe, expect, it } from 'vitest';
import { ls } from './ls.ts';

const OPTIONS = { machine: 'collector', after: '12', seed: '1' };

describe('netpoll ls bond', () => {
  it('shows two simulated bonds that have found each other, as /proc/net/bonding does', () => {
    const text = ls('bond', undefined, OPTIONS);
    expect(text.split('\n').slice(0, 3)).toEqual([
      'Ethernet Channel Bonding Driver: v6.18.0',
      '',
      'Bonding Mode: IEEE 802.3ad Dynamic link aggregation',
    ]);
    expect(text).toContain('\tNumber of ports: 2\n');
    expect(text).toContain('\tPartner Mac Address: 02:00:00:00:02:01\n');
    expect(text.match(/port state: (\d+)/g)).toEqual(Array(4).fill('port state: 63'));
  });

  it('takes options, a number of slaves, and cables that are pulled', () => {
    const bond = 'mode=active-backup miimon=100 primary=eth1';
    const shown = JSON.parse(
      ls('bond', undefined, { ...OPTIONS, bond, slaves: '3', pull: 'eth1@3,eth0@4-5', json: true }),
    );
    expect(shown.options).toMatchObject({ mode: 'active-backup 1', active_slave: 'eth2', miimon: '100' });
    expect(shown.slaves.map((slave: { link: string; failures: number }) => [slave.link, slave.failures])).toEqual([
      ['up', 1],
      ['down', 1],
      ['up', 0],
    ]);
  });

  it.each([
    [{ bond: 'mode=fast' }, 'bond0: option mode: invalid value (fast)'],
    [{ slaves: '0' }, '--slaves 0'],
    [{ pull: 'eth7@1' }, '--pull eth7@1: give eth0@SECONDS or eth0@FROM-TO, up to eth1'],
    [{ after: 'x' }, '--after x'],
  ])('says what is wrong with %j', (options, why) => {
    expect(() => ls('bond', undefined, { ...OPTIONS, ...options })).toThrow(why);
  });
});
