/**
 * What a sender does once it is under way: frames that the interface has counted, and processor time of it and its children, over a
 * window in the middle of its life. Start and end of a process count for nobody.
 *
 *     start ---- 0.7 s ---- | window | ---- killed
 */
import { readdirSync, readFileSync } from 'node:fs';
import { SEND_SIDE } from '../packet_rx/veth_namespace.ts';
import { type Lab, type Running, SEND_CPU } from '../xdp_speed/lab.ts';
import type { SenderReport } from './sender.ts';

const WARM_MS = 700;
const WINDOW_MS = 700;

export interface Steady {
  /** Frames a second. */
  readonly rate: number;
  /** Nanoseconds of processor time a frame: user and system, and what the kernel does on the sender's back. */
  readonly cpuNs: number;
  readonly report: SenderReport | null;
}

/** `asks`: it answers SIGUSR2 with a report. Throws an Error where it ends by itself. */
export async function steady(lab: Lab, command: readonly string[], asks = false): Promise<Steady> {
  const one = lab.start(SEND_CPU, command);
  try {
    await pause(WARM_MS);
    if (asks) await answer(one);
    const before = look(one);
    await pause(WINDOW_MS);
    const after = look(one);
    const frames = after.frames - before.frames;
    if (frames <= 0) throw new Error(`${command.join(' ')}: sends nothing: ${one.stderr}${one.stdout}`);
    const report = asks ? await answer(one) : null;
    return {
      rate: (frames * 1000) / (after.atMs - before.atMs),
      cpuNs: (after.cpuNs - before.cpuNs) / frames,
      report,
    };
  } finally {
    for (const pid of family(one.child.pid!)) kill(pid);
    await one.kill();
  }
}

async function answer(one: Running): Promise<SenderReport> {
  const before = one.lines.length;
  one.child.kill('SIGUSR2');
  await one.until(() => one.lines.length > before);
  return JSON.parse(one.lines.at(-1)!) as SenderReport;
}

function look(one: Running): { frames: number; cpuNs: number; atMs: number } {
  const { pid } = one.child;
  const line = readFileSync(`/proc/${pid}/net/dev`, 'latin1')
    .split('\n')
    .find((each) => each.trim().startsWith(`${SEND_SIDE}:`));
  const frames = Number(line!.split(':')[1]!.trim().split(/\s+/)[9]);
  const cpuNs = family(pid!).reduce((sum, each) => sum + cpuOf(each), 0);
  return { frames, cpuNs, atMs: performance.now() };
}

/** The process and what it has forked. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
    return [pid, ...children.flatMap(family)];
  } catch {
    return [];
  }
}

function cpuOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const [ns = ''] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ');
    return sum + Number(ns);
  }, 0);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
