/**
 * Captures through the commands, judged by capinfos, tshark and editcap.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { udpFrame } from '../../src/sim/rig.fixture.ts';
import { pcapFile } from '../../src/wire/pcap_writer.ts';
import { goldenDir, readBytes } from '../golden/netconsole/read_capture.ts';
import { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';

const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const ENDS = [process.execPath, join(import.meta.dirname, 'fixtures/ends.mjs')];
const READY_MS = 30_000;
const lacking = lacks({ tools: ['capinfos', 'tshark', 'editcap'] });

function tool(...argv: string[]): string {
  const { stdout, stderr, status } = spawnSync(argv[0]!, argv.slice(1), { encoding: 'utf8', maxBuffer: 1 << 28 });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** Every frame as tshark has it: its length and all its bytes. */
const framesOf = (file: string): string => tool('tshark', '-r', file, '-x');

async function run(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = await Child.start([...NETPOLL, ...words]);
  const { code } = await child.ended;
  return { code, out: child.stdout.toString(), err: child.stderr.toString() };
}

describe.skipIf(lacking !== undefined)(titled('captures, by pcap:', lacking), () => {
  const folder = mkdtempSync(join(tmpdir(), 'netpoll-captures-'));
  const file = (name: string) => join(folder, name);
  const kernel = file('kernel.pcap');

  beforeAll(() => writeFileSync(kernel, readBytes(join(goldenDir, 'oops_panic-k61.pcap.gz'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('a forward copies a capture, frame for frame, and ends with it', async () => {
    const copy = file('copy.pcap');
    const { code, out } = await run('forward', `pcap:${kernel}`, `pcap:,out=${copy}`, '--json');
    expect(code).toBe(0);
    const { ways } = JSON.parse(out) as { ways: Record<string, number>[] };
    expect(ways[0]).toMatchObject({ tx_errors: 0 });
    expect(framesOf(copy)).toBe(framesOf(kernel));
  });

  it.each(['pcapng', 'nsecpcap'])('%s is read as well', async (format) => {
    const [converted, copy] = [file(`in.${format}`), file(`out-${format}.pcap`)];
    tool('editcap', '-F', format, kernel, converted);
    expect((await run('forward', `pcap:${converted}`, `pcap:,out=${copy},format=nsecpcap`)).code).toBe(0);
    expect(framesOf(copy)).toBe(framesOf(kernel));
    expect(tool('capinfos', '-M', '-t', copy)).toContain('nsecpcap');
  });

  it('VLAN tags stay, a loop repeats, a snap length cuts', async () => {
    const [tagged, copy] = [file('tagged.pcap'), file('tagged-copy.pcap')];
    const frame = Uint8Array.from({ length: 200 }, (_, i) => i);
    frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0x60, 5, 0x88, 0xb5]);
    const frames = Array.from({ length: 10 }, (_, i) => ({ tsUs: 1_700_000_000_000_000 + i, bytes: frame }));
    writeFileSync(tagged, pcapFile(frames));
    expect((await run('forward', `pcap:${tagged},loop=3`, `pcap:,out=${copy},snaplen=96`)).code).toBe(0);
    const fields = ['-T', 'fields', '-e', 'vlan.id', '-e', 'vlan.priority', '-e', 'frame.cap_len', '-e', 'frame.len'];
    expect(tool('tshark', '-r', copy, ...fields)).toBe('5\t3\t96\t200\n'.repeat(30));
  });

  it('a capture that was cut short gives what stands before the cut, and says so', async () => {
    const cut = file('cut.pcap');
    const bytes = readFileSync(kernel);
    writeFileSync(cut, bytes.subarray(0, bytes.length - 7));
    const { code, out, err } = await run('collect', '--listen', `pcap:${cut}`, '--jsonl');
    expect(code).toBe(0);
    expect(out).toContain('Kernel panic - not syncing');
    expect(err).toMatch(/cut short/);
  });

  it('dump shows a capture at its own pace, and ends with it', async () => {
    const slow = file('slow.pcap');
    const bytes = udpFrame({ payload: 'slow' });
    writeFileSync(slow, pcapFile([0, 1, 2].map((i) => ({ tsUs: 1_700_000_000_000_000 + i * 200_000, bytes }))));
    const child = await Child.start([...NETPOLL, 'dump', `pcap:${slow},pace=1`]);
    await child.until('the first frame', () => child.lines.length > 0, READY_MS);
    const started = performance.now();
    expect(child.lines.length).toBe(1);
    expect((await child.ended).code).toBe(0);
    expect(child.lines.length).toBe(3);
    expect(performance.now() - started).toBeGreaterThan(300);
  });

  it('what is written is whole at Ctrl-C', async () => {
    const copy = file('interrupted.pcap');
    const child = await Child.start([...NETPOLL, 'forward', `pcap:${kernel},loop=0,pps=2000`, `pcap:,out=${copy}`]);
    await child.until('some frames', () => sizeOf(copy) > 20_000, READY_MS);
    expect((await child.stop('SIGINT')).code).toBe(0);
    const sent = Number(/(\d+) frames/.exec(child.stdout.toString())?.[1]);
    expect(tool('capinfos', '-M', '-c', copy)).toContain(`${sent}\n`);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'exception'] as const)(
    'a program that closes nothing leaves a whole file when it ends by %s',
    async (end) => {
      const written = file(`${end}.pcap`);
      const child = await Child.start([...ENDS, written, end.startsWith('SIG') ? 'signal' : end]);
      await child.says(/ready/);
      const ended = end.startsWith('SIG') ? await child.stop(end as NodeJS.Signals) : await child.ended;
      if (end.startsWith('SIG')) expect(ended).toEqual({ code: null, signal: end });
      else expect(ended).toEqual({ code: end === 'exit' ? 0 : 1, signal: null });
      expect(tool('capinfos', '-M', '-c', written)).toMatch(/Number of packets:\s+77\n/);
    },
  );
});

function sizeOf(path: string): number {
  try {
    return readFileSync(path).length;
  } catch {
    return 0;
  }
}
