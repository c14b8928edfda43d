/**
 * The machine: one object that holds what the kernel keeps in globals. CPUs, interrupt lines, softirqs, timers, the log,
 * the memory for frames. It is passed in everywhere; there is no module-level state.
 *
 *     world (Executive, arena) --> Machine --turn()--> timers, work, ksoftirqd      process context
 *     hardware -------------------> IrqLine.raise() --> handler --> softirqs        interrupt context
 *
 * `cpu` is the CPU that runs now; entering an interrupt of another CPU changes it for as long as that lasts.
 */
import type { Arena } from '../skb/arena.ts';
import { SkbPool } from '../skb/pool.ts';
import { Cpu } from './cpu.ts';
import type { CpuMeter } from './cpu_meter.ts';
import type { Executive } from './executive.ts';
import { IrqLine } from './irq.ts';
import { Printk } from './printk.ts';
import { Softirq, SoftirqTable } from './softirq.ts';
import { Timers, type Work } from './timer.ts';

export interface MachineOptions {
  readonly executive: Executive;
  readonly arena: Arena;
  /** Number of CPUs; 1 if absent. */
  readonly cpus?: number;
  /** Only this CPU runs here; the others are known by number and run elsewhere, with machines of their own. Absent: all run here. */
  readonly bootCpu?: number;
  /** Ticks a second; 250 if absent. */
  readonly hz?: number;
  /** The machine's name (`uname -n`), and release (`uname -r`) for messages. */
  readonly hostname?: string;
  readonly release?: string;
  /** sk_buff objects in the pool; twice the arena's slots if absent. */
  readonly skbs?: number;
}

export class Machine {
  readonly executive: Executive;
  readonly arena: Arena;
  readonly skbs: SkbPool;
  readonly cpus: readonly Cpu[];
  /** Those of them that run here: interrupts may be theirs. */
  readonly here: readonly Cpu[];
  readonly hz: number;
  readonly hostname: string;
  readonly release: string;
  readonly softirq: SoftirqTable;
  readonly timers: Timers;
  readonly printk: Printk;
  readonly irqLines: IrqLine[] = [];
  /** Work that waits for process context. */
  readonly works: Work[] = [];
  /** The CPU that runs now. */
  cpu: Cpu;
  /** After a panic nothing is scheduled any more: no interrupts, no softirqs, no turns. */
  dead = false;
  /** An oops or a panic is being printed (`oops_in_progress`). */
  oopsInProgress = 0;
  /** Makes code take time; null: it takes none. Installed by a world. */
  meter: CpuMeter | null = null;

  constructor(options: MachineOptions) {
    this.executive = options.executive;
    this.arena = options.arena;
    this.skbs = new SkbPool(options.arena, options.skbs ?? options.arena.slots * 2);
    this.cpus = Array.from({ length: options.cpus ?? 1 }, (_, id) => new Cpu(id));
    this.here = options.bootCpu === undefined ? this.cpus : [this.cpus[options.bootCpu]!];
    this.cpu = this.here[0]!;
    this.hz = options.hz ?? 250;
    this.hostname = options.hostname ?? 'localhost';
    this.release = options.release ?? 'netpoll';
    this.softirq = new SoftirqTable(this);
    this.timers = new Timers(this);
    this.printk = new Printk(this);
    this.softirq.open(Softirq.TIMER, () => this.timers.runDue());
  }

  /** Nanoseconds of one tick (`1 jiffy`). */
  get jiffyNs(): number {
    return 1e9 / this.hz;
  }

  /** Ticks since the machine started. */
  get jiffies(): number {
    return Math.floor(this.executive.now() / this.jiffyNs);
  }

  /** A line whose interrupts run on `cpu` (`request_irq`). */
  requestIrq(name: string, cpu: Cpu, handler: () => void): IrqLine {
    const line = new IrqLine(this, this.irqLines.length, name, cpu, handler);
    this.irqLines.push(line);
    return line;
  }

  /** From here on `cpu` runs; gives the one that ran, for leaveCpu. */
  enterCpu(cpu: Cpu): Cpu {
    const interrupted = this.cpu;
    this.cpu = cpu;
    return interrupted;
  }

  leaveCpu(interrupted: Cpu): void {
    this.cpu = interrupted;
  }

  /**
   * One turn of process context: due timers, queued work, ksoftirqd of each CPU. Called by the Executive. Bound: the work
   * queued and the CPUs runnable when it was called, each ksoftirqd run bounded by softirq's own limits.
   */
  turn(): void {
    if (this.dead) return;
    const cpu = this.cpu;
    if (this.timers.some) {
      cpu.localBhDisable();
      this.softirq.raiseIrqoff(cpu, Softirq.TIMER);
      this.softirq.localBhEnable(cpu);
    }
    for (let left = this.works.length; left > 0; left--) this.works.shift()?.run();
    // A meter has a scheduler, which lets ksoftirqd run when it is its turn.
    if (this.meter === null) {
      const { cpus } = this;
      for (let i = 0; i < cpus.length; i++) if (cpus[i]!.ksoftirqdRunnable) this.softirq.runKsoftirqd(cpus[i]!);
    }
    if (this.works.length > 0) this.executive.requestTurn();
  }
}
