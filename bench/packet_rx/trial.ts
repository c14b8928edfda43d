/**
 * One flood and one receiver.
 *
 *     processor 0:  flood ==== veth ====> receiver  :processor 1
 *
 *   1. The receiver starts; once it says "listening", a short flood warms it up, and a few backlogs where there are any. Its CPU time and its counts are read.
 *   2. The flood runs, and says how many frames it sent in how many seconds.
 *   3. When the receiver's CPU time stands still, it and the counts are read again: the trial is the difference.
 *
 * CPU time comes from the scheduler's nanoseconds of all threads, for our process and for tcpdump alike. What the kernel
 * does up to the ring is done on the sender's processor and in neither figure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ReceiverReport } from './receiver.ts';
import { RECEIVE_SIDE, SEND_SIDE, type VethNamespace } from './veth_namespace.ts';

const SEND_CPU = 0;
const RECEIVE_CPU = 1;
const WARM_SECONDS = 0.5;
/** What is asked for is a steady state: code that has met its work is compiled once more, which takes as long as 20,000 frames. */
const WARM_BACKLOGS = 4;
const SETTLE_MS = 20;
const PATIENCE_MS = 10_000;

/** What came of one trial. */
export interface Trial {
  readonly sent: number;
  readonly seconds: number;
  /** As the receiver counted them. */
  readonly received: number;
  /** By the kernel, for want of room in the receiver's ring. */
  readonly dropped: number;
  readonly cpuNs: number;
}

export interface OwnTrial extends Trial {
  readonly report: ReceiverReport;
}

/** Our receiver. Throws an Error where frames are missing that nobody counted as dropped, or came out of order. */
export async function ownTrial(lab: VethNamespace, seconds: number): Promise<OwnTrial> {
  const { trial, output } = await floodAt(lab, seconds, {
    command: [process.execPath, ...process.execArgv, script('receiver.js'), RECEIVE_SIDE],
    signal: 'SIGUSR2',
    counts: ({ stdout }) => stdout.trimEnd().split('\n').filter(Boolean).map(parseReport),
  });
  const report = parseReport(output.stdout.trimEnd().split('\n').at(-1) ?? '');
  const { sent, received, dropped } = trial;
  if (received + dropped !== sent || report.disordered > 0) {
    throw new Error(`${sent} sent, ${received} received, ${dropped} dropped, ${report.disordered} out of order`);
  }
  return { ...trial, report };
}

/** `tcpdump -w /dev/null`, with a kernel buffer of `bufferKiB` if that is given. */
export async function tcpdumpTrial(lab: VethNamespace, seconds: number, bufferKiB?: number): Promise<Trial> {
  const buffer = bufferKiB === undefined ? [] : ['-B', String(bufferKiB)];
  const { trial } = await floodAt(lab, seconds, {
    command: ['tcpdump', '-Z', 'root', '-i', RECEIVE_SIDE, ...buffer, '-w', '/dev/null'],
    signal: 'SIGUSR1',
    counts: ({ stderr }) =>
      [...stderr.matchAll(/(\d+) packets? captured, .* (\d+) packets? dropped by kernel/g)].map(
        ([, received, dropped]) => ({ received: Number(received), dropped: Number(dropped) }),
      ),
  });
  return trial;
}

/** Totals since the receiver started. */
export interface Counts {
  readonly received: number;
  readonly dropped: number;
}

export interface Receiver {
  readonly command: readonly string[];
  /** Has it print its counts. */
  readonly signal: NodeJS.Signals;
  /** All counts that it has printed so far. */
  readonly counts: (output: Output) => readonly Counts[];
  /** It is stopped while the flood runs and has to cope afterwards, so often; it runs beside it, once, if absent. */
  readonly backlogs?: number;
}

export interface Output {
  stdout: string;
  stderr: string;
}

/** Floods what `kind` starts; RECEIVE_SIDE of the namespace is where it listens. */
export async function floodAt(
  lab: VethNamespace,
  seconds: number,
  kind: Receiver,
): Promise<{ trial: Trial; output: Output }> {
  const receiver = start(lab, RECEIVE_CPU, kind.command);
  try {
    await said(receiver, ({ stderr }) => stderr.includes('listening'));
    await flood(lab, WARM_SECONDS);
    if (kind.backlogs !== undefined) await floods(lab, seconds, receiver.child, WARM_BACKLOGS);
    const before = await read(receiver, kind, 1);
    const { sent, seconds: took } = await floods(lab, seconds, receiver.child, kind.backlogs ?? 0);
    const after = await read(receiver, kind, 2);
    return {
      trial: {
        sent,
        seconds: took,
        received: after.received - before.received,
        dropped: after.dropped - before.dropped,
        cpuNs: after.cpuNs - before.cpuNs,
      },
      output: receiver.output,
    };
  } finally {
    receiver.child.kill('SIGKILL');
    await receiver.closed;
  }
}

async function floods(
  lab: VethNamespace,
  seconds: number,
  receiver: ChildProcess,
  backlogs: number,
): Promise<{ sent: number; seconds: number }> {
  if (backlogs === 0) return flood(lab, seconds);
  const all = { sent: 0, seconds: 0 };
  for (let i = 0; i < backlogs; i++) {
    receiver.kill('SIGSTOP');
    const one = await flood(lab, seconds);
    receiver.kill('SIGCONT');
    await pause(SETTLE_MS);
    await standstill(receiver);
    all.sent += one.sent;
    all.seconds += one.seconds;
  }
  return all;
}

async function flood(lab: VethNamespace, seconds: number): Promise<{ sent: number; seconds: number }> {
  const sender = start(lab, SEND_CPU, [process.execPath, script('flood.js'), SEND_SIDE, String(seconds)]);
  await Promise.race([sender.closed, pause(PATIENCE_MS)]);
  if (sender.child.exitCode !== 0) throw failure(sender);
  return JSON.parse(sender.output.stdout) as { sent: number; seconds: number };
}

/** When it is quiet: its CPU time, and its `nth` counts. */
async function read(receiver: Running, kind: Receiver, nth: number): Promise<Counts & { cpuNs: number }> {
  const { child, output } = receiver;
  await standstill(child);
  const used = cpuNs(child);
  child.kill(kind.signal);
  await said(receiver, () => kind.counts(output).length >= nth);
  return { ...kind.counts(output)[nth - 1]!, cpuNs: used };
}

interface Running {
  readonly child: ChildProcess;
  readonly output: Output;
  readonly what: string;
  readonly closed: Promise<unknown>;
}

const running = new Set<ChildProcess>();

/** Ends what runs now: the children lead sessions of their own and hear no Ctrl-C. */
export function endTrials(): void {
  for (const child of running) child.kill('SIGKILL');
}

function start(lab: VethNamespace, cpu: number, command: readonly string[]): Running {
  const [file, args] = lab.inside(cpu, command);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child);
  child.on('close', () => running.delete(child));
  prefer(child);
  const output: Output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => {
    output.stdout += text;
  });
  child.stderr.on('data', (text) => {
    output.stderr += text;
  });
  return { child, output, what: command.join(' '), closed: once(child, 'close') };
}

/** Before what else the machine does: the child leads a session, whose group has a priority of its own. */
function prefer({ pid }: ChildProcess): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '-10');
  } catch {
    // A kernel without such groups.
  }
}

async function said(one: Running, enough: (output: Output) => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !enough(one.output); await pause(1)) {
    if (one.child.exitCode !== null || Date.now() > end) throw failure(one);
  }
}

function failure({ what, child, output }: Running): Error {
  return new Error(`${what}: ended with ${child.exitCode ?? child.signalCode}: ${output.stderr}${output.stdout}`);
}

/** Until the process has used next to no CPU time for SETTLE_MS. */
async function standstill(child: ChildProcess): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (let last = -1, now = cpuNs(child); now - last > 1e6 && Date.now() < end; now = cpuNs(child)) {
    last = now;
    await pause(SETTLE_MS);
  }
}

/** Nanoseconds on a processor, all threads. */
function cpuNs({ pid }: ChildProcess): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce((sum, task) => {
    const [ns = ''] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ');
    return sum + Number(ns);
  }, 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function parseReport(line: string): ReceiverReport {
  return JSON.parse(line) as ReceiverReport;
}

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
