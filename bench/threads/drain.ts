/**
 * The process that is measured: CPU 0 fills the rings while the other CPUs stand at the gate, and then only looks on.
 *
 *     stdin  {"on":[1,2],"rps":[],"parse":true,"heldMax":256}      stdout  {"frames":...,"seconds":...}       a line each
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { createSmp } from '../../src/host/smp/smp.ts';
import { devQueueXmit } from '../../src/stack/dev_queue_xmit.ts';
import { netconsoleFrame } from './frame.ts';
import { DONE, type Drained, GATE, type Order, RETIRE_MS, SEND_SIDE, WORDS } from './order.ts';

const FRAMES = 30_000;
const SOURCES = 512;
const QUIET_MS = 300;

prefer();
const words = new Int32Array(new SharedArrayBuffer(WORDS * 4));
/** Those at the gate, as folders of /proc. */
const ready = new Set<string>();
const smp = await createSmp({
  cpus: 3,
  program: new URL('./cpu.js', import.meta.url),
  data: { words },
  onMessage: (thread) => ready.add(thread as string),
});
const { machine } = smp.boot.host;
const dev = smp.boot.openDevice(`packet:${SEND_SIDE}`, { on: [0], blocks: 4, blockSize: 4096 });
let serial = 0;

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await drain(JSON.parse(line) as Order)));
}
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
  ready.clear();
  words.fill(0);
  for (const cpu of [1, 2]) smp.post(cpu, order);
  await until(() => ready.size === 2);
  await pause(20);
  const filling = performance.now();
  const sent = await fill();
  const sendSeconds = (performance.now() - filling) / 1e3;
  // The kernel closes the last block.
  await pause(2 * RETIRE_MS);
  const before = smp.counters();
  const droppedBefore = dropped();
  const threads = [...ready];
  const onBefore = threads.map(onProcessorNs);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  Atomics.store(words, GATE, 1);
  Atomics.notify(words, GATE);
  let frames = 0;
  let ended = started;
  let cpu = cpuBefore;
  for (let now = started; now - ended < QUIET_MS && frames < sent; now = performance.now()) {
    const done = doneFrames();
    if (done !== frames) {
      frames = done;
      ended = performance.now();
      cpu = process.cpuUsage(cpuBefore);
    }
    await pause(1);
  }
  return {
    frames,
    seconds: (ended - started) / 1e3,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    busiestSeconds: Math.max(...threads.map((thread, i) => onProcessorNs(thread) - onBefore[i]!)) / 1e9,
    sendSeconds,
    sent,
    dropped: dropped() - droppedBefore,
    doorbells: smp.counters().doorbells - before.doorbells,
  };
}

function onProcessorNs(thread: string): number {
  const [ns = ''] = readFileSync(`/proc/${thread}/schedstat`, 'latin1').split(' ');
  return Number(ns);
}

function dropped(): number {
  return smp.softnetRows().reduce((sum, row) => sum + row.dropped, 0);
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

function doneFrames(): number {
  let sum = 0;
  for (let cpu = 0; cpu < 3; cpu++) sum += Atomics.load(words, DONE + cpu * 16);
  return sum;
}

async function until(test: () => boolean): Promise<void> {
  while (!test()) await pause(1);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
