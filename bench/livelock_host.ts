// Does a receiver starve on what it cannot serve? The kernel's receive work and the application share one processor (RPS puts the softirq
// there), the application needs some microseconds for a datagram, and the offered load goes up to several times what it can do. Whoever
// throws datagrams away late has worked for nothing, and delivers less the more comes in.
//
//   delivered   datagrams a second that the application has finished while the flood goes on, of those offered
//   kept        what is delivered at the highest load, in percent of the receiver's own peak
//
// Two ways in which the kernel's work comes to the application's processor:
//
//   a card with NAPI   the receive queue's poll runs there, as a task (threaded NAPI): the scheduler divides the processor, the queue's
//                      ring overflows meanwhile, and what overflows costs nobody on this processor anything
//   RPS                another processor interrupts this one for every frame: softirqs run at the end of each interrupt, before anybody
//                      else, and a frame that is thrown away has cost at least that
//
// A packet port's ring is full and an xdp port's kernel has no slot for the frame: gone before it was checked and queued. A UDP socket
// drops at its very end, when all that work was done; our udp: port stands on one, as C and node:dgram do. Behind a card's ring that
// makes no difference any more: who sleeps is given its half of the processor. Under RPS it does: the packet port keeps 1.6 times
// the share that recvmmsg() keeps; most of what is missing there is the interrupts themselves, which no receiver can refuse.
// (An xdp port has no native mode under RPS, and the kernel copies every frame to make room for its generic one.)

import { spawnSync } from 'node:child_process';
import { amount, curve, type Figure, type Limit, median } from './figures.ts';
import { compileFloodPeers, type FloodPeers, noPeers } from './livelock/peers.ts';
import { PORT, STATION } from './packet_rx/line.ts';
import { RECEIVE_SIDE, SEND_SIDE } from './packet_rx/veth_namespace.ts';
import { type Lab, openLab, RECEIVE_CPU, type Running, SEND_CPU, script, whyNot } from './xdp_speed/lab.ts';

export const question = 'livelock: kernel and application on one processor, offered load beyond the peak';

const ROUNDS = 3;
const WARM = { rate: 100_000, seconds: 0.5 };
/** Of a flood; it is looked at in its middle. */
const SECONDS = 1;
const RAMP_MS = 250;
const WINDOW_MS = 500;
const BUFFER = 4 << 20;
const WORK_US = 4;
/** Datagrams a second; 0: as many as the sender can. */
const OFFERED = [40_000, 80_000, 120_000, 160_000, 240_000, 400_000, 700_000, 0] as const;

const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 7);

type Way = 'napi' | 'rps';
const WAYS: Record<Way, string> = { napi: 'a card with NAPI', rps: 'RPS' };
type Who = 'packet' | 'xdp' | 'udp' | 'c' | 'dgram';
const ALL: readonly Who[] = ['packet', 'xdp', 'udp', 'c', 'dgram'];
const NAMES: Record<Who, string> = {
  packet: 'packet:',
  xdp: 'xdp:',
  udp: 'udp:',
  c: 'C recvmmsg',
  dgram: 'node:dgram',
};
const KEPT: Limit = { atLeast: 70 };
const LIMITS: Record<Way, Partial<Record<Who, Limit>>> = { napi: { packet: KEPT, xdp: KEPT }, rps: { packet: KEPT } };

interface Count {
  readonly received: number;
  readonly atMs: number;
}

interface Point {
  readonly offered: number;
  readonly delivered: number;
}

export async function run(): Promise<Figure[]> {
  const reason = whyNot() ?? noPeers() ?? noEthtool();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  const peers = compileFloodPeers();
  try {
    const figures: Figure[] = [];
    for (const way of ['napi', 'rps'] as const) {
      lab.veth.steer(RECEIVE_CPU, way);
      const rounds = new Map<Who, Point[][]>(ALL.map((who) => [who, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (let k = 0; k < ALL.length; k++) {
          const who = ALL[(round + k) % ALL.length]!;
          rounds.get(who)!.push(await sweep(lab, peers, who, way));
        }
      }
      figures.push(...figuresOf(way, rounds));
    }
    return figures;
  } finally {
    lab.close();
    peers.remove();
  }
}

function figuresOf(way: Way, rounds: ReadonlyMap<Who, readonly (readonly Point[])[]>): Figure[] {
  const lines = ALL.map((who) => {
    const points = OFFERED.map((_, i): [number, number] => {
      const all = rounds.get(who)!.map((round) => round[i]!);
      return [median(all.map(({ offered }) => offered)), median(all.map(({ delivered }) => delivered))];
    });
    return { name: NAMES[who], ours: who !== 'c' && who !== 'dgram', points };
  });
  const kept = ALL.map((who) => {
    const all = rounds.get(who)!;
    const peaks = all.map((round) => Math.max(...round.map(({ delivered }) => delivered)));
    const times = median(all.map((round, i) => Math.max(...round.map(({ offered }) => offered)) / peaks[i]!));
    const shares = all.map((round, i) => (100 * round.at(-1)!.delivered) / peaks[i]!);
    return amount(
      `${NAMES[who]} kept at ${times.toFixed(1)} times its peak`,
      '% of its peak',
      shares,
      LIMITS[way][who] ?? {},
    );
  });
  const axes = { x: { name: 'offered', unit: 'datagrams/s' }, y: { name: 'delivered', unit: 'datagrams/s' } };
  return [
    curve(`delivered over offered, one processor for kernel and application, ${WAYS[way]}`, axes, lines),
    ...kept,
  ];
}

function noEthtool(): string | null {
  const found = spawnSync('ethtool', ['--version'], { stdio: 'ignore' }).status === 0;
  return found ? null : 'needs ethtool (apt-get install ethtool)';
}

/** One receiver through all loads. */
async function sweep(lab: Lab, peers: FloodPeers, who: Who, way: Way): Promise<Point[]> {
  const node = [process.execPath, ...process.execArgv];
  const ours = (spec: string, options = '{}') => [
    ...node,
    script('../livelock/receiver.js'),
    spec,
    options,
    String(WORK_US),
  ];
  const command = {
    packet: ours(`packet:${RECEIVE_SIDE}`),
    // By RPS a veth's native program would run on the sender's processor, and nothing of it on ours.
    xdp: ours(`xdp:${RECEIVE_SIDE}`, way === 'rps' ? '{"xdpMode":"generic-copy"}' : '{"xdpMode":"native-copy"}'),
    udp: ours(`udp:0.0.0.0:${PORT}`),
    c: [peers.receive, String(PORT), String(BUFFER), String(WORK_US)],
    dgram: [...node, script('../livelock/dgram.js'), String(PORT), String(BUFFER), String(WORK_US)],
  }[who];
  // Who takes frames before the kernel's stack: for the stack they are somebody else's.
  const early = who === 'packet' || who === 'xdp';
  lab.veth.ip(early ? 'flush' : 'replace');
  lab.veth.address(early ? OTHER : STATION);
  const receiver = lab.start(RECEIVE_CPU, command);
  try {
    await receiver.until(() => receiver.stderr.includes('listening'));
    await flood(lab, peers, WARM.rate, WARM.seconds);
    const points: Point[] = [];
    for (const rate of OFFERED) {
      const sending = flood(lab, peers, rate, SECONDS);
      await pause(RAMP_MS);
      const before = await receiver.ask<Count>();
      await pause(WINDOW_MS);
      const after = await receiver.ask<Count>();
      const { sent, elapsed } = await sending;
      const seconds = (after.atMs - before.atMs) / 1000;
      points.push({ offered: sent / elapsed, delivered: (after.received - before.received) / seconds });
      await drained(receiver);
    }
    return points;
  } finally {
    await receiver.kill();
  }
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

async function flood(
  lab: Lab,
  { flood }: FloodPeers,
  rate: number,
  seconds: number,
): Promise<{ sent: number; elapsed: number }> {
  const mac = Buffer.from(STATION)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:');
  const argv = ['-i', SEND_SIDE, '-m', mac, '-D', '10.0.0.1', '-p', String(PORT), '-f', '-r', String(rate)];
  return lab.start(SEND_CPU, [flood, ...argv, '-t', String(seconds)]).result();
}
