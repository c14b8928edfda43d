/**
 * Netpoll on the host's ports, with the machine in every state.
 *
 *   namespace a                                          namespace b
 *   states.mjs, one process a state     ----veth----     answerer.mjs on 10.0.0.2
 *   packet:v0 or xdp:v0 as 10.0.0.77, or udp:10.0.0.1
 *
 * The client sends, hears the answer, and answers that on the same device (deferred: its hook runs inside the device's poll) and
 * on another one (at once). Only `normal` lets the event loop turn.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'] });
const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), 'fixtures');
const OWN_ADDRESS = '10.0.0.77';
const PORT = 7100;
const OTHER_PORT = 7101;
const STATES = ['normal', 'interrupts-off', 'softirq', 'panic', 'wedged'] as const;
const PORTS = ['packet', 'xdp', 'udp'] as const;

interface Told {
  readonly sent: number;
  readonly heard: string;
  readonly otherAtOnce: boolean;
  readonly deferred: number;
  readonly waiting: number;
  readonly ticks: number;
  readonly tookMs: number;
}

describe.skipIf(lacking !== undefined)(titled('netpoll on the ports of this host', lacking), () => {
  let pair: VethPair;
  let answerer: Child;

  beforeAll(async () => {
    pair = await vethPair('states');
    await pair.b.space.neighbour(pair.b.device, OWN_ADDRESS, pair.a.mac);
    answerer = await pair.b.space.start([
      process.execPath,
      join(FIXTURES, 'answerer.mjs'),
      String(PORT),
      String(OTHER_PORT),
    ]);
    await answerer.bindsUdp(PORT);
    await answerer.bindsUdp(OTHER_PORT);
  });
  afterAll(async () => {
    await pair?.remove();
  });

  it.each(PORTS.flatMap((port) => STATES.map((state) => [port, state] as const)))('%s:, %s', async (port, state) => {
    const { a, b } = pair;
    const options = {
      xdp: (remote: number) => `6665@${OWN_ADDRESS}/xdp:${a.device},${remote}@${b.address}/${b.mac}`,
      packet: (remote: number) => `6665@${OWN_ADDRESS}/packet:${a.device},${remote}@${b.address}/${b.mac}`,
      udp: (remote: number) => `6665@${a.address}/udp:${a.address}:6665,${remote}@${b.address}/`,
    };
    const other = port === 'udp' ? 'packet' : 'udp';
    const before = answerer.lines.length;
    const argv = [
      process.execPath,
      join(FIXTURES, 'states.mjs'),
      state,
      options[port](PORT),
      options[other](OTHER_PORT),
    ];
    const { stdout } = await a.space.run(argv);
    const told = JSON.parse(stdout) as Told;
    expect(told).toMatchObject({ sent: 0, heard: 'ping', otherAtOnce: true, deferred: 1, waiting: 0, ticks: 0 });
    expect(told.tookMs).toBeLessThan(2000);
    await answerer.until('three datagrams', () => answerer.lines.length >= before + 3, 2000);
    const came = answerer.lines.slice(before).map((line) => JSON.parse(line) as { port: number; text: string });
    expect(came.map((each) => `${each.port} ${each.text}`).sort()).toEqual([
      `${PORT} ${state} same`,
      `${PORT} ${state} send`,
      `${OTHER_PORT} ${state} other`,
    ]);
  });
});
