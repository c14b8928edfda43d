// What does a frame cost on its way from the kernel's ring to a protocol's handler, in TypeScript? The whole way: port, NAPI,
// sk_buff, dispatch, free; and further up to a UDP socket. Beside it the bare walk of the same kind of ring (TPACKET_V3) in C,
// which looks at two bytes of each frame and hands it to nobody, with its own usual ring (64 MiB, blocks wait 4 ms) and with a
// ring like ours. The same flood of 60-byte frames over a veth, alternating, sender and receiver on a processor each.
//
//   CPU time   user and system of the receiving process, all its threads, a received frame; limit: 200 ns (ixy.js, a driver
//              that only forwards, needs 240). In steps too: one multiplication and addition that waits for the one before, on
//              the same processor just before the flood
//   delivered  frames a second of flood, ours against the C walk; arrived: the share of what was sent
//   heap       bytes that our receiver took from V8's heap a frame, in one flood more after a longer one
//
// Ours is flooded before, several times, with pauses: code that V8 has not compiled yet is not what a frame costs. Compiling goes on for
// seconds, on threads whose time counts, and the first frames after a pause have some of it done again: a frame costs up to twice as much
// meanwhile (316, 169, 219, 152, 142, 137 ns in six floods one after the other). What is called a few hundred times a second is
// interpreted for longer, and leaves a number on the heap for each double.
//
// A sender of one processor is the limit of the rate on a veth: the receivers differ in what they use of theirs.
//
// What was learnt: of a frame's time the ring's walk is a fifth, building the sk_buff and reading its Ethernet header a half, receive
// offload a seventh; it is spread over some thousand instructions and no place is hot. A receiver that sleeps comes back to cold
// caches: handed a block of 1 MiB every four milliseconds it needed 0.7 of the time a frame that it needed with 256 KiB every
// millisecond, so the interrupt stays masked under load. The ring's frames had 64 bytes of headroom reserved beside the 82 that they have anyway: without them a backlog is drained in 0.9
// of the time. A machine that does other things on the same processors makes every figure here dearer, ours more than C's: trust the
// ratio of a quiet run.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { amount, compare, type Figure } from './harness.ts';
import { type Lab, noPeers, type OwnTrial, openLab, type Trial, type Way } from './packet_ring/lab.ts';

export const question =
  'CPU time of a 60-byte frame from the packet ring to a protocol handler, beside the bare ring walk in C';

const ROUNDS = 5;
const FLOOD_SECONDS = 2;
const WARM_UPS = 6;
const HEAP_SECONDS = 6;
const HEAP_WARM_UPS = 12;
const CPU_LIMIT_NS = 200;
/** A turn of Node's loop is the only thing that may leave something behind (host/node_loop.ts). */
const HEAP_LIMIT = 0.1;

interface Round {
  readonly handler: OwnTrial;
  readonly socket: OwnTrial;
  readonly usual: Trial;
  readonly alike: Trial;
}

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    const rounds: Round[] = [];
    for (let i = -1; i < ROUNDS; i++) {
      const round = await oneRound(lab, i + 4);
      if (i >= 0) rounds.push(round);
    }
    const heap = {
      handler: (await lab.ours('handler', HEAP_SECONDS, HEAP_WARM_UPS)).heapBytes,
      socket: (await lab.ours('socket', HEAP_SECONDS, HEAP_WARM_UPS)).heapBytes,
    };
    return await figures(rounds, heap);
  } finally {
    lab.close();
  }
}

/** Four trials, each round beginning with another one. */
async function oneRound(lab: Lab, first: number): Promise<Round> {
  const round: { -readonly [key in keyof Round]?: Round[key] } = {};
  const trials = [
    async () => {
      round.handler = await lab.ours('handler', FLOOD_SECONDS, WARM_UPS);
    },
    async () => {
      round.usual = await lab.ring(1024, 64, 4, FLOOD_SECONDS);
    },
    async () => {
      round.socket = await lab.ours('socket', FLOOD_SECONDS, WARM_UPS);
    },
    async () => {
      round.alike = await lab.ring(256, 64, 1, FLOOD_SECONDS);
    },
  ];
  for (let k = 0; k < trials.length; k++) await trials[(first + k) % trials.length]!();
  return round as Round;
}

async function figures(rounds: readonly Round[], heap: Record<Way, number>): Promise<Figure[]> {
  const cpu = ({ cpuNs, received }: Trial) => cpuNs / received;
  const rate = ({ received, seconds }: Trial) => received / seconds;
  const against = (
    ours: keyof Round,
    peer: keyof Round,
    what: string,
    unit: string,
    of: (trial: Trial) => number,
    limit = {},
  ) => {
    const recorded = (side: keyof Round) => {
      let next = 0;
      return () => of(rounds[next++]![side]);
    };
    const a = { name: ours, measure: recorded(ours) };
    const b = { name: `C, ${peer} ring`, measure: recorded(peer) };
    return compare(what, unit, a, b, { rounds: ROUNDS, warmUps: 0, ...limit });
  };
  const each = (of: (round: Round) => number) => rounds.map(of);
  const steps = (trial: OwnTrial) => cpu(trial) / trial.report.stepNs;
  const arrived = ({ received, sent }: Trial) => received / sent;
  return [
    amount(
      'CPU time, to a handler',
      'ns a frame',
      each(({ handler }) => cpu(handler)),
      { atMost: CPU_LIMIT_NS },
    ),
    amount(
      'the same',
      'steps a frame',
      each(({ handler }) => steps(handler)),
    ),
    amount(
      'CPU time, to a UDP socket',
      'ns a frame',
      each(({ socket }) => cpu(socket)),
    ),
    amount(
      'the same',
      'steps a frame',
      each(({ socket }) => steps(socket)),
    ),
    await against('handler', 'usual', 'CPU time', 'ns a frame', cpu),
    await against('handler', 'alike', 'CPU time', 'ns a frame', cpu),
    await against('handler', 'usual', 'delivered', 'frames/s', rate, { atLeast: 0.98 }),
    await against('handler', 'alike', 'delivered', 'frames/s', rate),
    await against('handler', 'usual', 'arrived', 'of the frames sent', arrived),
    amount('heap, to a handler', 'bytes a frame', [heap.handler], { atMost: HEAP_LIMIT }),
    amount('heap, to a UDP socket', 'bytes a frame', [heap.socket], { atMost: HEAP_LIMIT }),
  ];
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, packet sockets)';
  if (availableParallelism() < 2) return 'needs two processors, one for the sender and one for the receiver';
  for (const [tool, from, version] of [
    ['ip', 'iproute2', '-V'],
    ['taskset', 'util-linux', '-V'],
    ['gcc', 'gcc libc6-dev', '--version'],
  ] as const) {
    if (spawnSync(tool, [version], { stdio: 'ignore' }).status !== 0) return `needs ${tool} (apt-get install ${from})`;
  }
  return noPeers();
}
