/**
 * netpoll doctor on real routes and neighbours.
 *
 *   sender 10.1.0.1, fd01::1 --veth-- 10.1.0.254, fd01::fe  gateway  10.2.0.254, fd02::fe --veth-- 10.2.0.2, fd02::2 target
 *
 * Every neighbour is found by the kernel's own asking; nothing is fixed beforehand.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Diagnosis } from '../../src/cli/doctor.ts';
import { lacks, titled } from './needs.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat', 'setpriv'] });
const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const WITHOUT_KOFFI = [process.execPath, '--require', './test/cli/fixtures/no_koffi.cjs', 'bin/netpoll.js'];

describe.skipIf(lacking !== undefined)(titled('netpoll doctor', lacking), () => {
  let sender: Namespace;
  let gateway: Namespace;
  let target: Namespace;

  beforeAll(async () => {
    [sender, gateway, target] = [await Namespace.make('snd'), await Namespace.make('gw'), await Namespace.make('tgt')];
    for (const each of [sender, gateway, target]) {
      await each.run(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=0', 'net.ipv6.conf.default.disable_ipv6=0']);
    }
    await gateway.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    await join(sender, 'lan0', ['10.1.0.1/24', 'fd01::1/64'], gateway, 'in0', ['10.1.0.254/24', 'fd01::fe/64']);
    await join(target, 'far0', ['10.2.0.2/24', 'fd02::2/64'], gateway, 'out0', ['10.2.0.254/24', 'fd02::fe/64']);
    await sender.ip('route', 'add', 'default', 'via', '10.1.0.254');
    await sender.ip('-6', 'route', 'add', 'default', 'via', 'fd01::fe');
    await target.ip('route', 'add', 'default', 'via', '10.2.0.254');
    await sender.ip('link', 'add', 'br0', 'type', 'bridge');
    await sender.ip('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'port1');
    await sender.ip('link', 'set', 'port0', 'master', 'br0');
    await sender.ip('address', 'add', '10.3.0.1/24', 'dev', 'br0');
    for (const each of ['br0', 'port0', 'port1']) await sender.ip('link', 'set', each, 'up');
    await sender.ip('tuntap', 'add', 'tun0', 'mode', 'tun');
    await sender.ip('address', 'add', '10.4.0.1/24', 'dev', 'tun0');
    await sender.ip('link', 'set', 'tun0', 'up', 'mtu', '900');
    await sender.ip('route', 'add', 'unreachable', '10.9.0.0/16');
  });
  afterAll(async () => {
    for (const each of [sender, gateway, target]) await each?.remove();
  });

  const ask = async (words: readonly string[], program = NETPOLL): Promise<Diagnosis & { code: number }> => {
    const { stdout, stderr, code } = await sender.run([...program, 'doctor', ...words, '--json'], true);
    if (stdout === '') throw new Error(stderr);
    return { ...(JSON.parse(stdout) as Diagnosis), code };
  };
  const said = ({ findings }: Diagnosis, check: string) =>
    findings.filter((each) => each.check === check).map(({ verdict, text }) => `${verdict}: ${text}`);

  it('finds a target on the link by having the kernel ask for it', async () => {
    const found = await ask(['10.1.0.254']);
    const mac = await gateway.macOf('in0');
    expect(found).toMatchObject({ dev: 'lan0', source: '10.1.0.1', gateway: null, mac, tables: 'netlink' });
    expect(found.lines?.option).toBe(`+6665@10.1.0.1/lan0,6666@10.1.0.254/${mac}`);
  });

  it('finds the gateway’s hardware address for a target behind it, over IPv4 and IPv6', async () => {
    const mac = await gateway.macOf('in0');
    const four = await ask(['10.2.0.2', '--port', '514', '--basic']);
    expect(four).toMatchObject({ dev: 'lan0', source: '10.1.0.1', gateway: '10.1.0.254', mac });
    expect(four.lines?.option).toBe(`6665@10.1.0.1/lan0,514@10.2.0.2/${mac}`);
    expect(await sender.ip('neigh', 'show', '10.2.0.2')).toBe('');
    const six = await ask(['fd02::2']);
    expect(six).toMatchObject({ dev: 'lan0', source: 'fd01::1', gateway: 'fd01::fe', mac });
    expect(six.lines?.option).toBe(`+6665@fd01::1/lan0,6666@fd02::2/${mac}`);
  });

  it('takes a link-local target with its interface, and its own link-local address', async () => {
    const text = await gateway.ip('-6', '-j', 'address', 'show', 'dev', 'in0', 'scope', 'link');
    // Entries that the filter leaves out are empty objects.
    const links = JSON.parse(text) as { addr_info?: { local?: string }[] }[];
    const local = links.flatMap(({ addr_info }) => addr_info ?? []).find((each) => each.local !== undefined)!.local!;
    const found = await ask([`${local}%lan0`]);
    expect(found).toMatchObject({ dev: 'lan0', mac: await gateway.macOf('in0') });
    expect(found.source).toMatch(/^fe80:/);
    const { code, stderr } = await sender.run([...NETPOLL, 'doctor', local], true);
    expect([code, stderr]).toEqual([2, expect.stringContaining('name its interface with --dev')]);
  });

  it('knows the hardware address of a multicast target by rule, without sending anything', async () => {
    await sender.ip('route', 'add', '224.0.0.0/4', 'dev', 'lan0');
    const found = await ask(['239.1.2.3', '--no-probe']);
    expect(found).toMatchObject({ mac: '01:00:5e:01:02:03', neighbour: 'RULE', dev: 'lan0' });
    expect((await ask(['ff02::1', '--dev', 'lan0'])).mac).toBe('33:33:00:00:00:01');
  });

  it('says that this kernel’s veth refuses netpoll, as it does since 6.12', async () => {
    const found = await ask(['10.1.0.254']);
    const [major, minor] = found.kernel.split('.').map(Number);
    const refuses = major! > 6 || (major === 6 && minor! >= 12);
    expect(said(found, 'device')).toEqual([
      refuses ? `fail: lan0 is a veth: this kernel says "doesn't support polling, aborting"` : 'ok: lan0: veth, up',
    ]);
  });

  it('leads from a port to its bridge', async () => {
    const found = await ask(['10.3.0.2', '--dev', 'port0', '--no-probe']);
    expect(said(found, 'master')[0]).toMatch(/^fail: port0 is part of br0 \(bridge\)/);
    expect(found.findings.find(({ check }) => check === 'master')?.mend).toBe('use --dev br0');
    expect(found.code).toBe(1);
  });

  it('says what does not answer: on the link broadcast is left, behind a gateway nothing', async () => {
    const near = await ask(['10.1.0.77']);
    expect(said(near, 'next hop')[0]).toMatch(/^warn: 10.1.0.77 has not answered \(its entry is (FAILED|INCOMPLETE)\)/);
    expect(near.lines?.option).toMatch(/ff:ff:ff:ff:ff:ff$/);
    await sender.ip('route', 'add', '10.5.0.0/16', 'via', '10.1.0.78');
    const far = await ask(['10.5.0.1']);
    expect(said(far, 'next hop')[0]).toMatch(/^fail: 10.1.0.78 \(gateway\) has not answered/);
    expect(far.lines).toBeNull();
  });

  it('refuses what is no wire: itself, a tunnel without Ethernet, an unreachable network', async () => {
    expect(said(await ask(['10.1.0.1']), 'route')).toEqual(['fail: 10.1.0.1 is this host itself']);
    const tun = await ask(['10.4.0.2']);
    expect(said(tun, 'device')[0]).toMatch(/^fail: tun0 is no Ethernet device/);
    expect(said(tun, 'mtu')[0]).toMatch(/^warn: 900, a datagram may have 1028/);
    expect(said(await ask(['10.9.0.1']), 'route')[0]).toMatch(/^fail: the kernel has no route \(EHOSTUNREACH\)/);
    expect(said(await ask(['10.1.0.2', '--dev', 'nosuch']), 'route')[0]).toMatch(/there is no interface "nosuch"/);
  });

  it('does without koffi what /proc allows, and says so', async () => {
    const found = await ask(['10.2.0.2'], WITHOUT_KOFFI);
    expect(found).toMatchObject({
      gateway: '10.1.0.254',
      mac: await gateway.macOf('in0'),
      tables: '/proc',
      dev: 'lan0',
    });
    expect(found.source).toBe('10.1.0.1');
    expect(said(found, 'tables')[0]).toMatch(/^note: read from \/proc: .*koffi/);
    const six = await ask(['fd02::2'], WITHOUT_KOFFI);
    expect(said(six, 'next hop')[0]).toMatch(/does not show its neighbours without koffi/);
  });

  it('lends netpoll send its string, and an interface by its hardware address', async () => {
    const receiver = await target.start(['socat', '-u', 'UDP4-RECV:6666', 'STDOUT']);
    await receiver.bindsUdp(6666);
    const { stderr } = await sender.run([...NETPOLL, 'send', '10.2.0.2', 'by', 'address']);
    expect(stderr).toContain(`6665@10.1.0.1/lan0,6666@10.2.0.2/${await gateway.macOf('in0')}`);
    const device = await sender.macOf('lan0');
    await sender.run([...NETPOLL, 'send', `@10.1.0.1/${device},@10.2.0.2/${await gateway.macOf('in0')}`, 'by MAC']);
    await receiver.until('both lines', () => receiver.lines.length >= 2);
    expect(receiver.lines).toEqual(['by address', 'by MAC']);
    const { code, stderr: why } = await sender.run([...NETPOLL, 'send', '10.9.0.1', 'nobody'], true);
    expect([code, why]).toEqual([1, expect.stringContaining('no route (EHOSTUNREACH)')]);
  });

  it('needs no privileges', async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env', 'NO_COLOR=1'];
    const argv = [...nobody, ...NETPOLL, 'doctor', '10.2.0.2'];
    const { stdout } = await sender.run(argv, true);
    expect(stdout).toContain(`+6665@10.1.0.1/lan0,6666@10.2.0.2/${await gateway.macOf('in0')}`);
    expect(stdout).toMatch(/^ok {3}next hop {4}10\.1\.0\.254 \(gateway\) has hardware address/m);
  });
});

/** A veth pair between two namespaces; the ends are up, IPv6 addresses usable at once. */
async function join(a: Namespace, da: string, as: string[], b: Namespace, db: string, bs: string[]): Promise<void> {
  await a.ip('link', 'add', da, 'type', 'veth', 'peer', 'name', db, 'netns', b.name);
  for (const [space, device, addresses] of [
    [a, da, as],
    [b, db, bs],
  ] as const) {
    for (const address of addresses) await space.ip('address', 'add', address, 'dev', device, 'nodad');
    await space.ip('link', 'set', device, 'up');
  }
}
