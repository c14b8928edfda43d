/** netpoll lab and netpoll ls as people run them: tables, curves, JSON, SVG, an exit code that tells. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Child } from '../netns/child.ts';

async function netpoll(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = await Child.start([process.execPath, 'bin/netpoll.js', ...args], { NO_COLOR: '1' });
  const { code } = await child.ended;
  return { code, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}
const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/ {2,}/));

describe('netpoll lab', { timeout: 120_000 }, () => {
  it('livelock: the table, the curves, and the same curves in a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lab-'));
    const file = join(folder, 'curve.svg');
    try {
      const { code, stdout } = await netpoll('lab', 'livelock', '--svg', file);
      expect(code).toBe(0);
      const rows = rowsOf(stdout);
      expect(rows[0]).toEqual([
        ...['way', 'offered', 'delivered', 'lost: card', 'backlog', 'interrupts', 'Done', 'Ndone'],
        ...['hardirq', 'softirq', 'ksoftirqd', 'task'],
      ]);
      const of = (way: string) => rows.filter(([first]) => first === way);
      expect([of('interrupt').length, of('no quota').length, of('napi').length]).toEqual([15, 15, 15]);
      // Under the greatest load: interrupts deliver next to nothing, NAPI what it can.
      expect(of('napi').at(-1)![2]).toMatch(/^\d+k$/);
      expect(of('interrupt').at(-1)![2]).not.toBe(of('napi').at(-1)![2]);
      expect(stdout).toMatch(/[\u2801-\u28ff]/);
      expect(stdout).toContain('━ napi');
      expect(stdout).not.toContain('\u001b[');
      const svg = readFileSync(file, 'utf8');
      expect(svg.match(/<polyline /g)?.length).toBe(3);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('moderation: interrupts a frame and latency by load, as a table and as JSON', async () => {
    const { code, stdout } = await netpoll('lab', 'moderation');
    expect(code).toBe(0);
    expect(rowsOf(stdout)[0]).toEqual([
      ...['moderation', 'offered', 'delivered', 'irqs/frame', 'mean us', 'most us', 'rx-usecs', 'rx-frames'],
    ]);
    expect(rowsOf(stdout).length).toBe(1 + 3 * 8);
    const points = JSON.parse((await netpoll('lab', 'moderation', '--json')).stdout);
    expect(points[0]).toMatchObject({ way: 'off', offered: 1000, rxUsecs: 0, rxFrames: 1 });
  });

  it('fairness: the bound, and the table of priorities', async () => {
    const { code, stdout } = await netpoll('lab', 'fairness');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\d+ frames, mean [\d.]+ us, most [\d.]+ us; bound [\d.]+ us/);
    const nices = rowsOf(stdout).filter((row) => row.length === 7 && /^-?\d+$/.test(row[0]!));
    expect(nices.map(([nice]) => nice)).toEqual(['-20', '-10', '-5', '0', '5', '10', '19']);
  });

  it('seeds: says what it ran, and with a planted fault how to have it again', async () => {
    const good = await netpoll('lab', 'seeds', '--count', '20');
    expect([good.code, good.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^20 worlds from seed 1: 0 failed; \d+ frames \(the oldest [\d.]+ ms\), \d+ events, \d+ panics\n$/,
      ),
    ]);
    const bad = await netpoll('lab', 'seeds', '--count', '8', '--plant', 'double free');
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(
      /seed \d+ failed; again with: netpoll lab seeds --from \d+ --count 1 --plant 'double free'\n/,
    );
    const json = await netpoll('lab', 'seeds', '--count', '3', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ from: 1, count: 3, failed: 0 });
  });

  it('refuses what it does not understand, with what it would', async () => {
    const plant = await netpoll('lab', 'seeds', '--plant', 'nothing');
    expect(plant.code).not.toBe(0);
    expect(plant.stderr).toContain('one of double free, lost frame');
    expect((await netpoll('lab', 'livelock', '--seed', 'x')).stderr).toContain('--seed x: give a whole number from 0');
  });
});

describe('netpoll ls', { timeout: 60_000 }, () => {
  it('prints what it was asked for, and nothing else', async () => {
    const link = await netpoll('ls', 'link', '-s', '--after', '2');
    expect(link.code).toBe(0);
    expect(link.stdout).toMatch(/^1: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP /);
    const rings = await netpoll('ls', 'ethtool', '-g', 'eth0', '--after', '0');
    expect(rings.stdout).toMatch(/^Ring parameters for eth0:\nPre-set maximums:\nRX:\t\t4096\n/);
    const nstat = await netpoll('ls', 'nstat', '-z', '--machine', 'web-1', '--after', '1');
    expect(nstat.stdout).toMatch(/^#kernel\nIpInReceives {20}\d+ +0\.0\n/);
  });

  it('shows this process over a capture', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ls-'));
    const file = join(folder, 'nc.pcap');
    writeFileSync(file, gunzipSync(readFileSync('test/golden/netconsole/kmsg-k72.pcap.gz')));
    const { code, stdout } = await netpoll('ls', 'nstat', '--on', `pcap:${file}`, '--after', '0.5');
    expect(code).toBe(0);
    rmSync(folder, { recursive: true });
    expect(stdout).toMatch(/IpInReceives {20}[1-9]\d* /);
  });

  it('says what is not there', async () => {
    const { code, stderr } = await netpoll('ls', 'link', 'wlan0', '--after', '0');
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining('Device "wlan0" does not exist.')]);
  });
});
