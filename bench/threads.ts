// What do CPUs that are threads bring? Datagrams of the kernel's netconsole go through the whole way up and the collector's parser, on
// one thread and on two: members of a packet fanout group, or one member that steers half of the flows to the other thread (RPS).
//
// Two processors cannot send and receive twice at once. So the rings are filled first, while the receiving threads stand at a gate, and
// what is measured is the draining, from the gate's opening to the last frame, by the threads' own clock: the generator takes no time then,
// and what it took before is printed beside the figures. Rounds alternate, each opens its queues anew.
//
//   two / one     datagrams a second, parsed by two threads and by one: by the clock, which is what is asked for; and, of the same drains,
//                 by the processor time of the thread that has most to do, which leaves out what others do on the machine
//   no ring       what this machine gives: two plain threads against one, which parse the same datagrams from their own memory
//   RPS / one     the same as the first where only one of the two has a queue
//   handing over  processor time a frame that is freed at once: by another thread, against by the one that received it (with frames
//                 that find no room in the other's backlog, which cost as much)
//   held, copied  handed over where it lies in the ring, against copied into a slot first
//
// Learnt: what a hand-over costs is not the sixteen words but the lines of memory that two processors write by turns; so tails, heads and
// tickets are published once for many frames, and each side remembers what it saw of the other's. Steering pays for work that costs
// more than a microsecond a frame; where the kernel can deal the frames out itself (fanout, SO_REUSEPORT, queues), that costs nothing.
//
// What kept two threads from twice the rate of one was V8's collector, whose helpers use the processor that one thread leaves idle: a
// datagram cost 1.2 processors of one thread's time. Records that the parser remembers are numbers in typed arrays since, and little
// outlives a scavenge: plain threads went from 1.64 to 1.8. The rest was the measurement: drains of 60 ms, in which waking up counts; a main
// thread that looked on each millisecond, on a processor of the two; and few senders, which a hash does not deal out evenly. A thread that
// had nothing to do for a drain has lost its heap's room and takes a tenth longer in the next; both orders of a round are in the median.
// With 1,000 senders two can be more than twice as fast: each thread's caches hold its own half of them.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { compare, type Figure, median } from './harness.ts';
import { createVethNamespace } from './packet_rx/veth_namespace.ts';
import type { Drained, Order, PlainOrder } from './threads/order.ts';

export const question = 'datagrams parsed a second by two threads against one, and what handing a frame over costs';

const ONE: Order = { on: [1], rps: [], parse: true, heldMax: 256 };
const TWO: Order = { ...ONE, on: [1, 2] };
const STEERED: Order = { ...ONE, rps: [1, 2] };
const FREED: Order = { ...ONE, parse: false };
const FREED_THERE: Order = { ...FREED, rps: [2] };
const HELD: Order = { ...FREED_THERE, heldMax: 1 << 20 };
const COPIED: Order = { ...FREED_THERE, heldMax: 0 };

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = createVethNamespace();
  const child = spawn(
    'ip',
    [
      ...['netns', 'exec', lab.name, process.execPath, ...process.execArgv],
      fileURLToPath(new URL('./threads/drain.js', import.meta.url)),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], detached: true },
  );
  try {
    return await figures(new Drainer(child));
  } finally {
    child.stdin.end();
    child.kill('SIGKILL');
    await once(child, 'close');
    lab.remove();
  }
}

async function figures(drainer: Drainer): Promise<Figure[]> {
  const rate = ({ frames, seconds }: Drained) => frames / seconds;
  const cpuNs = ({ frames, dropped, cpuSeconds }: Drained) => (cpuSeconds * 1e9) / (frames + dropped);
  const few = { rounds: 5, warmUps: 1 };
  const side = (name: string, order: Order | PlainOrder, figure: (drained: Drained) => number) => ({
    name,
    measure: async () => figure(await drainer.drain(order)),
  });
  const own = ({ frames, busiestSeconds }: Drained) => frames / busiestSeconds;
  const threads = kept();
  const found: Figure[] = [
    await compare(
      'datagrams parsed',
      'a second',
      side('two threads', TWO, threads.keep(rate, own)),
      side('one', ONE, threads.keep(rate, own)),
      { atLeast: 1.7, warmUps: 3 },
    ),
    await compare('a second of processor time', '', threads.side('two threads'), threads.side('one'), { warmUps: 3 }),
    await compare(
      'no ring',
      'a second',
      side('two plain threads', { plain: 2 }, rate),
      side('one', { plain: 1 }, rate),
      {
        warmUps: 3,
      },
    ),
    await compare('the same, steered by RPS', '', side('steered', STEERED, own), side('one', ONE, own), few),
    await compare(
      'CPU time, freed',
      'ns a frame',
      side('handed over', FREED_THERE, cpuNs),
      side('here', FREED, cpuNs),
      few,
    ),
    await compare('CPU time, handed over', 'ns a frame', side('held', HELD, cpuNs), side('copied', COPIED, cpuNs), few),
  ];
  console.log(`threads: ${drainer.summary()}`);
  return found;
}

type DrainFigure = (drained: Drained) => number;

/** Two figures of the same drains: `keep` gives one and keeps the other, for sides that give those in the same order. */
function kept() {
  const values: number[] = [];
  return {
    keep: (now: DrainFigure, later: DrainFigure) => (drained: Drained) => {
      values.push(later(drained));
      return now(drained);
    },
    side: (name: string) => ({ name, measure: () => values.shift()! }),
  };
}

/** The process in the namespace: one drain at a time. */
class Drainer {
  readonly #stdin: Writable;
  readonly #lines: AsyncIterator<string>;
  readonly #all: Drained[] = [];
  /** Of the two members of a fanout group. */
  readonly #shares: number[] = [];

  constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#stdin = child.stdin;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Throws an Error where the process ends. */
  async drain(order: Order | PlainOrder): Promise<Drained> {
    this.#stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('threads/drain.js has ended');
    const drained = JSON.parse(value) as Drained;
    this.#all.push(drained);
    if (order === TWO) this.#shares.push(drained.largestShare);
    return drained;
  }

  /** What the generator cost, and how much of what it sent was not parsed. */
  summary(): string {
    const sends = this.#all.filter(({ sendSeconds }) => sendSeconds > 0);
    const generator = median(sends.map(({ sent, sendSeconds }) => (sendSeconds / sent) * 1e9));
    const dealt = `of two threads with a queue each one had ${(median(this.#shares) * 100).toFixed(1)} % of the frames`;
    return `the generator took ${generator.toFixed(0)} ns a frame before, and none while they drained; ${dealt}`;
  }
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, packet sockets)';
  if (availableParallelism() < 2) return 'needs two processors';
  return null;
}
