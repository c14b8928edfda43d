/**
 * Which slave takes a frame: a real bond's choice against ours, for thousands of frames drawn at random, with every policy.
 *
 *   test's namespace                                 qemu, Debian's kernel
 *   frames.mjs --> packet:tap0 -- tap0 ---> eth0 \
 *                                                 br0 (floods what it does not know)
 *   frames.mjs <-- packet:tapN -- tapN <--- ethN -- bond0 (eth1, eth2, eth3; balance-xor)
 *
 * 1. The guest's bridge hands every frame to its bond, which sends it by one of three NICs.
 * 2. For each frame that comes out we compute its hash from its own bytes: modulo three it must name the NIC.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArena } from '../../src/skb/arena.ts';
import { SkbPool } from '../../src/skb/pool.ts';
import { skbPut } from '../../src/skb/sk_buff.ts';
import { xmitHash } from '../../src/stacked/bond/hash.ts';
import { FlowKeys } from '../../src/wire/flow_dissect.ts';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { scratch } from '../netns/peers.ts';
import { Namespace } from '../netns/rig.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';
import { randomFrames } from './random_frames.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS], paths: GUEST_PATHS });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'frames.mjs');
const SLAVES = 3;
const FRAMES = 4000;
const SEED = 20261121;
const POLICIES = ['layer2', 'layer3+4', 'layer2+3', 'encap2+3', 'encap3+4', 'vlan+srcmac'] as const;
const TAPS = [0, 1, 2, 3].map((i) => ({ device: `tap${i}`, guestMac: `02:00:00:00:cc:0${i}` }));
const MODULES = [
  ...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole'),
  ...['tls', 'bonding', 'llc', 'stp', 'bridge'],
];

/** A frame that came out: the slave, the tag beside it or -1, the EtherType behind that, its bytes without that tag. */
type Got = readonly [slave: number, tci: number, type: number, hex: string];

function guestSteps(kernel: GuestKernel): string[] {
  const bond = '/sys/class/net/bond0/bonding';
  return [
    ...MODULES.map((name) => (name === 'bonding' ? loadModule(kernel, name, 'max_bonds=0') : loadModule(kernel, name))),
    'while ! [ -e /sys/class/net/eth3 ]; do usleep 20000; done',
    'for dev in all default; do echo 1 > /proc/sys/net/ipv6/conf/$dev/disable_ipv6; done || true',
    'echo +bond0 > /sys/class/net/bonding_masters',
    `echo balance-xor > ${bond}/mode`,
    `echo 100 > ${bond}/miimon`,
    ...[1, 2, 3].map((i) => `echo +eth${i} > ${bond}/slaves`),
    'brctl addbr br0',
    'echo 0 > /sys/class/net/br0/bridge/multicast_snooping',
    'echo 1 > /sys/class/net/br0/bridge/ageing_time',
    'brctl addif br0 eth0',
    'brctl addif br0 bond0',
    ...['eth0', 'bond0', 'br0'].map((dev) => `ip link set ${dev} up`),
    'sleep 1',
    say('bond-up'),
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

/**
 * The stack puts the tag into an MPLS frame before the bond gets it, for no driver's offload of tags holds for MPLS; we see the tag beside
 * the frame again, and cannot tell.
 */
function isTaggedMpls([, tci, type, hex]: Got): boolean {
  let at = 28;
  let inner = type;
  for (; inner === 0x8100 || inner === 0x88a8; at += 8) inner = Number.parseInt(hex.slice(at + 4, at + 8), 16);
  return tci >= 0 && (inner === 0x8847 || inner === 0x8848);
}

describe.skipIf(lacking !== undefined)(titled('a bond of a Debian kernel in QEMU', lacking), () => {
  let space: Namespace;
  let guest: Guest;
  let host: Child;
  let discard: () => void;
  let round = 0;
  const pool = new SkbPool(createArena(2, 4096), 2);
  const keys = new FlowKeys();

  beforeAll(async () => {
    const kernel = await fetchKernel();
    const folder = scratch('frames');
    discard = folder.discard;
    const file = join(folder.path, 'frames');
    const lines = randomFrames(SEED, FRAMES).map((bytes) => bytes.toString('hex'));
    writeFileSync(file, lines.join('\n'));
    space = await Namespace.make('bond-tx');
    guest = await bootGuest({ kernel, space, taps: TAPS, modules: MODULES, steps: guestSteps(kernel) });
    host = await space.start([process.execPath, PROGRAM, file, 'tap0', 'tap1', 'tap2', 'tap3']);
    await guest.hears('bond-up');
    await host.until('its devices', () => host.lines.length > 0);
  });
  afterAll(async () => {
    await host?.stop();
    await guest?.remove();
    await space?.remove();
    discard?.();
  });

  async function passAll(policy: string): Promise<Got[]> {
    const mark = `policy-${++round}`;
    guest.tell(`echo ${policy} > /sys/class/net/bond0/bonding/xmit_hash_policy; say ${mark}`);
    await guest.hears(mark);
    process.kill(host.pid, 'SIGUSR1');
    const end = JSON.stringify({ what: 'end', round });
    await host.until(`round ${round}`, () => host.lines.includes(end), 60_000);
    const { lines } = host;
    const from = lines.findIndex((line) => line.startsWith(`{"what":"done","round":${round},`));
    return lines.slice(from + 1, lines.indexOf(end)).map((line) => JSON.parse(line) as Got);
  }

  /** Our choice, of the frame as the bond had it: one tag beside it, `network` behind the Ethernet header. */
  function choice(policy: number, [, tci, type, hex]: Got): number {
    const bytes = Buffer.from(hex, 'hex');
    const skb = pool.alloc(bytes.length)!;
    const at = skbPut(skb, bytes.length);
    skb.arena.bytes.set(bytes, at);
    skb.protocol = type;
    skb.vlanTci = tci;
    skb.networkHeader = at + 14;
    const hash = xmitHash(policy, keys, skb);
    pool.consume(skb);
    return hash % SLAVES;
  }

  it.each(POLICIES.map((name, i) => [name, i] as const))(
    'deals random frames out as ours does, with %s',
    async (name, policy) => {
      const got = await passAll(name);
      const wrong = got.filter((each) => !isTaggedMpls(each) && choice(policy, each) !== each[0]);
      expect(wrong.map(([slave, tci, type, hex]) => `v${slave} ${tci} ${type.toString(16)} ${hex}`)).toEqual([]);
      expect(got.length, 'frames that came out').toBeGreaterThan(FRAMES / 2);
      expect(new Set(got.map(([slave]) => slave)).size).toBe(SLAVES);
    },
    90_000,
  );
});
