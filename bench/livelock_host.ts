// Does a receiver starve on what it cannot serve? The kernel's receive work and the application share one processor, the application needs
// 4 us for a datagram, and the offered load goes up to several times what it can do. Whoever throws datagrams away late has worked for
// nothing, and delivers less the more comes in.
//
//   delivered   datagrams a second that the application has finished while the flood goes on, of those offered
//   kept        what is delivered at the highest load, in percent of the receiver's own peak
//
// Four ways in which the kernel's work comes to the application's processor:
//
//   busy poll          xdp:IF,busy-poll: the card's queue is polled in the application's own system calls, and by nobody else; what is not
//                      asked for overflows at the card (a veth's ring, at the sender's cost)
//   a card with NAPI   the receive queue's poll runs there, as a task (threaded NAPI): the scheduler divides the processor, and the
//                      queue's ring overflows meanwhile
//   RPS, shared        as the next, with --share-softirqs: the kernel's backlog is polled a frame at a time, what is left over waits
//                      for its turn as a task (ksoftirqd), and what overflows meanwhile is dropped by the processor that sent it there
//   RPS                another processor interrupts this one, for a few frames at a time: softirqs run at the end of each interrupt,
//                      before anybody else
//
// A packet port's ring is full and an xdp port's kernel has no slot for the frame: gone before it was checked and queued. A UDP socket
// drops at its very end, when all that work was done; our udp: port stands on one, as C and node:dgram do.
//
// Under plain RPS the interrupts take the processor, and no receiver can refuse them: a program that is sent nothing at all, and does the
// same work all the time, has less of the processor left under the flood than the bar asks for. So the bar is missed there, by whoever
// listens. It is the state between interrupts that makes the difference: while the backlog is scheduled, none is sent. A backlog
// of 1000 frames that is polled in rounds of 3000 (10 times net.core.netdev_budget) is always emptied, and the next frame interrupts again.
// With a budget of one frame it is not emptied under load, and stays scheduled. That helps only who makes no system calls: each call of
// a socket's runs waiting softirqs at its end.
//
// (Under RPS a veth's native program runs on the sender's processor, and nothing of the kernel's half on ours: its line is no livelock
// at all, and stands there for what it is worth. xdp: without a word is the generic mode, for which the kernel copies every frame.)
//
// The last question is RPS again with messages of 120 bytes and no work but reading them, where the sender is hardly faster than C.

import { spawnSync } from 'node:child_process';
import type { KeptSettings } from '../src/host/kept_settings.ts';
import { shareSoftirqs } from '../src/host/softirq_share.ts';
import { amount, curve, type Figure, type Limit, median } from './figures.ts';
import { compileFloodPeers, noPeers } from './livelock/peers.ts';
import { type Load, type Point, type Sweep, sweep, type Who } from './livelock/sweep.ts';
import { openLab, RECEIVE_CPU, whyNot } from './xdp_speed/lab.ts';

export const question = 'livelock: kernel and application on one processor, offered load beyond the peak';

const ROUNDS = 3;
const WORK: Load = { workUs: 4, offered: [40_000, 120_000, 160_000, 240_000, 400_000, 0] };
const MESSAGES: Load = { workUs: 0, text: 120, offered: [200_000, 400_000, 600_000, 800_000, 0] };

const NAMES: Record<Who, string> = {
  packet: 'packet:',
  xdp: 'xdp:',
  native: 'xdp: native',
  driven: 'xdp:,busy-poll',
  udp: 'udp:',
  c: 'C recvmmsg',
  dgram: 'node:dgram',
  nothing: 'a program that receives nothing',
};
const KEPT: Limit = { atLeast: 70 };

interface Way {
  readonly name: string;
  readonly steer: 'rps' | 'napi' | 'nowhere';
  readonly share: boolean;
  readonly load: Load;
  readonly who: readonly Who[];
  readonly limits: Partial<Record<Who, Limit>>;
}

const RPS_ALL: readonly Who[] = ['packet', 'xdp', 'udp', 'c', 'dgram', 'nothing'];
const WAYS: readonly Way[] = [
  { name: 'busy poll', steer: 'nowhere', share: false, load: WORK, who: ['driven'], limits: { driven: KEPT } },
  {
    name: 'a card with NAPI',
    steer: 'napi',
    share: false,
    load: WORK,
    who: ['packet', 'native', 'udp', 'c', 'dgram'],
    limits: { packet: KEPT, native: KEPT },
  },
  {
    name: 'RPS, shared',
    steer: 'rps',
    share: true,
    load: WORK,
    who: RPS_ALL,
    limits: { packet: KEPT, xdp: KEPT },
  },
  { name: 'RPS', steer: 'rps', share: false, load: WORK, who: ['native', ...RPS_ALL], limits: { packet: KEPT } },
  {
    name: 'RPS, 120-byte messages, no work',
    steer: 'rps',
    share: false,
    load: MESSAGES,
    who: ['packet', 'udp', 'c', 'dgram'],
    limits: { packet: KEPT },
  },
];

export async function run(): Promise<Figure[]> {
  const reason = whyNot() ?? noPeers() ?? noEthtool();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  const peers = compileFloodPeers();
  let shared: KeptSettings | null = null;
  try {
    const figures: Figure[] = [];
    for (const way of WAYS) {
      lab.veth.steer(RECEIVE_CPU, way.steer);
      shared = way.share ? shareSoftirqs() : null;
      if (shared !== null && shared.refused.length > 0) {
        figures.push({ kind: 'unanswered', what: way.name, reason: shared.refused.join('; ') });
        shared.close();
        continue;
      }
      const { who: all } = way;
      const rounds = new Map<Who, Sweep[]>(all.map((who) => [who, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (let k = 0; k < all.length; k++) {
          const who = all[(round + k) % all.length]!;
          rounds.get(who)!.push(await sweep(lab, peers, who, way.load));
        }
      }
      await shared?.closed();
      shared = null;
      figures.push(...figuresOf(way, rounds));
    }
    return figures;
  } finally {
    shared?.close();
    lab.close();
    peers.remove();
  }
}

function figuresOf(way: Way, rounds: ReadonlyMap<Who, readonly Sweep[]>): Figure[] {
  const lines = way.who.map((who) => {
    const all = rounds.get(who)!;
    const points = way.load.offered.map((_, i): [number, number] => [
      median(all.map((round) => round.points[i]!.offered)),
      median(all.map((round) => round.points[i]!.delivered)),
    ]);
    return { name: NAMES[who], ours: who !== 'c' && who !== 'dgram' && who !== 'nothing', points };
  });
  const axes = { x: { name: 'offered', unit: 'datagrams/s' }, y: { name: 'delivered', unit: 'datagrams/s' } };
  const kept = way.who.map((who) => {
    const all = rounds.get(who)!;
    const times = median(all.map((each) => Math.max(...each.points.map(({ offered }) => offered)) / peakOf(each)));
    const what = who === 'nothing' ? 'keeps of its speed in peace' : `kept at ${times.toFixed(1)} times its peak`;
    const unit = who === 'nothing' ? '%' : '% of its peak';
    return amount(`${way.name}: ${NAMES[who]} ${what}`, unit, all.map(keptOf), way.limits[who] ?? {});
  });
  const nothing = rounds.get('nothing');
  const most =
    nothing === undefined
      ? []
      : [
          amount(
            `${way.name}: the most that packet: could keep, if receiving were free`,
            '% of its peak',
            rounds.get('packet')!.map((each, i) => (100 * last(nothing[i]!.points).delivered) / peakOf(each)),
          ),
        ];
  const softirqs = rounds.get('driven')?.map(({ points }) => (1000 * last(points).softirqs) / last(points).delivered);
  const byTimer =
    softirqs === undefined
      ? []
      : [amount(`${way.name}: network softirqs on the application's processor`, 'a thousand datagrams', softirqs)];
  return [
    curve(`delivered over offered, one processor for kernel and application, ${way.name}`, axes, lines),
    ...kept,
    ...most,
    ...byTimer,
  ];
}

function peakOf({ points, idle }: Sweep): number {
  return Math.max(idle, ...points.map(({ delivered }) => delivered));
}

function keptOf(one: Sweep): number {
  return (100 * last(one.points).delivered) / peakOf(one);
}

function last(points: readonly Point[]): Point {
  return points[points.length - 1]!;
}

function noEthtool(): string | null {
  const found = spawnSync('ethtool', ['--version'], { stdio: 'ignore' }).status === 0;
  return found ? null : 'needs ethtool (apt-get install ethtool)';
}
