/**
 * The xdp port in a process of its own: whichever way the process ends, nothing stays attached to the interface; and what
 * it says where it lacks a privilege.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'setpriv', 'busybox'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'xdp_host.mjs');
const READY_MS = 20_000;

describe.skipIf(lacking !== undefined)(titled('the xdp port as a process', lacking), () => {
  let pair: VethPair;
  beforeAll(async () => {
    pair = await vethPair('xdp');
  });
  afterAll(async () => {
    await pair?.remove();
  });

  /** Undefined: nothing is attached. */
  const attached = async () => JSON.parse(await pair.a.space.ip('-j', 'link', 'show', 'dev', 'v0'))[0].xdp;

  it.each<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGSEGV'])('leaves nothing attached after %s', async (signal) => {
    const host = await pair.a.space.start([process.execPath, PROGRAM, 'xdp:v0']);
    await host.until('open', () => host.lines.length > 0, READY_MS);
    expect(JSON.parse(host.lines[0]!).report).toMatch(/^native-copy, queue 0,/);
    expect(await attached()).toMatchObject({ mode: 1 });
    await host.stop(signal);
    // The kernel takes the link down from a work queue, a moment after the process is gone.
    for (let patience = 100; (await attached()) !== undefined && patience > 0; patience--);
    expect(await attached()).toBeUndefined();
    await pair.b.space.run(['busybox', 'ping', '-c', '1', '-W', '2', pair.a.address]);
  });

  it.each([
    ['CAP_NET_RAW', '-all', 'CAP_NET_RAW'],
    ['CAP_BPF and CAP_NET_ADMIN', '-all,+net_raw', 'CAP_BPF and CAP_NET_ADMIN'],
    ['CAP_NET_ADMIN', '-all,+net_raw,+bpf,+perfmon', 'CAP_NET_ADMIN'],
  ])('says that it lacks %s', async (_, bounding, named) => {
    const words = ['setpriv', '--inh-caps', '-all', '--bounding-set', bounding, process.execPath, PROGRAM, 'xdp:v0'];
    const { stdout, code } = await pair.a.space.run(words, true);
    expect(code).toBe(1);
    const said = JSON.parse(stdout) as { code: string; message: string };
    expect(said.code).toBe('ERR_NETPOLL_EPERM');
    expect(said.message).toContain(named);
  });
});
