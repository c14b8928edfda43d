/**
 * A machine whose CPUs are threads. CPU 0 is the thread that makes it, with the application; each other one is a worker that runs a
 * program of frames.
 *
 *     CPU 0  application, sockets, page        CPU 1  eth0's first queue, program        CPU 2  second queue, program
 *       \________ values, log ________________________/____________________________________/
 *       \________ frames: RPS, RFS, doorbells over shared memory ___________________________/
 *
 *   1. `createSmp` maps one memory for the frames of all (arena.ts), makes the table of CPUs, starts the threads, and resolves when
 *      all of them are online.
 *   2. A thread that ends (an exception, process.exit, out of memory, terminate) takes its CPU offline: the log says so and why, nobody
 *      hands it frames any more, what it had not looked at goes up where it came from, its sockets are closed with what was unread in
 *      them counted (`died`). The others go on. `restart` brings it up again.
 *   3. That is done by CPU 0, when its event loop turns. While it is wedged the others receive all the same, and what is for the dead
 *      one is dropped when its ring is full, CPU_BACKLOG.
 *
 * One memory, so that a frame can be handed over where it lies. Rejected: a SharedArrayBuffer (no mapping of the kernel's can be laid
 * over it), a memory a thread (each hand-over a copy), frames in messages (1.5 us each).
 */
import { Worker } from 'node:worker_threads';
import { SetupError } from '../../base/status.ts';
import { type SoftnetRow, softnetRows } from '../../clients/procfs.ts';
import { Loglevel } from '../../machine/printk.ts';
import { type HostArenaOptions, mapSharedMemory, ringShare } from '../arena.ts';
import { deathSettled, HostCpu } from './cpu.ts';
import { CPU_COUNTERS, CPUS_MAX, type CpuCounter, CpuState, CpuTable, counterAt } from './cpu_table.ts';
import { closeDescriptors } from './descriptors.ts';
import { closeDoorbell, makeDoorbell } from './doorbell.ts';
import { handoverSettled, settleHandover } from './handover.ts';
import type { CpuStart, FromCpu, ToCpu } from './program.ts';

export interface SmpOptions extends HostArenaOptions {
  /** Threads, the one that calls included: 2 to 31. Room for rings (`reserveBytes`, 64 MiB if absent) is for each. */
  readonly cpus: number;
  /** The file that every other thread loads: it calls runOnCpu. */
  readonly program: URL | string;
  /** For all programs (`cpu.data`): what a thread can be given (structured clone). */
  readonly data?: unknown;
  /** sk_buff objects of each CPU; 65536 if absent. */
  readonly skbs?: number;
  /** As Smp.onMessage and Smp.onDeath, from the first moment on. */
  readonly onMessage?: (value: unknown, cpu: number) => void;
  readonly onDeath?: (death: CpuDeath) => void;
  /** Brings a CPU whose thread has died up again. False if absent. */
  readonly restart?: boolean;
  /** V8's heap of a thread, in megabytes; what V8 thinks right if absent. */
  readonly heapMb?: number;
}

/** The end of a CPU. */
export interface CpuDeath {
  readonly cpu: number;
  /** A sentence. */
  readonly why: string;
  /** Frames that were in its sockets and rings, and that it had not handed up. */
  readonly unread: number;
}

export interface Smp {
  /** CPU 0: the machine of this thread. */
  readonly boot: HostCpu;
  readonly table: CpuTable;
  /** Called with each value that a CPU posts. */
  onMessage: (value: unknown, cpu: number) => void;
  /** Called when a CPU has gone offline by itself, and its descriptors are closed. */
  onDeath: (death: CpuDeath) => void;
  /** Numbers of the CPUs that are online. */
  online(): number[];
  /** Sends a value to the program of a CPU. */
  post(cpu: number, value: unknown): void;
  /** Ends the thread of a CPU at once, as a crash would. Resolves when it is offline. */
  kill(cpu: number): Promise<void>;
  /** Rows of /proc/net/softnet_stat, all CPUs. */
  softnetRows(): SoftnetRow[];
  /** A counter of a CPU. */
  counter(cpu: number, name: CpuCounter): number;
  /** What became of frames between CPUs and on dead ones, of all CPUs together. */
  counters(): Record<CpuCounter, number>;
  /** Stops every program and closes everything; resolves when all threads have ended. */
  close(): Promise<void>;
}

const RESERVE_BYTES = 64 << 20;
const UNREAD = counterAt('unread');
/** How long a dead CPU's memory is waited for, and how often it is looked at. */
const SETTLE_MS = 10_000;
const LOOK_MS = 5;
/** A program that does not stop is ended. */
const STOP_MS = 3000;

interface Thread {
  worker: Worker | null;
  /** Why it ends, if it says so before. */
  error: Error | null;
  /** Values that it has posted and we have read. */
  posts: number;
  online: Promise<void>;
  ended: Promise<void>;
}

/** Throws SetupError: no koffi, no memory, or what a program threw while it was set up. */
export async function createSmp(options: SmpOptions): Promise<Smp> {
  const { cpus } = options;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX) {
    throw new SetupError('ERR_NETPOLL_CPUS', `${cpus} CPUs: give 1 to ${CPUS_MAX}`);
  }
  const { buffer, ...memory } = mapSharedMemory(cpus, { reserveBytes: RESERVE_BYTES, ...options });
  const smp = new HostSmp(options, memory, buffer);
  try {
    await smp.bringUp();
  } catch (error) {
    await smp.close();
    throw error;
  }
  return smp;
}

class HostSmp implements Smp {
  readonly boot: HostCpu;
  readonly table: CpuTable;
  onMessage: (value: unknown, cpu: number) => void = () => {};
  onDeath: (death: CpuDeath) => void = () => {};
  readonly #options: SmpOptions;
  readonly #memory: CpuStart['memory'];
  readonly #threads: Thread[] = [];
  #closing = false;
  #booted = false;

  constructor(options: SmpOptions, memory: CpuStart['memory'], buffer: ArrayBuffer) {
    this.#options = options;
    this.#memory = memory;
    if (options.onMessage !== undefined) this.onMessage = options.onMessage;
    if (options.onDeath !== undefined) this.onDeath = options.onDeath;
    this.table = new CpuTable(options.cpus);
    makeDoorbell(this.table, 0);
    this.table.setState(0, CpuState.BOOTING);
    this.boot = new HostCpu({ table: this.table, cpu: 0, memory, buffer, skbs: options.skbs });
    this.table.setState(0, CpuState.ONLINE);
  }

  async bringUp(): Promise<void> {
    for (let cpu = 1; cpu < this.#options.cpus; cpu++) this.#threads[cpu] = this.#start(cpu);
    await Promise.all(this.#threads.map((thread) => thread?.online));
    this.#booted = true;
  }

  online(): number[] {
    return Array.from({ length: this.table.cpus }, (_, cpu) => cpu).filter((cpu) => this.table.online(cpu));
  }

  post(cpu: number, value: unknown): void {
    this.#say(cpu, { kind: 'value', value });
  }

  async kill(cpu: number): Promise<void> {
    const thread = this.#threads[cpu];
    await thread?.worker?.terminate();
    await thread?.ended;
  }

  softnetRows(): SoftnetRow[] {
    return softnetRows(this.boot.host.stack);
  }

  counter(cpu: number, name: CpuCounter): number {
    return this.table.counter(cpu, name);
  }

  counters(): Record<CpuCounter, number> {
    const sum = (name: CpuCounter) =>
      Array.from({ length: this.table.cpus }, (_, cpu) => this.table.counter(cpu, name)).reduce((a, b) => a + b, 0);
    return Object.fromEntries(CPU_COUNTERS.map((name) => [name, sum(name)])) as Record<CpuCounter, number>;
  }

  async close(): Promise<void> {
    this.#closing = true;
    const ends = this.#threads.map(async (thread, cpu) => {
      if (thread?.worker == null) return;
      this.#say(cpu, { kind: 'stop' });
      const late = setTimeout(() => thread.worker?.terminate(), STOP_MS);
      await thread.ended;
      clearTimeout(late);
    });
    await Promise.all(ends);
    this.boot.close();
    closeDoorbell(this.table, 0);
  }

  #say(cpu: number, what: ToCpu): void {
    this.#threads[cpu]?.worker?.postMessage(what);
  }

  #start(cpu: number): Thread {
    const { table } = this;
    if (table.bell(cpu) <= 0) makeDoorbell(table, cpu);
    table.setPostsRead(cpu, 0);
    table.setState(cpu, CpuState.BOOTING);
    const { program, data, skbs, heapMb } = this.#options;
    const start: CpuStart = {
      netpollCpu: cpu,
      cpus: table.cpus,
      table: table.memory,
      memory: this.#memory,
      skbs,
      data,
    };
    const worker = new Worker(program, {
      name: `cpu ${cpu}`,
      workerData: start,
      ...(heapMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    });
    const thread: Thread = {
      worker,
      error: null,
      posts: 0,
      online: Promise.resolve(),
      ended: Promise.resolve(),
    };
    worker.on('error', (error) => {
      thread.error = error instanceof Error ? error : new Error(String(error));
    });
    thread.online = new Promise((resolve, reject) => {
      worker.on('message', (what: FromCpu) => this.#heard(cpu, thread, what, resolve));
      worker.once('exit', () => reject(thread.error === null ? notOnline(cpu) : setupErrorAgain(thread.error)));
    });
    // Nobody waits for a CPU that is started again.
    thread.online.catch(() => {});
    thread.ended = new Promise((resolve) => {
      worker.once('exit', (code) => {
        thread.worker = null;
        void this.#ended(cpu, thread, code).finally(resolve);
      });
    });
    return thread;
  }

  #heard(cpu: number, thread: Thread, what: FromCpu, online: () => void): void {
    switch (what.kind) {
      case 'online':
        this.table.setState(cpu, CpuState.ONLINE);
        // At once: the program may send before the event loop has turned, or never let it turn.
        this.boot.meet();
        this.#tellAll();
        online();
        return;
      case 'value':
        this.table.setPostsRead(cpu, ++thread.posts);
        this.onMessage(what.value, cpu);
        return;
      case 'printk':
        this.boot.host.machine.printk.printk(what.level, what.text, { caller: `C${cpu}` });
    }
  }

  /** Every CPU looks at the table. */
  #tellAll(): void {
    for (const cpu of this.online()) this.boot.bells.force(cpu);
  }

  async #ended(cpu: number, thread: Thread, code: number): Promise<void> {
    const { table } = this;
    const generation = table.generation(cpu);
    table.setState(cpu, CpuState.DEAD);
    table.breakLock();
    const counters = table.counters(cpu);
    const datagrams = closeDescriptors(table, cpu, this.#memory, ringShare(this.#memory, cpu));
    const unread = datagrams + unreadFrames(counters, table, cpu);
    counters[UNREAD]! += unread;
    this.#tellAll();
    const death = { cpu, why: reason(thread.error, code), unread };
    if (!this.#closing) {
      const text = `CPU${cpu} is offline: ${death.why}; ${unread} frames in its sockets were lost with it`;
      this.boot.host.machine.printk.printk(Loglevel.ERR, text);
      this.onDeath(death);
    }
    const settled = await this.#settled(cpu, generation);
    table.setState(cpu, CpuState.OFFLINE);
    if (this.#closing) closeDoorbell(this.table, cpu);
    else if (this.#booted && this.#options.restart === true && settled) this.#threads[cpu] = this.#start(cpu);
  }

  /** All others have taken back what was theirs, and given back what was the dead one's. */
  async #settled(cpu: number, generation: number): Promise<boolean> {
    const { table } = this;
    for (let other = 0; other < table.cpus; other++) {
      if (other !== cpu && !table.online(other)) settleHandover(table.pair(cpu, other));
    }
    for (let waitedMs = 0; waitedMs < SETTLE_MS && !this.#closing; waitedMs += LOOK_MS) {
      const open = this.online().filter(
        (other) => !deathSettled(table, other, cpu, generation) || !handoverSettled(table.pair(cpu, other)),
      );
      if (open.length === 0) return true;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (!this.#closing) {
      const text = `CPU${cpu}: others still hold frames of it: it stays offline`;
      this.boot.host.machine.printk.printk(Loglevel.WARNING, text);
    }
    return false;
  }
}

/** Of what the kernel had for its packet sockets, what is neither dropped, nor handed up here, nor to another CPU. */
function unreadFrames(counters: Float64Array, table: CpuTable, cpu: number): number {
  const of = (name: CpuCounter) => table.counter(cpu, name);
  let known = counters[0]! - of('taken_over') + of('handed_over') + of('kernel_drops') + of('unread');
  for (let to = 0; to < table.cpus; to++) known += table.pairDrops(cpu, to);
  return Math.max(0, of('kernel_frames') - known);
}

/** An error that comes from another thread has lost its class. */
function setupErrorAgain(error: Error & { readonly code?: unknown }): Error {
  const { code } = error;
  return typeof code === 'string' && code.startsWith('ERR_NETPOLL_') ? new SetupError(code, error.message) : error;
}

function notOnline(cpu: number): SetupError {
  const message = `the program of CPU ${cpu} has ended before it was online: does its file call runOnCpu()?`;
  return new SetupError('ERR_NETPOLL_CPUS', message);
}

function reason(error: Error | null, code: number): string {
  if (error === null) return code === 1 ? 'its thread was terminated' : `its thread has exited with ${code}`;
  const known = error as Error & { code?: string };
  if (known.code === 'ERR_WORKER_OUT_OF_MEMORY') return 'its heap is out of memory';
  return `${error.name}: ${error.message}`;
}
