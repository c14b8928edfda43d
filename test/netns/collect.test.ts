/**
 * The collector on an interface whose peer is a program on the same machine: veth hands frames over with their UDP
 * checksum still to be filled in. A real sender's text must come out all the same, over each scheme.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'netpoll.js');
const READY_MS = 20_000;

describe.skipIf(lacking !== undefined)(titled('netpoll collect over veth', lacking), () => {
  let pair: VethPair;

  beforeAll(async () => {
    pair = await vethPair('collect');
  });
  afterAll(async () => {
    await pair?.remove();
  });

  it.each(['udp:0.0.0.0:6666', 'packet:v0:6666', 'xdp:v0:6666'])('%s prints what socat sends', async (where) => {
    const { a, b } = pair;
    const words = [process.execPath, PROGRAM, 'collect', '--listen', where, '--jsonl', '--no-http'];
    const collector = await a.space.start(words);
    if (where.startsWith('udp')) await collector.bindsUdp(6666, READY_MS);
    else if (where.startsWith('packet')) await collector.bindsPacket(1, READY_MS);
    else await collector.says(/^listening/m, READY_MS);
    const send = (text: string) =>
      b.space.run(['sh', '-c', `printf '${text}' | socat -u STDIN UDP4-SENDTO:${a.address}:6666`]);
    await send('[    1.000000] a basic line\\n');
    await send('6,42,2000000,-;an extended record\\n SUBSYSTEM=pci\\n');
    await collector.until('two messages', () => collector.lines.length >= 2);
    const { code } = await collector.stop('SIGTERM');
    const messages = collector.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(messages).toMatchObject([
      { host: b.address, usec: '1000000', text: 'a basic line', format: 'basic' },
      {
        host: b.address,
        seq: '42',
        level: 6,
        text: 'an extended record',
        dict: { SUBSYSTEM: 'pci' },
        format: 'extended',
      },
    ]);
    expect(messages).toHaveLength(2);
    expect(code).toBe(0);
  });
});
