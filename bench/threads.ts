// What do CPUs that are threads bring? Datagrams of the kernel's netconsole go through the whole way up and the collector's parser, on
// one thread and on two: members of a packet fanout group, or one member that steers half of the flows to the other thread (RPS).
//
// Two processors cannot send and receive twice at once. So the rings are filled first, while the receiving threads stand at a gate, and
// what is measured is the draining: the generator takes no time then, and what it took before is printed beside the figures. Rounds
// alternate, each opens its queues anew.
//
//   two / one     datagrams a second, parsed by two threads and by one: by the clock, which is what is asked for; and by the processor time
//                 of the thread that has most to do, which leaves out what others do on the machine, and helpers of V8's collector, who
//                 make use of a processor that one thread leaves idle
//   RPS / one     the same where only one of the two has a queue
//   handing over  processor time a frame that is freed at once: by another thread, against by the one that received it (with frames
//                 that find no room in the other's backlog, which cost as much)
//   held, copied  handed over where it lies in the ring, against copied into a slot first
//
// Learnt: what a hand-over costs is not the sixteen words but the lines of memory that two processors write by turns; so tails, heads and
// tickets are published once for many frames, and each side remembers what it saw of the other's. Steering pays for work that costs
// more than a microsecond a frame; where the kernel can deal the frames out itself (fanout, SO_REUSEPORT, queues), that costs nothing.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { compare, type Figure, median } from './harness.ts';
import { createVethNamespace } from './packet_rx/veth_namespace.ts';
import type { Drained, Order } from './threads/order.ts';

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
  const side = (name: string, order: Order, figure: (drained: Drained) => number) => ({
    name,
    measure: async () => figure(await drainer.drain(order)),
  });
  const own = ({ frames, busiestSeconds }: Drained) => frames / busiestSeconds;
  const found: Figure[] = [
    await compare('datagrams parsed', 'a second', side('two threads', TWO, rate), side('one', ONE, rate), {
      atLeast: 1.7,
      warmUps: 3,
    }),
    await compare('a second of processor time', '', side('two threads', TWO, own), side('one', ONE, own)),
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

/** The process in the namespace: one drain at a time. */
class Drainer {
  readonly #stdin: Writable;
  readonly #lines: AsyncIterator<string>;
  readonly #all: Drained[] = [];

  constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#stdin = child.stdin;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Throws an Error where the process ends. */
  async drain(order: Order): Promise<Drained> {
    this.#stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('threads/drain.js has ended');
    const drained = JSON.parse(value) as Drained;
    this.#all.push(drained);
    return drained;
  }

  /** What the generator cost, and how much of what it sent was not parsed. */
  summary(): string {
    const generator = median(this.#all.map(({ sent, sendSeconds }) => (sendSeconds / sent) * 1e9));
    return `the generator took ${generator.toFixed(0)} ns a frame before, and none while they drained`;
  }
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, packet sockets)';
  if (availableParallelism() < 2) return 'needs two processors';
  return null;
}
