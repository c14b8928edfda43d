/**
 * The cost model: virtual time passes while code runs on a simulated machine's CPUs, and who is interrupted waits.
 *
 *     charge(ns)   the world goes on for ns, nested in the code that charges:
 *
 *       task      |----|                          |------|            scheduler.ts: tasks, turns, ksoftirqd, fair
 *       softirq        |---|         |------------|                   at the end of an interrupt
 *       hardirq            |--|--|---|                                interrupts that arrive while code is charged
 *
 *  1. A charge runs the world's events until its time is over. An interrupt among them runs its handler there and then, and
 *     what that costs is added to the end of the charge: whoever was interrupted loses nothing but time.
 *  2. One CPU at a time moves the clock in this way. Code of another CPU that runs inside of such an event does not: it is put
 *     ahead of the world, and is busy until the world has caught up. Interrupts for it wait until then.
 *  3. A run of the world ends at its horizon also in the middle of a flood: charges beyond it are debts, as in 2.
 *  4. Time that nobody charges is idle.
 *
 * Owned by the machine that it is installed in. Code that ran without a model runs on it unchanged.
 */
import type { Cpu } from '../machine/cpu.ts';
import type { CpuMeter } from '../machine/cpu_meter.ts';
import type { Machine } from '../machine/machine.ts';
import { type CpuCosts, DEFAULT_COSTS, TASK, timeColumn } from './cpu_time.ts';
import { niceWeight } from './scheduler.ts';
import { SimCpu, type SimTask } from './sim_cpu.ts';
import type { SimClock, SimExecutive } from './sim_executive.ts';
import type { World } from './world.ts';

export interface CpuModelOptions {
  readonly costs?: Partial<CpuCosts>;
  /** Priority of ksoftirqd against tasks, -20 (first) to 19 (last); 0 if absent. */
  readonly ksoftirqdNice?: number;
}

export class CpuModel implements CpuMeter, SimClock {
  readonly costs: CpuCosts;
  readonly world: World;
  readonly machine: Machine;
  readonly cpus: readonly SimCpu[];

  /** Set-up: from now on time passes on `machine`'s CPUs. */
  constructor(world: World, machine: Machine, executive: SimExecutive, options: CpuModelOptions = {}) {
    this.costs = { ...DEFAULT_COSTS, ...options.costs };
    this.world = world;
    this.machine = machine;
    const weight = niceWeight(options.ksoftirqdNice ?? 0);
    this.cpus = machine.cpus.map((cpu) => new SimCpu(this, cpu, weight, executive));
    machine.meter = this;
    executive.clock = this;
  }

  /** The CPU that runs works for `ns`. Kernel code: the time is the context's that the CPU is in. */
  charge(ns: number): void {
    if (ns <= 0) return;
    const sim = this.cpus[this.machine.cpu.id]!;
    sim.pass(ns, timeColumn(sim.cpu, sim.inKsoftirqd, false), false);
  }

  /** One look at the card, which gave `frames`. */
  chargePoll(frames: number): void {
    this.charge(this.costs.pollNs + frames * this.costs.driverNs);
  }

  /** A task that wants the CPU with this id for as long as it has work. */
  addTask(cpu: number, name: string, nice: number, work: (() => number) | null = null): SimTask {
    return this.cpus[cpu]!.addTask(name, niceWeight(nice), work);
  }

  irqEntry(_cpu: Cpu): void {
    this.charge(this.costs.irqNs);
  }

  softirqPass(_cpu: Cpu): void {
    this.charge(this.costs.softirqNs);
  }

  irqReturn(cpu: Cpu): void {
    this.cpus[cpu.id]!.reschedule();
  }

  busy(cpu: Cpu): boolean {
    // In an interrupt or with them off it is on the stack, and takes or keeps the interrupt by itself.
    return this.cpus[cpu.id]!.busyUntilNs > this.world.nowNs && cpu.preemptCount === 0 && !cpu.irqsDisabled;
  }

  deliverLater(cpu: Cpu): void {
    const sim = this.cpus[cpu.id]!;
    if (sim.deliveryPlanned) return;
    sim.deliveryPlanned = true;
    this.world.at(sim.busyUntilNs, () => {
      sim.deliveryPlanned = false;
      if (cpu.takesInterrupts) return;
      if (this.busy(cpu)) this.deliverLater(cpu);
      else if (!cpu.irqsDisabled) this.#deliver(cpu);
    });
  }

  wakeKsoftirqd(cpu: Cpu): void {
    const sim = this.cpus[cpu.id]!;
    sim.wake(sim.ksoftirqd);
  }

  aheadNs(): number {
    return Math.max(0, this.cpus[this.machine.cpu.id]!.busyUntilNs - this.world.nowNs);
  }

  spin(ns: number): void {
    this.charge(ns);
  }

  wakeTurn(): void {
    const sim = this.cpus[0]!;
    sim.wake(sim.turns);
  }

  /** Nanoseconds of `column` on a CPU; see CPU_TIMES. */
  timeNs(cpu: number, column: number): number {
    return this.cpus[cpu]!.times[column]!;
  }

  /** What tasks had on a CPU. */
  taskNs(cpu: number): number {
    return this.timeNs(cpu, TASK);
  }

  #deliver(cpu: Cpu): void {
    const interrupted = this.machine.enterCpu(cpu);
    cpu.localIrqRestore(false);
    this.machine.leaveCpu(interrupted);
  }
}
