// How does "a descriptor became readable" become an interrupt of the host world, without a thread of libuv's pool? Each way
// is a file in irq_path/; the one that src/host/executive.ts takes is compared with all others. Decision: ARCHITECTURE.md.
//
// 1. For each load five rounds; in a round each way once, so that what else the machine does hits all alike.
// 2. A trial is a fresh process: receiver on CPU 1, sender on CPU 0, datagrams over loopback that carry their time of
//    sending; latency is that of the first datagram of each event, CPU time that of the whole process a datagram.
// 3. Meanwhile the "application" calls fs.stat(). With four more descriptors watched, which never become readable, a way
//    that takes the pool's threads lets it wait.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compare, type Figure, type Limit } from './harness.ts';

export const question =
  'latency and cost of an interrupt in the host world: a poll handle on the loop against other ways';

const ROUNDS = 5;
const SECONDS = 0.6;
const OURS = 'koffi_poll';
const OTHERS = ['uv_raw', 'worker_message', 'worker_wait_async', 'sigio', 'pool', 'busy'];

interface Trial {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly cpuUs: number;
  readonly statP50Us: number;
}

interface Load {
  readonly name: string;
  /** Datagrams a second, 0 for as many as can be. */
  readonly rate: number;
  /** Descriptors besides, which never become readable. */
  readonly bystanders: number;
  readonly columns: readonly { what: string; of: keyof Trial; limits: Readonly<Record<string, Limit>> }[];
}

const LATENCY = { what: 'latency p50', of: 'p50Us', limits: { worker_message: { atMost: 1.1 } } } as const;
const CPU = { what: 'CPU time', of: 'cpuUs', limits: { worker_message: { atMost: 1 } } } as const;
const STAT = { what: "the application's fs.stat p50", of: 'statP50Us', limits: { pool: { atMost: 0.1 } } } as const;

const LOADS: readonly Load[] = [
  { name: '500/s', rate: 500, bystanders: 0, columns: [LATENCY, { ...CPU, limits: {} }] },
  { name: '20,000/s', rate: 20_000, bystanders: 0, columns: [LATENCY, CPU] },
  { name: 'flood', rate: 0, bystanders: 0, columns: [{ ...LATENCY, limits: {} }] },
  { name: '500/s, four more devices', rate: 500, bystanders: 4, columns: [STAT] },
];

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const figures: Figure[] = [];
  for (const load of LOADS) figures.push(...(await underLoad(load)));
  return figures;
}

async function underLoad(load: Load): Promise<Figure[]> {
  const ways = [OURS, ...OTHERS];
  const trials = new Map<string, Trial[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let k = 0; k < ways.length; k++) {
      const way = ways[(round + k) % ways.length]!;
      trials.get(way)!.push(await trial(way, load));
    }
  }
  const recorded = (way: string, of: keyof Trial) => {
    let next = 0;
    return { name: way, measure: () => trials.get(way)![next++]![of] };
  };
  const figures: Figure[] = [];
  for (const { what, of, limits } of load.columns) {
    for (const other of OTHERS) {
      const options = { rounds: ROUNDS, warmUps: 0, ...limits[other] };
      figures.push(await compare(`${load.name}: ${what}`, 'us', recorded(OURS, of), recorded(other, of), options));
    }
  }
  return figures;
}

async function trial(way: string, { rate, bystanders }: Load): Promise<Trial> {
  const receiver = start(1, 'receiver.js', [way, rate, SECONDS, bystanders]);
  const timer = setTimeout(() => receiver.kill('SIGKILL'), 20_000);
  let result: Trial | undefined;
  for await (const line of createInterface({ input: receiver.stdout! })) {
    if (line.startsWith('{')) result = JSON.parse(line) as Trial;
    else await once(start(0, 'sender.js', [line, rate, SECONDS]), 'spawn');
  }
  clearTimeout(timer);
  if (result === undefined) throw new Error(`the trial of ${way} gave no result`);
  return result;
}

function start(cpu: number, file: string, args: (string | number)[]): ChildProcess {
  const path = fileURLToPath(new URL(`./irq_path/${file}`, import.meta.url));
  const argv = ['-c', String(cpu), process.execPath, '--no-warnings', path, ...args.map(String)];
  return spawn('taskset', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (availableParallelism() < 2) return 'needs two processors, one for the sender and one for the receiver';
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0) return 'needs taskset (util-linux)';
  return null;
}
