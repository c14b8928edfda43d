// How fast does the packet port receive? Our whole way up to a UDP socket, in TypeScript, against `tcpdump -w /dev/null`,
// which is C and looks at nothing: on the same veth flood, alternating, sender and receiver on a processor each.
//
//   frames/s   received a second of flood, as the receiver itself counts
//   arrived    share of what was sent; the rest the kernel dropped for want of room in the ring
//   CPU time   user and system of the receiving process, all its threads, a received frame
//   heap       bytes that our receiver took from V8's heap a frame
//
// A sender of one processor is the limit of the rate on a veth: the receivers differ in what they use of theirs.
//
// tcpdump's own ring is 2 MiB, ours 16 MiB: `-B 16384` gives it as much.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { type Allocation, compare, type Figure, median, type Ratio } from './harness.ts';
import { endTrials, type OwnTrial, ownTrial, type Trial, tcpdumpTrial } from './packet_rx/trial.ts';
import { createVethNamespace, type VethNamespace } from './packet_rx/veth_namespace.ts';

export const question = 'receive rate of the packet port against tcpdump -w /dev/null on the same veth flood';

const ROUNDS = 7;
const FLOOD_SECONDS = 1;
const RING_KIB = 16 << 10;
/**
 * Of our heap bytes a frame. The frames themselves take none (see rx_alloc); what is counted here are readings of the clock,
 * a 16-byte number each, three a poll of at most 64 frames, and an Immediate for each turn of the loop.
 */
const HEAP_LIMIT = 4;

interface Round {
  readonly ours: OwnTrial;
  readonly tcpdump: Trial;
  readonly roomy: Trial;
}

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = createVethNamespace();
  const stop = () => {
    endTrials();
    lab.remove();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  try {
    const rounds: Round[] = [];
    for (let i = -1; i < ROUNDS; i++) {
      const round = await oneRound(lab, i);
      if (i >= 0) rounds.push(round);
    }
    return await figures(rounds);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    lab.remove();
  }
}

/** Three trials, each round beginning with another one. */
async function oneRound(lab: VethNamespace, i: number): Promise<Round> {
  const round: { -readonly [key in keyof Round]?: Round[key] } = {};
  const trials = [
    async () => {
      round.ours = await ownTrial(lab, FLOOD_SECONDS);
    },
    async () => {
      round.tcpdump = await tcpdumpTrial(lab, FLOOD_SECONDS);
    },
    async () => {
      round.roomy = await tcpdumpTrial(lab, FLOOD_SECONDS, RING_KIB);
    },
  ];
  for (let k = 0; k < trials.length; k++) await trials[(i + 3 + k) % trials.length]!();
  return round as Round;
}

async function figures(rounds: readonly Round[]): Promise<Figure[]> {
  const rate = ({ received, seconds }: Trial) => received / seconds;
  const arrived = ({ dropped, sent }: Trial) => 1 - dropped / sent;
  const cpu = ({ cpuNs, received }: Trial) => cpuNs / received;
  const against = (peer: 'tcpdump' | 'roomy', what: string, unit: string, of: (trial: Trial) => number, limit = {}) => {
    const name = peer === 'tcpdump' ? 'tcpdump' : `tcpdump -B ${RING_KIB}`;
    const recorded = (side: 'ours' | typeof peer) => {
      let next = 0;
      return () => of(rounds[next++]![side]);
    };
    const ours = { name: 'ours', measure: recorded('ours') };
    return compare(what, unit, ours, { name, measure: recorded(peer) }, { rounds: ROUNDS, warmUps: 0, ...limit });
  };
  const ratios: Ratio[] = [
    await against('tcpdump', 'receive rate', 'frames/s', rate, { atLeast: 0.9 }),
    await against('roomy', 'receive rate, rings alike', 'frames/s', rate, { atLeast: 0.9 }),
    await against('tcpdump', 'arrived', 'of the frames sent', arrived),
    await against('roomy', 'arrived, rings alike', 'of the frames sent', arrived),
    await against('tcpdump', 'CPU time', 'ns a frame', cpu),
    await against('roomy', 'CPU time, rings alike', 'ns a frame', cpu),
  ];
  return [...ratios, heap(rounds.map(({ ours }) => ours))];
}

function heap(trials: readonly OwnTrial[]): Allocation {
  const each = trials.map(({ report }) => report.heapBytes / report.heapFrames);
  const bytes = median(each);
  return {
    kind: 'bytes',
    what: 'heap of our receiver',
    frames: Math.round(median(trials.map(({ report }) => report.heapFrames))),
    bytes,
    min: Math.min(...each),
    max: Math.max(...each),
    collections: trials.reduce((sum, { report }) => sum + report.collections, 0),
    limit: { atMost: HEAP_LIMIT },
    ok: bytes <= HEAP_LIMIT,
  };
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, packet sockets)';
  if (availableParallelism() < 2) return 'needs two processors, one for the sender and one for the receiver';
  for (const [tool, from, version] of [
    ['ip', 'iproute2', '-V'],
    ['taskset', 'util-linux', '-V'],
    ['tcpdump', 'tcpdump', '--version'],
  ] as const) {
    if (spawnSync(tool, [version], { stdio: 'ignore' }).status !== 0) return `needs ${tool} (apt-get install ${from})`;
  }
  return null;
}
