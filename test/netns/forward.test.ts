/**
 * `netpoll forward` as the cable between two namespaces: what goes in at one end comes out at the other, byte for byte, whatever is cut or
 * merged on the way.
 *
 *     namespace a: v0 10.0.0.1 --TAP-- netpoll forward tap:A tap:B --TAP-- 10.0.0.2 v0 :namespace b
 *
 * TCP carries a file each way at once, checked by its hash; UDP datagrams come as they went. Killed, the program leaves nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { scratch } from './peers.ts';
import { Namespace, type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'socat', 'busybox'], paths: ['/dev/net/tun'] });
const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const noEthtool = lacks({ tools: ['ethtool'] }) !== undefined;
const FILE_BYTES = 48 << 20;
const stem = `nf${process.pid.toString(36)}`;

interface Total {
  readonly what: string;
  readonly ways: readonly Record<string, number | string>[];
}

const sha = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

describe.skipIf(lacking !== undefined)(titled('netpoll forward', lacking), () => {
  const folder = scratch('forward');
  let a: Namespace;
  let b: Namespace;
  let child: Child | undefined;

  beforeAll(async () => {
    [a, b] = await Promise.all([Namespace.make('fwd-a'), Namespace.make('fwd-b')]);
    writeFileSync(join(folder.path, 'there'), randomBytes(FILE_BYTES));
    writeFileSync(join(folder.path, 'back'), randomBytes(FILE_BYTES));
  });
  afterEach(async () => {
    await child?.stop('SIGINT');
  });
  afterAll(async () => {
    await Promise.all([a?.remove(), b?.remove()]);
    folder.discard();
  });

  /** Starts it over two new taps, and gives each end to a namespace. */
  async function cable(left: string, right: string): Promise<Child> {
    child = await Child.start([...NETPOLL, 'forward', `tap:${stem}a${left}`, `tap:${stem}b${right}`, '--json']);
    await child.says(/forwarding between/, 20_000);
    for (const [space, name, address] of [
      [a, `${stem}a`, '10.0.0.1/24'],
      [b, `${stem}b`, '10.0.0.2/24'],
    ] as const) {
      await space.run(['true']);
      await Child.start(['ip', 'link', 'set', name, 'netns', space.name]).then((each) => each.ended);
      await space.ip('link', 'set', name, 'name', 'v0');
      await space.ip('addr', 'add', address, 'dev', 'v0');
      await space.ip('link', 'set', 'v0', 'up');
    }
    return child;
  }

  /** The file `name` from one namespace to a listener in the other; gives what arrived. */
  async function transfer(
    from: Namespace,
    to: Namespace,
    address: string,
    port: number,
    name: string,
  ): Promise<string> {
    const arrived = join(folder.path, `${name}.arrived`);
    const listener = await to.start(['socat', '-u', `TCP4-LISTEN:${port},reuseaddr`, `CREATE:${arrived}`]);
    await from.run(['socat', '-u', `OPEN:${join(folder.path, name)}`, `TCP4:${address}:${port},retry=50,interval=0.1`]);
    await listener.ended;
    return arrived;
  }

  async function total(): Promise<Total> {
    await child!.stop('SIGINT');
    return JSON.parse(child!.lines.at(-1)!) as Total;
  }

  it.each([
    ['super-frames go whole from end to end', '', '', true, true],
    ['super-frames are cut for an end that takes none', '', ',offload=off', true, false],
    ['segments are merged for an end that takes super-frames', ',offload=off', '', false, true],
    ['neither end offloads', ',offload=off', ',offload=off', false, false],
    ['two queues an end', ',queues=2', ',queues=2', true, true],
  ])('carries files both ways at once, unharmed: %s', async (_, left, right) => {
    await cable(left, right);
    await a.run(['busybox', 'ping', '-c', '2', '-i', '0.2', '-W', '2', '10.0.0.2']);
    const arrived = await Promise.all([
      transfer(a, b, '10.0.0.2', 7001, 'there'),
      transfer(b, a, '10.0.0.1', 7002, 'back'),
    ]);
    expect(sha(arrived[0]!)).toBe(sha(join(folder.path, 'there')));
    expect(sha(arrived[1]!)).toBe(sha(join(folder.path, 'back')));
    const { what, ways } = await total();
    expect(what).toBe('total');
    for (const way of ways) {
      expect(way).toMatchObject({ too_long: 0, rx_bad_headers: 0, rx_length_errors: 0, rx_no_buffer: 0 });
      expect(way.bytes).toBeGreaterThan(FILE_BYTES);
    }
    const whole = ways[0]!.super_frames as number;
    if (left === '') expect(whole).toBeGreaterThan(100);
  });

  it('is gone with its interfaces when it is killed', async () => {
    const name = `${stem}k`;
    child = await Child.start([...NETPOLL, 'forward', `tap:${name}1`, `tap:${name}2`]);
    await child.says(/forwarding between/, 20_000);
    expect(existsSync(`/sys/class/net/${name}1`)).toBe(true);
    await child.stop('SIGKILL');
    for (const each of ['1', '2']) expect(existsSync(`/sys/class/net/${name}${each}`)).toBe(false);
  });

  it('refuses what cannot be joined, with what there is', async () => {
    const one = await Child.start([...NETPOLL, 'forward', 'tap:nosuch/name', 'tap:b']);
    expect((await one.ended).code).toBe(1);
    expect(one.stderr.toString()).toContain('is no name for an interface');
    const two = await Child.start([...NETPOLL, 'forward', 'floppy:0', 'tap:b']);
    expect((await two.ended).code).toBe(2);
    expect(two.stderr.toString()).toContain('unknown scheme "floppy:"');
  });
});

describe.skipIf(lacking !== undefined)(titled('netpoll forward between real interfaces', lacking), () => {
  let left: VethPair;
  let right: VethPair;
  const folder = scratch('forward-veth');

  beforeAll(async () => {
    left = await vethPair('fwl', 'v0');
    right = await vethPair('fwr', 'v1');
    // One namespace in the middle has both inner ends, without addresses.
    const middle = left.b.space;
    await right.a.space.ip('link', 'set', 'v1', 'netns', middle.name);
    await middle.ip('addr', 'flush', 'dev', 'v0');
    await middle.ip('link', 'set', 'v1', 'up');
    for (const device of ['v0', 'v1']) await middle.ip('link', 'set', device, 'arp', 'off');
    await left.a.space.ip('neigh', 'flush', 'all');
    await left.a.space.ip('neigh', 'replace', '10.0.0.2', 'lladdr', right.b.mac, 'dev', 'v0');
    await right.b.space.ip('neigh', 'replace', '10.0.0.1', 'lladdr', left.a.mac, 'dev', 'v1');
    for (const [space, device] of [
      [left.a.space, 'v0'],
      [right.b.space, 'v1'],
    ] as const) {
      await space.run(['ethtool', '-K', device, 'tso', 'off', 'gso', 'off'], true);
    }
  });
  afterAll(async () => {
    await left?.remove();
    await right?.remove();
    folder.discard();
  });

  /** A file from one end to the other, through `netpoll forward` in the middle; what it says on stderr. */
  async function carries(a: string, b: string): Promise<string> {
    const child = await left.b.space.start([...NETPOLL, 'forward', a, b, '--json']);
    await child.says(/forwarding between/, 20_000);
    const sent = randomBytes(1 << 20);
    const [from, to] = [join(folder.path, 'sent'), join(folder.path, 'arrived')];
    writeFileSync(from, sent);
    const listener = await right.b.space.start(['socat', '-u', 'TCP4-LISTEN:7001,reuseaddr', `CREATE:${to}`]);
    await left.a.space.run(['socat', '-u', `OPEN:${from}`, 'TCP4:10.0.0.2:7001,retry=50,interval=0.1']);
    await listener.ended;
    expect(sha(to)).toBe(createHash('sha256').update(sent).digest('hex'));
    await child.stop('SIGINT');
    const { ways } = JSON.parse(child.lines.at(-1)!) as Total;
    expect(ways[0]!.bytes).toBeGreaterThan(1 << 20);
    for (const way of ways) expect(way).toMatchObject({ too_long: 0, dropped: 0, tx_errors: 0 });
    return child.stderr.toString();
  }

  it('fills in the checksums that a local sender left to do', async () => {
    await carries('packet:v0', 'packet:v1');
  });

  it.skipIf(noEthtool)('goes past the kernel (xdp:), and from there to a packet port (needs ethtool)', async () => {
    for (const { space, device } of [
      { space: left.a.space, device: 'v0' },
      { space: right.b.space, device: 'v1' },
    ]) {
      await space.run(['ethtool', '-K', device, 'tx', 'off']);
    }
    const said = await carries('xdp:v0', 'xdp:v1');
    expect(said).toMatch(/xdp:v0: native-copy, .*; the kernel itself gets none of its frames meanwhile/);
    expect(said).toMatch(/xdp:v1: native-copy/);
    await carries('xdp:v0', 'packet:v1');
    await carries('packet:v0', 'xdp:v1');
  });
});
