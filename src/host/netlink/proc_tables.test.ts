import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parseIp, printIp, printMac } from '../../wire/address.ts';
import { netlinkTables } from './net_tables.ts';
import { parseProcArp, parseProcIpv6Route, parseProcRoute, procTables } from './proc_tables.ts';

const root = mkdtempSync(join(tmpdir(), 'netpoll-proc-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

put(
  'proc/net/route',
  `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	100	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
eth1	0000000A	00000000	0201	0	0	0	0000FFFF	0	0	0
eth1	00000000	0200000A	0003	0	0	20	00000000	0	0	0
`,
);
put(
  'proc/net/ipv6_route',
  `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
fd000000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001     eth0
`,
);
put(
  'proc/net/arp',
  `IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
192.0.2.7        0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.8        0x1         0x6         02:fc:00:00:00:08     *        eth0
`,
);
put('proc/net/dev', 'Inter-|   Receive\n face |bytes\n  eth0: 1 2 3\n  eth1: 0 0 0\n bond0: 0 0 0\n');
const link = (name: string, files: Record<string, string>) => {
  for (const [file, text] of Object.entries(files)) put(`sys/class/net/${name}/${file}`, `${text}\n`);
};
link('eth0', { ifindex: '4', iflink: '4', type: '1', flags: '0x1003', address: '02:00:00:00:00:04', mtu: '1500' });
link('eth0', { operstate: 'up', carrier: '1', uevent: 'INTERFACE=eth0\nIFINDEX=4' });
link('eth1', { ifindex: '5', iflink: '5', type: '1', flags: '0x1002', operstate: 'down', uevent: 'DEVTYPE=veth' });
link('bond0', { ifindex: '6', iflink: '6', type: '1', flags: '0x1403', uevent: 'DEVTYPE=bond', operstate: 'up' });
symlinkSync(join(root, 'sys/class/net/bond0'), join(root, 'sys/class/net/eth1/master'));

const tables = procTables('koffi is not there', {
  proc: join(root, 'proc'),
  sys: join(root, 'sys'),
  addresses: () => [{ ifindex: 4, ip: parseIp('192.0.2.2')!, prefixLen: 24, scope: 0, usable: true }],
});

describe('procTables', () => {
  it('finds the longest prefix, then the lowest metric; through one interface if asked to', () => {
    const to = (text: string, oif = 0) => {
      const route = tables.route(parseIp(text)!, oif);
      if (typeof route === 'string') return route;
      return `${route.type} ${route.oif}${route.gateway === null ? '' : ` via ${printIp(route.gateway)}`}`;
    };
    expect(to('192.0.2.9')).toBe('unicast 4');
    expect(to('8.8.8.8')).toBe('unicast 5 via 10.0.0.2');
    expect(to('8.8.8.8', 4)).toBe('unicast 4 via 192.0.2.1');
    expect(to('10.1.2.3')).toBe('unicast 5');
    expect(to('10.0.2.3')).toBe('unreachable 5');
    expect(to('192.0.2.2')).toBe('local 4');
    expect(to('fd00::9')).toBe('unicast 4');
    expect(to('fd01::9')).toBe('unicast 4 via fd00::1');
    expect(to('fd01::9', 5)).toBe('ENETUNREACH');
  });

  it('shows links with what stands on them, and IPv4 neighbours as far as the file knows them', () => {
    expect(tables.links().map(({ name, ifindex, kind, master }) => [name, ifindex, kind, master])).toEqual([
      ['eth0', 4, null, 0],
      ['eth1', 5, 'veth', 6],
      ['bond0', 6, 'bond', 0],
    ]);
    expect(tables.links()[0]).toMatchObject({ hardware: 1, mtu: 1500, flags: 0x1003, operstate: 6, carrier: true });
    expect(tables.neighbours(6)).toBeNull();
    expect(tables.neighbours(4)!.map((each) => [printIp(each.ip), each.state, each.mac && printMac(each.mac)])).toEqual(
      [
        ['192.0.2.1', 'STALE', '02:fc:00:00:00:05'],
        ['192.0.2.7', 'INCOMPLETE', null],
        ['192.0.2.8', 'PERMANENT', '02:fc:00:00:00:08'],
      ],
    );
    expect([tables.source, tables.because]).toEqual(['/proc', 'koffi is not there']);
  });

  it('reads any text without throwing', () => {
    const noise = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('eth0', '\t', ' ', '\n', '00000000', 'FFFFFFFF', '0x2', '10.0.0.1', 'zz', '-1'))
        .map((a) => a.join('')),
    );
    fc.assert(
      fc.property(noise, (text) => {
        parseProcRoute(text);
        parseProcIpv6Route(text);
        parseProcArp(text, []);
      }),
      { numRuns: 500 },
    );
  });

  it('on this machine agrees with netlink about every link and the way to a documentation address', () => {
    const netlink = netlinkTables();
    const here = procTables('test');
    const brief = (all: ReturnType<typeof here.links>) => all.map(({ name, mtu }) => `${name} ${mtu}`).sort();
    // Another test's interfaces may come and go between the two looks.
    const [a, b] = [brief(netlink.links()), brief(here.links())];
    expect(b.filter((each) => each.startsWith('lo '))).toEqual(a.filter((each) => each.startsWith('lo ')));
    const target = parseIp('203.0.113.77')!;
    const [x, y] = [netlink.route(target, 0), here.route(target, 0)];
    if (typeof x !== 'string' && typeof y !== 'string') expect([y.oif, y.gateway]).toEqual([x.oif, x.gateway]);
    else expect([typeof x, typeof y]).toEqual(['string', 'string']);
    netlink.close();
  });
});
