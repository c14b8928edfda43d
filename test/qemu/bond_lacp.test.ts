/**
 * Our 802.3ad bond and a real one, negotiating over two links.
 *
 *   test's namespace                                       qemu
 *   bond_host.mjs: bond0 10.0.0.1                          Debian's kernel: bond0 10.0.0.2
 *      packet:tap1 -- tap1 <---------- link 0 ----------> eth0
 *      packet:tap2 -- tap2 <---------- link 1 ----------> eth1
 *
 * 1. Both report one aggregator with both links, each other's system, and of every port what the other says of it.
 * 2. While eight flows of pings cross, link 1 is lost on our side (tap2 goes down: the guest hears silence), then on the guest's
 *    (qemu pulls the cable: we hear silence), and comes back each time.
 * 3. What is lost was sent on link 1 while one end could not yet know: a monitor's tick where the carrier goes, the short timeout
 *    of LACP (three seconds after the last LACPDU) where only silence tells, some ticks while the two join it again.
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

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS], paths: GUEST_PATHS });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'bond_host.mjs');
const TAPS = [
  { device: 'tap1', guestMac: '02:00:00:00:bb:01' },
  { device: 'tap2', guestMac: '02:00:00:00:bb:02' },
] as const;
const MODULES = [...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole'), 'tls', 'bonding'];
/** Mode 4, layer3+4, LACPDUs every second, carrier looked at every 100 ms. */
const PARAMS = { mode: 4, miimon: 100, lacpRate: 1, xmitPolicy: 1 };

/** Three seconds and a few ticks of 100 ms, which are 104 in the guest; a busy machine's second. */
const SILENCE_MS = 3000 + 500 + 1000;
/** A tick of the monitor; the same allowance. */
const CARRIER_MS = 100 + 1000;
/** Sent before, answered after. */
const ROUND_TRIP_MS = 250;
/**
 * The end that hears first that the other one is in sync distributes while the other does not collect yet: for a limiter of three
 * ticks and a tick, either way. (That is coupled control; the independent kind has a state for it.)
 */
const JOIN_MS = 400 + 600;

interface Party {
  readonly systemPriority: number;
  readonly system: string;
  readonly key: number;
  readonly portPriority: number;
  readonly port: number;
  readonly state: number;
}

interface State {
  readonly what: 'state';
  readonly atMs: number;
  readonly carrier: boolean;
  readonly usable: readonly string[];
  readonly active: { readonly aggregatorId: number; readonly ports: number; readonly partnerSystem: string } | null;
  readonly slaves: readonly { readonly name: string; readonly actor: Party; readonly partner: Party }[];
}

/** [sent, flow, answered or 0] */
type Ping = readonly [number, number, number];

function guestSteps(kernel: GuestKernel): string[] {
  const bond = '/sys/class/net/bond0/bonding';
  return [
    ...MODULES.map((name) => (name === 'bonding' ? loadModule(kernel, name, 'max_bonds=0') : loadModule(kernel, name))),
    'while ! [ -e /sys/class/net/eth1 ]; do usleep 20000; done',
    'echo +bond0 > /sys/class/net/bonding_masters',
    `echo 802.3ad > ${bond}/mode`,
    `echo fast > ${bond}/lacp_rate`,
    `echo 100 > ${bond}/miimon`,
    `echo layer3+4 > ${bond}/xmit_hash_policy`,
    `echo +eth0 > ${bond}/slaves`,
    `echo +eth1 > ${bond}/slaves`,
    'ip addr add 10.0.0.2/24 dev bond0',
    'ip link set bond0 up',
    say('bond-up'),
    // From here on the test says what to run.
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

describe.skipIf(lacking !== undefined)(titled('our 802.3ad bond and that of a Debian kernel in QEMU', lacking), () => {
  let space: Namespace;
  let guest: Guest;
  let host: Child;
  let asked = 0;
  /** When link 1 was lost, and when we used it again: on our side, on the guest's. */
  const lost: { readonly fromMs: number; readonly backMs: number }[] = [];

  /** What a command prints in the guest. */
  async function inGuest(command: string): Promise<string> {
    const end = `end-of-${++asked}`;
    const from = guest.control.length;
    guest.tell(`${command}; say ${end}`);
    await guest.hears(end);
    return guest.control.text.slice(from).split(end)[0]!;
  }

  const told = (): State[] =>
    host.lines.map((line) => JSON.parse(line) as State).filter(({ what }) => what === 'state');
  const now = (): State => told().at(-1)!;

  /** Waits until the guest's report has `words`, and gives the report. */
  async function guestReports(words: string, limitMs = 15_000): Promise<string> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const report = await inGuest('cat /proc/net/bonding/bond0');
      if (report.includes(words)) return report;
      if (performance.now() > deadline)
        throw new Error(`no "${words}" in the guest's\n${report}\nours: ${JSON.stringify(now())}`);
      await sleep(100);
    }
  }

  async function weUse(...names: string[]): Promise<void> {
    await host.until(`usable: ${names}`, () => now()?.usable.join() === names.join(), 20_000);
  }

  /** Both ends carry traffic on both links again. */
  async function bothUseBoth(): Promise<void> {
    await weUse('tap1', 'tap2');
    for (let whole = false; !whole; )
      whole = guestPorts(await guestReports('Number of ports: 2')).every(({ state }) => state === 63);
  }

  beforeAll(async () => {
    const kernel = await fetchKernel();
    space = await Namespace.make('bond');
    guest = await bootGuest({ kernel, space, taps: TAPS, modules: MODULES, steps: guestSteps(kernel) });
    host = await space.start([
      process.execPath,
      PROGRAM,
      JSON.stringify(PARAMS),
      '10.0.0.1/24',
      '10.0.0.2',
      'tap1',
      'tap2',
    ]);
    await guest.hears('bond-up');
  });
  afterAll(async () => {
    await host?.stop();
    await guest?.remove();
    await space?.remove();
  });

  it('agree on one aggregator, on systems and on the state of every port', async () => {
    await bothUseBoth();
    const report = await guestReports('Number of ports: 2');
    const ours = now();
    const up = JSON.parse(host.lines[0]!) as { mac: string };
    expect(ours.active).toMatchObject({ ports: 2, partnerSystem: '02:00:00:00:bb:01' });
    expect(report).toContain(`Partner Mac Address: ${up.mac}`);
    const theirs = guestPorts(report);
    for (const [i, slave] of ours.slaves.entries()) {
      expect(slave.partner).toEqual(theirs[2 * i]);
      expect(slave.actor).toEqual(theirs[2 * i + 1]);
      expect([slave.actor.state, slave.partner.state]).toEqual([63, 63]);
    }
    expect(new Set([...report.matchAll(/^Aggregator ID: (\d+)/gm)].map(([, id]) => id)).size).toBe(1);
  }, 60_000);

  it('carry what either of them starts', async () => {
    expect(await inGuest('ping -c 10 -i 0.1 -w 5 -q 10.0.0.1')).toContain(
      '10 packets transmitted, 10 packets received',
    );
    process.kill(host.pid, 'SIGUSR1');
    await sleep(1500);
  });

  it('notice a link that is lost on our side, go on with the other one, and take it back', async () => {
    const fromMs = Date.now();
    await space.ip('link', 'set', 'tap2', 'down');
    await weUse('tap1');
    const ourMs = now().atMs - fromMs;
    expect(ourMs).toBeLessThan(CARRIER_MS);
    await guestReports('Number of ports: 1');
    await space.ip('link', 'set', 'tap2', 'up');
    await bothUseBoth();
    lost.push({ fromMs, backMs: now().atMs });
  }, 60_000);

  it('notice a link that is lost on the side of the guest, and take it back', async () => {
    await sleep(500);
    const fromMs = Date.now();
    guest.setLink(1, false);
    await weUse('tap1');
    const ourMs = now().atMs - fromMs;
    expect(ourMs).toBeLessThan(SILENCE_MS);
    expect(ourMs).toBeGreaterThan(1000);
    guest.setLink(1, true);
    await bothUseBoth();
    lost.push({ fromMs, backMs: now().atMs });
  }, 60_000);

  it('lose only what was sent before the slower end could know', async () => {
    await sleep(500);
    process.kill(host.pid, 'SIGUSR2');
    await sleep(500);
    await host.stop();
    const { pings } = JSON.parse(host.lines.at(-1)!) as { pings: Ping[] };
    const gone = pings.filter(([, , answeredMs]) => answeredMs === 0);
    const within = ([sentMs]: Ping, fromMs: number, forMs: number) => sentMs >= fromMs && sentMs < fromMs + forMs;
    const unexplained = gone.filter(
      (ping) =>
        !lost.some(
          ({ fromMs, backMs }) =>
            within(ping, fromMs - ROUND_TRIP_MS, SILENCE_MS) || within(ping, backMs - JOIN_MS, 2 * JOIN_MS),
        ),
    );
    expect(unexplained).toEqual([]);
    expect(pings.length).toBeGreaterThan(2000);
    // Only the flows that cross link 1, in one direction or in the other, have lost anything; and they have each time.
    const hit = lost.map(({ fromMs }) => flowsOf(gone.filter((ping) => within(ping, fromMs, SILENCE_MS))));
    expect(hit[0]!.length).toBeGreaterThan(0);
    expect(hit[0]!.length).toBeLessThan(8);
    expect(hit[1]).toEqual(hit[0]);
    expect(flowsOf(gone)).toEqual(hit[0]);
  });
});

function flowsOf(pings: readonly Ping[]): number[] {
  return [...new Set(pings.map(([, flow]) => flow))].sort((a, b) => a - b);
}

/** Of each slave in the guest's report, what it says of itself, then of its partner. */
function guestPorts(report: string): Party[] {
  return report
    .split(/details (?:actor|partner) lacp pdu:/)
    .slice(1)
    .map((block) => {
      const field = (name: string) => new RegExp(`${name}: (\\S+)`).exec(block)?.[1] ?? '';
      const number = (name: string) => Number(field(name));
      return {
        ...{ systemPriority: number('system priority'), system: field('system mac address') },
        ...{ key: number('(?:port|oper) key'), portPriority: number('port priority') },
        ...{ port: number('port number'), state: number('port state') },
      };
    });
}
