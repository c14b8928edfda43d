/**
 * One receiver through all loads of bench/livelock_host.ts, from the least to the greatest.
 *
 *     start it --> warm up --> for each load: flood a second --count--middle half--count--> wait until rings and buffers are empty
 *
 * `nothing` is a program that is sent nothing and works all the time: first it is counted in peace.
 */
import { readFileSync } from 'node:fs';
import { PORT, STATION } from '../packet_rx/line.ts';
import { RECEIVE_SIDE } from '../packet_rx/veth_namespace.ts';
import { type Lab, RECEIVE_CPU, type Running, script } from '../xdp_speed/lab.ts';
import type { FloodPeers } from './peers.ts';
import { flood } from './ports.ts';

export type Who = 'packet' | 'xdp' | 'native' | 'driven' | 'udp' | 'c' | 'dgram' | 'nothing';

/** What the application does with a datagram, and how long its text is; undefined: frames of 60 bytes. */
export interface Load {
  readonly workUs: number;
  readonly text?: number;
  /** Datagrams a second; 0: as many as the sender can. */
  readonly offered: readonly number[];
}

export interface Point {
  readonly offered: number;
  readonly delivered: number;
  /** Network softirqs on the application's processor, a second. */
  readonly softirqs: number;
}

export interface Sweep {
  readonly points: readonly Point[];
  /** What `nothing` does in peace; 0 for receivers. */
  readonly idle: number;
}

const WARM = { rate: 100_000, seconds: 0.5 };
/** Of a flood; it is looked at in its middle. */
const SECONDS = 1;
const RAMP_MS = 250;
const WINDOW_MS = 500;
const BUFFER = 4 << 20;
const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 7);

interface Count {
  readonly received: number;
  readonly atMs: number;
}

export async function sweep(lab: Lab, peers: FloodPeers, who: Who, load: Load): Promise<Sweep> {
  const site = { lab, peers };
  // Who takes frames before the kernel's stack: for the stack they are somebody else's.
  const late = who === 'udp' || who === 'c' || who === 'dgram';
  lab.veth.ip(late ? 'replace' : 'flush');
  lab.veth.address(late ? STATION : OTHER);
  const receiver = lab.start(RECEIVE_CPU, commandOf(peers, who, String(load.workUs)));
  try {
    await receiver.until(() => receiver.stderr.includes('listening'));
    await flood(site, { ...WARM, text: load.text });
    const idle = who === 'nothing' ? (await rates(receiver)).delivered : 0;
    const points: Point[] = [];
    for (const rate of load.offered) {
      const sending = flood(site, { rate, seconds: SECONDS, text: load.text });
      await pause(RAMP_MS);
      const seen = await rates(receiver);
      const { sent, elapsed } = await sending;
      points.push({ offered: sent / elapsed, ...seen });
      if (who !== 'nothing') await drained(receiver);
    }
    return { points, idle };
  } finally {
    await receiver.kill();
  }
}

function commandOf(peers: FloodPeers, who: Who, work: string): string[] {
  const node = [process.execPath, ...process.execArgv];
  const ours = (spec: string, options = '{}') => [...node, script('../livelock/receiver.js'), spec, options, work];
  switch (who) {
    case 'packet':
      return ours(`packet:${RECEIVE_SIDE}`);
    case 'xdp':
      return ours(`xdp:${RECEIVE_SIDE}`, '{"xdpMode":"generic-copy"}');
    case 'native':
      return ours(`xdp:${RECEIVE_SIDE}`, '{"xdpMode":"native-copy"}');
    case 'driven':
      return ours(`xdp:${RECEIVE_SIDE},busy-poll`, '{"xdpMode":"native-copy"}');
    case 'udp':
      return ours(`udp:0.0.0.0:${PORT}`);
    case 'c':
      return [peers.receive, String(PORT), String(BUFFER), work];
    case 'dgram':
      return [...node, script('../livelock/dgram.js'), String(PORT), String(BUFFER), work];
    case 'nothing':
      return [peers.receive, '0', String(BUFFER), work];
  }
}

async function rates(receiver: Running): Promise<{ delivered: number; softirqs: number }> {
  const before = { ...(await receiver.ask<Count>()), softirqs: softirqs() };
  await pause(WINDOW_MS);
  const after = { ...(await receiver.ask<Count>()), softirqs: softirqs() };
  const seconds = (after.atMs - before.atMs) / 1000;
  return {
    delivered: (after.received - before.received) / seconds,
    softirqs: (after.softirqs - before.softirqs) / seconds,
  };
}

/** Network softirqs that the application's processor has run. */
function softirqs(): number {
  const line = /NET_RX:(.*)/.exec(readFileSync('/proc/softirqs', 'latin1'))?.[1] ?? '';
  return Number(line.trim().split(/\s+/)[RECEIVE_CPU] ?? 0);
}

/** What waits in rings and buffers was not served in time; the next load does not find it. */
async function drained(receiver: Running): Promise<void> {
  for (let last = -1, now = -2; now !== last; ) {
    last = now;
    await pause(50);
    now = (await receiver.ask<Count>()).received;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
