/**
 * The collector under a parent that binds its sockets, as systemd does: descriptors from 3 on, and who they are for in LISTEN_*.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { libc } from '../../src/host/sys/libc.ts';
import { openUdpSocket } from '../../src/host/udp/udp_socket.ts';

const READY_MS = 20_000;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Started {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly closed: Promise<unknown>;
}

/** The shell's process becomes Node's, so its number is the right one for LISTEN_PID. */
function collect(args: readonly string[], fds: readonly number[], names: string, pid = '$$'): Started {
  const command = `export LISTEN_PID=${pid} LISTEN_FDS=${fds.length} LISTEN_FDNAMES=${names}; exec "$@"`;
  const netpoll = [process.execPath, 'bin/netpoll.js', 'collect', '--jsonl', '--no-http', ...args];
  const child = spawn('sh', ['-c', command, 'sh', ...netpoll], {
    stdio: ['ignore', 'pipe', 'pipe', ...fds],
    env: { ...process.env, NO_COLOR: '1' },
  });
  closers.push(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (text) => {
    stdout += text;
  });
  child.stderr!.on('data', (text) => {
    stderr += text;
  });
  return { child, stdout: () => stdout, stderr: () => stderr, closed: once(child, 'close') };
}

async function until(true_: () => boolean): Promise<boolean> {
  for (const end = Date.now() + READY_MS; !true_() && Date.now() < end; ) await new Promise((go) => setTimeout(go, 10));
  return true_();
}

function bound(ip: '4' | '6'): { fd: number; port: number } {
  const address =
    ip === '4' ? ({ family: 4, v4: 0x7f000001 } as const) : ({ family: 6, v6: new Uint8Array(16) } as const);
  const socket = openUdpSocket({ ip: address, port: 0, scope: 0 }, { gro: false });
  closers.push(() => libc().close(socket.fd));
  return { fd: socket.fd, port: socket.address.port };
}

async function send(text: string, ...ports: number[]): Promise<void> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  for (const port of ports) await new Promise<void>((sent) => socket.send(text, port, '127.0.0.1', () => sent()));
  socket.close();
}

describe('netpoll collect, started by a socket', () => {
  it('prints what waited in its sockets before it ran, and what comes then, from all of them', async () => {
    const [four, any] = [bound('4'), bound('6')];
    await send('6,1,100,-;before\n', four.port, any.port);
    const started = collect([], [four.fd, any.fd], 'netconsole:other');
    const texts = () =>
      started
        .stdout()
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { text: string }).text);
    expect(await until(() => /listening.*\n.*listening/.test(started.stderr()))).toBe(true);
    expect(started.stderr()).toContain(`udp:127.0.0.1:${four.port}`);
    expect(started.stderr()).toContain(`udp:[::]:${any.port}`);
    await send('6,2,200,-;after\n', four.port, any.port);
    expect(await until(() => texts().length >= 2)).toBe(true);
    expect(new Set(texts())).toEqual(new Set(['before', 'after']));
    started.child.kill('SIGTERM');
    await started.closed;
    expect(started.stderr()).toContain('4 datagrams');
  });

  it('takes those of one name', async () => {
    const [four, any] = [bound('4'), bound('6')];
    const started = collect(['--listen', 'systemd:other'], [four.fd, any.fd], 'netconsole:other');
    expect(await until(() => started.stderr().includes('listening'))).toBe(true);
    expect(started.stderr()).toContain(`udp:[::]:${any.port}`);
    expect(started.stderr()).not.toContain('127.0.0.1');
  });

  it('says what is missing: no such socket, sockets for another process, something else than a UDP socket', async () => {
    const four = bound('4');
    const none = collect(['--listen', 'systemd:nobody'], [four.fd], 'netconsole');
    await none.closed;
    expect(none.stderr()).toContain('started with no socket called "nobody"');
    const others = collect(['--listen', 'systemd'], [four.fd], 'netconsole', '1');
    await others.closed;
    expect(others.stderr()).toContain('start it by a .socket unit');
    const stream = libc().socket(2, 1, 0);
    closers.push(() => libc().close(stream));
    const wrong = collect([], [stream], 'netconsole');
    await wrong.closed;
    expect(wrong.stderr()).toContain('ListenDatagram=');
  });
});
