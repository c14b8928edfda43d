/**
 * The same flood on packet:, xdp: and udp:, one after the other, up to a UDP socket of our own stack in a process of its own.
 *
 *     flood (C) on SEND_CPU ===veth=== receiver.js on RECEIVE_CPU, which tells what it has received when it is asked
 */

import { printMac } from '../../src/wire/address.ts';
import type { Figure } from '../figures.ts';
import { PORT, STATION } from '../packet_rx/line.ts';
import { RECEIVE_SIDE, SEND_SIDE } from '../packet_rx/veth_namespace.ts';
import { type Lab, openLab, RECEIVE_CPU, type Running, SEND_CPU, script, whyNot } from '../xdp_speed/lab.ts';
import { compileFloodPeers, type FloodPeers, noPeers } from './peers.ts';

const SPECS = [
  ['packet:', `packet:${RECEIVE_SIDE}`],
  ['xdp:', `xdp:${RECEIVE_SIDE}`],
  ['udp:', `udp:0.0.0.0:${PORT}`],
] as const;

export interface FloodSite {
  readonly lab: Lab;
  readonly peers: FloodPeers;
}

/** All figures of a question that is asked of each port; unanswered where there is no site. */
export async function onEachPort(
  question: string,
  onPort: (site: FloodSite, name: string, spec: string) => Promise<Figure[]>,
): Promise<Figure[]> {
  const reason = whyNot() ?? noPeers();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  const peers = compileFloodPeers();
  try {
    lab.veth.address(STATION);
    const figures: Figure[] = [];
    for (const [name, spec] of SPECS) figures.push(...(await onPort({ lab, peers }, name, spec)));
    return figures;
  } finally {
    lab.close();
    peers.remove();
  }
}

/** Runs `use` beside a receiver on `spec`: `v8` are node's options beside ours, `words` the receiver's behind the spec. */
export async function withReceiver<Result>(
  { lab }: FloodSite,
  spec: string,
  { v8 = [], words = [] }: { v8?: readonly string[]; words?: readonly string[] },
  use: (receiver: Running) => Promise<Result>,
): Promise<Result> {
  lab.veth.ip(spec.startsWith('udp:') ? 'replace' : 'flush');
  const argv = [process.execPath, ...v8, ...process.execArgv, script('../livelock/receiver.js'), spec, ...words];
  const receiver = lab.start(RECEIVE_CPU, argv);
  try {
    await receiver.until(() => receiver.stderr.includes('listening'));
    return await use(receiver);
  } finally {
    await receiver.kill();
  }
}

export interface Flood {
  readonly seconds: number;
  /** Datagrams a second; as fast as it can if absent. */
  readonly rate?: number;
  /** Bytes of a datagram; frames of 60 bytes if absent. */
  readonly text?: number | undefined;
}

/** Its patience is 10 s. */
export function flood(
  { lab, peers }: FloodSite,
  { seconds, rate, text }: Flood,
): Promise<{ sent: number; elapsed: number }> {
  const frames = text === undefined ? ['-f'] : ['-l', String(text)];
  const paced = rate === undefined ? [] : ['-r', String(rate)];
  const to = ['-i', SEND_SIDE, '-m', printMac(STATION), '-D', '10.0.0.1', '-p', String(PORT)];
  return lab.start(SEND_CPU, [peers.flood, ...to, ...frames, ...paced, '-t', String(seconds)]).result();
}
