/**
 * The lines that netpoll doctor prints, typed into a real kernel: datagrams arrive.
 *
 *   twin (what doctor looks at)                          the guest (what the lines are for)
 *   eth0 10.0.0.2 --veth-- 10.0.0.1, far's gateway       eth0 10.0.0.2 --tap0-- 10.0.0.1 and, behind it, 192.0.2.9
 *
 * Doctor runs in a namespace with the same interface name, address and gateway as the guest, so its lines are the guest's. The
 * boot parameter goes to a target behind the gateway, the configfs lines to one on the link, the module line to another port.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Diagnosis } from '../../src/cli/doctor.ts';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { socatReceiver } from '../netns/peers.ts';
import { Namespace } from '../netns/rig.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest, WIRE } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say, writeKmsg } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS, 'socat'], paths: GUEST_PATHS });
const FAR_TARGET = '192.0.2.9';
const PORTS = { boot: 6666, configfs: 6667, module: 6668 } as const;

describe.skipIf(lacking !== undefined)(titled('the lines of netpoll doctor, in a Debian kernel', lacking), () => {
  const spaces: Namespace[] = [];
  let guest: Guest;
  let heard: Record<keyof typeof PORTS, Child>;
  let lines: Record<keyof typeof PORTS, NonNullable<Diagnosis['lines']>>;

  beforeAll(async () => {
    const kernel = await fetchKernel();
    const twin = await Namespace.make('twin');
    const far = await Namespace.make('far');
    const host = await Namespace.make('host');
    spaces.push(twin, far, host);
    await twin.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'out0', 'netns', far.name);
    await far.ip('link', 'set', 'out0', 'address', WIRE.hostMac, 'up');
    await far.ip('address', 'add', `${WIRE.hostAddress}/24`, 'dev', 'out0');
    await twin.ip('link', 'set', 'eth0', 'up');
    await twin.ip('address', 'add', `${WIRE.guestAddress}/24`, 'dev', 'eth0');
    await twin.ip('route', 'add', 'default', 'via', WIRE.hostAddress);
    lines = {
      boot: await ask(twin, [FAR_TARGET, '--port', String(PORTS.boot)]),
      configfs: await ask(twin, [WIRE.hostAddress, '--port', String(PORTS.configfs)]),
      module: await ask(twin, [WIRE.hostAddress, '--port', String(PORTS.module), '--basic']),
    };
    await host.ip('address', 'add', `${FAR_TARGET}/32`, 'dev', 'lo');
    heard = {
      boot: await socatReceiver(host, PORTS.boot),
      configfs: await socatReceiver(host, PORTS.configfs),
      module: await socatReceiver(host, PORTS.module),
    };
    guest = await bootGuest({ kernel, space: host, steps: steps(kernel, lines), commandLine: lines.boot.boot });
    await guest.hears('ready');
    guest.tell('go');
    await guest.hears('all-written');
  });
  afterAll(async () => {
    await guest?.remove();
    for (const each of spaces) await each.remove();
  });

  it('name the gateway’s hardware address for a target behind it', () => {
    expect(lines.boot.option).toBe(`+6665@${WIRE.guestAddress}/eth0,${PORTS.boot}@${FAR_TARGET}/${WIRE.hostMac}`);
  });

  it.each([
    ['the boot parameter', 'boot', /^\d+,\d+,\d+,-[^;]*;typed boot$/],
    ['the configfs lines', 'configfs', /^\d+,\d+,\d+,-[^;]*;typed configfs$/],
    ['the module line, basic format', 'module', /typed module$/],
  ] as const)('work: %s', async (_name, way, line) => {
    await heard[way].until(`a datagram by ${way}`, () => heard[way].lines.some((each) => line.test(each)), 5_000);
    // What was logged before is replayed to each new target; nothing comes after its own record.
    expect(heard[way].lines.findLast((each) => /typed/.test(each))).toMatch(line);
  });
});

/** What the guest types. Each target hears one record of its own: the others are switched off by then. */
function steps(kernel: GuestKernel, lines: Record<keyof typeof PORTS, NonNullable<Diagnosis['lines']>>): string[] {
  const drivers = NETCONSOLE_MODULES.filter((name) => name !== 'netconsole');
  return [
    ...drivers.map((name) => loadModule(kernel, name)),
    'while ! [ -e /sys/class/net/eth0 ]; do usleep 20000; done',
    `ip addr add ${WIRE.guestAddress}/24 dev eth0`,
    'ip link set eth0 up',
    'while [ "$(cat /sys/class/net/eth0/carrier)" != 1 ]; do usleep 20000; done',
    // modprobe wants its table, and takes parameters from the kernel's command line.
    'mkdir -p "/lib/modules/$(uname -r)" && cp /modules/netconsole.ko /modules/configfs.ko "/lib/modules/$(uname -r)/"',
    'depmod',
    say('ready'),
    awaitHost(),
    'modprobe netconsole',
    writeKmsg('<6>typed boot\n'),
    'sleep 1',
    'rmmod netconsole',
    // The same without the parameter of the command line, which is the boot's.
    'insmod /modules/netconsole.ko',
    ...lines.configfs.configfs.filter((line) => line !== 'modprobe netconsole'),
    writeKmsg('<6>typed configfs\n'),
    'sleep 1',
    'echo 0 > /sys/kernel/config/netconsole/netpoll/enabled',
    'rmdir /sys/kernel/config/netconsole/netpoll',
    'rmmod netconsole',
    ...lines.module.module,
    writeKmsg('<6>typed module\n'),
    'sleep 1',
    say('all-written'),
  ];
}

async function ask(space: Namespace, words: readonly string[]): Promise<NonNullable<Diagnosis['lines']>> {
  const { stdout } = await space.run([process.execPath, 'bin/netpoll.js', 'doctor', ...words, '--json'], true);
  const { lines } = JSON.parse(stdout) as Diagnosis;
  if (lines === null) throw new Error(stdout);
  return lines;
}
