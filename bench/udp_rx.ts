// How fast does the udp port receive? Our whole way up to a UDP socket of our own stack, against recvmmsg() in C, which looks at
// nothing, and against node:dgram: the same veth flood, alternating, sender and receiver on a processor each.
//
//   capacity   datagrams a second of the receiving process's processor time, user and system, all its threads, when it never has
//              to wait: the socket's buffer is filled while the process is stopped, and then emptied, again and again
//   rate       datagrams received a second of a flood that it runs beside, as it counts itself; here what a sleeping receiver
//              costs its sender for each wake-up is part of the answer
//   heap       bytes that our receiver took from V8's heap a frame, emptying
//
// "Plain" is the port without what C has not asked for either: local addresses, datagrams put together. The goal, 0.9 of C and 2.5
// times node:dgram, is asked of each: of the capacity of both, and of what arrives in the flood, where the sender is the limit.
//
// "As over a card" is the same line with what every card does and a veth does not unless it is told: GRO is on, and the interrupt comes at most
// every 50 us, so that there is something to put together. Our port asks for datagrams of one sender as one message (UDP_GRO), by
// default; the C program does not, as most do not, and gets them one by one. Both get the same datagrams, all of one sender; from as many
// senders as there are frames in a poll nothing is joined, and the plain figure holds.
//
// Where the time goes (perf, a datagram of 120 bytes, all of it processor time): five sixths are the kernel's, the same as C's: a quarter
// of that fetches a payload that another processor has written, a tenth tells that processor that its memory is free, a third is
// the way of one message in and out of recvmmsg(). 120 to 150 ns are ours: 35 for the port, the rest for the way up to the socket. Asking
// for the local address is 50 ns of the kernel's, for the time of arrival 75; a receiver in C that asks for both and for UDP_GRO has 0.85 of one
// that does not. Not even to ask for the sender's address would save 70.
//
// Tried: io_uring. A multishot recvmsg that stays armed, with posted buffers, is 6 to 7 % ahead of recvmmsg() in C as well; one that is asked
// anew for each burst is level with it; one request a datagram costs 14 % more. The armed one was not taken: it keeps the port bound for
// 0.15 s after the process, buffers of one size exclude UDP_GRO, and an error queue that is not empty has the kernel ask again and again.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Allocation, compare, type Figure, median } from './harness.ts';
import { PORT, STATION } from './packet_rx/line.ts';
import { endTrials, floodAt, type Output, type Trial } from './packet_rx/trial.ts';
import { createVethNamespace, RECEIVE_SIDE, type VethNamespace } from './packet_rx/veth_namespace.ts';
import { asCard } from './udp/card.ts';
import { compilePeers, noCompiler, type Peers } from './udp/peers.ts';

export const question = 'receive rate of the udp port against recvmmsg() in C and node:dgram on the same veth flood';

const ROUNDS = 5;
const FLOOD_SECONDS = 0.5;
/** Fills a buffer: 20,000 datagrams. node:dgram gets what the system's limit allows. */
const FILL_SECONDS = 0.06;
const FILLS = 8;
const TRIES = 4;
const BUFFER = 16 << 20;
/** As in packet_rx: readings of the clock and an Immediate a turn, none for the frames themselves. */
const HEAP_LIMIT = 4;

type Who = 'ours' | 'plain' | 'c' | 'dgram' | 'card' | 'cardC';
const NAMES: Record<Who, string> = {
  ours: 'ours',
  plain: 'ours, plain',
  c: 'C recvmmsg',
  dgram: 'node:dgram',
  card: 'ours',
  cardC: 'C recvmmsg',
};
const ALL: readonly Who[] = ['ours', 'plain', 'c', 'dgram', 'card', 'cardC'];
/** Those that are compared where waiting is no part of the answer alone. */
const NO_FLOOD: readonly Who[] = ['plain', 'card', 'cardC'];

interface Report {
  readonly received: number;
  readonly dropped?: number;
  readonly heapBytes: number;
  readonly heapFrames: number;
  readonly collections: number;
}

interface UdpTrial extends Trial {
  readonly report: Report;
}

type Trials = { readonly flood?: UdpTrial; readonly backlog: UdpTrial };
type Round = Record<Who, Trials>;

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const peers = compilePeers();
  const lab = createVethNamespace();
  const stop = () => {
    endTrials();
    lab.remove();
    peers.remove();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  try {
    giveAddress(lab);
    const rounds: Round[] = [];
    for (let i = -1; i < ROUNDS; i++) {
      const round: Partial<Round> = {};
      for (let k = 0; k < ALL.length; k++) {
        const who = ALL[(i + ALL.length + k) % ALL.length]!;
        const card = who === 'card' || who === 'cardC';
        if (card) asCard(lab, true);
        const backlog = await trial(lab, peers, who, FILLS);
        round[who] = NO_FLOOD.includes(who) ? { backlog } : { backlog, flood: await trial(lab, peers, who, 0) };
        if (card) asCard(lab, false);
      }
      if (i >= 0) rounds.push(round as Round);
    }
    return await figures(rounds);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    lab.remove();
    peers.remove();
  }
}

/** The kernel's own stack is to take the flood: its interface gets the station's addresses. */
function giveAddress(lab: VethNamespace): void {
  const mac = Buffer.from(STATION)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1:');
  for (const args of [
    ['link', 'set', RECEIVE_SIDE, 'address', mac],
    ['address', 'add', '10.0.0.1/24', 'dev', RECEIVE_SIDE],
  ]) {
    const { status, stderr } = spawnSync('ip', ['-n', lab.name, ...args], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  }
}

/** One that adds up: on a machine that is busy with something else a receiver may be asked before it is done. */
async function trial(lab: VethNamespace, peers: Peers, who: Who, backlogs: number): Promise<UdpTrial> {
  for (let tries = 1; ; tries++) {
    const one = await tryOnce(lab, peers, who, backlogs);
    const { sent, received, dropped, report } = one;
    if (report.dropped === undefined || received + dropped === sent) return one;
    if (tries === TRIES) throw new Error(`${sent} sent, ${received} received, ${dropped} dropped`);
  }
}

async function tryOnce(lab: VethNamespace, peers: Peers, who: Who, backlogs: number): Promise<UdpTrial> {
  const args = [String(PORT), String(BUFFER)];
  const node = [process.execPath, ...process.execArgv];
  const { trial, output } = await floodAt(lab, backlogs === 0 ? FLOOD_SECONDS : FILL_SECONDS, {
    backlogs,
    command: {
      ours: [...node, script('receiver.js'), ...args],
      card: [...node, script('receiver.js'), ...args],
      plain: [...node, script('receiver.js'), ...args, 'plain'],
      c: [peers.path('recvmmsg'), ...args],
      cardC: [peers.path('recvmmsg'), ...args],
      dgram: [...node, script('dgram.js'), ...args],
    }[who],
    signal: 'SIGUSR2',
    counts: (output) => reports(output).map(({ received, dropped = 0 }) => ({ received, dropped })),
  });
  const report = reports(output).at(-1)!;
  return { ...trial, report };
}

function reports({ stdout }: Output): Report[] {
  const lines = stdout.trimEnd().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Report);
}

async function figures(rounds: readonly Round[]): Promise<Figure[]> {
  const rate = ({ flood }: Trials) => flood!.received / flood!.seconds;
  const capacity = ({ backlog }: Trials) => (backlog.received * 1e9) / backlog.cpuNs;
  const inFlood = ({ flood }: Trials) => (flood!.received * 1e9) / flood!.cpuNs;
  const against = (a: Who, b: Who, what: string, unit: string, of: (trials: Trials) => number, limit = {}) => {
    const recorded = (who: Who) => {
      let next = 0;
      return { name: NAMES[who], measure: () => of(rounds[next++]![who]) };
    };
    return compare(what, unit, recorded(a), recorded(b), { rounds: ROUNDS, warmUps: 0, ...limit });
  };
  const unit = 'datagrams a second of processor time';
  return [
    await against('plain', 'c', 'capacity', unit, capacity, { atLeast: 0.9 }),
    await against('plain', 'dgram', 'capacity', unit, capacity, { atLeast: 2.5 }),
    await against('ours', 'c', 'capacity', unit, capacity, { atLeast: 0.9 }),
    await against('ours', 'dgram', 'capacity', unit, capacity, { atLeast: 2.5 }),
    await against('card', 'cardC', 'capacity, as over a card', unit, capacity, { atLeast: 0.9 }),
    await against('ours', 'c', 'receive rate', 'frames/s', rate, { atLeast: 0.9 }),
    await against('ours', 'dgram', 'receive rate', 'frames/s', rate, { atLeast: 2.5 }),
    await against('ours', 'c', 'in that flood', unit, inFlood),
    await against('ours', 'dgram', 'in that flood', unit, inFlood),
    heap(rounds.map(({ ours }) => ours.backlog.report)),
  ];
}

function heap(all: readonly Report[]): Allocation {
  const each = all.map(({ heapBytes, heapFrames }) => heapBytes / heapFrames);
  const bytes = median(each);
  return {
    kind: 'bytes',
    what: 'heap of our receiver',
    frames: Math.round(median(all.map(({ heapFrames }) => heapFrames))),
    bytes,
    min: Math.min(...each),
    max: Math.max(...each),
    collections: all.reduce((sum, { collections }) => sum + collections, 0),
    limit: { atMost: HEAP_LIMIT },
    ok: bytes <= HEAP_LIMIT,
  };
}

function script(name: string): string {
  return fileURLToPath(new URL(`udp/${name}`, import.meta.url));
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, packet sockets)';
  if (availableParallelism() < 2) return 'needs two processors, one for the sender and one for the receiver';
  for (const [tool, from, version] of [
    ['ip', 'iproute2', '-V'],
    ['taskset', 'util-linux', '-V'],
    ['ethtool', 'ethtool', '--version'],
  ] as const) {
    if (spawnSync(tool, [version], { stdio: 'ignore' }).status !== 0) return `needs ${tool} (apt-get install ${from})`;
  }
  return noCompiler();
}
