import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ls } from './ls.ts';

const OPTIONS = { machine: 'collector', after: '3', seed: '1' };
const show = (what: string, device?: string, options: Partial<Parameters<typeof ls>[2]> = {}) =>
  ls(what, device, { ...OPTIONS, ...options });

/** What a command of this machine prints, or null where it cannot. */
function real(command: string, ...args: string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}
/** Words without figures, one space between: what may be compared. */
const words = (line: string) => line.replace(/\d+/g, '#').replace(/\s+/g, ' ').trim();

describe('netpoll ls', () => {
  it('shows links as ip -s link does', (ctx) => {
    const ours = show('link', 'eth0', { stats: true }).split('\n');
    expect(ours[0]).toBe(
      '1: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP mode DEFAULT group default qlen 1000',
    );
    expect(ours[1]).toBe('    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff');
    expect(Number(ours[3]!.trim().split(/\s+/)[1])).toBeGreaterThan(10);
    const theirs = real('ip', '-s', 'link', 'show', 'lo')?.split('\n');
    if (theirs === undefined) return ctx.skip('no ip');
    for (const i of [2, 3, 4, 5]) expect(words(ours[i]!)).toBe(words(theirs[i]!));
    // As ip prints them for a veth that has sent nothing.
    expect(ours[2]).toBe('    RX:  bytes packets errors dropped  missed   mcast           ');
    expect(ours[3]).toMatch(/^ {4}[ \d]{10} [ \d]{7} {6}0 {7}0 {7}0 {7}0 $/);
    expect(ours[4]).toBe('    TX:  bytes packets errors dropped carrier collsns           ');
  });

  it('shows them as ip -j -s link does', (ctx) => {
    const [ours] = JSON.parse(show('link', 'eth0', { stats: true, json: true }));
    const text = real('ip', '-j', '-s', 'link', 'show', 'lo');
    if (text === null) return ctx.skip('no ip');
    const [theirs] = JSON.parse(text);
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    expect(Object.keys(ours.stats64.rx)).toEqual(Object.keys(theirs.stats64.rx));
    expect(Object.keys(ours.stats64.tx)).toEqual(Object.keys(theirs.stats64.tx));
  });

  it('shows features, statistics, channels as ethtool does, and says where a driver has no answer', (ctx) => {
    const statistics = show('ethtool', 'eth0').split('\n');
    expect(statistics[0]).toBe('NIC statistics:');
    expect(statistics.some((line) => /^ {5}rx_queue_0_packets: [1-9]/.test(line))).toBe(true);
    expect(show('ethtool', 'eth0', { channels: true })).toMatch(/^Channel parameters for eth0:\nPre-set maximums:\n/);
    expect(show('ethtool', 'eth0', { coalesce: true })).toMatch(/^Coalesce parameters for eth0:\nAdaptive RX: /);
    expect(() => show('ethtool', 'eth0', { coalesce: true, rings: true })).toThrow('one at a time');
    const features = show('ethtool', 'eth0', { features: true }).split('\n');
    expect(features[0]).toBe('Features for eth0:');
    const theirs = real('ethtool', '-k', 'lo')?.split('\n');
    if (theirs === undefined) return ctx.skip('no ethtool');
    const name = (line: string) => line.replace(/:.*/, '');
    const known = theirs.map(name);
    const rows = features
      .slice(1)
      .filter((line) => line !== '')
      .map(name);
    expect(rows.filter((row) => !known.includes(row))).toEqual([]);
    expect(rows).toEqual(known.filter((row) => rows.includes(row)));
  });

  it('shows softnet_stat, softirqs, net/dev in /proc’s own columns', (ctx) => {
    const softnet = show('softnet_stat').trimEnd().split(' ');
    expect([softnet.length, softnet.every((column) => /^[0-9a-f]{8}$/.test(column))]).toEqual([15, true]);
    expect(Number.parseInt(softnet[0]!, 16)).toBeGreaterThan(10);
    const softirqs = show('softirqs', undefined, { machine: 'edge-1' }).split('\n');
    expect(softirqs[0]).toBe(`${' '.repeat(20)}CPU0       CPU1       `.trimEnd().padEnd(softirqs[0]!.length));
    expect(softirqs[4]).toMatch(/^ {6}NET_RX: [ \d]{10} [ \d]{10}$/);
    const dev = show('dev').split('\n');
    expect(dev[2]).toMatch(/^ {2}eth0: {1,}\d+ /);
    const theirs = real('cat', '/proc/net/dev', '/proc/softirqs')?.split('\n');
    if (theirs === undefined) return ctx.skip('no /proc');
    expect(dev.slice(0, 2)).toEqual(theirs.slice(0, 2));
    const header = theirs.find((line) => line.startsWith(`${' '.repeat(20)}CPU0`))!;
    expect(header.startsWith(show('softirqs').split('\n')[0]!)).toBe(true);
  });

  it('shows interrupts, protocols, drops and nstat, as text and JSON', () => {
    expect(show('interrupts')).toMatch(/^ {11}CPU0 +\n {2}0: +\d+ +netpoll {3}0 Level +eth0-rx-0\n/);
    expect(show('ptype')).toBe('Type Device      Function\n0800          ip_rcv\n86dd          ipv6_rcv\n');
    expect(show('nstat')).toMatch(/^#kernel\nIpInReceives {20}\d+ +0\.0\n/);
    const drops = JSON.parse(show('drops', undefined, { json: true }));
    const text = show('drops');
    for (const [name, n] of Object.entries(drops))
      expect(text).toContain(`${String(n).padStart(10)} drops by reason ${name}`);
    expect(JSON.parse(show('softnet_stat', undefined, { json: true }))[0].dropped).toBe(0);
  });

  it('gives the same figures for the same seed, and others for another', () => {
    expect(show('nstat')).toBe(show('nstat'));
    expect(show('link', 'eth0', { stats: true, seed: '2' })).not.toBe(show('link', 'eth0', { stats: true }));
  });

  it('refuses what is not there', () => {
    expect(() => show('nothing')).toThrow('nothing is called nothing');
    expect(() => show('link', 'wlan0')).toThrow('Device "wlan0" does not exist.');
    expect(() => show('link', undefined, { machine: 'x' })).toThrow('there are collector, web-1, db-1, edge-1');
    expect(() => show('link', undefined, { after: '-1' })).toThrow('--after');
  });
});
