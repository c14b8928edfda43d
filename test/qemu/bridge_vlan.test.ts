/**
 * Two real kernels that speak to each other through a bridge of ours, and one of them to a VLAN device of ours on it.
 *
 *   namespace a                                                                 namespace b
 *   QEMU eth0 10.0.0.2 -- tap1 -- bridged.mjs: br0 10.0.0.1 -- va ---- veth ---- vb 10.0.0.3, socat
 *        eth0.5 10.0.5.2                       br0.5 10.0.5.1
 *
 * Pings cross the bridge both ways, in fragments too; both kernels and our host answer each other; the guest's netconsole speaks over its
 * VLAN to a socket on ours; netpoll of ours speaks over the bridge with interrupts off.
 */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { socatReceiver } from '../netns/peers.ts';
import { Namespace } from '../netns/rig.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS, 'socat'], paths: GUEST_PATHS });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'bridged.mjs');
const TAPS = [{ device: 'tap1', guestMac: '02:00:00:00:dd:01' }];
const MODULES = [
  ...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole'),
  'llc',
  'stp',
  'garp',
  'mrp',
  '8021q',
  'netconsole',
];
const LINES = 50;

interface Told {
  readonly what: 'ready' | 'line' | 'sent' | 'end';
  readonly mac?: string;
  readonly text?: string;
  readonly status?: readonly number[];
  readonly known?: Readonly<Record<string, string>>;
  readonly inUse?: number;
}

function guestSteps(kernel: GuestKernel): string[] {
  return [
    ...MODULES.filter((name) => name !== 'netconsole').map((name) => loadModule(kernel, name)),
    'while ! [ -e /sys/class/net/eth0 ]; do usleep 20000; done',
    'ip addr add 10.0.0.2/24 dev eth0',
    'ip link set eth0 up',
    'vconfig add eth0 5',
    'ip addr add 10.0.5.2/24 dev eth0.5',
    'ip link set eth0.5 up',
    say('up'),
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

describe.skipIf(lacking !== undefined)(titled('a bridge and a VLAN device of ours among real kernels', lacking), () => {
  let a: Namespace;
  let b: Namespace;
  let guest: Guest;
  let bridged: Child;
  let asked = 0;

  const told = (what: Told['what']): Told[] =>
    bridged.lines.map((line) => JSON.parse(line) as Told).filter((each) => each.what === what);

  async function inGuest(command: string): Promise<string> {
    const mark = `end-of-${++asked}`;
    const from = guest.control.length;
    guest.tell(`${command}; say ${mark}`);
    await guest.hears(mark);
    return guest.control.text.slice(from).split(mark)[0]!;
  }

  beforeAll(async () => {
    const kernel = await fetchKernel();
    a = await Namespace.make('bridged-a');
    b = await Namespace.make('bridged-b');
    guest = await bootGuest({ kernel, space: a, taps: TAPS, modules: MODULES, steps: guestSteps(kernel) });
    await a.ip('link', 'add', 'va', 'type', 'veth', 'peer', 'name', 'vb', 'netns', b.name);
    await a.ip('link', 'set', 'va', 'up');
    await b.ip('addr', 'add', '10.0.0.3/24', 'dev', 'vb');
    await b.ip('link', 'set', 'vb', 'up');
    bridged = await a.start([process.execPath, PROGRAM, 'tap1', 'va']);
    await guest.hears('up');
    await bridged.until('the bridge', () => told('ready').length > 0);
    await sleep(500);
  });
  afterAll(async () => {
    await bridged?.stop();
    await guest?.remove();
    await a?.remove();
    await b?.remove();
  });

  it.each([
    ['the other kernel', '10.0.0.3', 56],
    ['the other kernel, in fragments', '10.0.0.3', 3000],
    ['our host on the bridge', '10.0.0.1', 56],
    ['our host on the VLAN, in fragments', '10.0.5.1', 3000],
  ])('the guest pings %s', async (_whom, address, bytes) => {
    // The first one waits for neighbours to be found.
    await inGuest(`ping -c 1 -W 2 ${address} > /dev/null || true`);
    expect(await inGuest(`ping -c 5 -i 0.2 -s ${bytes} -W 2 -q ${address}`)).toContain(
      '5 packets transmitted, 5 packets received',
    );
  });

  it('the other kernel pings the guest and our host', async () => {
    for (const address of ['10.0.0.2', '10.0.0.1']) {
      const { stdout } = await b.run(['/bin/busybox', 'ping', '-c', '5', '-i', '0.2', '-W', '2', '-q', address]);
      expect(stdout.toString()).toContain('5 packets transmitted, 5 packets received');
    }
  });

  it('a TCP connection crosses the bridge, whose sender leaves checksums to a hardware that is not there', async () => {
    guest.tell('nc -l -p 7000 > /tmp/got; say tcp-over');
    await sleep(300);
    const text = 'x'.repeat(1200);
    await b.run(['sh', '-c', `printf %s ${text} | socat -t 2 - TCP4:10.0.0.2:7000`]);
    await guest.hears('tcp-over');
    expect(await inGuest('wc -c < /tmp/got')).toContain('1200');
  });

  it('the guest’s netconsole speaks over its VLAN to a socket on ours', async () => {
    const { mac } = told('ready')[0]!;
    await inGuest(`insmod /modules/netconsole.ko netconsole=+6665@10.0.5.2/eth0.5,6666@10.0.5.1/${mac}`);
    await inGuest(`i=0; while [ $i -lt ${LINES} ]; do echo "<6>netpoll-test: record $i" > /dev/kmsg; i=$((i+1)); done`);
    const got = (): number =>
      new Set(told('line').flatMap(({ text }) => /netpoll-test: record (\d+)/.exec(text!)?.[1] ?? [])).size;
    await bridged.until('every record', () => got() === LINES, 10_000);
    expect(got()).toBe(LINES);
  });

  it('netpoll of ours speaks over the bridge with interrupts off', async () => {
    const heard = await socatReceiver(b, 6666);
    process.kill(bridged.pid, 'SIGUSR1');
    await heard.until('the last datagram', () => heard.lines.length >= 100, 10_000);
    expect(heard.lines).toEqual(Array.from({ length: 100 }, (_, i) => `datagram ${i}`));
    expect(told('sent')[0]!.status).toEqual([0]);
    await heard.stop();
  });

  it('knows who is behind which port, and has every frame back', async () => {
    await bridged.stop();
    const { known, inUse } = told('end')[0]!;
    expect(known![TAPS[0]!.guestMac]).toBe('tap1');
    expect(Object.values(known!)).toContain('va');
    expect(inUse).toBe(0);
  });
});
