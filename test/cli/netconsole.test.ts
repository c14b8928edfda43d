/**
 * netconsole on the command line, over the loopback interface and without privileges: an instance, what one does to it while
 * it runs, and what arrives at a collector.
 */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../../src/collector/index.ts';
import { Child } from '../netns/child.ts';

const READY_MS = 20_000;
const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const folder = mkdtempSync(join(tmpdir(), 'netpoll-cli-'));
const control = join(folder, 'control');
const netpoll = (args: string[]) => Child.start([...NETPOLL, ...args], { NO_COLOR: '1', NETPOLL_CONTROL: control });

async function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = await netpoll(args);
  const { code } = await child.ended;
  return { code, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}

describe('netpoll netconsole', () => {
  let collector: Child;
  let instance: Child;
  let port: string;

  beforeAll(async () => {
    collector = await netpoll(['collect', '--listen', 'udp:127.0.0.1:0', '--jsonl', '--no-http']);
    await collector.says(/listening\s+udp:/, READY_MS);
    port = String(/listening\s+udp:127\.0\.0\.1:(\d+)/.exec(collector.stderr.toString())![1]);
    instance = await netpoll(['netconsole', 'run', '--stay', '--json']);
    await instance.says(/control\s/, READY_MS);
  });
  afterAll(async () => {
    await instance?.stop();
    await collector?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const messages = (): Message[] => collector.lines.map((line) => JSON.parse(line) as Message);

  it('makes a target while it runs; each write has the kernel’s verdict', async () => {
    expect(statSync(control).mode & 0o777).toBe(0o600);
    expect(await run('netconsole', 'mkdir', 't1')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    for (const [attribute, value] of [
      ['dev_name', 'udp:127.0.0.1:0'],
      ['local_ip', '127.0.0.1'],
      ['remote_ip', '127.0.0.1'],
      ['remote_port', port],
      ['extended', '1'],
    ]) {
      expect(await run('netconsole', 'set', `t1/${attribute}`, value!)).toMatchObject({ code: 0, stderr: '' });
    }
    const enabled = await run('netconsole', 'set', '/sys/kernel/config/netconsole/t1/enabled', '1', '--json');
    expect(enabled).toMatchObject({
      code: 0,
      stdout: '{"path":"/sys/kernel/config/netconsole/t1/enabled","written":1}\n',
    });
    expect(enabled.stderr).toContain('<6>netconsole: network logging started');
    const refused = await run('netconsole', 'set', 't1/remote_port', '7');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toBe(
      '<3>netconsole: target (t1) is enabled, disable to update parameters\n' +
        'netpoll: set t1/remote_port: EINVAL, invalid argument\n',
    );
  });

  it('sends records to it, with what is to be behind them', async () => {
    await run('netconsole', 'mkdir', 't1/userdata/role');
    await run('netconsole', 'set', 't1/userdata/role/value', 'web');
    await run('netconsole', 'set', 't1/userdata/taskname_enabled', 'on');
    expect(await run('netconsole', 'kmsg', '<5>hello', 'there')).toMatchObject({ code: 0, stderr: '' });
    await collector.until('the message', () => messages().some(({ text }) => text === 'hello there'));
    expect(messages().at(-1)).toMatchObject({
      ...{ level: 5, facility: 1, text: 'hello there', format: 'extended' },
      dict: { role: 'web', taskname: 'netpoll' },
    });
  });

  it('shows the tree', async () => {
    const { stdout } = await run('netconsole', 'tree', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      't1/enabled': '1',
      't1/remote_port': port,
      't1/local_mac': expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/) as string,
      't1/userdata/role/value': 'web',
      't1/userdata/cpu_nr_enabled': '0',
    });
    expect((await run('netconsole', 'get', 't1/extended')).stdout).toBe('1\n');
    expect((await run('netconsole', 'ls', 't1/userdata')).stdout.split('\n')).toContain('role/');
    expect(await run('netconsole', 'ls', 't9')).toMatchObject({
      code: 1,
      stderr: 'netpoll: ls t9: ENOENT, no such file or directory\n',
    });
  });

  it('changes which messages are sent', async () => {
    expect(await run('netconsole', 'param', 'loglevel')).toMatchObject({ code: 0, stdout: '7\n' });
    expect(await run('netconsole', 'param', 'loglevel', '9')).toMatchObject({ code: 1 });
    expect(await run('netconsole', 'param', 'loglevel', '8')).toMatchObject({ code: 0, stdout: '8\n' });
    expect(await run('netconsole', 'param', 'oops_only', 'no', '--json')).toMatchObject({
      stdout: '{"oops_only":"N"}\n',
    });
    await run('netconsole', 'kmsg', '<7>of interest to few');
    await collector.until('the message', () => messages().some(({ text }) => text === 'of interest to few'));
  });

  it('lets nobody end it with rubbish, and refuses a second one in its place', async () => {
    for (const rubbish of ['{"op":"exec"}\n', 'x'.repeat(100_000), '\n', '{"op":"list","path":7,"value":""}\n']) {
      await new Promise<void>((resolve) => {
        const socket = createConnection(control, () => void socket.write(rubbish));
        socket.on('close', () => resolve()).on('error', () => resolve());
        setTimeout(() => socket.destroy(), 500).unref();
      });
    }
    expect(await run('netconsole', 'ls')).toMatchObject({ code: 0, stdout: 't1/\n' });
    const second = await run('netconsole', 'run');
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('another instance runs there');
    const file = join(folder, 'precious');
    writeFileSync(file, 'data');
    expect((await run('netconsole', 'run', '--control', file)).stderr).toContain('which is no socket');
    expect(existsSync(file)).toBe(true);
  });

  it('ends at Ctrl-C, tells what it sent, and takes its socket along', async () => {
    expect(await instance.stop('SIGINT')).toEqual({ code: 0, signal: null });
    const { lines, targets } = JSON.parse(instance.stdout.toString()) as { lines: number; targets: { sent: number }[] };
    expect([lines, targets.length, targets[0]!.sent]).toEqual([2, 1, messages().length]);
    expect(existsSync(control)).toBe(false);
    const alone = await run('netconsole', 'ls');
    expect(alone.code).toBe(1);
    expect(alone.stderr).toContain('no netconsole runs there; start one with: netpoll netconsole run');
  });

  it('netpoll send with + sends records: priority, release, any length', async () => {
    const long = 'lorem ipsum '.repeat(90).slice(0, 1010);
    expect(await run('send', `+r@127.0.0.1/udp:127.0.0.1:0,${port}@127.0.0.1/`, `<3>${long}`, '--json')).toMatchObject({
      code: 0,
    });
    await collector.until('the record', () => messages().some(({ text }) => text === long));
    expect(messages().at(-1)).toMatchObject({ level: 3, facility: 1, text: long, format: 'extended' });
    expect(messages().at(-1)!.release).toMatch(/^\d+\.\d+/);
  });
});
