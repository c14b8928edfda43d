/**
 * The process that is measured: CPU 0 fills the rings while the other CPUs stand at the gate, and then only looks on.
 *
 *     stdin  {"on":[1,2],"rps":[],"parse":true,"heldMax":256} or {"plain":2}      stdout  {"frames":...,"seconds":...}       a line each
 *
 * It looks rarely: it would take the time from one of two threads and not from one alone. The threads write down when they are done.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { createSmp } from '../../src/host/smp/smp.ts';
import { devQueueXmit } from '../../src/stack/dev_queue_xmit.ts';
import { netconsoleFrame } from './frame.ts';
import {
  clockNs,
  DONE,
  type Drained,
  ENDS,
  FRAMES,
  GATE,
  type Order,
  type PlainOrder,
  RETIRE_MS,
  SEND_SIDE,
  SOURCES,
  THREADS,
  WORDS,
} from './order.ts';
import type { Part, PlainData } from './plain.ts';

const QUIET_MS = 300;
const LOOK_MS = 20;
const CPUS = [1, 2];
/** Threads that are no CPUs. */
const PLAIN = [3, 4];

prefer();
const words = new Int32Array(new SharedArrayBuffer(WORDS * 4));
const ends = new Float64Array(new SharedArrayBuffer(THREADS * ENDS * 8));
/** Those at the gate, as folders of /proc. */
const ready = new Set<string>();
const smp = await createSmp({
  cpus: 3,
  program: new URL('./cpu.js', import.meta.url),
  data: { words, ends },
  onMessage: (thread) => ready.add(thread as string),
});
const plain = PLAIN.map((me) => {
  const data: PlainData = { words, ends, me };
  const worker = new Worker(new URL('./plain.js', import.meta.url), { workerData: data });
  worker.on('message', (thread: string) => ready.add(thread));
  return worker;
});
const { machine } = smp.boot.host;
const dev = smp.boot.openDevice(`packet:${SEND_SIDE}`, { on: [0], blocks: 4, blockSize: 4096 });
let serial = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order | PlainOrder;
  console.log(JSON.stringify(await ('plain' in order ? drainPlain(order) : drain(order))));
}
for (const worker of plain) await worker.terminate();
await smp.close();

/** Before what else the machine does: this process leads a session, whose group has a priority of its own. */
function prefer(): void {
  setPriority(-10);
  try {
    writeFileSync('/proc/self/autogroup', '-10');
  } catch {
    // A kernel without such groups.
  }
}

async function drain(order: Order): Promise<Drained> {
  close();
  for (const cpu of CPUS) smp.post(cpu, order);
  await until(() => ready.size === CPUS.length);
  await pause(20);
  const filling = performance.now();
  const sent = await fill();
  const sendSeconds = (performance.now() - filling) / 1e3;
  // The kernel closes the last block.
  await pause(2 * RETIRE_MS);
  return { ...(await open(sent)), sendSeconds };
}

async function drainPlain({ plain: parts }: PlainOrder): Promise<Drained> {
  close();
  for (let part = 0; part < parts; part++) plain[part]!.postMessage({ part, parts, serial } satisfies Part);
  await until(() => ready.size === parts);
  serial += FRAMES;
  await pause(20);
  return open(FRAMES);
}

function close(): void {
  ready.clear();
  words.fill(0);
  ends.fill(0);
}

/** Lets those at the gate go, until they have done what was sent, or no more. */
async function open(sent: number): Promise<Drained> {
  const { doorbells } = smp.counters();
  const droppedBefore = dropped();
  const threads = [...ready];
  const onBefore = threads.map(onProcessorNs);
  const cpuBefore = process.cpuUsage();
  const startedNs = clockNs();
  Atomics.store(words, GATE, 1);
  Atomics.notify(words, GATE);
  let frames = 0;
  let changedAt = performance.now();
  while (frames < sent && performance.now() - changedAt < QUIET_MS) {
    await pause(LOOK_MS);
    const done = sum(doneFrames());
    if (done !== frames) changedAt = performance.now();
    frames = done;
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    frames,
    seconds: (Math.max(...ends) - startedNs) / 1e9,
    cpuSeconds: (user + system) / 1e6,
    busiestSeconds: Math.max(...threads.map((thread, i) => onProcessorNs(thread) - onBefore[i]!)) / 1e9,
    largestShare: Math.max(...doneFrames()) / frames,
    sendSeconds: 0,
    sent,
    dropped: dropped() - droppedBefore,
    doorbells: smp.counters().doorbells - doorbells,
  };
}

function onProcessorNs(thread: string): number {
  const [ns = ''] = readFileSync(`/proc/${thread}/schedstat`, 'latin1').split(' ');
  return Number(ns);
}

function dropped(): number {
  return sum(smp.softnetRows().map((row) => row.dropped));
}

async function fill(): Promise<number> {
  let sent = 0;
  while (sent < FRAMES) {
    for (let i = 0; i < 256; i++, sent++) {
      const skb = machine.skbs.allocForDevice(dev, 512);
      if (skb === null) break;
      netconsoleFrame(skb, dev, serial % SOURCES, Math.floor(serial / SOURCES));
      serial++;
      devQueueXmit(skb);
    }
    await new Promise(setImmediate);
  }
  return sent;
}

function doneFrames(): number[] {
  return [...Array(THREADS).keys()].map((thread) => Atomics.load(words, DONE + thread * 16));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

async function until(test: () => boolean): Promise<void> {
  while (!test()) await pause(1);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
