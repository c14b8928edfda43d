/**
 * Sending from a CPU that has no queue of its own, through one that has.
 *
 *     namespace a: node:dgram counts ===veth=== namespace b: CPU 1 has packet:v0, CPU 2 and CPU 0 see it
 *
 * What is sent arrives, in order, and all of it is counted where it was sent; so it is by netpoll, more frames than there is memory
 * for, and while the main thread never comes back to its event loop.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TICKETS } from '../../src/host/smp/cpu_table.ts';
import { sendAcross } from './flows.ts';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip'] });
const PORT = 7100;
const LISTEN = 7000;

interface Told {
  readonly sent: number;
  readonly refused: number;
  readonly received: number;
  readonly packets: number;
  readonly dropped: number;
  readonly xmit: number;
  readonly turns?: number;
}

describe.skipIf(lacking !== undefined)(titled('a CPU that sends through another one', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('smp-send');
  });
  afterAll(() => pair?.remove());

  /** What the machine said last, and what arrived. */
  async function run(
    mode: string,
    frames: number,
    burst: number,
    meanwhile: () => Promise<unknown> = async () => {},
  ): Promise<{ told: Told; arrived: { arrived: number; disordered: number } }> {
    const { a, b } = pair;
    const counter = await a.space.start([process.execPath, 'test/netns/fixtures/smp_count.mjs', String(PORT)]);
    await counter.says(/listening/);
    const given = { mode, mac: a.mac, from: b.address, to: a.address, port: PORT, frames, burst, listen: LISTEN };
    const host = await b.space.start([process.execPath, 'test/netns/fixtures/smp_send.mjs', JSON.stringify(given)]);
    try {
      await host.says(/"online"/, 15_000);
      await meanwhile();
      const last = () => JSON.parse(host.lines.at(-1)!) as Told;
      await host.until('all are sent', () => host.lines.length > 1 && last().sent + last().refused >= frames, 30_000);
      process.kill(counter.pid, 'SIGUSR1');
      expect(await counter.ended).toEqual({ code: 0, signal: null });
      const told = last();
      if (told.turns === undefined) {
        process.kill(host.pid, 'SIGUSR1');
        expect(await host.ended).toEqual({ code: 0, signal: null });
      }
      const { received, noRoom, disordered } = JSON.parse(counter.lines.at(-1)!) as Record<string, number>;
      return { told, arrived: { arrived: received! + noRoom!, disordered: disordered! } };
    } finally {
      await host.stop('SIGKILL');
      await counter.stop('SIGKILL');
    }
  }

  it('1,000 frames in one go from CPU 2 arrive in order, all counted', async () => {
    const { told, arrived } = await run('cpu2', 1000, 1000);
    expect(arrived).toEqual({ arrived: 1000, disordered: 0 });
    expect(told).toMatchObject({ sent: 1000, packets: 1000, dropped: 0, xmit: 1000 });
  });

  it('what finds the other CPU’s queue full is dropped and counted where it was sent', async () => {
    const { told, arrived } = await run('cpu2', 6000, 3000);
    expect(arrived.disordered).toBe(0);
    expect(told.packets + told.dropped).toBe(6000);
    expect([arrived.arrived, told.xmit]).toEqual([told.packets, told.packets]);
    expect(told.packets).toBeGreaterThan(1000);
  });

  // It waits for a tick at most: where the other thread gets no processor for so long, the sender is told.
  it('netpoll on CPU 0 sends more than there is room and memory for at once: it waits, and what it sent arrives', async () => {
    const { told, arrived } = await run('netpoll', 20_000, 0);
    const { sent } = told;
    expect(told).toMatchObject({ refused: 20_000 - sent, packets: sent, dropped: 0, xmit: sent });
    expect(sent).toBeGreaterThan(2 * TICKETS);
    expect(arrived).toEqual({ arrived: sent, disordered: 0 });
  });

  for (const [mode, through] of [
    ['wedged', 'CPU 1'],
    ['own', 'a queue of its own'],
  ] as const) {
    it(`netpoll on a main thread that never returns sends through ${through} while the others receive`, async () => {
      const { told, arrived } = await run(mode, 10_000, 0, () =>
        sendAcross(pair, { port: LISTEN, flows: 16, count: 10_000, perMs: 10 }),
      );
      expect(told).toMatchObject({ sent: 10_000, refused: 0, received: 10_000, turns: 0, packets: 10_000, dropped: 0 });
      expect(told.xmit).toBe(mode === 'own' ? 0 : 10_000);
      expect(arrived).toEqual({ arrived: 10_000, disordered: 0 });
    });
  }
});
