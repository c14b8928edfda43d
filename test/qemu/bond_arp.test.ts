/**
 * Our active-backup bond and a real one, each watching the other by ARP over two links; and netconsole from the real one to a
 * collector of ours, over these bonds.
 *
 *   test's namespace                                            qemu
 *   bond_collector.mjs: bond0 10.0.0.1, collector on 6666       Debian's kernel: bond0 10.0.0.2, netconsole
 *      packet:tap1 -- tap1 <------------- link 0 -------------> eth0
 *      packet:tap2 -- tap2 <------------- link 1 -------------> eth1
 *
 * 1. Both use the same link. While pings cross both ways and the guest writes a record every 20 ms, link 0 is lost on our side
 *    (tap1 goes down), and comes back; then link 1 on the guest's side (qemu pulls the cable), and comes back.
 * 2. Our collector's event loop is held for a second: its frames wait in the kernel's ring.
 * 3. Every record of the guest is in its /dev/kmsg, so what is lost is known to the record: nothing outside the two outages, and
 *    in each no more than the time that the slower end needs to notice and to find the other link.
 */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { Namespace } from '../netns/rig.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';
import { kmsgRecords } from './serial.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS], paths: GUEST_PATHS });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'bond_collector.mjs');
const TAPS = [
  { device: 'tap1', guestMac: '02:00:00:00:bb:01' },
  { device: 'tap2', guestMac: '02:00:00:00:bb:02' },
] as const;
const MODULES = [...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole'), 'tls', 'bonding', 'netconsole'];
const ARP_INTERVAL_MS = 100;
/** Missed: 2 intervals and a half; both links tried by both ends: 2 by 2; and what a busy machine takes. */
const OUTAGE_MS = 2.5 * ARP_INTERVAL_MS + 4 * ARP_INTERVAL_MS + 1000;

interface Told {
  readonly what: 'up' | 'state' | 'wedged' | 'free' | 'end';
  readonly atMs: number;
  readonly mac?: string;
  readonly active?: string | null;
  readonly links?: readonly { readonly name: string; readonly link: number; readonly failures: number }[];
}

interface End {
  readonly pings: readonly (readonly [number, number])[];
  readonly seqs: readonly number[];
  readonly counters: Readonly<Record<string, number>>;
  readonly ports: readonly Readonly<Record<string, number>>[];
  readonly report: string;
}

function guestSteps(kernel: GuestKernel): string[] {
  const bond = '/sys/class/net/bond0/bonding';
  const loaded = MODULES.filter((name) => name !== 'netconsole');
  return [
    ...loaded.map((name) => (name === 'bonding' ? loadModule(kernel, name, 'max_bonds=0') : loadModule(kernel, name))),
    'while ! [ -e /sys/class/net/eth1 ]; do usleep 20000; done',
    'echo +bond0 > /sys/class/net/bonding_masters',
    `echo active-backup > ${bond}/mode`,
    `echo ${ARP_INTERVAL_MS} > ${bond}/arp_interval`,
    `echo +10.0.0.1 > ${bond}/arp_ip_target`,
    `echo +eth0 > ${bond}/slaves`,
    `echo +eth1 > ${bond}/slaves`,
    'ip addr add 10.0.0.2/24 dev bond0',
    'ip link set bond0 up',
    say('bond-up'),
    // From here on the test says what to run.
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

describe.skipIf(lacking !== undefined)(
  titled('our active-backup bond and that of a Debian kernel in QEMU', lacking),
  () => {
    let space: Namespace;
    let guest: Guest;
    let host: Child;
    let end: End;
    let asked = 0;
    const outages: number[] = [];

    /** What a command prints in the guest. */
    async function inGuest(command: string): Promise<string> {
      const mark = `end-of-${++asked}`;
      const from = guest.control.length;
      guest.tell(`${command}; say ${mark}`);
      await guest.hears(mark);
      return guest.control.text.slice(from).split(mark)[0]!;
    }

    const told = (what: Told['what']): Told[] =>
      host.lines.map((line) => JSON.parse(line) as Told).filter((each) => each.what === what);

    /** Waits until both ends use the same link, `wanted` if that is said; gives it. */
    async function bothUse(wanted?: number): Promise<number> {
      const deadline = performance.now() + 20_000;
      for (;;) {
        const theirs = Number(
          /eth(\d)/.exec(await inGuest('cat /sys/class/net/bond0/bonding/active_slave'))?.[1] ?? -1,
        );
        const ours = Number(told('state').at(-1)?.active?.slice('tap'.length) ?? 0) - 1;
        if (ours >= 0 && ours === theirs && (wanted ?? ours) === ours) return ours;
        if (performance.now() > deadline) {
          throw new Error(`we use ${ours}, they ${theirs}: ${await inGuest('cat /proc/net/bonding/bond0')}`);
        }
        await sleep(50);
      }
    }

    beforeAll(async () => {
      const kernel = await fetchKernel();
      space = await Namespace.make('bond-arp');
      guest = await bootGuest({ kernel, space, taps: TAPS, modules: MODULES, steps: guestSteps(kernel) });
      const options = `mode=active-backup arp_interval=${ARP_INTERVAL_MS} arp_ip_target=+10.0.0.2`;
      host = await space.start([process.execPath, PROGRAM, options, '10.0.0.1/24', '10.0.0.2', 'tap1', 'tap2']);
      await guest.hears('bond-up');
    });
    afterAll(async () => {
      await host?.stop();
      await guest?.remove();
      await space?.remove();
    });

    it('use the same link, and carry what either of them starts', async () => {
      await bothUse();
      expect(await inGuest('ping -c 10 -i 0.1 -w 5 -q 10.0.0.1')).toContain(
        '10 packets transmitted, 10 packets received',
      );
      const { mac } = told('up')[0]!;
      await inGuest(`insmod /modules/netconsole.ko netconsole=+6665@10.0.0.2/bond0,6666@10.0.0.1/${mac}`);
      const line = 'echo "<6>netpoll-test: record $i" > /dev/kmsg';
      guest.tell(`i=0; while ! [ -e /tmp/stop ]; do ${line}; i=$((i+1)); usleep 20000; done & true`);
      process.kill(host.pid, 'SIGUSR1');
      await sleep(1000);
    }, 60_000);

    it.each([
      ['our side', (i: number, up: boolean) => space.ip('link', 'set', `tap${i + 1}`, up ? 'up' : 'down')],
      ['the side of the guest', async (i: number, up: boolean) => guest.setLink(i, up)],
    ] as const)(
      'go over to the other link when theirs is lost on %s',
      async (_where, link) => {
        const used = await bothUse();
        outages.push(Date.now());
        await link(used, false);
        await bothUse(1 - used);
        await link(used, true);
        await sleep(500);
      },
      60_000,
    );

    it('lose nothing while the collector’s event loop is held', async () => {
      // A peer that watches by ARP would rightly give us up after so long a silence; this one looks at its carrier now.
      await inGuest('echo 100 > /sys/class/net/bond0/bonding/miimon');
      await sleep(200);
      process.kill(host.pid, 'SIGUSR2');
      await host.until('its freedom', () => told('free').length > 0, 10_000);
      await sleep(500);
      await inGuest('touch /tmp/stop');
      await sleep(300);
      await host.stop();
      end = JSON.parse(host.lines.at(-1)!) as End;
      expect(told('state').filter(({ atMs }) => atMs > told('wedged')[0]!.atMs)).toEqual([]);
    }, 30_000);

    it('lose, of pings, only those in the two outages, each as long as the monitors explain', () => {
      const gone = end.pings.filter(([, answeredMs]) => answeredMs === 0).map(([sentMs]) => sentMs);
      const after = gone.map((sentMs) => sentMs - outages.findLast((fromMs) => fromMs - 100 < sentMs)!);
      const summary = `${end.pings.length} pings, lost so many ms after a link: ${after}`;
      for (const ms of after) expect(ms, summary).toBeLessThan(OUTAGE_MS);
      expect(end.pings.length, summary).toBeGreaterThan(100);
    });

    it('lose, of netconsole’s records, exactly those that the collector does not have: all in the outages', () => {
      const sent = kmsgRecords(guest.kmsg).filter(({ text }) => text.startsWith('netpoll-test: record'));
      const got = new Set(end.seqs);
      const missing = sent.filter(({ seq }) => !got.has(seq));
      // Numbers are consecutive in time: the lost ones make two runs.
      const runs: { readonly fromUs: number; readonly toUs: number; readonly n: number }[] = [];
      for (const { usec } of missing) {
        const run = runs.at(-1);
        if (run !== undefined && usec - run.toUs < 400_000)
          runs[runs.length - 1] = { ...run, toUs: usec, n: run.n + 1 };
        else runs.push({ fromUs: usec, toUs: usec, n: 1 });
      }
      const summary = JSON.stringify({
        sent: sent.length,
        got: got.size,
        missing: missing.length,
        runs,
        counters: end.counters,
      });
      expect(end.seqs.length - got.size, summary).toBe(0);
      expect(sent.length - missing.length, summary).toBe(sent.filter(({ seq }) => got.has(seq)).length);
      expect(runs.length, summary).toBeLessThanOrEqual(outages.length);
      for (const { fromUs, toUs } of runs) expect((toUs - fromUs) / 1000, summary).toBeLessThan(OUTAGE_MS);
      expect(sent.length, summary).toBeGreaterThan(100);
      expect(
        end.ports.map((port) => port.rx_dropped_kernel),
        summary,
      ).toEqual([0, 0]);
    });
  },
);
