/**
 * SysRq commands between two processes: `netpoll send` takes them, `netpoll sysrq` gives them, over loopback without privileges and
 * over a veth pair past the kernel's stack; what the keys print arrives at a third process, the collector.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../../src/collector/index.ts';
import { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { type VethPair, vethPair } from '../netns/rig.ts';

const NETPOLL = [process.execPath, 'bin/netpoll.js'];
/** A program may have to wait for its turn on a busy machine. */
const READY_MS = 30_000;
const KEY = 'a1b2c3d4e5f60718'.repeat(4);
let folder: string;
let keys: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'netpoll-sysrq-'));
  keys = keyFile('keys', `# the keys\n${hostname()} ${KEY} 127.0.0.1\n* ${KEY}\n`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function keyFile(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

/** A command line whose standard input stays open: `netpoll send` waits for lines. */
function holding(argv: readonly string[], name: string): string[] {
  const fifo = join(folder, `fifo-${name}`);
  execFileSync('mkfifo', [fifo]);
  return ['sh', '-c', 'exec "$@" 0<>"$0"', fifo, ...argv];
}

async function sysrq(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = await Child.start([...NETPOLL, 'sysrq', ...args], { NO_COLOR: '1' });
  const { code } = await child.ended;
  return { code, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** A collector, and a sender on loopback that takes commands. */
async function pair(name: string, ...flags: string[]): Promise<{ collector: Child; machine: Child; at: string }> {
  const [log, port] = [await freePort(), await freePort()];
  const collector = await Child.start([
    ...NETPOLL,
    ...['collect', '--listen', `udp:127.0.0.1:${log}`, '--jsonl', '--no-http'],
  ]);
  await collector.bindsUdp(log, READY_MS);
  const options = `${port}@127.0.0.1/udp:127.0.0.1:${port},${log}@127.0.0.1/`;
  const machine = await Child.start(holding([...NETPOLL, 'send', options, ...flags], name));
  await machine.bindsUdp(port, READY_MS);
  return { collector, machine, at: `127.0.0.1:${port}` };
}

const texts = (collector: Child): string[] => collector.lines.map((line) => (JSON.parse(line) as Message).text);
const arrives = (collector: Child, text: string): Promise<void> =>
  collector.until(JSON.stringify(text), () => texts(collector).some((each) => each.includes(text)));

describe('netpoll sysrq over loopback', () => {
  it('shows the state of a process, changes its log level, and ends it as asked', { timeout: 60_000 }, async () => {
    const { collector, machine, at } = await pair('ends', '--sysrq-key-file', keys, '--sysrq-mask', '1');
    const first = await sysrq(at, 't', 'mq', '-k', keys, '--json');
    expect(first.code).toBe(0);
    expect(
      first.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toEqual(['t', 'm', 'q'].map((key, i) => ({ host: hostname(), key, status: 'accepted', command: i + 1 })));
    for (const text of ['sysrq: Show State', 'task:napi/netpoll0', 'sysrq: Show Memory', 'rss:', 'active timers:']) {
      await arrives(collector, text);
    }
    expect(texts(collector).join('\n')).toContain('sysrq: netconsole: t from 127.0.0.1 port');
    expect((await sysrq(at, 'b', '-k', keys)).stdout).toBe(`${hostname()}  b  accepted\n`);
    expect((await machine.ended).code).toBe(75);
    await arrives(collector, 'sysrq: Resetting');
    await collector.stop('SIGINT');
  });

  it('crashes it with all last words, and powers it off', { timeout: 60_000 }, async () => {
    const { collector, machine, at } = await pair('crash', '--sysrq-key-file', keys);
    expect((await sysrq(at, 'o', '-k', keys)).stdout).toBe(`${hostname()}  o  disabled by the mask\n`);
    expect((await sysrq(at, 'c', '-k', keys)).code).toBe(0);
    expect((await machine.ended).code).toBe(1);
    await arrives(collector, '---[ end Kernel panic - not syncing: sysrq triggered crash ]---');
    await collector.stop('SIGINT');
    const other = await pair('off', '--sysrq-key-file', keys, '--sysrq-mask', '128');
    expect((await sysrq(other.at, 'o', '-k', keys)).code).toBe(0);
    expect((await other.machine.ended).code).toBe(0);
    await other.collector.stop('SIGINT');
  });

  it('is not heard with another key, for another host, or where nobody asked to be commanded', {
    timeout: 60_000,
  }, async () => {
    const { collector, machine, at } = await pair('deaf', '--sysrq-key-file', keys, '--sysrq-mask', '1');
    const deaf = await pair('off-by-default');
    const wrong = keyFile('wrong', `${'00'.repeat(32)}\n`);
    const other = keyFile('other', `another-host ${KEY} ${at}\n`);
    const results = await Promise.all([
      sysrq(at, 'b', '-k', wrong),
      sysrq('another-host', 'b', '-k', other),
      sysrq(deaf.at, 'b', '-k', keys),
    ]);
    for (const { code, stdout, stderr } of results) {
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/no answer from .* or has another key/);
    }
    expect([machine.end, deaf.machine.end]).toEqual([undefined, undefined]);
    await arrives(collector, 'refused');
    expect(texts(collector).join('\n')).toMatch(/sysrq: netconsole: refused \d+: .*forged \d+/);
    for (const child of [machine, deaf.machine]) await child.stop();
    for (const child of [collector, deaf.collector]) await child.stop('SIGINT');
  });

  it('commands netpoll netconsole run, through the port that its target sends from', { timeout: 60_000 }, async () => {
    const [log, port] = [await freePort(), await freePort()];
    const collector = await Child.start([
      ...NETPOLL,
      ...['collect', '--listen', `udp:127.0.0.1:${log}`, '--jsonl', '--no-http'],
    ]);
    await collector.bindsUdp(log, READY_MS);
    const target = `+${port}@127.0.0.1/udp:127.0.0.1:${port},${log}@127.0.0.1/`;
    const machine = await Child.start(
      holding([...NETPOLL, 'netconsole', 'run', target, '--no-control', '--sysrq-key-file', keys], 'netconsole'),
    );
    await machine.bindsUdp(port, READY_MS);
    await machine.says(/enabled/);
    expect((await sysrq(`127.0.0.1:${port}`, '5', 't', '-k', keys)).code).toBe(0);
    await arrives(collector, 'sysrq: Loglevel set to 5');
    await arrives(collector, 'sysrq: Show State');
    expect(texts(collector).join('\n')).not.toContain('task:ksoftirqd');
    expect((await machine.stop('SIGINT')).code).toBe(0);
    await collector.stop('SIGINT');
  });

  it('sends plain characters where both ends say that it is insecure', { timeout: 60_000 }, async () => {
    const { collector, machine, at } = await pair('insecure', '--sysrq-insecure', '--sysrq-mask', '8');
    await machine.says(/insecure: whoever can send a datagram here/);
    const { code, stdout, stderr } = await sysrq(at, 'm', 'b', '--insecure');
    expect([code, stdout]).toEqual([0, '127.0.0.1  m b  sent, no answer is possible\n']);
    expect(stderr).toContain('insecure: nobody can tell who sent these characters');
    await arrives(collector, 'Mem-Info:');
    await arrives(collector, 'This sysrq operation is disabled.');
    expect(machine.end).toBeUndefined();
    await machine.stop();
    await collector.stop('SIGINT');
  });
});

describe('netpoll start with a key file', () => {
  it('lets its computers be commanded, and reset after their panic', { timeout: 90_000 }, async () => {
    const any = keyFile('any', `${KEY}\n`);
    const flags = ['--no-http', '--jsonl', '--sysrq-key-file', any, '--sysrq-mask', '1'];
    const fleet = await Child.start([...NETPOLL, 'start', ...flags], { NO_COLOR: '1' });
    await fleet.says(/sysrq +edge-1/, READY_MS);
    const port = (name: string): string => {
      const line = fleet.stderr
        .toString()
        .split('\n')
        .find((each) => each.startsWith('sysrq') && each.includes(name));
      return /(127\.0\.0\.1:\d+)/.exec(line ?? '')![1]!;
    };
    await fleet.until('the fleet’s log', () => fleet.lines.length > 20, READY_MS);
    for (const name of ['db-1', 'edge-1']) {
      expect((await sysrq(port(name), 't', '-k', any)).stdout).toBe(`${name}  t  accepted\n`);
    }
    await arrives(fleet, 'task:ksoftirqd/1');
    await fleet.until(
      'the panic of web-1',
      () => texts(fleet).some((text) => text.includes('end Kernel panic')),
      READY_MS,
    );
    expect((await sysrq(port('web-1'), 'b', '-k', any)).stdout).toBe('web-1  b  accepted\n');
    const boots = (): number =>
      fleet.lines.filter((line) => line.includes('Linux version') && line.includes('"web-1"')).length;
    await fleet.until('the second boot of web-1', () => boots() === 2, READY_MS);
    await fleet.stop('SIGINT');
  });
});

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'] });

describe.skipIf(lacking !== undefined)(titled('netpoll sysrq over veth, to packet:', lacking), () => {
  let link: VethPair;

  beforeAll(async () => {
    link = await vethPair('sysrq');
  });

  afterAll(async () => {
    await link?.remove();
  });

  it('commands a machine that stands beside the kernel’s stack', { timeout: 60_000 }, async () => {
    const { a, b } = link;
    const collector = await b.space.start([
      ...NETPOLL,
      ...['collect', '--listen', 'udp:0.0.0.0:6666', '--jsonl', '--no-http'],
    ]);
    await collector.bindsUdp(6666, READY_MS);
    const machine = await a.space.start(
      holding([...NETPOLL, 'send', '6665@10.0.0.1/v0,6666@10.0.0.2/', '--sysrq-key-file', keys], 'veth'),
    );
    await machine.bindsPacket(1, READY_MS);
    const asked = await b.space.start([...NETPOLL, 'sysrq', '10.0.0.1', 't', '-k', keys, '--json'], { NO_COLOR: '1' });
    expect(await asked.ended).toEqual({ code: 0, signal: null });
    expect(JSON.parse(asked.lines[0]!)).toMatchObject({ key: 't', status: 'accepted' });
    await arrives(collector, 'task:napi/netpoll0');
    await machine.stop();
    await collector.stop('SIGINT');
  });
});

describe('a command line or key file that is wrong', () => {
  it.each([
    [[], 2, /which host\?/],
    [['web-1'], 2, /which key\?/],
    [['web-1', 't', 't-'], 2, /"-" is not a key/],
    [['web-1', 't'], 2, /--key-file is missing/],
    [['web-1:99999', 't', '-k', 'KEYS'], 2, /give HOST or HOST:PORT/],
    [['web-1', 't', '-k', '/nosuchfile'], 2, /ENOENT/],
    [['web-1', 't', '-k', 'OPEN'], 2, /others can read this key file; chmod 600 it/],
    [['web-1', 't', '-k', 'SHORT'], 2, /line 2: the key has 8 bytes, it needs 16/],
    [['web-1', 't', '-k', 'BAD'], 2, /line 1: the key is an even number of hexadecimal digits/],
    [['web-9', 't', '-k', 'ONE'], 2, /no key for web-9, and none for any host/],
  ])('%j exits with %i and says why', async (args, code, why) => {
    const files: Record<string, string> = {
      KEYS: keys,
      OPEN: keyFile('open', `${KEY}\n`, 0o644),
      SHORT: keyFile('short', '# short\nweb-1 0011223344556677\n'),
      BAD: keyFile('bad', 'web-1 nonsense\n'),
      ONE: keyFile('one', `web-1 ${KEY}\n`),
    };
    const result = await sysrq(...args.map((arg) => files[arg] ?? arg));
    expect(result.stderr).toMatch(why);
    expect(result).toMatchObject({ code, stdout: '' });
  });

  it('does not keep --list, --new-key and --help from working', async () => {
    expect((await sysrq('--list')).stdout).toContain('b    128   Resetting');
    expect((await sysrq('--new-key')).stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect((await sysrq('--help')).stdout).toContain('Examples:');
  });
});
