/**
 * What both questions about TAP devices share: a persistent device in a namespace of its own, to which our process and the C peer
 * attach in turn, and the peer, compiled.
 *
 *     namespace:   t0 (TAP, up, no address, a queue of 20,000 frames)  <--> ours | C
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVethNamespace } from '../packet_rx/veth_namespace.ts';
import { Running } from '../xdp_speed/lab.ts';

export const TAP = 't0';
/** Frames that the device keeps for a reader. */
export const QUEUE = 20_000;
const FILL_CPU = 0;
const TRIES = 100;
const OUR_CPU = 1;

export interface TapLab {
  /** The compiled peer. */
  readonly peer: string;
  /** Starts a child in the namespace, on a processor of its own. */
  start(command: readonly string[]): Running;
  /** Has the kernel send frames by the device; gives how many it took. */
  fill(len: number, count: number): number;
  /** Until nobody is attached to the device. */
  free(): Promise<void>;
  close(): void;
}

/** Why the questions cannot be asked here; null: they can. */
export function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, TAP devices)';
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  if (availableParallelism() < 2) return 'needs two processors, one for the frames and one for who counts them';
  for (const [tool, from, version] of [
    ['ip', 'iproute2', '-V'],
    ['taskset', 'util-linux', '-V'],
    ['cc', 'gcc libc6-dev', '--version'],
  ] as const) {
    if (spawnSync(tool, [version], { stdio: 'ignore' }).status !== 0) return `needs ${tool} (apt-get install ${from})`;
  }
  return null;
}

export function openLab(): TapLab {
  const folder = mkdtempSync(join(tmpdir(), 'netpoll-bench-tap-'));
  const peer = join(folder, 'peer');
  execFileSync('cc', ['-O2', '-o', peer, 'bench/tap/peer.c'], { stdio: ['ignore', 'inherit', 'inherit'] });
  const space = createVethNamespace();
  const ip = (...args: string[]) => execFileSync('ip', ['-n', space.name, ...args], { stdio: ['ignore', 'ignore', 2] });
  const running = new Set<Running>();
  const close = () => {
    for (const each of running) each.child.kill('SIGKILL');
    space.remove();
    rmSync(folder, { recursive: true });
  };
  const stop = () => {
    close();
    process.exit(130);
  };
  try {
    ip('tuntap', 'add', 'dev', TAP, 'mode', 'tap');
    ip('link', 'set', TAP, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off');
    ip('link', 'set', TAP, 'txqueuelen', String(QUEUE), 'up');
  } catch (error) {
    close();
    throw error;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  return {
    peer,
    start(command) {
      const one = new Running(space, OUR_CPU, command);
      running.add(one);
      one.child.on('close', () => running.delete(one));
      return one;
    },
    fill(len, count) {
      const [file, args] = space.inside(FILL_CPU, [peer, 'fill', TAP, String(len), String(count)]);
      return (JSON.parse(execFileSync(file, args, { encoding: 'utf8' })) as { sent: number }).sent;
    },
    async free() {
      for (let tries = 0; tries < TRIES; tries++) {
        const [file, args] = space.inside(FILL_CPU, ['cat', `/sys/class/net/${TAP}/carrier`]);
        if (spawnSync(file, args, { encoding: 'utf8' }).stdout.trim() === '0') return;
      }
      throw new Error(`${TAP} is not let go`);
    },
    close() {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
      close();
    },
  };
}

/** The command that runs a compiled script beside this one, with the options of this process. */
export function script(name: string, ...args: string[]): string[] {
  return [process.execPath, ...process.execArgv, fileURLToPath(new URL(name, import.meta.url)), ...args];
}
