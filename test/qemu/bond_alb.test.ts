/**
 * balance-alb: what a real bond tells its clients, and what ours does, while clients ask, links go and come, and it asks itself.
 *
 *   alb_clients.mjs --> packet:tap1, tap2 -- QEMU: eth0, eth1 -- bond0 10.0.0.1           simulated: the same, with our bond
 *
 * After each step the frames of either are written down for some seconds: ARP in its order by each link, the addresses of learning packets.
 * Hardware addresses are named after the slave that had them first.
 */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { netifCarrierOff, netifCarrierOn } from '../../src/device/net_device.ts';
import { Inet } from '../../src/inet/inet.ts';
import { UdpSock } from '../../src/inet/udp_socket.ts';
import { type ArpRig, arpRig } from '../../src/stacked/bond/arp_rig.fixture.ts';
import { BOND_MODE_ALB } from '../../src/stacked/bond/bond.ts';
import { parseIp } from '../../src/wire/address.ts';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { Namespace } from '../netns/rig.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS], paths: GUEST_PATHS });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'alb_clients.mjs');
const TAPS = [
  { device: 'tap1', guestMac: '02:00:00:00:cc:01' },
  { device: 'tap2', guestMac: '02:00:00:00:cc:02' },
];
const MODULES = [...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole'), 'tls', 'bonding'];

interface Step {
  readonly name: string;
  readonly seconds: number;
  readonly real: (guest: Guest, clients: Child) => void;
  readonly ours: (rig: ArpRig) => void;
}

function ask(rig: ArpRig): void {
  for (let client = 2; client <= 6; client++) {
    const mac = `02000000ee0${client}`;
    const hex = `ffffffffffff${mac}08060001080006040001${mac}0a00000${client}0000000000000a000001`;
    rig.receive(0, Buffer.from(hex.padEnd(120, '0'), 'hex'));
  }
}

const STEPS: readonly Step[] = [
  { name: 'clients ask', seconds: 4, real: (_, clients) => process.kill(clients.pid, 'SIGUSR1'), ours: ask },
  {
    name: 'the second link goes',
    seconds: 10,
    real: (guest) => guest.setLink(1, false),
    ours: ({ devices }) => netifCarrierOff(devices[1]!),
  },
  {
    name: 'it comes back',
    seconds: 6,
    real: (guest) => guest.setLink(1, true),
    ours: ({ devices }) => netifCarrierOn(devices[1]!),
  },
  {
    name: 'the link of the active slave goes',
    seconds: 10,
    real: (guest) => guest.setLink(0, false),
    ours: ({ devices }) => netifCarrierOff(devices[0]!),
  },
  {
    name: 'it comes back',
    seconds: 6,
    real: (guest) => guest.setLink(0, true),
    ours: ({ devices }) => netifCarrierOn(devices[0]!),
  },
  {
    name: 'the bond asks for a client',
    seconds: 4,
    real: (guest) => guest.tell('ping -c 1 -W 1 10.0.0.9 > /dev/null || true'),
    ours: (rig) => {
      new UdpSock(rig.bond.inet!).sendTo(parseIp('10.0.0.9')!, 9, new Uint8Array(10));
      rig.run(1);
      const { slave, bytes } = rig.seen.find((each) => each.bytes.readUInt16BE(12) === 0x0806)!;
      const asker = bytes.toString('hex', 6, 12);
      const answer = `${asker}02000000ee090806000108000604000202000000ee090a000009${asker}0a000001`;
      rig.receive(slave, Buffer.from(answer.padEnd(120, '0'), 'hex'));
    },
  },
];

function guestSteps(kernel: GuestKernel): string[] {
  const bond = '/sys/class/net/bond0/bonding';
  return [
    ...MODULES.map((name) => (name === 'bonding' ? loadModule(kernel, name, 'max_bonds=0') : loadModule(kernel, name))),
    'while ! [ -e /sys/class/net/eth1 ]; do usleep 20000; done',
    'for dev in all default; do echo 1 > /proc/sys/net/ipv6/conf/$dev/disable_ipv6; done || true',
    'echo +bond0 > /sys/class/net/bonding_masters',
    `echo balance-alb > ${bond}/mode`,
    `echo 100 > ${bond}/miimon`,
    `echo +eth0 > ${bond}/slaves`,
    `echo +eth1 > ${bond}/slaves`,
    'ip addr add 10.0.0.1/24 dev bond0',
    'ip link set bond0 up',
    'sleep 2',
    say('bond-up'),
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

/** ARP of each link in its order, and which addresses were announced there. `macs`: of the two slaves at first. */
function account(frames: readonly (readonly [number, string])[], macs: readonly string[]): string[] {
  const name = (mac: string): string =>
    macs.includes(mac) ? `slave${macs.indexOf(mac)}` : mac.replace(/^(00)+$/, '0');
  const arp = [0, 1].flatMap((link) =>
    frames
      .filter(([i, hex]) => i === link && hex.slice(24, 28) === '0806')
      .map(([, hex]) => {
        const [op, sender, target] = [hex.slice(43, 44), name(hex.slice(44, 56)), name(hex.slice(64, 76))];
        const ether = `${name(hex.slice(12, 24))} to ${name(hex.slice(0, 12))}`;
        return `link ${link}: ${ether}: op ${op} ${sender} ${hex.slice(56, 64)} ${target} ${hex.slice(76, 84)}`;
      }),
  );
  const learning = frames
    .filter(([, hex]) => hex.slice(24, 28) === '9000')
    .map(([i, hex]) => `link ${i}: ${name(hex.slice(0, 12))}`);
  return [...arp, ...[...new Set(learning)].sort().map((each) => `learn ${each}`)];
}

describe.skipIf(lacking !== undefined)(titled('balance-alb of a Debian kernel in QEMU', lacking), () => {
  let space: Namespace;
  let guest: Guest;
  let clients: Child;
  let rig: ArpRig;

  beforeAll(async () => {
    const kernel = await fetchKernel();
    space = await Namespace.make('bond-alb');
    guest = await bootGuest({ kernel, space, taps: TAPS, modules: MODULES, steps: guestSteps(kernel) });
    clients = await space.start([process.execPath, PROGRAM, 'tap1', 'tap2']);
    await guest.hears('bond-up');
    rig = arpRig(2, { mode: BOND_MODE_ALB, miimon: 100 });
    rig.target = false;
    const inet = new Inet(rig.stack, { host: true });
    inet.addAddress(rig.bond.dev, parseIp('10.0.0.1')!, 24);
    rig.bond.inet = inet;
    rig.run(2000);
  });
  afterAll(async () => {
    await clients?.stop();
    await guest?.remove();
    await space?.remove();
  });

  it.each(STEPS.map((step, i) => [i, step.name, step] as const))(
    '%i: %s',
    async (_i, _name, step) => {
      const from = clients.lines.length;
      step.real(guest, clients);
      await sleep(step.seconds * 1000);
      const theirs = clients.lines
        .slice(from)
        .map((line) => JSON.parse(line) as [number, string] | string)
        .filter((each) => typeof each !== 'string');
      rig.seen.length = 0;
      step.ours(rig);
      rig.run(step.seconds * 1000);
      const ours = rig.seen.map(({ slave, bytes }) => [slave, bytes.toString('hex')] as const);
      const wanted = account(
        theirs,
        TAPS.map(({ guestMac }) => guestMac.replaceAll(':', '')),
      );
      expect(account(ours, ['020000000000', '020000000001'])).toEqual(wanted);
      expect(wanted.length).toBeGreaterThan(0);
    },
    30_000,
  );
});
