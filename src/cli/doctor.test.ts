import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { driverOf, isWireless, type KernelFacts, kernelFacts, logLevels } from '../host/kernel_facts.ts';
import type { NextHop } from '../host/netlink/next_hop.ts';
import type { Link } from '../host/netlink/rtnetlink.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { parseIp, parseMac, printIp } from '../wire/address.ts';
import { type DoctorFacts, findings } from './doctor_checks.ts';
import { linesFor } from './doctor_lines.ts';
import { parseTarget } from './target_options.ts';

const ETH0: Link = {
  ifindex: 2,
  name: 'eth0',
  hardware: 1,
  flags: 0x1043,
  mac: parseMac('02:00:00:00:00:01'),
  mtu: 1500,
  master: 0,
  slaveKind: null,
  lower: 0,
  kind: null,
  operstate: 6,
  carrier: true,
};
const KERNEL: KernelFacts = {
  release: '6.1.0-56-amd64',
  version: [6, 1],
  levels: { console: 8, message: 4, minimum: 1 },
  ignoreLoglevel: false,
  netconsole: 'module',
  dynamic: true,
  modulesForbidden: false,
  targets: [],
  bootParameter: null,
  otherNamespace: false,
};

function hop(change: Partial<NextHop> & { via?: string; to?: string } = {}): NextHop {
  const gateway = change.via === undefined ? null : parseIp(change.via);
  const target = parseIp(change.to ?? '10.0.0.2')!;
  const { via: _via, to: _to, ...rest } = change;
  return {
    target,
    route: { type: 'unicast', oif: 2, gateway, prefsrc: null, mtu: null },
    link: ETH0,
    source: parseIp(target.family === 4 ? '10.0.0.1' : 'fd00::1'),
    hop: gateway ?? target,
    mac: parseMac('02:00:00:00:00:02'),
    state: 'REACHABLE',
    ...rest,
  };
}

function facts(change: Partial<DoctorFacts> = {}): DoctorFacts {
  return {
    hop: hop(),
    links: [ETH0],
    kernel: KERNEL,
    driver: 'e1000e',
    driverIsModule: false,
    wireless: false,
    extended: true,
    release: false,
    ...change,
  };
}

const told = (change: Partial<DoctorFacts>) =>
  findings(facts(change))
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ check, verdict, text }) => `${verdict} ${check}: ${text}`);
const bond0: Link = { ...ETH0, ifindex: 9, name: 'bond0', kind: 'bond' };

describe('findings', () => {
  it('are all well on a host where nothing is wrong', () => {
    expect(told({})).toEqual([]);
    expect(findings(facts()).map(({ check }) => check)).toEqual([
      ...['route', 'source', 'next hop', 'device', 'mtu', 'log level', 'netconsole'],
    ]);
    expect(told({ hop: hop({ via: '10.0.0.254', to: '192.0.2.1' }) })).toEqual([]);
    expect(told({ hop: hop({ to: 'fd00::2' }) })).toEqual([]);
  });

  it.each([
    [{ hop: { reason: 'the kernel has no route (ENETUNREACH)' } }, /^fail route: the kernel has no route/],
    [
      { hop: hop({ route: { type: 'local', oif: 1, gateway: null, prefsrc: null, mtu: null } }) },
      /^fail route:.*itself/,
    ],
    [
      { hop: hop({ route: { type: 'blackhole', oif: 1, gateway: null, prefsrc: null, mtu: null } }) },
      /^fail route:.*blackhole/,
    ],
    [{ hop: hop({ source: null }) }, /^fail source: eth0 has no IPv4 address/],
    [{ hop: hop({ source: null, to: 'fe80::2' }) }, /^fail source: eth0 has no link-local IPv6 address/],
    [{ hop: hop({ mac: null, state: 'FAILED' }) }, /^warn next hop: 10.0.0.2 has not answered.*FAILED.*broadcast/],
    [{ hop: hop({ mac: null, state: 'UNSEEN' }) }, /^warn next hop:.*without koffi/],
    [
      { hop: hop({ mac: null, state: 'INCOMPLETE', via: '10.0.0.254' }) },
      /^fail next hop: 10.0.0.254 \(gateway\) has not answered/,
    ],
    [{ hop: hop({ link: { ...ETH0, hardware: 65534 } }) }, /^fail device: eth0 is no Ethernet device/],
    [
      { hop: hop({ link: { ...ETH0, master: 9, slaveKind: 'bond' } }), links: [ETH0, bond0] },
      /^fail master: eth0 is part of bond0 \(bond\): the kernel says "is a slave device, aborting"/,
    ],
    [{ hop: hop({ link: { ...ETH0, flags: 0x1002 } }) }, /^warn device: eth0 is down/],
    [{ hop: hop({ link: { ...ETH0, carrier: false } }) }, /^warn device: eth0 has no carrier/],
    [{ wireless: true }, /^warn device: eth0 is wireless/],
    [{ hop: hop({ link: { ...ETH0, mtu: 576 } }) }, /^warn mtu: 576, a datagram may have 1028/],
    [
      { hop: hop({ route: { type: 'unicast', oif: 2, gateway: null, prefsrc: null, mtu: 1000 } }) },
      /^warn mtu: 1000, a datagram may have 1028/,
    ],
    [{ kernel: { ...KERNEL, levels: { console: 4, message: 4, minimum: 1 } } }, /^warn log level: 4:.*call traces/],
    [{ kernel: { ...KERNEL, levels: null } }, /^warn log level:/],
    [{ kernel: { ...KERNEL, netconsole: 'absent' } }, /^fail netconsole: 6.1.0-56-amd64 has no netconsole/],
    [{ kernel: { ...KERNEL, netconsole: 'unknown' } }, /^warn netconsole: cannot tell/],
    [{ kernel: { ...KERNEL, modulesForbidden: true } }, /^fail netconsole: a module, and this kernel loads no modules/],
    [{ kernel: { ...KERNEL, version: [3, 16] } }, /^fail kernel:.*extended format/],
    [{ release: true }, /^fail kernel: 6.1.0-56-amd64 is too old for the release in front/],
    [{ kernel: { ...KERNEL, otherNamespace: true } }, /^warn namespace:/],
    [{ driverIsModule: true }, /^note boot: e1000e is a module/],
    [{ kernel: { ...KERNEL, bootParameter: '@/eth0,@1.2.3.4/' } }, /^note active: booted with netconsole=@/],
  ] as [Partial<DoctorFacts>, RegExp][])('say what is wrong, and nothing else: %#', (change, words) => {
    const wrong = told(change);
    expect(wrong).toHaveLength(1);
    expect(wrong[0]).toMatch(words);
  });

  it('know which kinds refuse netpoll on which kernel, below a master as well', () => {
    const veth: Link = { ...ETH0, kind: 'veth' };
    const newer: KernelFacts = { ...KERNEL, version: [6, 12] };
    expect(told({ hop: hop({ link: veth }), links: [veth] })).toEqual([]);
    const direct = told({ hop: hop({ link: veth }), links: [veth], kernel: newer });
    expect(direct).toEqual([`fail device: eth0 is a veth: this kernel says "doesn't support polling, aborting"`]);
    const below: Link = { ...veth, name: 'vet1', ifindex: 5, master: 9 };
    expect(told({ hop: hop({ link: bond0 }), links: [bond0, below], kernel: newer })[0]).toMatch(/^fail device: vet1/);
    const plain = findings(facts({ hop: hop({ link: bond0 }), links: [bond0, { ...ETH0, master: 9 }], driver: null }));
    expect(plain.find(({ check }) => check === 'device')?.text).toBe('bond0: bond over eth0, up');
  });

  it('show the targets that there are', () => {
    const targets = [{ name: 'cmdline0', enabled: true, dev: 'eth0', remote: '10.0.0.9:6666' }];
    expect(told({ kernel: { ...KERNEL, targets } })).toEqual([
      'note active: target cmdline0 logs: eth0 to 10.0.0.9:6666',
    ]);
  });
});

describe('linesFor', () => {
  const options = { port: 6666, sourcePort: 6665, extended: true, release: false };
  const STRING = '6665@10.0.0.1/eth0,6666@10.0.0.2/02:00:00:00:00:02';

  it('name everything, so that the kernel guesses nothing', () => {
    const lines = linesFor(hop(), KERNEL, options)!;
    expect([lines.option, lines.send]).toEqual([`+${STRING}`, STRING]);
    expect(lines.module).toEqual([`modprobe netconsole netconsole=+${STRING}`]);
    expect(lines.boot).toBe(`netconsole.netconsole=+${STRING}`);
    expect(linesFor(hop(), { ...KERNEL, netconsole: 'built-in' }, options)!.boot).toBe(`netconsole=+${STRING}`);
    expect(lines.configfs.at(-1)).toBe('echo 1 > /sys/kernel/config/netconsole/netpoll/enabled');
    expect(linesFor(hop(), KERNEL, { ...options, release: true })!.option).toBe(`+r${STRING}`);
    expect(linesFor(hop(), KERNEL, { ...options, extended: false, release: true })!.option).toBe(STRING);
    expect(netpollParseOptions(lines.send)).toMatchObject({ ok: true, options: { devName: 'eth0', localPort: 6665 } });
  });

  it('give no string that could not work', () => {
    expect(linesFor(hop({ source: null }), KERNEL, options)).toBeNull();
    expect(linesFor(hop({ mac: null, via: '10.0.0.254' }), KERNEL, options)).toBeNull();
    expect(linesFor(hop({ mac: null }), KERNEL, options)!.send).toMatch(/ff:ff:ff:ff:ff:ff$/);
  });
});

describe('parseTarget', () => {
  it.each([
    ['10.0.0.2', '10.0.0.2', 6666, '', undefined],
    ['+10.0.0.2:514', '10.0.0.2', 514, '+', undefined],
    ['fd00::2', 'fd00::2', 6666, '', undefined],
    ['+r[fd00::2]:514', 'fd00::2', 514, '+r', undefined],
    ['fe80::2%eth0', 'fe80::2', 6666, '', 'eth0'],
  ])('takes %s as an address', (text, ip, port, prefix, zone) => {
    const target = parseTarget(text)!;
    expect({ ...target, ip: printIp(target.ip) }).toEqual({ ip, port, prefix, zone });
  });

  it.each(['', '+', '@/eth0,@10.0.0.2/', 'web-1', '10.0.0', '10.0.0.2:0', '10.0.0.2:70000', '[10.0.0.2', 'a:b'])(
    'leaves %j alone',
    (text) => {
      expect(parseTarget(text)).toBeNull();
    },
  );
});

describe('kernelFacts', () => {
  const root = mkdtempSync(join(tmpdir(), 'netpoll-facts-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const put = (path: string, text: string | Uint8Array) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const facts = () => kernelFacts({ root, release: '6.12.9-1-amd64' });

  it('are unknown where there is nothing to read', () => {
    expect(facts()).toEqual({
      release: '6.12.9-1-amd64',
      version: [6, 12],
      levels: null,
      ignoreLoglevel: false,
      netconsole: 'unknown',
      dynamic: null,
      modulesForbidden: false,
      targets: [],
      bootParameter: null,
      otherNamespace: null,
    });
  });

  it('come from /proc, /sys and /lib/modules', () => {
    put('proc/sys/kernel/printk', '4\t4\t1\t7\n');
    put('proc/cmdline', 'quiet netconsole=@10.0.0.1/eth0,@10.0.0.2/ nomodule\n');
    put('proc/config.gz', gzipSync('CONFIG_NETCONSOLE=m\nCONFIG_NETCONSOLE_DYNAMIC=y\n'));
    expect(facts()).toMatchObject({
      levels: { console: 4, message: 4, minimum: 1 },
      netconsole: 'module',
      dynamic: true,
      modulesForbidden: true,
      bootParameter: '@10.0.0.1/eth0,@10.0.0.2/',
    });
    put('lib/modules/6.12.9-1-amd64/modules.dep', 'kernel/net/other.ko:\n');
    expect(facts().netconsole).toBe('absent');
    put('sys/module/netconsole/initstate', 'live\n');
    expect(facts().netconsole).toBe('loaded');
    put('lib/modules/6.12.9-1-amd64/modules.builtin', 'kernel/drivers/net/netconsole.ko\n');
    expect(facts().netconsole).toBe('built-in');
    for (const [file, text] of Object.entries({
      enabled: '1',
      dev_name: 'eth0',
      remote_ip: '10.0.0.2',
      remote_port: '6666',
    })) {
      put(`sys/kernel/config/netconsole/cmdline0/${file}`, `${text}\n`);
    }
    put('sys/module/printk/parameters/ignore_loglevel', 'Y\n');
    expect(facts()).toMatchObject({
      ignoreLoglevel: true,
      targets: [{ name: 'cmdline0', enabled: true, dev: 'eth0', remote: '10.0.0.2:6666' }],
    });
    mkdirSync(join(root, 'proc/self/ns'), { recursive: true });
    mkdirSync(join(root, 'proc/1/ns'), { recursive: true });
    symlinkSync('net:[1]', join(root, 'proc/1/ns/net'));
    symlinkSync('net:[2]', join(root, 'proc/self/ns/net'));
    expect(facts().otherNamespace).toBe(true);
  });

  it('name the driver of the interface that has the number, no other', () => {
    put('sys/class/net/eth0/ifindex', '2\n');
    mkdirSync(join(root, 'sys/drivers/e1000e'), { recursive: true });
    mkdirSync(join(root, 'sys/class/net/eth0/device'), { recursive: true });
    symlinkSync('../../../../drivers/e1000e', join(root, 'sys/class/net/eth0/device/driver'));
    expect(driverOf('eth0', 2, root)).toEqual({ driver: 'e1000e', isModule: false });
    put('sys/module/e1000e/initstate', 'live\n');
    symlinkSync('../../module/e1000e', join(root, 'sys/drivers/e1000e/module'));
    expect(driverOf('eth0', 2, root)).toEqual({ driver: 'e1000e', isModule: true });
    expect(driverOf('eth0', 3, root)).toEqual({ driver: null, isModule: null });
    expect(isWireless('eth0', root)).toBe(false);
    put('sys/class/net/eth0/phy80211/name', 'phy0\n');
    expect(isWireless('eth0', root)).toBe(true);
  });

  it.each(['', '4', '4 4 1', 'a b c d', '4 4 1 7 9'])('take no log levels from %j', (text) => {
    expect(logLevels(text)).toBeNull();
  });
});
