/**
 * A process whose event loop is dead sends and answers through netpoll.
 *
 *   namespace a                                      namespace b
 *   wedged.mjs on packet:v0, as 10.0.0.77  --veth--  10.0.0.2: socat or nc, tcpdump, pinger
 *
 * 10.0.0.77 is netpoll's alone: the kernel of namespace a does not know it, so whatever answers for it, ARP included,
 * is the wedged process. The lines are paced by netpoll's own busy wait, so that receivers do well with the buffers
 * that they get by default.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import {
  type ChecksumVerdict,
  type FrameVerdict,
  netcatReceiver,
  record,
  scratch,
  socatReceiver,
  tcpdumpVerdict,
  tsharkVerdict,
} from './peers.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat', 'nc.openbsd', 'tcpdump', 'tshark'] });
const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), 'fixtures');
const LINES = 1000;
const PACE_US = 300;
const PINGS = 100;
const OWN_ADDRESS = '10.0.0.77';
const LINE_PORT = 6666;
const PONG_PORT = 7777;
const EXPECTED = Array.from({ length: LINES }, (_, line) => `wedged, line ${line}`);

interface Told {
  readonly state: 'wedged' | 'sent' | 'answered';
  readonly ticksBefore?: number;
  readonly sent?: number;
  readonly refused?: number;
  readonly answered?: number;
  readonly ticks?: number;
}

describe.skipIf(lacking !== undefined).each([
  ['socat', socatReceiver],
  ['nc -u -l', netcatReceiver],
] as const)(titled('a process in while (true), heard by %s', lacking), (_, receiver) => {
  const folder = scratch('wedged');
  let pair: VethPair;
  let wedged: Child;
  let heard: Child;
  let sums: ChecksumVerdict;
  let frames: FrameVerdict;
  const told = (state: Told['state']) =>
    wedged.lines.map((line) => JSON.parse(line) as Told).findLast((each) => each.state === state);

  beforeAll(async () => {
    pair = await vethPair('wedged');
    const { a, b } = pair;
    heard = await receiver(b.space, LINE_PORT);
    const wire = await record(b.space, b.device, join(folder.path, 'lines.pcap'), `udp port ${LINE_PORT}`, 'in');
    const options = `6665@${OWN_ADDRESS}/packet:${a.device},${LINE_PORT}@${b.address}/${b.mac}`;
    const words = [options, LINES, PACE_US, PONG_PORT].map(String);
    wedged = await a.space.start([process.execPath, join(FIXTURES, 'wedged.mjs'), ...words]);
    await wedged.says(/"sent"/, 30_000);
    await wire.finish(LINES).catch(() => undefined);
    await heard.until('the last line', () => heard.lines.length >= LINES, 2_000).catch(() => undefined);
    sums = await tcpdumpVerdict(b.space, wire.file);
    frames = await tsharkVerdict(b.space, wire.file);
  });
  afterAll(async () => {
    await pair?.remove();
    folder.discard();
  });

  it('sends 1,000 lines while no timer of its process fires', () => {
    expect(told('wedged')?.ticksBefore).toBeGreaterThan(0);
    expect(told('sent')).toMatchObject({ sent: LINES, refused: 0, ticks: 0 });
  });

  it('is received complete and in order', () => {
    expect(heard.lines).toEqual(EXPECTED);
  });

  it('makes frames of which tcpdump finds every IP and UDP checksum correct', () => {
    expect(sums).toEqual({ frames: LINES, udpGood: LINES, complaints: [] });
  });

  it('makes frames none of which tshark finds malformed', () => {
    expect(frames).toEqual({ frames: LINES, sumsGood: LINES, complaints: [] });
  });

  it('answers 100 of 100 datagrams with PONG, and ARP, by polling its device', async () => {
    const argv = [process.execPath, join(FIXTURES, 'pinger.mjs'), OWN_ADDRESS, String(PONG_PORT), String(PINGS)];
    const { stdout } = await pair.b.space.run(argv);
    expect(JSON.parse(stdout)).toEqual({ answered: PINGS, wrong: 0 });
    expect(await pair.b.space.ip('neigh', 'show', OWN_ADDRESS)).toContain(pair.a.mac);
    expect(told('answered')).toMatchObject({ answered: PINGS, ticks: 0 });
    expect(wedged.end).toBeUndefined();
  });
});
