/**
 * netpoll gen before other people's eyes: tcpdump and the kernel's counters at the far end of a cable, tshark for the headers.
 *
 *     namespace a: v0 10.0.0.1 <-- netpoll gen      ==== veth ====      tcpdump, or netpoll gen --receive --> v0 10.0.0.2 :namespace b
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { scratch } from './peers.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'tcpdump', 'tshark', 'ethtool', 'chrt'], paths: ['/dev/net/tun'] });
const GEN = [process.execPath, 'bin/netpoll.js', 'gen'];
const BUILD_MS = 60_000;
/** A process that others keep from its processor keeps no rate: these are not kept. */
const SOON = ['chrt', '--fifo', '1'];

interface Report {
  readonly sofar: number;
  readonly pps: number;
  readonly errors: number;
  readonly slipped: number;
  readonly totalUs: number;
  readonly [counter: string]: number;
}

/** Columns of a capture, as tshark reads it with all checksums verified. */
function columns(file: string, ...fields: string[]): string[][] {
  const args = ['-r', file, '-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', '-T', 'fields'];
  const text = execFileSync('tshark', [...args, ...fields.flatMap((field) => ['-e', field])], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
}

const seqOf = (payload: string) => Number.parseInt(payload.slice(8, 16), 16);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe.skipIf(lacking !== undefined)(titled('netpoll gen', lacking), () => {
  let pair: VethPair;
  const folder = scratch('gen');
  beforeAll(async () => {
    pair = await vethPair('gen');
    for (const { space, device } of [pair.a, pair.b]) {
      await space.run(['ethtool', '-K', device, 'tx', 'off', 'gro', 'off'], true);
    }
  });
  afterAll(async () => {
    await pair?.remove();
    folder.discard();
  });

  /** Runs it to its end in namespace a, `before` everybody else if it is about time. */
  async function gen(spec: string, words: readonly string[], before: readonly string[] = []): Promise<Report> {
    const child = await pair.a.space.start([...before, ...GEN, spec, '--dst', '10.0.0.2', ...words, '--json'], {
      NO_COLOR: '1',
    });
    await child
      .until('its end', () => child.end !== undefined, BUILD_MS)
      .catch((error: unknown) => {
        if (child.end === undefined) throw error;
      });
    expect(await child.ended, child.stderr.toString()).toEqual({ code: 0, signal: null });
    return JSON.parse(child.lines.at(-1)!) as Report;
  }

  /** What comes to namespace b while `work` is done. */
  async function captured(filter: string, work: () => Promise<unknown>): Promise<string> {
    const file = join(folder.path, `${Math.floor(performance.now() * 1000)}.pcap`);
    const words = ['tcpdump', '-Z', 'root', '--immediate-mode', '-B', '16384', '-i', pair.b.device, '-w', file, filter];
    const dump = await pair.b.space.start(words);
    await dump.says(/listening/);
    await work();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await dump.stop('SIGINT');
    return file;
  }

  it('sends what was asked for: count, addresses, ports, sizes, tags, checksums, at the rate', {
    timeout: BUILD_MS * 2,
  }, async () => {
    const words = ['--src-port', '1000-1002', '--size', '60-90', '--vlan', '7', '--count', '3000', '--rate', '5k'];
    let report: Report | undefined;
    const file = await captured('vlan and udp', async () => {
      report = await gen('packet:v0', words, SOON);
    });
    const rows = columns(
      file,
      ...['frame.time_epoch', 'frame.len', 'eth.dst', 'vlan.id', 'ip.src', 'ip.dst', 'ip.checksum.status'],
      ...['udp.srcport', 'udp.checksum.status', 'udp.payload'],
    );
    expect(rows.map((row) => seqOf(row[9]!))).toEqual(upTo(3000));
    const { mac } = pair.b;
    rows.forEach((row, i) => {
      expect(row.slice(2, 9)).toEqual([mac, '7', '10.0.0.1', '10.0.0.2', '1', String(1000 + (i % 3)), '1']);
      expect(Number(row[1])).toBe(Math.max(62, 60 + (i % 31)));
    });
    const seconds = Number(rows.at(-1)![0]) - Number(rows[0]![0]);
    expect(Math.abs(2999 / seconds / 5000 - 1)).toBeLessThan(0.01);
    expect(report).toMatchObject({ sofar: 3000, errors: 0, tx_errors: 0 });
  });

  it.each([1_000, 10_000, 100_000])(
    'keeps %i frames a second within a hundredth',
    { timeout: BUILD_MS, retry: 3 },
    async (rate) => {
      const before = await pair.b.space.statistic('v0', 'rx_packets');
      const { sofar, slipped, totalUs } = await gen(
        'packet:v0',
        ['--rate', String(rate), '--count', String(1.5 * rate)],
        SOON,
      );
      const got = (await pair.b.space.statistic('v0', 'rx_packets')) - before;
      // What a busy machine made us give up is said, and part of the schedule.
      expect(Math.abs(((sofar + slipped) * 1e6) / totalUs / rate - 1)).toBeLessThan(0.01);
      expect(Math.abs(got - sofar)).toBeLessThan(5);
    },
  );

  it('goes over AF_XDP, and its own receiver misses nothing', { timeout: BUILD_MS * 2 }, async () => {
    const far: Child = await pair.b.space.start([...GEN, '--receive', 'packet:v0', '--json'], { NO_COLOR: '1' });
    await far.says(/counting/, BUILD_MS);
    const { sofar } = await gen('xdp:v0', [
      '--dst-mac',
      pair.b.mac,
      '--src',
      '10.0.0.1',
      '--count',
      '20k',
      '--rate',
      '50k',
    ]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await far.stop('SIGINT')).toEqual({ code: 0, signal: null });
    const counted = JSON.parse(far.lines.at(-1)!);
    expect([sofar, counted.packets, counted.lost, counted.reordered, counted.duplicated]).toEqual([
      20_000, 20_000, 0, 0, 0,
    ]);
    expect(counted.latencyUs.min).toBeGreaterThan(0);
  });

  it('floods a collector through a socket with netconsole records', { timeout: BUILD_MS }, async () => {
    const file = await captured('udp port 6666', () =>
      gen('udp:0', ['--dst-port', '6666', '--netconsole', 'hello there', '--count', '500', '--rate', '10k']),
    );
    const rows = columns(file, 'udp.payload', 'ip.src').map(([hex, from]) => [
      Buffer.from(hex!, 'hex').toString(),
      from,
    ]);
    expect(rows).toHaveLength(500);
    rows.forEach(([text, from], i) => {
      expect(text).toMatch(new RegExp(`^6,${String(i).padStart(10, '0')},\\d{10},-;hello there\\n$`));
      expect(from).toBe('10.0.0.1');
    });
  });

  it('writes a capture, and goes out of a TAP device', { timeout: BUILD_MS * 2 }, async () => {
    const file = join(folder.path, 'out.pcap');
    await gen(`pcap:,out=${file}`, ['--src', '10.9.9.9', '--dst-mac', '02:00:00:00:00:07', '--count', '100']);
    expect(readFileSync(file).length).toBeGreaterThan(100 * 60);
    const rows = columns(file, 'udp.payload', 'ip.src', 'eth.dst', 'udp.checksum.status');
    expect(rows.map(([payload]) => seqOf(payload!))).toEqual(upTo(100));
    expect(new Set(rows.map((row) => row.slice(1).join(' ')))).toEqual(new Set(['10.9.9.9 02:00:00:00:00:07 1']));
    const { space } = pair.a;
    await space.ip('tuntap', 'add', 'dev', 'gentap', 'mode', 'tap');
    await space.ip('link', 'set', 'gentap', 'up');
    const report = await gen('tap:gentap', [
      '--dst-mac',
      '02:00:00:00:00:07',
      '--src',
      '10.9.9.9',
      '--count',
      '1000',
      '--rate',
      '20k',
    ]);
    expect(report.sofar).toBe(1000);
    expect(await space.statistic('gentap', 'rx_packets')).toBeGreaterThanOrEqual(1000);
  });

  it('ends at Ctrl-C with its result in pktgen’s words, and says what is wrong with what was typed', {
    timeout: BUILD_MS,
  }, async () => {
    const { space } = pair.a;
    const child = await space.start([...GEN, 'v0', '--dst', '10.0.0.2', '--rate', '2k'], { NO_COLOR: '1' });
    await child.bindsPacket(1, BUILD_MS);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await child.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(child.stdout.toString()).toMatch(/^Result: OK: \d+\(c\d+\+d\d+\) usec, \d+ \(60byte,0frags\)\n {2}\d+pps /);
    const wrong = async (...words: string[]) => {
      const { code, stderr } = await space.run([...GEN, ...words], true);
      return `${code} ${stderr}`;
    };
    expect(await wrong('v0')).toMatch(/^2 .*say where to: --dst/s);
    expect(await wrong('v0', '--dst', '10.0.0.2', '--rate', 'often')).toMatch(/^2 .*--rate often: give a number/s);
    expect(await wrong('v0', '--dst', '10.0.0.2', '--pgset', 'frags 2')).toMatch(/^2 .*frags is not built/s);
    expect(await wrong('v0', '--dst', '10.0.0.77', '--pgset', 'count 1')).toMatch(/^1 .*give --dst-mac/s);
    expect(await wrong('nosuch', '--dst', '10.0.0.2', '--dst-mac', '02:00:00:00:00:01', '--src', '10.0.0.1')).toMatch(
      /^1 /,
    );
  });
});
