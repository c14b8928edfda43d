/**
 * The senders of one round, each by its name, and their figures side by side.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Allocation, compare, type Limit, median, type Ratio } from '../harness.ts';
import { SEND_SIDE } from '../packet_rx/veth_namespace.ts';
import type { Lab } from '../xdp_speed/lab.ts';
import { type Steady, steady } from './steady.ts';

const SOURCES = resolve(process.env.NETPOLL_PEERS ?? '../shared/bench/src');

export interface Sender {
  readonly command: readonly string[];
  /** It is ours and answers SIGUSR2. */
  readonly ours?: boolean;
}

/** C programs that were found and compiled; null: why not. */
export interface PacketPeers {
  readonly sendmmsg: Sender | null;
  readonly txRing: Sender | null;
  readonly why: string;
  remove(): void;
}

/** Compiles flood.c and tx_ring.c, which are no part of this repository. */
export function compilePacketPeers(): PacketPeers {
  const why = `no flood.c and tx_ring.c in ${SOURCES} (NETPOLL_PEERS)`;
  if (!existsSync(join(SOURCES, 'tx_ring.c'))) return { sendmmsg: null, txRing: null, why, remove: () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'packet_tx-'));
  for (const name of ['flood', 'tx_ring']) {
    const source = join(SOURCES, `${name}.c`);
    const { status, stderr } = spawnSync('gcc', ['-O2', '-w', '-o', join(folder, name), source], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${source}: ${stderr}`);
  }
  const [mac, ip] = ['02:00:00:00:00:01', '10.0.0.1'];
  return {
    sendmmsg: {
      command: [join(folder, 'flood'), ...`-i ${SEND_SIDE} -m ${mac} -D ${ip} -f -t 9 -b 64 -n 64`.split(' ')],
    },
    txRing: { command: [join(folder, 'tx_ring'), SEND_SIDE, mac, ip, '9', '1', '256'] },
    why,
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** trafgen on one processor, with a frame like ours: it is made once and not changed. */
export function trafgen(folder: string): Sender {
  const config = join(folder, 'udp.cfg');
  writeFileSync(
    config,
    '{ 2,0,0,0,0,1, 2,0,0,0,0,2, 0x08,0x00, 0x45,0,0,46, 0,0,0,0, 32,17,csumip(14,33), 10,0,0,2, 10,0,0,1,' +
      ' 0,9, 0,9, 0,26, csumudp(14,34), 0xbe,0x9b,0xe9,0x55, fill(0, 14) }\n',
  );
  return { command: ['trafgen', '-o', SEND_SIDE, '-c', config, '-P', '1'] };
}

/** Every sender once a round, each round beginning with another one; the first round warms up. */
export async function rounds(
  lab: Lab,
  senders: Readonly<Record<string, Sender>>,
  count: number,
): Promise<Record<string, Steady[]>> {
  const names = Object.keys(senders);
  const found: Record<string, Steady[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let i = -1; i < count; i++) {
    for (let k = 0; k < names.length; k++) {
      const name = names[(i + names.length + k) % names.length]!;
      const { command, ours } = senders[name]!;
      const one = await steady(lab, command, ours ?? false);
      if (i >= 0) found[name]!.push(one);
    }
  }
  return found;
}

/** a / b, round by round. */
export function against(
  found: Readonly<Record<string, readonly Steady[]>>,
  a: string,
  b: string,
  what: 'rate' | 'cpu',
  sink: string,
  limit: Limit = {},
): Promise<Ratio> {
  const recorded = (name: string) => {
    let next = 0;
    return {
      name,
      measure: () => {
        const { rate, cpuNs } = found[name]![next++]!;
        return what === 'rate' ? rate : cpuNs;
      },
    };
  };
  const unit = what === 'rate' ? 'frames/s' : 'ns a frame';
  const title = what === 'rate' ? `sent, ${sink}` : `processor time, ${sink}`;
  return compare(title, unit, recorded(a), recorded(b), { rounds: found[a]!.length, warmUps: 0, ...limit });
}

/** Heap bytes a frame of a sender of ours. */
export function heapOf(found: readonly Steady[], what: string, atMost: number): Allocation {
  const each = found.map(({ report }) => report!.heapBytes / report!.frames);
  const bytes = median(each);
  return {
    kind: 'bytes',
    what,
    frames: Math.round(median(found.map(({ report }) => report!.frames))),
    bytes,
    min: Math.min(...each),
    max: Math.max(...each),
    collections: found.reduce((sum, { report }) => sum + report!.collections, 0),
    limit: { atMost },
    ok: bytes <= atMost,
  };
}
