/**
 * The stress of seed 003 on a real host: PONG server, netconsole and SysRq storms at the same time on the same bond.
 *
 *   namespace a                                            namespace b
 *   bond_storm.mjs: bond0 10.0.0.1                         br0 10.0.0.2: pings flooded, SysRq commanded, the log heard
 *      packet:va0 ------------------ veth ---------------- vb0 \ ports of the bridge br0
 *      packet:va1 ------------------ veth ---------------- vb1 /
 *
 * Every second the event loop of the machine is dead for a while, and netpoll alone answers; the active slave changes. At the end each datagram is accounted
 * for: sent, answered, lost where somebody has counted it. NETPOLL_BOND_STORM_SECONDS=60 has the whole minute.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'sh'] });
const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), 'fixtures');
const SECONDS = Number(process.env.NETPOLL_BOND_STORM_SECONDS ?? 5);
const KEY = '5ec4e7'.repeat(8);
const MAC = '02:00:00:00:0b:02';
const WINDOW = 128;
const WEDGE_MS = 100;

interface Counted {
  readonly name: string;
  readonly npinfo: Readonly<Record<string, number>>;
  readonly waiting: number;
  readonly stats: Readonly<Record<string, number>>;
}

interface MachineEnd {
  readonly answered: number;
  readonly emitted: number;
  readonly stormed: number;
  readonly ticks: number;
  readonly wedges: number;
  /** How often the other slave was made the active one. */
  readonly changes: number;
  readonly audit: Readonly<Record<string, number>>;
  readonly counted: readonly Counted[];
  readonly ports: readonly Readonly<Record<string, number | string>>[];
  readonly drops: Readonly<Record<string, number>>;
  readonly transmitErrors: readonly number[];
  readonly inUse: { readonly skbs: number; readonly slots: number; readonly reserve: number };
  readonly report: string;
}

interface PeerEnd {
  readonly pings: number;
  readonly pongs: number;
  readonly givenUp: number;
  readonly records: number;
  readonly logDatagrams: number;
  readonly commands: number;
  readonly results: number;
  readonly repeats: number;
  /** Answers that came after their question had been repeated. */
  readonly late: number;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

describe.skipIf(lacking !== undefined).each([['active-backup'], ['balance-rr']])(
  titled(`a bond (%s) under storm for ${SECONDS} s`, lacking),
  (mode) => {
    let a: Namespace;
    let b: Namespace;
    let machine: MachineEnd;
    let peer: PeerEnd;
    let kernelDrops = 0;

    beforeAll(
      async () => {
        a = await Namespace.make('storm-a');
        b = await Namespace.make('storm-b');
        await b.ip('link', 'add', 'br0', 'address', MAC, 'type', 'bridge');
        for (const i of [0, 1]) {
          await a.ip('link', 'add', `va${i}`, 'type', 'veth', 'peer', 'name', `vb${i}`, 'netns', b.name);
          await b.ip('link', 'set', `vb${i}`, 'master', 'br0', 'up');
          await a.ip('link', 'set', `va${i}`, 'up');
        }
        await b.ip('addr', 'add', '10.0.0.2/24', 'dev', 'br0');
        await b.ip('link', 'set', 'br0', 'up');
        const storm = [
          process.execPath,
          join(FIXTURES, 'bond_storm.mjs'),
          mode,
          KEY,
          MAC,
          String(WEDGE_MS),
          'va0',
          'va1',
        ];
        const stormed = await a.start(storm);
        await stormed.says(/"ready"/, 30_000);
        const { mac } = JSON.parse(stormed.lines[0]!) as { mac: string };
        await b.neighbour('br0', '10.0.0.1', mac);
        const flood = await b.start([
          process.execPath,
          join(FIXTURES, 'storm_peer.mjs'),
          KEY,
          String(SECONDS),
          String(WINDOW),
        ]);
        await flood.until('its pings', () => flood.lines.length > 0, (SECONDS + 40) * 1000);
        process.kill(stormed.pid, 'SIGUSR2');
        await stormed.until('its end', () => stormed.lines.some((line) => line.includes('"end"')), 20_000);
        machine = JSON.parse(stormed.lines.at(-1)!) as MachineEnd;
        kernelDrops = await udpDrops(b);
        await flood.stop();
        peer = JSON.parse(flood.lines.at(-1)!) as PeerEnd;
        console.log(figures());
      },
      (SECONDS + 60) * 1000,
    );

    afterAll(async () => {
      await a?.remove();
      await b?.remove();
    });

    /** Datagrams that netpoll has been given and has not sent, and says so. */
    const unsent = (): number =>
      sum(machine.counted.map(({ npinfo, waiting }) => (npinfo.dropped ?? 0) + (npinfo.not_running ?? 0) + waiting)) +
      sum(machine.ports.map((port) => Number(port.tx_errors))) +
      (machine.drops.NO_TX_TARGET ?? 0);

    /** What was given to netpoll to send: PONGs, records (none is longer than a datagram), what SysRq said. */
    const given = (): number => {
      const { questions = 0, accepted = 0, repeated = 0 } = machine.audit;
      return machine.answered + machine.emitted + questions + accepted + repeated;
    };

    function figures(): string {
      const { pings, pongs, records, results, repeats } = peer;
      const { answered, emitted, stormed, wedges, audit, changes } = machine;
      return [
        `bond storm, ${mode}, ${SECONDS} s: ${pings} pings, ${answered} answered, ${pongs} PONGs heard`,
        `${stormed} keys, ${audit.accepted} commands obeyed, ${results} results heard, ${repeats} repeats`,
        `${emitted} log records, ${records} heard`,
        `${unsent()} unsent and counted, ${lostOnTheWayIn()} lost on the way in and counted, ${kernelDrops} dropped by the peer`,
        `event loop dead ${wedges} times, ${changes} changes of the active slave`,
      ].join('; ');
    }

    /** Frames that came and were not taken: by the kernel for want of room, or because they came in on an inactive slave. */
    const lostOnTheWayIn = (): number =>
      sum(machine.ports.map((port) => Number(port.rx_dropped_kernel))) + (machine.drops.UNHANDLED_PROTO ?? 0);

    it('answers and obeys all the time', () => {
      expect(peer.pongs, figures()).toBeGreaterThan(SECONDS * 20);
      expect(peer.results, figures()).toBeGreaterThan(SECONDS);
      expect(machine.stormed, figures()).toBeGreaterThan(SECONDS * 10);
      expect(machine.wedges, figures()).toBeGreaterThanOrEqual(SECONDS / 2);
      if (mode === 'active-backup') expect(machine.changes, figures()).toBeGreaterThan(SECONDS / 6);
    });

    it('loses nothing that is not counted', () => {
      expect(peer.pings - machine.answered, figures()).toBeGreaterThanOrEqual(0);
      expect(peer.pings - machine.answered, figures()).toBeLessThanOrEqual(lostOnTheWayIn());
      const heard = peer.pongs + peer.logDatagrams + peer.results + peer.late + (machine.audit.questions ?? 0);
      expect(heard + unsent() + kernelDrops, figures()).toBe(given());
    });

    it('obeys each command once', () => {
      expect(machine.audit.accepted, figures()).toBe(peer.commands);
      expect(machine.audit.forged, figures()).toBe(0);
    });

    it('has every frame back: nothing leaks, nothing is freed twice', () => {
      const { skbs, slots, reserve } = machine.inUse;
      expect([skbs, slots], figures()).toEqual([reserve, reserve]);
    });
  },
);

/** Datagrams that the kernel of a namespace could not give to a socket. */
async function udpDrops(space: Namespace): Promise<number> {
  const { stdout } = await space.run(['cat', '/proc/net/snmp']);
  const [names, values] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  const at = (name: string): number => Number(values?.[names?.indexOf(name) ?? -1] ?? 0);
  return at('InErrors') + at('NoPorts');
}
