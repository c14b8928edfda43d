/**
 * CPUs that are threads, with real frames: a veth, a sender in another namespace, packet sockets in a fanout group or one with RPS.
 *
 *     namespace a: node:dgram, 16 flows ===veth=== namespace b: CPU 1, CPU 2, and CPU 0 which looks on
 *
 * Each run adds up: sent = received + every named drop. Threads are ended in every way there is, in the middle of it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHost, sendAcross, sendFlows } from './flows.ts';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip'] });
const PORT = 7000;
const FLOWS = 16;

interface Result {
  readonly received: readonly number[];
  readonly disordered: readonly number[];
  readonly online: readonly number[];
  readonly dropped: number;
  readonly handed_over: number;
  readonly taken_over: number;
  readonly taken_back: number;
  readonly died_with: number;
  readonly unread: number;
  readonly kernel_drops: number;
  readonly doorbells: number;
  readonly deaths: readonly { readonly cpu: number; readonly why: string; readonly unread: number }[];
  readonly rows: readonly { readonly cpu: number; readonly processed: number; readonly received_rps: number }[];
  readonly log: readonly string[];
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

describe.skipIf(lacking !== undefined)(titled('CPUs that are threads', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('smp');
  });
  afterAll(() => pair?.remove());

  /** Sends `total` datagrams at a machine with these options. */
  async function run(options: object, total: number, perMs: number): Promise<Result & { sent: number }> {
    const given = { cpus: 3, spec: 'packet:v0', flows: FLOWS, port: PORT, device: { udpPort: PORT }, ...options };
    const host = await pair.b.space.start([
      process.execPath,
      'test/netns/fixtures/smp_host.mjs',
      JSON.stringify(given),
    ]);
    try {
      await host.says(/"online"/, 15_000);
      const sent = await sendAcross(pair, { port: PORT, flows: FLOWS, count: total, perMs });
      const result = await askHost<Result>(host, 20_000);
      const ended = await host.ended;
      expect(ended).toEqual({ code: 0, signal: null });
      return { sent, ...result };
    } finally {
      await host.stop('SIGKILL');
    }
  }

  /**
   * sent = received + each named drop; what a dead CPU had in hand may be counted as received too, and what comes between the counting of
   * what its sockets had and their closing is not counted.
   */
  function expectSum(result: Result & { sent: number }): void {
    const { sent, received, dropped, unread, kernel_drops, died_with } = result;
    const known = sum(received) + dropped + unread + kernel_drops;
    const unsure = result.deaths.length > 0 ? 64 : 0;
    expect(known, JSON.stringify(result)).toBeGreaterThanOrEqual(sent - died_with - unsure);
    expect(known, JSON.stringify(result)).toBeLessThanOrEqual(sent + unsure);
    expect(sum(result.disordered)).toBe(0);
  }

  it('the kernel deals flows out to the threads of a fanout group, each flow in order', async () => {
    const result = await run({}, 20_000, 20);
    expectSum(result);
    expect(result.sent).toBe(20_000);
    expect(result.received[1]).toBeGreaterThan(1000);
    expect(result.received[2]).toBeGreaterThan(1000);
    expect(sum(result.received) + result.kernel_drops).toBe(20_000);
    expect(result.handed_over).toBe(0);
  });

  it('one thread receives and steers to another where the frame lies (RPS), each flow in order', async () => {
    const result = await run({ on: [1], rps: [1, 2] }, 20_000, 20);
    expectSum(result);
    expect(sum(result.received) + result.kernel_drops + result.dropped).toBe(20_000);
    expect(result.handed_over).toBe(result.received[2]);
    expect(result.taken_over).toBe(result.handed_over);
    expect(result.received[1]).toBeGreaterThan(1000);
    expect(result.received[2]).toBeGreaterThan(1000);
    // Woken for many at once, not for each.
    expect(result.rows[2]!.received_rps).toBeLessThan(result.taken_over / 2);
  });

  it('a CPU that is too slow gets no more than its backlog holds; the rest is dropped and counted for it', async () => {
    const result = await run({ on: [1], rps: [2], workUs: 200 }, 20_000, 20);
    expectSum(result);
    expect(result.dropped).toBeGreaterThan(1000);
    expect(result.received[1]).toBe(0);
  });

  for (const how of ['exit', 'throw', 'oom', 'terminate']) {
    it(`the others go on when a thread of the group dies in the flood (${how})`, async () => {
      const result = await run({ killAt: 2000, how }, 20_000, 20);
      expect(result.deaths.map(({ cpu }) => cpu)).toEqual([2]);
      expect(result.log.join('\n')).toMatch(/CPU2 is offline: /);
      expect(result.online).toEqual([0, 1]);
      expectSum(result);
      // Its flows have come to the member that is left.
      expect(result.received[1]).toBeGreaterThan(10_000);
    });
  }

  it('what a udp: socket of a thread that is too slow had no room for is counted, too', async () => {
    const device = { receiveBuffer: 64 << 10 };
    const result = await run({ on: [1], spec: `udp:10.0.0.2:${PORT}`, device, workUs: 200 }, 6000, 20);
    expect(result.kernel_drops).toBeGreaterThan(1000);
    expect(result.received[1]! + result.kernel_drops, JSON.stringify(result)).toBe(6000);
  });

  for (const [spec, device] of [
    ['packet:v0', { udpPort: PORT }],
    ['xdp:v0', { udpPort: PORT }],
    [`udp:10.0.0.2:${PORT}`, {}],
  ] as const) {
    it(`what lay unread in the ${spec.split(':')[0]}: device of a thread that had hung is counted when it is ended`, async () => {
      const result = await run({ on: [2], spec, device, killAt: 500, how: 'wedge' }, 6000, 20);
      expect(result.received[2]).toBe(500);
      expect(result.deaths).toHaveLength(1);
      expect(result.deaths[0]!.unread).toBe(result.unread);
      expect(result.unread).toBeGreaterThan(1000);
      const known = 500 + result.unread + result.kernel_drops;
      expect(known, JSON.stringify(result)).toBeLessThanOrEqual(6000);
      // But for those that it had taken out and not handed up.
      expect(known, JSON.stringify(result)).toBeGreaterThanOrEqual(6000 - 64);
    });
  }

  it('what lay unread in the queue of a tap: device of such a thread is counted too', async () => {
    const { space } = pair.b;
    const device = `tap${process.pid % 10_000}`;
    const given = { cpus: 3, spec: `tap:${device}`, flows: FLOWS, port: PORT, on: [2], killAt: 100, how: 'wedge' };
    const host = await space.start([process.execPath, 'test/netns/fixtures/smp_host.mjs', JSON.stringify(given)]);
    try {
      await host.says(/"online"/, 15_000);
      await space.ip('addr', 'add', '10.9.0.1/24', 'dev', device);
      await space.neighbour(device, '10.9.0.2', '02:00:00:00:00:02');
      await sendFlows(space, '10.9.0.2', { port: PORT, flows: FLOWS, count: 800, perMs: 20 });
      process.kill(host.pid, 'SIGUSR1');
      expect(await host.ended).toEqual({ code: 0, signal: null });
      const result = JSON.parse(host.lines.at(-1)!) as Result;
      expect(result.received[2]).toBe(100);
      expect(100 + result.unread).toBeLessThanOrEqual(800);
      // But for those that it had taken out and not handed up.
      expect(100 + result.unread).toBeGreaterThanOrEqual(800 - 64);
    } finally {
      await host.stop('SIGKILL');
    }
  });

  it('what a dead CPU had not looked at goes up where it came from', async () => {
    const result = await run({ on: [1], rps: [2], workUs: 100, killAt: 1000, how: 'exit' }, 20_000, 10);
    expect(result.deaths).toHaveLength(1);
    expectSum(result);
    expect(result.taken_back).toBeGreaterThan(0);
    expect(result.received[1]).toBeGreaterThan(result.taken_back);
  });

  it('a CPU whose thread has died is brought up again, and gets its flows', async () => {
    const result = await run({ on: [1], rps: [2], killAt: 1000, how: 'exit', restart: true }, 30_000, 10);
    expect(result.deaths).toHaveLength(1);
    expect(result.online).toEqual([0, 1, 2]);
    expectSum(result);
    expect(result.received[2]).toBeGreaterThan(2000);
  });

  it('threads receive while the main thread is wedged', async () => {
    const result = await run({ wedgeMs: 700 }, 30_000, 20);
    expectSum(result);
    const wedged = Number(/wedged: (\d+)/.exec(result.log.join('\n'))?.[1]);
    expect(wedged).toBeGreaterThan(100);
  });
});
