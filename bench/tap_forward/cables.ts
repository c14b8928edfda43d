/**
 * Three cables between two namespaces, with iperf3 at both ends.
 *
 *     a: v0 10.9.0.1 --TAP-- netpoll forward --TAP-- 10.9.0.2 v0 :b        with offloads, and without
 *     a: v0 10.9.0.1 --veth-- kernel's bridge --veth-- 10.9.0.2 v0 :b
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Cable {
  /** One TCP stream of so many seconds through it; gives what arrived, in bits a second. */
  stream(seconds: number): number;
  remove(): Promise<void>;
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

let made = 0;

/** Two namespaces whose ends `plug` puts in, and a server in one of them. */
async function cable(plug: (a: string, b: string, stem: string) => Promise<() => Promise<void>>): Promise<Cable> {
  const stem = `nb${process.pid.toString(36)}${made++}`;
  const [a, b] = [`${stem}a`, `${stem}b`];
  for (const space of [a, b]) {
    ip('netns', 'add', space);
    execFileSync('ip', ['netns', 'exec', space, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
  }
  const unplug = await plug(a, b, stem);
  for (const [space, address] of [
    [a, '10.9.0.1/24'],
    [b, '10.9.0.2/24'],
  ] as const) {
    ip('-n', space, 'addr', 'add', address, 'dev', 'v0');
    ip('-n', space, 'link', 'set', 'v0', 'up');
  }
  const server = spawn('ip', ['netns', 'exec', b, 'iperf3', '-s', '--forceflush'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(server.stdout!, 'data');
  return {
    stream(seconds) {
      const args = ['netns', 'exec', a, 'iperf3', '-c', '10.9.0.2', '-t', String(seconds), '-O', '0', '--json'];
      const text = execFileSync('ip', args, { encoding: 'utf8', maxBuffer: 1 << 24 });
      const report = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
      return report.end.sum_received.bits_per_second;
    },
    async remove() {
      await end(server, 'SIGTERM');
      await unplug();
      for (const space of [a, b]) ip('netns', 'del', space);
    },
  };
}

/** `program` is netpoll's own, which forwards between two taps with `options`. */
export function forwardCable(program: readonly string[], options: string): Promise<Cable> {
  return cable(async (a, b, stem) => {
    const taps = [`${stem}x`, `${stem}y`] as const;
    const [file, ...args] = [...program, 'forward', ...taps.map((tap) => `tap:${tap}${options}`)] as [
      string,
      ...string[],
    ];
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    // Read on after that: who writes to a pipe that was closed ends.
    await new Promise<void>((ready) => {
      child.stderr!.on('data', (text) => String(text).includes('forwarding between') && ready());
    });
    ip('link', 'set', taps[0], 'netns', a, 'name', 'v0');
    ip('link', 'set', taps[1], 'netns', b, 'name', 'v0');
    return () => end(child, 'SIGINT');
  });
}

export function bridgeCable(): Promise<Cable> {
  return cable(async (a, b, stem) => {
    const middle = `${stem}m`;
    ip('netns', 'add', middle);
    ip('-n', middle, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0');
    ip('-n', middle, 'link', 'set', 'br0', 'up');
    for (const [space, end] of [
      [a, 'left'],
      [b, 'right'],
    ] as const) {
      ip('-n', middle, 'link', 'add', end, 'type', 'veth', 'peer', 'name', 'v0', 'netns', space);
      ip('-n', middle, 'link', 'set', end, 'master', 'br0');
      ip('-n', middle, 'link', 'set', end, 'up');
    }
    return async () => ip('netns', 'del', middle);
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
