/**
 * RFS between threads: a flow's frames come to the CPU where it is read, wherever its reader goes, and stay in order.
 *
 *     namespace a: 8 flows ===veth=== namespace b: CPU 1 receives --sockets' table--> CPU 1 or CPU 2 takes the flow's frames
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendAcross } from './flows.ts';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip'] });
const PORT = 7000;
const FLOWS = 8;
const EACH = 10_000;
const PER_MS = 10;

interface Told {
  readonly received: readonly number[];
  readonly disordered: number;
  readonly dropped: number;
  readonly kernel_drops: number;
  readonly handed_over: number;
  readonly taken_over: number;
  /** By flow and time: frames by CPU. */
  readonly went: readonly (readonly (readonly number[])[])[];
}

describe.skipIf(lacking !== undefined)(titled('RFS between threads', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('smp-rfs');
  });
  afterAll(() => pair?.remove());

  it('a flow goes where it is read, moves when its reader moves, and loses neither frames nor order', async () => {
    const { b } = pair;
    const words = [PORT, FLOWS, EACH].map(String);
    const host = await b.space.start([process.execPath, 'test/netns/fixtures/smp_rfs.mjs', ...words]);
    await host.says(/"online"/, 15_000);
    expect(await sendAcross(pair, { port: PORT, flows: FLOWS, count: 4 * EACH, perMs: PER_MS })).toBe(4 * EACH);
    process.kill(host.pid, 'SIGUSR1');
    expect(await host.ended).toEqual({ code: 0, signal: null });
    const told = JSON.parse(host.lines.at(-1)!) as Told;
    const why = JSON.stringify(told);
    expect(told.disordered, why).toBe(0);
    const received = told.received.reduce((x, y) => x + y, 0);
    expect(received + told.kernel_drops + told.dropped, why).toBe(4 * EACH);
    expect([told.handed_over, told.taken_over], why).toEqual([told.received[2], told.received[2]]);
    const readers = told.went.map((_, flow) => [1, flow % 2 === 0 ? 2 : 1, flow % 2 === 0 ? 1 : 2, 2]);
    const took = told.went.map((times) => times.map((cpus) => cpus.flatMap((n, cpu) => (n > 0 ? [cpu] : []))));
    expect(took, why).toEqual(readers.map((times) => times.map((cpu) => [cpu])));
  });
});
