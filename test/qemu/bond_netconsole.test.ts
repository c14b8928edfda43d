/**
 * netconsole over our 802.3ad bond and that of a real kernel, both ways at once, while links are pulled and our event loop is dead.
 *
 *   test's namespace                                        qemu: Debian's kernel
 *   bonded.mjs: bond0 10.0.0.1                              bond0 10.0.0.2, netconsole to 10.0.0.1:6667
 *      packet:tap1 -- tap1 <------------- link 0 ---------> eth0
 *      packet:tap2 -- tap2 <------------- link 1 ---------> eth1
 *   socat on 10.1.0.1:6666 --- tap3 <---------------------> eth2 10.1.0.2, forwards
 *
 * 1. `tap down`: the link that carries our records is lost on our side. Netpoll is told by the kernel that the frame did not leave.
 * 2. `set_link off`: it is lost on the guest's side. We see a link and send into silence until LACP gives up (3 s).
 * 3. `tap down` while our event loop is dead: no monitor runs until it lives again.
 *
 * Records have numbers: of ours, what socat does not have is what was counted here, and in 2. what was sent on that link until it was
 * given up. Of the guest's, whose /dev/kmsg has them all, what our collector does not have lies in these three spans.
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
import { kmsgRecords } from './serial.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS, 'socat'], paths: GUEST_PATHS });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '..', 'netns', 'fixtures', 'bonded.mjs');
const TAPS = [
  { device: 'tap1', guestMac: '02:00:00:00:bb:01' },
  { device: 'tap2', guestMac: '02:00:00:00:bb:02' },
  { device: 'tap3', guestMac: '02:00:00:00:bb:03' },
] as const;
const MODULES = [...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole'), 'tls', 'bonding', 'netconsole'];
const OURS = 'mode=802.3ad miimon=100 lacp_rate=fast xmit_hash_policy=layer3+4';
const NETCONSOLE = `+6665@10.0.0.1/bond0,6666@10.1.0.1/${TAPS[0].guestMac}`;
/** The short timeout of LACP, ticks of 100 ms, and what a busy machine takes. */
const SILENCE_MS = 3000 + 500 + 1500;
const [FIRST, SECOND, THIRD] = ['say 200', 'say 800', 'wedge 300'];
const COMMANDS = `usable 2; rest 1500; ${FIRST} 5000; usable 2; rest 300; ${SECOND} 5000; usable 2; rest 300; ${THIRD} 1000; rest 800`;

interface Told {
  readonly what: 'ready' | 'usable' | 'line' | 'ran' | 'end';
  readonly name?: string;
  readonly i?: number;
  readonly ticks?: number;
  readonly sent?: readonly number[];
  readonly mac?: readonly number[];
  readonly slaves?: readonly string[];
}

interface End {
  readonly emitted: readonly (readonly [seq: number, atMs: number])[];
  readonly collected: readonly number[];
  readonly counted: readonly { readonly npinfo: Readonly<Record<string, number>>; readonly waiting: number }[];
  readonly ports: readonly Readonly<Record<string, number>>[];
  readonly drops: Readonly<Record<string, number>>;
}

function guestSteps(kernel: GuestKernel): string[] {
  const bond = '/sys/class/net/bond0/bonding';
  const loaded = MODULES.filter((name) => name !== 'netconsole');
  return [
    ...loaded.map((name) => (name === 'bonding' ? loadModule(kernel, name, 'max_bonds=0') : loadModule(kernel, name))),
    'while ! [ -e /sys/class/net/eth2 ]; do usleep 20000; done',
    'echo +bond0 > /sys/class/net/bonding_masters',
    `echo 802.3ad > ${bond}/mode`,
    `echo fast > ${bond}/lacp_rate`,
    `echo 100 > ${bond}/miimon`,
    `echo layer3+4 > ${bond}/xmit_hash_policy`,
    `echo +eth0 > ${bond}/slaves`,
    `echo +eth1 > ${bond}/slaves`,
    'ip addr add 10.0.0.2/24 dev bond0',
    'ip link set bond0 up',
    'ip addr add 10.1.0.2/24 dev eth2',
    'ip link set eth2 up',
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    say('bond-up'),
    // From here on the test says what to run.
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

describe.skipIf(lacking !== undefined)(
  titled('netconsole over 802.3ad, to and from a Debian kernel in QEMU', lacking),
  () => {
    let space: Namespace;
    let guest: Guest;
    let bonded: Child;
    let heard: Child;
    let end: End;
    /** When a link was pulled, and known to be lost at both ends. */
    const outages: { readonly fromMs: number; readonly toMs: number }[] = [];

    const told = (): Told[] => bonded.lines.map((line) => JSON.parse(line) as Told);
    const until = (what: string, test: (each: Told) => boolean) => bonded.until(what, () => told().some(test), 40_000);
    const reaches = (name: string, line: number) =>
      until(`${name} line ${line}`, (each) => each.name === name && (each.i ?? -1) >= line);
    const ran = (name: string) => until(`the end of ${name}`, ({ what, name: of }) => what === 'ran' && of === name);
    const usable = (times: number) =>
      bonded.until(
        `both links, ${times}`,
        () => told().filter(({ what }) => what === 'usable').length >= times,
        40_000,
      );

    /** The link that carries run `name`: the slave whose count rises by ten in ten lines. */
    function linkOf(name: string): number {
      const [before, after] = told()
        .filter((each) => each.name === name && each.sent !== undefined)
        .slice(-2);
      return after!.sent![0]! - before!.sent![0]! >= 9 ? 0 : 1;
    }

    beforeAll(async () => {
      const kernel = await fetchKernel();
      space = await Namespace.make('bond-nc');
      guest = await bootGuest({ kernel, space, taps: TAPS, modules: MODULES, steps: guestSteps(kernel) });
      await space.ip('addr', 'add', '10.1.0.1/24', 'dev', 'tap3');
      heard = await socatReceiver(space, 6666);
      await guest.hears('bond-up');
      bonded = await space.start([process.execPath, PROGRAM, OURS, NETCONSOLE, COMMANDS, 'tap1', 'tap2']);
      await until('it is ready', ({ what }) => what === 'ready');
      const mac = told()[0]!
        .mac!.map((byte) => byte.toString(16).padStart(2, '0'))
        .join(':');
      await usable(1);
      const line = 'echo "<6>netpoll-test: record $i" > /dev/kmsg';
      guest.tell(
        `insmod /modules/netconsole.ko netconsole=+6665@10.0.0.2/bond0,6667@10.0.0.1/${mac}; ` +
          `i=0; while ! [ -e /tmp/stop ]; do ${line}; i=$((i+1)); usleep 20000; done & true`,
      );
      await lose(FIRST, (i, up) => space.ip('link', 'set', `tap${i + 1}`, up ? 'up' : 'down'), 40);
      await usable(2);
      await lose(SECOND, async (i, up) => guest.setLink(i, up), 40);
      await usable(3);
      await lose(THIRD, (i, up) => space.ip('link', 'set', `tap${i + 1}`, up ? 'up' : 'down'), 100);
      guest.tell('touch /tmp/stop');
      await until('its end', ({ what }) => what === 'end');
      end = JSON.parse(bonded.lines.at(-1)!) as End;
      await sleep(200);
    }, 120_000);
    afterAll(async () => {
      await guest?.remove();
      await space?.remove();
    });

    /** Pulls the link that carries run `name` at line `line`, and puts it back when the run is over. */
    async function lose(name: string, link: (i: number, up: boolean) => Promise<unknown>, line: number): Promise<void> {
      await reaches(name, line);
      const i = linkOf(name);
      const fromMs = Date.now();
      await link(i, false);
      await ran(name);
      outages.push({ fromMs, toMs: Date.now() });
      await link(i, true);
    }

    it('sends on, over the other link, with the event loop alive and dead', () => {
      const runs = told().filter(({ what }) => what === 'ran');
      expect(runs.map(({ name, ticks }) => [name, ticks === 0])).toEqual([
        [FIRST, false],
        [SECOND, false],
        [THIRD, true],
      ]);
      expect(
        told()
          .filter(({ what }) => what === 'usable')
          .map(({ slaves }) => slaves),
      ).toEqual(Array(3).fill(['tap1', 'tap2']));
    });

    it('loses of ours what it counts, and in silence what was sent on a link that only the guest had lost', () => {
      // Lines of a record's dictionary begin with a space: the interface's news have one.
      const records = heard.lines.filter((each) => !each.startsWith(' '));
      const got = records.map((each) => Number(/^\d+,(\d+),\d+,[-c]/.exec(each)?.[1]));
      expect(got).not.toContain(Number.NaN);
      const from = end.emitted.find(([, atMs]) => atMs > outages[0]!.fromMs - 200)![0];
      const all = end.emitted.filter(([seq]) => seq >= from);
      const missing = all.filter(([seq]) => !got.includes(seq));
      const silent = missing.filter(
        ([, atMs]) => atMs > outages[1]!.fromMs - 50 && atMs < outages[1]!.fromMs + SILENCE_MS,
      );
      const unsent = end.counted.map(
        ({ npinfo, waiting }) => (npinfo.dropped ?? 0) + (npinfo.not_running ?? 0) + waiting,
      );
      const failed = end.ports.map((port) => port.tx_errors ?? 0);
      const sums = JSON.stringify({
        all: all.length,
        missing: missing.length,
        silent: silent.length,
        unsent,
        failed,
        drops: end.drops.NO_TX_TARGET,
      });
      expect(new Set(got).size, sums).toBe(got.length);
      expect(missing.length - silent.length, sums).toBe([...unsent, ...failed].reduce((sum, n) => sum + n, 0));
    });

    it('loses of the guest’s, known to the record, only what lies in these spans', () => {
      const sent = kmsgRecords(guest.kmsg).filter(({ text }) => text.startsWith('netpoll-test: record'));
      const got = new Set(end.collected);
      const missing = sent.filter(({ seq }) => !got.has(seq));
      const runs: { readonly fromUs: number; readonly toUs: number; readonly n: number }[] = [];
      for (const { usec } of missing) {
        const run = runs.at(-1);
        if (run !== undefined && usec - run.toUs < 400_000)
          runs[runs.length - 1] = { ...run, toUs: usec, n: run.n + 1 };
        else runs.push({ fromUs: usec, toUs: usec, n: 1 });
      }
      const sums = JSON.stringify({ sent: sent.length, missing: missing.length, runs });
      expect(end.collected.length, sums).toBe(got.size);
      expect(runs.length, sums).toBeLessThanOrEqual(outages.length);
      for (const { fromUs, toUs } of runs) expect((toUs - fromUs) / 1000, sums).toBeLessThan(SILENCE_MS);
      expect(sent.length, sums).toBeGreaterThan(200);
    });
  },
);
