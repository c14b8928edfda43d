/**
 * Question: how does "a descriptor became readable" become an interrupt of the host world, without a thread of libuv's
 * pool? Each way is a file in irq_path/. Decision and reasons: ARCHITECTURE.md.
 *
 *     node --import ./bench/irq_path/ts.mjs bench/irq_path.ts [ROUNDS] [SECONDS] [LOAD]
 *
 * 1. For each load, ROUNDS rounds; in a round each way once, so that what else the machine does hits all alike.
 * 2. A trial is a fresh process: receiver on CPU 1, sender on CPU 0, loopback, the latency of the first datagram of each event.
 * 3. Printed: the median of the rounds for each way, and its ratio to the first way.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ways = ['koffi_poll', 'uv_raw', 'worker_message', 'worker_wait_async', 'sigio', 'pool', 'busy'];
const loads = [
  { name: 'low: 500/s', rate: 500, bystanders: 0 },
  { name: 'load: 20,000/s', rate: 20_000, bystanders: 0 },
  { name: 'flood', rate: 0, bystanders: 0 },
  { name: '500/s, 4 more devices', rate: 500, bystanders: 4 },
];
const columns = ['p50Us', 'p99Us', 'cpuUs', 'statP50Us', 'statP99Us', 'received'] as const;
type Trial = Record<(typeof columns)[number], number>;

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 1);

function run(cpu: number, file: string, args: (string | number)[]): ChildProcess {
  const path = fileURLToPath(new URL(`./irq_path/${file}`, import.meta.url));
  const loader = fileURLToPath(new URL('./irq_path/ts.mjs', import.meta.url));
  const argv = ['-c', String(cpu), process.execPath, '--no-warnings', '--import', loader, path, ...args.map(String)];
  return spawn('taskset', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function trial(way: string, rate: number, bystanders: number): Promise<Trial | undefined> {
  const receiver = run(1, 'receiver.ts', [way, rate, seconds, bystanders]);
  const timer = setTimeout(() => receiver.kill('SIGKILL'), seconds * 1000 + 20_000);
  let result: Trial | undefined;
  for await (const line of createInterface({ input: receiver.stdout! })) {
    if (line.startsWith('{')) result = JSON.parse(line) as Trial;
    else await once(run(0, 'sender.ts', [line, rate, seconds]), 'spawn');
  }
  clearTimeout(timer);
  return result;
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1] ?? Number.NaN;
}

for (const { name, rate, bystanders } of loads.filter(({ name }) => name.includes(process.argv[4] ?? ''))) {
  const trials = new Map<string, Trial[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      const result = await trial(way, rate, bystanders);
      if (result === undefined) console.error(`${way} at ${name}: died`);
      else trials.get(way)!.push(result);
    }
  }
  console.log(`\n${name} (median of ${rounds} rounds; in brackets the ratio to ${ways[0]})`);
  const reference = columns.map((column) => median(trials.get(ways[0]!)!.map((t) => t[column])));
  for (const way of ways) {
    const cells = columns.map((column, i) => {
      const value = median(trials.get(way)!.map((t) => t[column]));
      return `${column} ${value.toFixed(column === 'received' ? 0 : 1)} (${(value / reference[i]!).toFixed(2)})`;
    });
    console.log(`  ${way.padEnd(18)} ${cells.join('  ')}  [${trials.get(way)!.length} trials]`);
  }
}
