/**
 * netpoll collect --cpus: threads receive and parse, the main one prints; every record of every source arrives, in its source's order.
 *
 *     namespace a: node:dgram, 16 sockets ===veth=== namespace b: netpoll collect --cpus 2
 */
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip'] });
const NETPOLL = [process.execPath, createRequire(import.meta.url).resolve('../../bin/netpoll.js')];
const PORT = 6666;
const SOURCES = 16;
const RECORDS = 100;

const SENDER = `
import { createSocket } from 'node:dgram';
for (let seq = 0; seq < ${RECORDS}; seq++) {
  for (let i = 0; i < ${SOURCES}; i++) {
    globalThis.sockets ??= [];
    sockets[i] ??= createSocket('udp4');
    sockets[i].send('6,' + (i * 1000 + seq) + ',' + (seq * 1000) + ',-;record ' + i + ' ' + seq + '\\n', ${PORT}, '10.0.0.2');
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}
setTimeout(() => sockets.forEach((socket) => socket.close()), 100);
`;

describe.skipIf(lacking !== undefined)(titled('netpoll collect --cpus', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('collect-cpus');
  });
  afterAll(() => pair?.remove());

  for (const where of [`udp:0.0.0.0:${PORT}`, `packet:v0:${PORT}`]) {
    it(`${where}: every record of every source, from two threads`, async () => {
      const argv = [...NETPOLL, 'collect', '--cpus', '2', '--stats', '--jsonl', '--no-http', '--listen', where];
      const collect = await pair.b.space.start(argv);
      await collect.says(/cpu 1[\s\S]*cpu 2|cpu 2[\s\S]*cpu 1/, 20_000);
      await pair.a.space.run([process.execPath, '--input-type=module', '-e', SENDER]);
      await collect.until('all records', () => collect.lines.length >= SOURCES * RECORDS, 15_000);
      expect(await collect.stop('SIGINT')).toEqual({ code: 0, signal: null });
      const messages = collect.lines.map((line) => JSON.parse(line) as { seq: string; text: string });
      expect(messages).toHaveLength(SOURCES * RECORDS);
      expect(new Set(messages.map(({ text }) => text)).size).toBe(SOURCES * RECORDS);
      const said = collect.stderr.toString();
      expect(said).toMatch(/1600 messages from 1600 datagrams\n/);
      const rows = [...said.matchAll(/^softnet +cpu (\d): (\d+) processed, (\d+) dropped, /gm)];
      expect(rows.map(([, cpu]) => cpu)).toEqual(['0', '1', '2']);
      const processed = rows.map(([, , frames]) => Number(frames));
      expect(processed[0]).toBe(0);
      expect(Math.min(processed[1]!, processed[2]!)).toBeGreaterThan(0);
      expect(processed[1]! + processed[2]!).toBeGreaterThanOrEqual(SOURCES * RECORDS);
    });
  }

  it('says what is wrong: an interface that is not there, a number that is none', async () => {
    const run = (...words: string[]) =>
      pair.b.space.run(['env', 'NO_COLOR=1', ...NETPOLL, 'collect', '--no-http', ...words], true);
    const none = await run('--cpus', '2', '--listen', 'packet:nosuch:6666');
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/netpoll: there is no interface "nosuch"/)]);
    const zero = await run('--cpus', '0');
    expect([zero.code, zero.stderr]).toEqual([2, expect.stringMatching(/--cpus: give 1 to 15 threads/)]);
  });
});
