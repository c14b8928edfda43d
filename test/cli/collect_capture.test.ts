/**
 * `netpoll collect --listen pcap:FILE --jsonl`, as a user runs it, on recordings of real kernels: every record that the
 * kernel sent comes out once, whole and in order, and nothing else does.
 *
 * What the program prints is held against two accounts: what the streams make of the same datagrams without the engine
 * (so nothing is lost, added or changed between port, NAPI, stack and socket), and the kernel's own: its sequence numbers
 * without a gap or a repetition, and the lines that the guest read of its own log. The comparison of these with the guest's
 * files, line by line and byte by byte, stands in src/collector/streams_real.test.ts.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Message } from '../../src/collector/index.ts';
import { jsonLine } from '../../src/collector/index.ts';
import { feedCapture } from '../../src/collector/streams.fixture.ts';
import { corporaDir, goldenDir, readBytes } from '../golden/netconsole/read_capture.ts';
import { Child } from '../netns/child.ts';

const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const scratch = mkdtempSync(join(tmpdir(), 'netpoll-cli-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function collect(path: string): Promise<{ lines: string[]; stderr: string; code: number | null }> {
  const child = await Child.start([...NETPOLL, 'collect', '--listen', `pcap:${path}`, '--jsonl']);
  const { code } = await child.ended;
  return { lines: child.lines, stderr: child.stderr.toString(), code };
}

/** A golden capture is gzipped in the tree; people have plain files. */
function unpacked(name: string): string {
  const path = join(scratch, name.replace(/\.gz$/, ''));
  writeFileSync(path, readBytes(join(goldenDir, name)));
  return path;
}

async function expectEveryRecordOnce(path: string): Promise<Message[]> {
  const { lines, code } = await collect(path);
  expect(code).toBe(0);
  expect(lines).toEqual(feedCapture(path).messages.map((message) => jsonLine(message).trimEnd()));
  const messages = lines.map((line) => JSON.parse(line) as Message);
  const extended = messages.filter((message) => message.format === 'extended');
  expect(extended.map((message) => Number(message.seq))).toEqual(extended.map((_, i) => i));
  return messages;
}

describe('a capture of a real kernel through the whole engine', () => {
  it('gives every record once, fragments joined, and nothing that the guest did not send', async () => {
    const messages = await expectEveryRecordOnce(unpacked('kmsg-k72.pcap.gz'));
    expect(messages.filter((message) => message.format === 'unparsed')).toEqual([]);
    const account = readBytes(join(goldenDir, 'kmsg-k72.proc-kmsg.txt.gz')).toString();
    expect(messages.filter((message) => message.format === 'extended')).toHaveLength(503);
    expect(account).toContain('network logging started');
    expect(messages.some((message) => message.text.length > 1000)).toBe(true);
  });

  it('gives a panic to its last line', async () => {
    const messages = await expectEveryRecordOnce(unpacked('oops_panic-k61.pcap.gz'));
    expect(messages.some((message) => message.text.startsWith('Kernel panic - not syncing'))).toBe(true);
  });

  for (const kernel of ['k61', 'k72']) {
    const path = join(corporaDir, `netconsole/captures/kmsg-${kernel}/nc.pcap`);
    it.skipIf(!existsSync(path))(
      `gives every record of corpora kmsg-${kernel} once (skip: no corpora folder)`,
      async () => {
        const messages = await expectEveryRecordOnce(path);
        expect(messages.filter((message) => message.format === 'unparsed')).toEqual([]);
      },
    );
  }
});

describe('what is not a capture', () => {
  it('is refused with the reason', async () => {
    const path = join(scratch, 'text.pcap');
    writeFileSync(path, 'this is not a capture at all, but it is long enough to hold a header');
    const { lines, stderr, code } = await collect(path);
    expect({ lines, code }).toEqual({ lines: [], code: 1 });
    expect(stderr).toMatch(/not a capture|magic/i);
  });

  it('is read as far as it goes when its end is missing, and says so', async () => {
    const whole = unpacked('oops_panic-k61.pcap.gz');
    const cut = join(scratch, 'cut.pcap');
    const bytes = readBytes(whole);
    writeFileSync(cut, bytes.subarray(0, bytes.length - 7));
    const { lines, stderr, code } = await collect(cut);
    expect(code).toBe(0);
    expect(lines.length).toBe((await collect(whole)).lines.length - 1);
    expect(stderr).toMatch(/cut|truncated|end/i);
  });

  it('is refused where the file does not exist', async () => {
    const { stderr, code } = await collect(join(scratch, 'nothing.pcap'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot read the capture: ENOENT/);
  });
});
