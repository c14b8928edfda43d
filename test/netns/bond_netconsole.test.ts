/**
 * netconsole over our bond, to a real listener, while links are pulled and while the event loop is dead.
 *
 *   namespace a                                          namespace b
 *   bonded.mjs: bond0 10.0.0.1, active-backup            10.0.0.2 on both, socat on UDP 6666
 *      packet:va0 ---------------- veth ---------------- vb0 \  the same hardware address
 *      packet:va1 ---------------- veth ---------------- vb1 /
 *
 * 1. Lines from a living event loop; vb0 is pulled in their midst: the monitor changes over to va1. Then it comes back.
 * 2. Lines from a dead event loop; vb1 is pulled in their midst: no monitor runs, so nothing changes over until the loop lives
 *    again; netpoll keeps what the slave does not take, up to 256 frames, and sends it when the link is back.
 *
 * Every record has a number. What was emitted is what was received and what was counted as lost, no more and no less.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { socatReceiver } from './peers.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'bonded.mjs');
const LINES = 300;
/** More than netpoll keeps for a slave that cannot send (256). */
const WEDGED_LINES = 600;
const PACE_US = 1000;
const SAY = `say ${LINES}`;
const WEDGE = `wedge ${WEDGED_LINES}`;
const MIIMON_MS = 50;
const MAC = '02:00:00:00:0b:0b';

interface Told {
  readonly what: 'ready' | 'line' | 'ran' | 'end';
  readonly name?: string;
  readonly i?: number;
  readonly ticks?: number;
  readonly active?: string;
}

interface End extends Told {
  readonly emitted: readonly (readonly [seq: number, atMs: number])[];
  readonly counted: readonly {
    readonly name: string;
    readonly npinfo: Readonly<Record<string, number>>;
    readonly waiting: number;
    readonly stats: Readonly<Record<string, number>>;
  }[];
  readonly ports: readonly Readonly<Record<string, number | string>>[];
  readonly drops: Readonly<Record<string, number>>;
  readonly refused: readonly number[];
  readonly report: string;
}

describe.skipIf(lacking !== undefined)(titled('netconsole over an active-backup bond', lacking), () => {
  let a: Namespace;
  let b: Namespace;
  let bonded: Child;
  let heard: Child;
  let end: End;

  const told = (): Told[] => bonded.lines.map((line) => JSON.parse(line) as Told);
  const reaches = (name: string, line: number) =>
    bonded.until(
      `${name} line ${line}`,
      () => told().some((each) => each.name === name && (each.i ?? -1) >= line),
      20_000,
    );
  const ran = (name: string) =>
    bonded.until(`the end of ${name}`, () => told().some((each) => each.what === 'ran' && each.name === name), 20_000);
  const link = (i: number, state: 'up' | 'down') => b.ip('link', 'set', `vb${i}`, state);

  beforeAll(async () => {
    a = await Namespace.make('bonded-a');
    b = await Namespace.make('bonded-b');
    for (const i of [0, 1]) {
      await a.ip('link', 'add', `va${i}`, 'type', 'veth', 'peer', 'name', `vb${i}`, 'netns', b.name);
      await b.ip('link', 'set', `vb${i}`, 'address', MAC, 'up');
      await a.ip('link', 'set', `va${i}`, 'up');
    }
    for (const which of ['all', 'vb0', 'vb1', 'lo'])
      await b.run(['sysctl', '-qw', `net.ipv4.conf.${which}.rp_filter=0`]);
    await b.ip('addr', 'add', '10.0.0.2/32', 'dev', 'lo');
    heard = await socatReceiver(b, 6666);
    const words = [
      `mode=active-backup miimon=${MIIMON_MS}`,
      `+6665@10.0.0.1/bond0,6666@10.0.0.2/${MAC}`,
      `${SAY} ${PACE_US}; rest 300; ${WEDGE} ${PACE_US}; rest 500`,
    ];
    bonded = await a.start([process.execPath, PROGRAM, ...words, 'va0', 'va1']);
    await reaches(SAY, 100);
    await link(0, 'down');
    await ran(SAY);
    await link(0, 'up');
    await reaches(WEDGE, 100);
    await link(1, 'down');
    await ran(WEDGE);
    await link(1, 'up');
    await bonded.until('its end', () => told().some(({ what }) => what === 'end'), 20_000);
    end = told().at(-1) as End;
    await heard
      .until('the last record', () => received().includes(end.emitted.at(-1)![0]), 2000)
      .catch(() => undefined);
  });
  afterAll(async () => {
    await a?.remove();
    await b?.remove();
  });

  /** Numbers of the records that socat has received, in order. */
  const received = (): number[] =>
    heard.lines
      .map((line) => /^\d+,(\d+),\d+,[-c]/.exec(line)?.[1])
      .flatMap((seq) => (seq === undefined ? [] : [Number(seq)]));

  it('changes over when a link is pulled, and when the event loop lives again', () => {
    const runs = told().filter(({ what }) => what === 'ran');
    expect(runs.map(({ name, ticks, active }) => [name, ticks === 0, active])).toEqual([
      [SAY, false, 'va1'],
      [WEDGE, true, 'va1'],
    ]);
    expect(end.report).toContain('Currently Active Slave: va0');
    expect(end.report.match(/Link Failure Count: (\d)/g)).toEqual(['Link Failure Count: 1', 'Link Failure Count: 1']);
  });

  it('loses exactly the records that it counts as lost', () => {
    const got = received();
    const missing = end.emitted.filter(([seq]) => !got.includes(seq)).map(([seq]) => seq);
    const unsent = end.counted.map(
      ({ npinfo, waiting }) => (npinfo.dropped ?? 0) + (npinfo.not_running ?? 0) + waiting,
    );
    const failed = end.ports.map((port) => Number(port.tx_errors));
    const counted = [...unsent, ...failed, end.drops.NO_TX_TARGET ?? 0].reduce((sum, n) => sum + n, 0);
    const sums = `${end.emitted.length} emitted, ${got.length} received, ${missing.length} missing, ${counted} counted`;
    expect(new Set(got).size, sums).toBe(got.length);
    expect(missing.length, sums).toBe(counted);
    expect(got.length + counted, sums).toBe(end.emitted.length);
    // The first run lost nothing: what one slave did not take waited until its link was back.
    expect(missing[0]).toBeGreaterThan(end.emitted[LINES + 100]![0]);
    expect(counted).toBeGreaterThan(100);
  });
});
