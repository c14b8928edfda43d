/**
 * Where koffi is not installed (it is optional) or the user is not root: what needs it says so and how to mend it; the rest works.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { goldenDir, readBytes } from '../golden/netconsole/read_capture.ts';
import { Child } from '../netns/child.ts';

const WITHOUT = [process.execPath, '--require', './test/cli/fixtures/no_koffi.cjs', 'bin/netpoll.js'];
const scratch = mkdtempSync(join(tmpdir(), 'netpoll-koffi-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function run(argv: string[]): Promise<{ code: number | null; lines: string[]; stderr: string }> {
  const child = await Child.start(argv);
  const { code } = await child.ended;
  return { code, lines: child.lines, stderr: child.stderr.toString() };
}

describe('without koffi', () => {
  it.each([
    [['collect', '--listen', 'udp:127.0.0.1:0', '--no-http']],
    [['collect', '--listen', 'packet:lo:6666', '--no-http']],
    [['send', '@/udp:127.0.0.1:0,9@127.0.0.1/', 'hi']],
    [['pong', '7@/lo,7@127.0.0.1/']],
  ])('%j says what to install', async (args) => {
    const { code, lines, stderr } = await run([...WITHOUT, ...args]);
    expect({ code, lines }).toEqual({ code: 1, lines: [] });
    expect(stderr).toMatch(/real ports need koffi.*npm install koffi/);
  });

  it('captures are read', async () => {
    const path = join(scratch, 'panic.pcap');
    writeFileSync(path, readBytes(join(goldenDir, 'oops_panic-k61.pcap.gz')));
    const { code, lines } = await run([...WITHOUT, 'collect', '--listen', `pcap:${path}`, '--jsonl']);
    expect(code).toBe(0);
    expect(lines.some((line) => line.includes('Kernel panic - not syncing'))).toBe(true);
  });

  it('the demo runs', async () => {
    const { code, lines } = await run([...WITHOUT, 'start', '--no-http', '--jsonl', '--for', '1']);
    expect(code).toBe(0);
    expect(lines.length).toBeGreaterThan(20);
  });
});
