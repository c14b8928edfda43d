/**
 * A cable of two veth pairs, in a namespace of its own, and who forwards between them.
 *
 *     processor 0:  probe --g0 == f0-- forwarder --f1 == s0-- probe          the forwarder on processor 1, in all its threads
 *
 * A veth has no card: f0's receiving, up to the forwarder's ring, is done by the processor that sends; what the forwarder sends
 * is received, up to the probe's ring, by the forwarder's.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VethNamespace } from '../packet_rx/veth_namespace.ts';
import { Running } from '../xdp_speed/lab.ts';

export const PROBE_CPU = 0;
export const FORWARD_CPU = 1;
const FORWARD_CPU_MASK = (1 << FORWARD_CPU).toString(16);

/** What forwards: a program that says "listening", or the kernel's bridge. */
export type Forwarder = { readonly name: string; readonly ours?: boolean } & (
  | { readonly command: (a: string, b: string) => readonly string[] }
  | { readonly bridge: true }
);

export interface Passed {
  readonly sent: number;
  readonly received: number;
  readonly reordered: number;
  readonly seconds: number;
  /** Microseconds that the last tenth of the frames were on their way, in the mean: a queue that grows shows there. */
  readonly endUs: number;
}

export interface Cable {
  readonly forwarder: Forwarder;
  /** Sends `rate` frames a second, 0: as many as go. */
  pass(rate: number, seconds: number): Promise<Passed>;
  /** The same, with the nanoseconds that each frame was on its way; probe and forwarder at real-time priority, as the bridge is. */
  timed(rate: number, seconds: number): Promise<Passed & { readonly ns: Uint32Array }>;
  /** Our forwarder's own report. */
  ask<T>(): Promise<T & { readonly cpuNs: number }>;
  remove(): Promise<void>;
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
let made = 0;

/** `tools`: the folder with the compiled probe, where samples go, too. */
export async function openCable(forwarder: Forwarder, tools: string): Promise<Cable> {
  const space = openSpace();
  let running: Running | undefined;
  const remove = async () => {
    await running?.kill();
    space.remove();
  };
  try {
    if ('bridge' in forwarder) bridge(space.name);
    else {
      running = new Running(space, FORWARD_CPU, forwarder.command('f0', 'f1'));
      await running.until(() => running!.stderr.includes('listening'));
    }
  } catch (error) {
    await remove();
    throw error;
  }
  const probe = (rate: number, seconds: number, file: string, before: readonly string[] = []) => {
    const args = ['g0', 's0', String(rate), String(seconds), file];
    return new Running(space, PROBE_CPU, [...before, join(tools, 'probe'), ...args]).result<Passed>();
  };
  const priority = (...args: string[]) => {
    if (running !== undefined) execFileSync('chrt', ['-a', ...args, String(running.child.pid)], { stdio: 'pipe' });
  };
  return {
    forwarder,
    pass: (rate, seconds) => probe(rate, seconds, '-'),
    async timed(rate, seconds) {
      const file = join(tools, 'samples');
      priority('-r', '-p', '1');
      const passed = await probe(rate, seconds, file, ['chrt', '-r', '1']).finally(() => priority('-o', '-p', '0'));
      const bytes = readFileSync(file);
      return { ...passed, ns: new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2) };
    },
    ask: () => running!.ask(),
    remove,
  };
}

function openSpace(): Pick<VethNamespace, 'name' | 'inside' | 'remove'> {
  const name = `npfw${process.pid}_${made++}`;
  ip('netns', 'add', name);
  try {
    for (const [a, b] of [
      ['g0', 'f0'],
      ['f1', 's0'],
    ] as const) {
      ip('-n', name, 'link', 'add', a, 'type', 'veth', 'peer', 'name', b);
      for (const side of [a, b]) {
        ip('-n', name, 'link', 'set', side, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off');
        ip('-n', name, 'link', 'set', side, 'up');
      }
    }
  } catch (error) {
    ip('netns', 'del', name);
    throw error;
  }
  return {
    name,
    inside: (cpu, command) => ['ip', ['netns', 'exec', name, 'taskset', '-c', String(cpu), ...command]],
    remove: () => ip('netns', 'del', name),
  };
}

/** The kernel's bridge has a processor of its own, too: RPS moves what f0 receives to it. */
function bridge(space: string): void {
  ip(
    '-n',
    space,
    'link',
    'add',
    'br0',
    'type',
    'bridge',
    'stp_state',
    '0',
    'forward_delay',
    '0',
    'mcast_snooping',
    '0',
  );
  for (const side of ['f0', 'f1']) ip('-n', space, 'link', 'set', side, 'master', 'br0');
  ip('-n', space, 'link', 'set', 'br0', 'addrgenmode', 'none', 'up');
  const write = `echo ${FORWARD_CPU_MASK} > /sys/class/net/f0/queues/rx-0/rps_cpus`;
  execFileSync('ip', ['netns', 'exec', space, 'sh', '-c', write], { stdio: 'pipe' });
}
