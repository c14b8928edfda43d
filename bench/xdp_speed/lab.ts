/**
 * What both questions about AF_XDP share: the C peer, compiled once, and children on a processor each.
 *
 *     processor 0:  sender ==== veth ====> receiver  :processor 1
 *
 * CPU time is the scheduler's, of all threads of a child. On a veth the sender's processor does the kernel's half of receiving.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVethNamespace, type VethNamespace } from '../packet_rx/veth_namespace.ts';

const PATIENCE_MS = 10_000;
const SETTLE_MS = 30;
export const SEND_CPU = 0;
export const RECEIVE_CPU = 1;

export interface Lab {
  readonly veth: VethNamespace;
  /** The compiled peer. */
  readonly peer: string;
  /** Starts a child in the namespace on a processor. */
  start(cpu: number, command: readonly string[]): Running;
  close(): void;
}

/** Why the questions cannot be asked here; null: they can. */
export function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, AF_XDP)';
  if (availableParallelism() < 2) return 'needs two processors, one for the sender and one for the receiver';
  for (const [tool, from, version] of [
    ['ip', 'iproute2', '-V'],
    ['taskset', 'util-linux', '-V'],
    ['gcc', 'gcc libc6-dev', '--version'],
  ] as const) {
    if (spawnSync(tool, [version], { stdio: 'ignore' }).status !== 0) return `needs ${tool} (apt-get install ${from})`;
  }
  return null;
}

export function openLab(): Lab {
  const folder = mkdtempSync(join(tmpdir(), 'xdp_speed-'));
  const peer = join(folder, 'xsk');
  // Compiled code runs from .cache/bench/bench/xdp_speed; the C source is not copied there.
  const source = fileURLToPath(new URL('../../../../bench/xdp_speed/xsk.c', import.meta.url));
  execFileSync('gcc', ['-O2', '-o', peer, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  const veth = createVethNamespace();
  const running = new Set<Running>();
  const close = () => {
    for (const each of running) each.child.kill('SIGKILL');
    veth.remove();
    rmSync(folder, { recursive: true });
  };
  const stop = () => {
    close();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  return {
    veth,
    peer,
    start(cpu, command) {
      const one = new Running(veth, cpu, command);
      running.add(one);
      one.child.on('close', () => running.delete(one));
      return one;
    },
    close() {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
      close();
    },
  };
}

/** The compiled script beside this one. */
export function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

export class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #what: string;
  readonly #closed: Promise<unknown>;

  constructor(veth: Pick<VethNamespace, 'inside'>, cpu: number, command: readonly string[]) {
    const [file, args] = veth.inside(cpu, command);
    this.#what = command.join(' ');
    this.child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#closed = once(this.child, 'close');
    this.child.stdout!.on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr!.on('data', (text) => {
      this.stderr += text;
    });
    try {
      // Before what else the machine does: the child leads a session, whose group has a priority of its own.
      writeFileSync(`/proc/${this.child.pid}/autogroup`, '-10');
    } catch {
      // A kernel without such groups.
    }
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  async until(enough: () => boolean): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !enough(); await pause(1)) {
      if (this.child.exitCode !== null || Date.now() > end) throw this.#failure();
    }
  }

  /** What it printed last, once it has ended well. */
  async result<T>(): Promise<T> {
    await Promise.race([this.#closed, pause(PATIENCE_MS)]);
    if (this.child.exitCode !== 0) throw this.#failure();
    return JSON.parse(this.lines.at(-1) ?? '') as T;
  }

  /** The answer to SIGUSR2, and the CPU time used until then. */
  async ask<T>(): Promise<T & { readonly cpuNs: number }> {
    await pause(SETTLE_MS);
    const cpuNs = this.#cpuNs();
    const before = this.lines.length;
    this.child.kill('SIGUSR2');
    await this.until(() => this.lines.length > before);
    return { ...(JSON.parse(this.lines.at(-1)!) as T), cpuNs };
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#closed;
  }

  /** Nanoseconds on a processor, all threads. */
  #cpuNs(): number {
    return readdirSync(`/proc/${this.child.pid}/task`).reduce((sum, task) => {
      const [ns = ''] = readFileSync(`/proc/${this.child.pid}/task/${task}/schedstat`, 'latin1').split(' ');
      return sum + Number(ns);
    }, 0);
  }

  #failure(): Error {
    const { exitCode, signalCode } = this.child;
    return new Error(`${this.#what}: ended with ${exitCode ?? signalCode}: ${this.stderr}${this.stdout}`);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
