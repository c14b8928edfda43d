/**
 * An interface with two queues through AF_XDP: one port over both, whose queues share the memory; a port in each of two threads; and a
 * port in a worker thread while the main thread does something else.
 *
 *     namespace a: node:dgram, 16 flows ===veth, 2 queues=== namespace b: xdp:v0
 *
 * Each run adds up: sent = received + every named drop, each flow on one queue and in order.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHost, type QueuesTold, sendAcross } from './flows.ts';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'ethtool'] });
const PORT = 7000;
const FLOWS = 16;
const SENT = 20_000;
const READY_MS = 20_000;

/** What smp_host.mjs says, by CPU and of all together. */
interface CpusTold {
  readonly received: readonly number[];
  readonly disordered: readonly number[];
  readonly dropped: number;
  readonly unread: number;
  readonly kernel_drops: number;
}

describe.skipIf(lacking !== undefined)(titled('an interface with two queues through AF_XDP', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('xdpq');
    for (const { space } of [pair.a, pair.b]) await space.run(['ethtool', '-L', 'v0', 'rx', '2', 'tx', '2']);
  });
  afterAll(() => pair?.remove());

  const send = () => sendAcross(pair, { port: PORT, flows: FLOWS, count: SENT, perMs: 10 });

  async function run(...where: string[]): Promise<QueuesTold & { sent: number; report: unknown }> {
    const command = [
      process.execPath,
      'test/netns/fixtures/xdp_queues.mjs',
      'xdp:v0',
      String(PORT),
      String(FLOWS),
      ...where,
    ];
    const host = await pair.b.space.start(command);
    try {
      await host.says(/"report"/, READY_MS);
      const { report } = JSON.parse(host.lines[0]!) as { report: unknown };
      const sent = await send();
      return { sent, report, ...(await askHost<QueuesTold>(host, READY_MS)) };
    } finally {
      await host.stop('SIGKILL');
    }
  }

  function expectAll({ sent, received, rx_dropped_kernel, disordered, queues }: QueuesTold & { sent: number }): void {
    expect(sent).toBe(SENT);
    expect(received + rx_dropped_kernel).toBe(sent);
    expect(disordered).toBe(0);
    expect(queues.every((each) => each.length === 1)).toBe(true);
    expect(new Set(queues.flat())).toEqual(new Set([0, 1]));
  }

  it('one port has both, which share its memory: each flow comes on one of them, in order', async () => {
    const result = await run();
    expect(result.report).toMatchObject({ mode: 'native-copy', queues: [0, 1], joined: false });
    expectAll(result);
  });

  it('works in a worker thread, whatever the main thread does', async () => {
    const result = await run('worker');
    expectAll(result);
  });

  it('gives each thread a queue of its own where CPUs are threads', async () => {
    const options = { cpus: 3, spec: 'xdp:v0', flows: FLOWS, port: PORT, device: { udpPort: PORT }, on: [1, 2] };
    const host = await pair.b.space.start([
      process.execPath,
      'test/netns/fixtures/smp_host.mjs',
      JSON.stringify(options),
    ]);
    try {
      await host.says(/"online"/, READY_MS);
      const sent = await send();
      const { received, disordered, dropped, unread, kernel_drops } = await askHost<CpusTold>(host, READY_MS);
      expect(received[1]! + received[2]! + dropped + unread + kernel_drops).toBe(sent);
      expect(received[1]).toBeGreaterThan(1000);
      expect(received[2]).toBeGreaterThan(1000);
      expect(disordered.slice(1, 3)).toEqual([0, 0]);
    } finally {
      await host.stop('SIGKILL');
    }
  });
});
