/**
 * The program of a CPU that is a worker thread.
 *
 *     // cpu.js                                              // main.js
 *     import { runOnCpu } from 'netpoll';                    import { createSmp } from 'netpoll';
 *     runOnCpu((cpu) => {                                    const smp = await createSmp({ cpus: 3, program: new URL('./cpu.js', import.meta.url) });
 *       cpu.openDevice('packet:eth0');                       smp.onMessage = (value, from) => {};
 *       cpu.post({ hello: cpu.number });
 *     });
 *
 * The thread's file calls runOnCpu when it is loaded; on the main thread that does nothing, so one file can be both. The CPU is online
 * when the function has returned, and what it returns has resolved: from then on others hand frames over to it.
 *
 *   1. The descriptors of this thread are written down (descriptors.ts), then the idle loop takes over (idle_loop.ts).
 *   2. The machine is put together (cpu.ts), the program runs.
 *   3. `stop` from the boot CPU: devices are closed, the thread ends. An exception that nobody catches ends it too, with the reason.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Console } from '../../machine/printk.ts';
import type { SharedMemory } from '../arena.ts';
import { libc } from '../sys/libc.ts';
import { HostCpu } from './cpu.ts';
import { CpuTable, counterAt } from './cpu_table.ts';
import { keepDescriptors } from './descriptors.ts';
import { IdleLoop } from './idle_loop.ts';

/** What the boot CPU starts a thread with. */
export interface CpuStart {
  readonly netpollCpu: number;
  readonly cpus: number;
  readonly table: SharedArrayBuffer;
  readonly memory: SharedMemory;
  readonly skbs: number | undefined;
  readonly data: unknown;
}

/** What threads say to each other beside frames. */
export type FromCpu =
  | { readonly kind: 'online' }
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'printk'; readonly level: number; readonly text: string };
export type ToCpu = { readonly kind: 'stop' } | { readonly kind: 'value'; readonly value: unknown };

/** Values that the boot CPU may be behind with. */
const POSTS_MAX = 256;
const POSTS_DROPPED = counterAt('posts_dropped');

/** A CPU as its program sees it. */
export class ProgramCpu extends HostCpu {
  /** What createSmp was given as `data`. */
  data: unknown = undefined;
  /** Called with each value that the boot CPU posts. */
  onMessage: (value: unknown) => void = () => {};
  /** Called before the devices are closed, when the machine is stopped; what is posted here arrives. */
  onStop: () => void = () => {};
  #posts = 0;
  #stopping = false;

  /** The boot CPU is so many values behind that it gets no more now. */
  get behind(): boolean {
    return !this.#stopping && this.#posts - this.table.postsRead(this.number) >= POSTS_MAX;
  }

  /** The last things are said whatever is read: what is posted from here on arrives. */
  end(): void {
    this.#stopping = true;
    this.onStop();
    this.close();
  }

  /**
   * Sends a value (whatever postMessage takes) to the boot CPU, which gets it in smp.onMessage. False: it is 256 values behind, and this
   * one is dropped and counted; so put many small things into one value.
   */
  post(value: unknown): boolean {
    if (this.behind) {
      this.table.counters(this.number)[POSTS_DROPPED]!++;
      return false;
    }
    this.#posts++;
    say({ kind: 'value', value });
    return true;
  }
}

function say(what: FromCpu): void {
  parentPort?.postMessage(what);
}

/** Runs `program` on this thread's CPU. Does nothing on a thread that createSmp has not started. */
export function runOnCpu(program: (cpu: ProgramCpu) => void | Promise<void>): void {
  const start = workerData as Partial<CpuStart> | null;
  if (parentPort === null || start?.netpollCpu === undefined) return;
  boot(start as CpuStart, program).catch((error: unknown) => {
    // Where Node reports uncaught exceptions: the thread ends, and the boot CPU says why.
    setImmediate(() => {
      throw error;
    });
  });
}

async function boot(start: CpuStart, program: (cpu: ProgramCpu) => void | Promise<void>): Promise<void> {
  const number = start.netpollCpu;
  const table = new CpuTable(start.cpus, start.table);
  keepDescriptors(table, number);
  const idle = await IdleLoop.start();
  const { memory } = start;
  const buffer = libc().viewOf(memory.at, memory.length);
  const cpu = new ProgramCpu({ table, cpu: number, memory, buffer, skbs: start.skbs });
  cpu.data = start.data;
  cpu.host.machine.printk.registerConsole(forwardLog());
  parentPort!.on('message', (what: ToCpu) => {
    if (what.kind === 'stop') return stop(cpu, idle);
    // Whoever was online when this was said is so here, whether the doorbell was heard before or not.
    cpu.meet();
    cpu.onMessage(what.value);
  });
  await program(cpu);
  say({ kind: 'online' });
}

function stop(cpu: ProgramCpu, idle: IdleLoop): void {
  cpu.end();
  idle.stop();
  parentPort?.close();
}

/** What this CPU's machine logs, the boot CPU's machine logs. */
function forwardLog(): Console {
  const decoder = new TextDecoder();
  return {
    name: 'boot',
    write: ({ level, text }) => say({ kind: 'printk', level, text: decoder.decode(text) }),
  };
}
