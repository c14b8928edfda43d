/**
 * The commands as people run them, over the loopback interface and without privileges: results on stdout, everything else on
 * stderr, an exit code that tells, a clean end at Ctrl-C.
 */
import { createSocket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/collector/index.ts';
import { Child } from '../netns/child.ts';

const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const netpoll = (args: string[], environment: NodeJS.ProcessEnv = {}) =>
  Child.start([...NETPOLL, ...args], environment);

async function ended(child: Child): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code } = await child.ended;
  return { code, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}

/** A UDP port that nobody has now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

describe('netpoll start', () => {
  it('shows the whole panic of a simulated machine within ten seconds, and its page has it too', async () => {
    const child = await netpoll(['start'], { NO_COLOR: '1' });
    try {
      await child.says(/end Kernel panic - not syncing: Fatal exception in interrupt/, 15_000);
      const text = child.stdout.toString();
      for (const host of ['web-1', 'db-1', 'edge-1']) expect(text).toContain(host);
      for (const line of ['BUG: kernel NULL pointer dereference', 'RIP: 0010:', 'Call Trace:', ' </IRQ>']) {
        expect(text).toContain(line);
      }
      expect(text).not.toContain('\u001b[');
      const url = /page\s+(http:\/\/127\.0\.0\.1:\d+\/)/.exec(child.stderr.toString())![1]!;
      const page = await fetch(url);
      expect(page.headers.get('content-type')).toMatch(/text\/html/);
      const messages = await (await fetch(`${url}api/messages?text=Kernel%20panic`)).text();
      expect(messages).toContain('---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---');
    } finally {
      expect(await child.stop('SIGINT')).toEqual({ code: 0, signal: null });
    }
    expect(child.stderr.toString()).toMatch(/\d+ messages; ended/);
  });

  it('has the same history for the same seed', async () => {
    const texts = async (seed: string) => {
      const { stdout } = await ended(await netpoll(['start', '--no-http', '--jsonl', '--for', '2', '--seed', seed]));
      const messages = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Message);
      return messages
        .filter(({ usec }) => Number(usec) < 1_500_000)
        .map(({ host, seq, text }) => `${host} ${seq} ${text}`);
    };
    const first = await texts('5');
    expect(first.length).toBeGreaterThan(20);
    expect(await texts('5')).toEqual(first);
  });
});

describe('netpoll send, collect and pong', () => {
  it('carry lines from one to the other over udp:, in order, and end cleanly', async () => {
    const port = await freePort();
    const collector = await netpoll(['collect', '--listen', `udp:127.0.0.1:${port}`, '--jsonl', '--no-http']);
    await collector.bindsUdp(port);
    const sent = await ended(
      await netpoll(['send', `@/udp:127.0.0.1:0,${port}@127.0.0.1/`, 'hello', 'world', '--json']),
    );
    expect(sent.code).toBe(0);
    expect(JSON.parse(sent.stdout)).toMatchObject({ sent: 1, dropped: 0, waiting: 0 });
    await collector.until('the message', () => collector.lines.length > 0);
    expect(JSON.parse(collector.lines[0]!)).toMatchObject({
      host: '127.0.0.1',
      text: 'hello world',
      format: 'unparsed',
    });
    expect(await collector.stop('SIGINT')).toEqual({ code: 0, signal: null });
  });

  it('answer every datagram with PONG', async () => {
    const port = await freePort();
    const pong = await netpoll(['pong', `${port}@/udp:127.0.0.1:${port},1@127.0.0.1/`, '--json']);
    await pong.says(/answering on/);
    const socket = createSocket('udp4');
    const answers: string[] = [];
    socket.on('message', (bytes) => answers.push(bytes.toString()));
    for (let i = 0; i < 20; i++) socket.send(`ping ${i}`, port, '127.0.0.1');
    await pong.until('20 datagrams', () => pong.lines.length >= 20 && answers.length >= 20);
    socket.close();
    expect(answers).toEqual(new Array(20).fill('PONG'));
    expect(JSON.parse(pong.lines[3]!)).toMatchObject({ from: '127.0.0.1', text: 'ping 3' });
    expect((await pong.stop()).code).toBe(0);
    expect(pong.stderr.toString()).toContain('answered 20 (sent 20)');
  });
});

describe('a command line that is wrong', () => {
  it.each([
    [['collect', '--listen', 'nonsense'], 2, /no scheme \(give udp:/],
    [['collect', '--listen', 'tape:x'], 2, /unknown scheme tape:/],
    [['collect', '--listen', 'udp:127.0.0.1:99999'], 2, /99999 is not a port/],
    [['collect', '--http', 'nowhere'], 2, /--http nowhere: give ADDRESS:PORT/],
    [['collect', '--listen', 'packet:nosuchif:6666', '--no-http'], 1, /there is no interface "nosuchif"; there are: /],
    [['send', '66x@/eth0,@10.0.0.2/', 'hi'], 2, /src-port: a port is a decimal number.*\n.*66x@.*\n {2}\^/],
    [['send', '@/udp:127.0.0.1:0,@10.0.0.2', 'hi'], 2, /tgt-ip: no \/ after the target address/],
    [['pong'], 2, /missing required argument/],
    [['frobnicate'], 2, /unknown command/],
    [['start', '--seed', 'x', '--no-http'], 2, /--seed x: give a number/],
  ])('%j exits with %i and says why', async (args, code, why) => {
    const result = await ended(await netpoll(args));
    expect(result.stderr).toMatch(why);
    expect(result).toMatchObject({ code, stdout: '' });
  });

  it('does not keep --help from showing examples', async () => {
    for (const command of ['start', 'collect', 'send', 'pong', 'doctor', 'sysrq', 'forward', 'dump']) {
      const { code, stdout } = await ended(await netpoll([command, '--help']));
      expect(code).toBe(0);
      expect(stdout).toContain('Examples:');
    }
  });
});
