/**
 * Several queues of one packet port in one thread, which the kernel deals an interface's frames out to, up to a UDP socket of ours.
 *
 *     namespace a: node:dgram, 16 flows ===veth=== namespace b: packet:v0,queues=3,fanout=...
 *
 * Each run adds up: sent = received + what the kernel says it had no room for.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHost, type QueuesTold, sendAcross } from './flows.ts';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'] });
const PORT = 7100;
const FLOWS = 16;
const SENT = 8000;
const READY_MS = 20_000;
const SETTLED_MS = 10_000;

describe.skipIf(lacking !== undefined)(titled('a packet port of several queues', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('fanout');
  });
  afterAll(() => pair?.remove());

  async function run(spec: string): Promise<QueuesTold> {
    const command = [process.execPath, 'test/netns/fixtures/fanout_host.mjs', spec, String(PORT), String(FLOWS)];
    const host = await pair.b.space.start(command);
    try {
      await host.says(/"group"/, READY_MS);
      expect((JSON.parse(host.lines[0]!) as { group: number }).group).toBeGreaterThanOrEqual(0);
      await sendAcross(pair, { port: PORT, flows: FLOWS, count: SENT, perMs: 10 });
      for (const end = Date.now() + SETTLED_MS; ; ) {
        const result = await askHost<QueuesTold>(host, READY_MS);
        if (result.received + result.rx_dropped_kernel >= SENT || Date.now() > end) return result;
      }
    } finally {
      await host.stop('SIGKILL');
    }
  }

  it('gets each flow on one queue and in order, and uses its queues', async () => {
    const { queues, disordered, received, rx_dropped_kernel } = await run('packet:v0,queues=3');
    expect(received + rx_dropped_kernel).toBe(SENT);
    expect(disordered).toBe(0);
    expect(queues.every((each) => each.length === 1)).toBe(true);
    expect(new Set(queues.flat()).size).toBeGreaterThan(1);
  });

  it('gets frames in turn where that is asked for, whatever their flow', async () => {
    const { queues, received, rx_dropped_kernel } = await run('packet:v0,queues=2,fanout=lb');
    expect(received + rx_dropped_kernel).toBe(SENT);
    expect(new Set(queues.flat())).toEqual(new Set([0, 1]));
  });
});
