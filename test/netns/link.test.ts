/**
 * netpoll link beside this machine's ip: what it shows is ip's text and JSON byte for byte, what it sets leaves the interfaces as ip
 * would have, and a refusal carries the kernel's own sentence.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'], paths: ['/dev/net/tun'] });
const HERE = dirname(fileURLToPath(import.meta.url));
const CLI = join(HERE, '..', '..', 'bin', 'netpoll.js');
/** A bridge's clocks run between two looks; iproute2 asks for a program's name too. */
const still = (text: string): string =>
  text.replace(/(timer) +[\d.]+/g, '$1 0').replace(/(prog\/xdp id \d+) .*/g, '$1 ');
const stillJson = (text: string): unknown =>
  JSON.parse(text, (key, value) =>
    key.endsWith('_timer') ? 0 : key === 'prog' ? { id: (value as { id: number }).id } : value,
  );

describe.skipIf(lacking !== undefined)(titled('netpoll link beside ip', lacking), () => {
  let a: Namespace;
  let b: Namespace;
  const netpoll = async (space: Namespace, ...words: string[]) =>
    await space.run([process.execPath, CLI, 'link', ...words], true);

  beforeAll(async () => {
    a = await Namespace.make('link-a');
    b = await Namespace.make('link-b');
  });
  afterAll(async () => {
    await Promise.all([a?.remove(), b?.remove()]);
  });

  it('shows every interface as ip does, in text and in JSON, with details and counters', async () => {
    await a.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    await a.ip('link', 'add', 'x0', 'type', 'veth', 'peer', 'name', 'x1', 'netns', b.name);
    await a.ip('link', 'add', 'br0', 'type', 'bridge');
    await a.ip('link', 'add', 'br1', 'type', 'bridge', 'stp_state', '1');
    await a.ip('tuntap', 'add', 'dev', 't0', 'mode', 'tap', 'multi_queue');
    await a.ip('tuntap', 'add', 'dev', 't1', 'mode', 'tap', 'vnet_hdr', 'user', '7');
    await a.ip('tuntap', 'add', 'dev', 't2', 'mode', 'tun');
    await a.ip('link', 'set', 'v0', 'master', 'br0', 'up');
    await a.ip('link', 'set', 'v1', 'promisc', 'on', 'alias', 'the other end', 'mtu', '1400', 'up');
    await a.ip('link', 'set', 't1', 'master', 'br1', 'txqueuelen', '50');
    await a.ip('link', 'set', 't2', 'up');
    for (const dev of ['x0', 'br0', 'br1', 't0']) await a.ip('link', 'set', dev, 'up');
    await b.ip('link', 'set', 'x1', 'up');
    for (const options of [[], ['-d'], ['-s'], ['-s', '-s', '-d']]) {
      const text = await netpoll(a, 'show', ...options);
      expect([text.stderr, text.code]).toEqual(['', 0]);
      expect(still(text.stdout)).toBe(still(await a.ip(...options, 'link', 'show')));
      const json = await netpoll(a, 'show', ...options, '--json');
      expect(stillJson(json.stdout)).toEqual(stillJson(await a.ip('-j', ...options, 'link', 'show')));
    }
    expect(Object.keys(JSON.parse((await netpoll(a, 'v0', '-d', '--json')).stdout)[0])).toEqual(
      Object.keys(JSON.parse(await a.ip('-j', '-d', 'link', 'show', 'v0'))[0]),
    );
    for (const filter of [['v1'], ['up'], ['type', 'bridge'], ['master', 'br0'], ['dev', 'x0']]) {
      expect(still((await netpoll(a, ...filter)).stdout)).toBe(still(await a.ip('link', 'show', ...filter)));
    }
  }, 60_000);

  it('shows a program of XDP where one is attached', async () => {
    const host = await a.start([process.execPath, join(HERE, 'fixtures', 'xdp_host.mjs'), 'xdp:x0']);
    await host.until('open', () => host.lines.length > 0);
    const words = ['show', 'x0', '-d'];
    expect(still((await netpoll(a, ...words)).stdout)).toBe(still(await a.ip('-d', 'link', 'show', 'x0')));
    const json = await netpoll(a, 'show', 'x0', '--json');
    expect(stillJson(json.stdout)).toEqual(stillJson(await a.ip('-j', 'link', 'show', 'x0')));
    await host.stop();
  });

  it('makes, changes and deletes interfaces as ip does', async () => {
    const spaces = [await Namespace.make('link-c'), await Namespace.make('link-d')] as const;
    const commands = [
      'add w0 address 02:00:00:00:01:00 numtxqueues 2 numrxqueues 2 type veth peer w1 address 02:00:00:00:01:01 mtu 1300',
      'add name w2 txqueuelen 77 address 02:00:00:00:01:02 type veth peer name w3 address 02:00:00:00:01:03',
      'add b0 address 02:00:00:00:01:04 type bridge stp_state 1',
      'set dev w0 up mtu 1400 alias cable',
      'set w1 up promisc on allmulticast on multicast off arp off',
      'set w2 master b0 up',
      'set w3 name w9 address 02:00:00:00:02:09',
      'set w9 txqueuelen 5 gso_max_size 30000 gso_max_segs 20 group 7',
      'set b0 up',
      'set w1 promisc off',
      'set w2 nomaster',
      'add gone type veth peer away',
      'del gone',
    ];
    try {
      for (const command of commands) {
        const { stderr, code } = await netpoll(spaces[0], ...command.split(' '));
        expect([command, stderr, code]).toEqual([command, '', 0]);
        await spaces[1].ip(
          'link',
          ...command.replace('peer w1', 'peer name w1').replace('peer away', 'peer name away').split(' '),
        );
      }
      const [ours, theirs] = await Promise.all(spaces.map((space) => space.ip('-d', 'link', 'show')));
      expect(still(ours!)).toBe(still(theirs!));
    } finally {
      await Promise.all(spaces.map((space) => space.remove()));
    }
  }, 60_000);

  it('makes TAP devices that stay, as ip tuntap does', async () => {
    const spaces = [await Namespace.make('link-e'), await Namespace.make('link-f')] as const;
    try {
      const made = await netpoll(
        spaces[0],
        ...'add t0 address 02:00:00:00:01:09 up type tap multi_queue vnet_hdr'.split(' '),
      );
      expect([made.stderr, made.code]).toEqual(['', 0]);
      await spaces[1].ip(...'tuntap add dev t0 mode tap multi_queue vnet_hdr'.split(' '));
      await spaces[1].ip('link', 'set', 't0', 'address', '02:00:00:00:01:09', 'up');
      const [ours, theirs] = await Promise.all(spaces.map((space) => space.ip('-d', 'link', 'show', 't0')));
      expect(ours).toBe(theirs);
      expect((await netpoll(spaces[0], 'add', 't0', 'type', 'tap')).stderr).toContain('cannot make tap t0 (EEXIST)');
      const refused = await netpoll(spaces[0], 'add', 't1', 'mtu', '99999', 'type', 'tap');
      expect(refused.stderr).toContain('cannot set up t1 (EINVAL: mtu greater than device maximum)');
      expect((await netpoll(spaces[0], 'del', 't0')).code).toBe(0);
      expect(JSON.parse(await spaces[0].ip('-j', 'link', 'show')).length).toBe(1);
    } finally {
      await Promise.all(spaces.map((space) => space.remove()));
    }
  });

  it.each([
    [['set', 'v1', 'mtu', '99999'], 1, 'cannot change v1 (EINVAL: mtu greater than device maximum)'],
    [['set', 'v1', 'address', '01:00:00:00:00:01'], 1, 'cannot change v1 (EADDRNOTAVAIL)'],
    [['add', 'v1', 'type', 'veth'], 1, 'cannot make veth v1 (EEXIST'],
    [['add', 'link', 'v1', 'name', 'q0', 'type', 'vlan', 'id', '4095'], 1, 'cannot make vlan q0 ('],
    [['del', 'nothere'], 1, 'there is no interface "nothere"'],
    [['show', 'nothere'], 1, 'Device "nothere" does not exist.'],
    [['set', 'v1', 'mtu'], 2, 'mtu: a value is missing'],
    [['set', 'v1', 'mtu', '-4'], 2, 'mtu -4: give a whole number from 0 to'],
    [['set', 'v1', 'promisc', 'maybe'], 2, 'promisc maybe: give on or off'],
    [['set', 'v1', 'colour', 'red'], 2, 'set: "colour" is no word of it'],
    [['set', 'v1'], 2, 'nothing to set'],
    [['set'], 2, 'link set: which device?'],
    [['add', 'q0', 'type', 'vxlan'], 2, 'type vxlan: there are veth, dummy, vlan, bridge and tap'],
    [['add', 'q0'], 2, '"type" argument is required'],
  ])('says why not: %j', async (words, code, why) => {
    const said = await netpoll(a, ...words);
    expect(said.stderr).toContain(why);
    expect(said.code).toBe(code);
    expect(said.stdout).toBe('');
  });

  it('says what is missing where it lacks a privilege', async () => {
    const words = [
      'setpriv',
      '--bounding-set',
      '-net_admin',
      '--inh-caps',
      '-net_admin',
      process.execPath,
      CLI,
      'link',
    ];
    const said = await a.run([...words, 'set', 'v1', 'down'], true);
    expect(said.stderr).toContain('cannot change v1 (EPERM); it needs CAP_NET_ADMIN: run it as root');
    expect(said.code).toBe(1);
    expect((await a.run([...words, 'show', 'v1'], true)).code).toBe(0);
  });

  it('shows devices of ours in the same words', async () => {
    const { stdout } = await a.run([process.execPath, CLI, 'link', 'stats', '--machine', 'web-1', '--after', '2']);
    expect(stdout).toMatch(/^1: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP /);
    const ls = await a.run([process.execPath, CLI, 'ls', 'link', '-s', '--machine', 'web-1', '--after', '2']);
    expect(stdout).toBe(ls.stdout);
    const on = await a.run([process.execPath, CLI, 'link', '--on', 'packet:v1', '--after', '0', '--json']);
    expect(JSON.parse(on.stdout)).toMatchObject([{ ifname: 'v1', mtu: 1400, operstate: 'UP' }]);
  });
});
