/**
 * The xdp port in a process of its own: whichever way the process ends, nothing stays attached to the interface; and what
 * it says where it lacks a privilege.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { type Namespace, type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'setpriv', 'busybox', 'ethtool', 'socat'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'xdp_host.mjs');
const CLI = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'netpoll.js');
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

  it('puts the settings of the interface back after SIGKILL where it has driven the device itself', async (ctx) => {
    const setting = async (name: string) =>
      (await pair.a.space.run(['cat', `/sys/class/net/v0/${name}`])).stdout.trim();
    const host = await pair.a.space.start([process.execPath, PROGRAM, 'xdp:v0,busy-poll']);
    await host.until('open', () => host.lines.length > 0, READY_MS);
    const { report } = JSON.parse(host.lines[0]!) as { report: string };
    if (!report.includes('busy poll by')) ctx.skip(report);
    expect(await setting('napi_defer_hard_irqs')).toBe('2');
    await host.stop('SIGKILL');
    await expect.poll(() => setting('napi_defer_hard_irqs'), { timeout: 5000 }).toBe('0');
    expect(await setting('gro_flush_timeout')).toBe('0');
  });

  it('lets two processes have a queue each, and the second go on when the first is killed', async () => {
    const { space } = pair.a;
    await space.run(['ethtool', '-L', 'v0', 'rx', '2', 'tx', '2']);
    const start = async (queue: number) => {
      const host = await space.start([process.execPath, PROGRAM, `xdp:v0/${queue}`]);
      await host.until('open', () => host.lines.length > 0, READY_MS);
      return { host, report: JSON.parse(host.lines[0]!).report as string };
    };
    const first = await start(0);
    const second = await start(1);
    expect(first.report).toMatch(/^native-copy, queue 0,/);
    expect(second.report).toMatch(/^native-copy, joined, queue 1,/);
    await first.host.stop('SIGKILL');
    expect(await attached()).toMatchObject({ mode: 1 });
    const third = await start(0);
    expect(third.report).toContain('joined, queue 0');
    await third.host.stop('SIGKILL');
    await second.host.stop('SIGKILL');
    for (let patience = 100; (await attached()) !== undefined && patience > 0; patience--);
    expect(await attached()).toBeUndefined();
    // The kernel lets go of a queue's pool a moment after the socket, and keeps the queue until then.
    const fewer = () => space.run(['ethtool', '-L', 'v0', 'rx', '1', 'tx', '1'], true);
    let { code } = await fewer();
    for (let patience = 100; code !== 0 && patience > 0; patience--) ({ code } = await fewer());
    expect(code).toBe(0);
  });

  it("joins the program of its own interface, not of another namespace's with the same number", async () => {
    const two = await vethPair('xdp-two');
    try {
      const start = async (space: Namespace, spec: string) => {
        const host = await space.start([process.execPath, PROGRAM, spec]);
        await host.until('open', () => host.lines.length > 0, READY_MS);
        return { host, report: JSON.parse(host.lines[0]!).report as string };
      };
      const numbers: string[] = [];
      for (const { space } of [two.a, two.b]) {
        await space.run(['ethtool', '-L', 'v0', 'rx', '2', 'tx', '2']);
        numbers.push((await space.run(['cat', '/sys/class/net/v0/ifindex'])).stdout);
      }
      expect(numbers[1]).toBe(numbers[0]);
      await start(two.b.space, 'xdp:v0');
      const first = await start(two.a.space, 'xdp:v0/0');
      expect((await start(two.a.space, 'xdp:v0/1')).report).toMatch(/, joined, queue 1,/);
      await first.host.stop('SIGKILL');
      expect(JSON.parse(await two.a.space.ip('-j', 'link', 'show', 'dev', 'v0'))[0].xdp).toMatchObject({ mode: 1 });
    } finally {
      await two.remove();
    }
  });

  it('sends what netpoll send is told, and ends', async () => {
    const { a, b } = pair;
    const heard = await b.space.start(['socat', '-u', 'UDP4-RECV:6666', 'STDOUT']);
    await heard.bindsUdp(6666, READY_MS);
    const target = `@${a.address}/xdp:v0,6666@${b.address}/${b.mac}`;
    await a.space.run([process.execPath, CLI, 'send', target, 'last words']);
    await heard.says(/last words/);
    await heard.stop();
    expect(await attached()).toBeUndefined();
  });

  it('shows what netpoll dump is asked for, and says whom it takes it from', async () => {
    const { a, b } = pair;
    const dump = await a.space.start([process.execPath, CLI, 'dump', 'xdp:v0', '-c', '2', 'icmp']);
    await dump.says(/the kernel itself gets none of its frames meanwhile/, READY_MS);
    await b.space.ip('neigh', 'replace', a.address, 'lladdr', a.mac, 'dev', 'v0');
    const { code } = await b.space.run(['busybox', 'ping', '-c', '2', '-W', '1', a.address], true);
    // Nobody answers: the kernel has not seen the question.
    expect(code).toBe(1);
    expect(await dump.ended).toMatchObject({ code: 0 });
    expect(dump.lines.filter((line) => line.includes(`${b.address} > ${a.address}: ICMP echo request`))).toHaveLength(
      2,
    );
    expect(await attached()).toBeUndefined();
    await b.space.ip('neigh', 'del', a.address, 'dev', 'v0');
    await b.space.run(['busybox', 'ping', '-c', '1', '-W', '2', a.address]);
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
