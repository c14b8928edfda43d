/**
 * One CPU of the cost model: its clock, its accounts, its run queue.
 *
 *     reschedule --> event: pick --> run a slice: task, turn, ksoftirqd --> account --> event: pick --> ... --> idle
 *
 * Each slice is an event of the world, so the JavaScript stack is empty between slices, whatever the CPU is doing.
 */
import type { Cpu } from '../machine/cpu.ts';
import type { CpuModel } from './cpu_model.ts';
import { CPU_TIMES, TASK } from './cpu_time.ts';
import { RunQueue, type Schedulable } from './scheduler.ts';
import type { SimExecutive } from './sim_executive.ts';

const NICE_0 = 1024;
/** A CPU that cannot switch now (it is in an interrupt) is asked again after so long, if nothing else happens before. */
const ASK_AGAIN_NS = 50_000;
/** A task gets no further ahead of the world at once: an interrupt for its CPU waits that long at most. */
const AHEAD_NS = 20_000;

/** A task in user space. */
export interface SimTask {
  /** There is work for it (again). */
  wake(): void;
  /** CPU time that it has had. */
  readonly usedNs: number;
}

export class SimCpu {
  readonly cpu: Cpu;
  readonly times = new Float64Array(CPU_TIMES.length);
  readonly queue = new RunQueue();
  readonly ksoftirqd: Schedulable;
  readonly turns: Schedulable;
  /** Ahead of the world until then. */
  busyUntilNs = 0;
  inKsoftirqd = false;
  /** An event will deliver the interrupts that wait. */
  deliveryPlanned = false;
  readonly #model: CpuModel;
  /** Everything that was charged here, to see what a nested interrupt took. */
  #chargedNs = 0;
  #needResched = false;
  #last: Schedulable | null = null;
  #scheduled = false;
  /** Where the slice that runs began, on both clocks. */
  #sliceNs = 0;
  #sliceChargedNs = 0;

  constructor(model: CpuModel, cpu: Cpu, ksoftirqdWeight: number, executive: SimExecutive) {
    this.#model = model;
    this.cpu = cpu;
    this.ksoftirqd = this.#entity('ksoftirqd', ksoftirqdWeight, () => this.#runKsoftirqd());
    this.turns = this.#entity('turn', NICE_0, () => {
      this.turns.runnable = false;
      executive.onTurn();
    });
  }

  /**
   * `ns` pass for the code that runs on this CPU. `mayStop`: it is a task, which ends early when it is to give way. Returns what
   * it has had.
   */
  pass(ns: number, column: number, mayStop: boolean): number {
    const { world } = this.#model;
    let left = ns;
    if ((world.moving !== null && world.moving !== this) || this.busyUntilNs > world.nowNs) {
      const had = mayStop ? Math.min(ns, AHEAD_NS) : ns;
      this.#took(had, column);
      this.busyUntilNs = Math.max(this.busyUntilNs, world.nowNs) + had;
      return had;
    }
    const outer = world.moving;
    world.moving = this;
    // What an event takes while it is nested here is its own; ours is the time in between.
    while (world.nextNs <= world.horizonNs && world.nextNs - world.nowNs <= left) {
      const gap = Math.max(0, world.nextNs - world.nowNs);
      left -= gap;
      this.#took(gap, column);
      world.step();
      if (mayStop && this.#needResched) {
        world.moving = outer;
        return ns - left;
      }
    }
    this.#took(left, column);
    const endNs = Math.max(world.nowNs, this.busyUntilNs) + left;
    if (endNs > world.horizonNs || this.busyUntilNs > world.nowNs) this.busyUntilNs = endNs;
    world.skipTo(Math.min(endNs, world.horizonNs));
    world.moving = outer;
    return ns;
  }

  #took(ns: number, column: number): void {
    this.times[column]! += ns;
    this.#chargedNs += ns;
  }

  addTask(name: string, weight: number, work: (() => number) | null): SimTask {
    let usedNs = 0;
    const entity = this.#entity(name, weight, (sliceNs) => {
      let left = sliceNs;
      while (left > 0 && !this.#needResched) {
        const cost = work === null ? left : work();
        if (cost <= 0) {
          entity.runnable = false;
          return;
        }
        const had = this.pass(cost, TASK, work === null);
        usedNs += had;
        left -= had;
        if (this.busyUntilNs > this.#model.world.nowNs) return;
      }
    });
    this.wake(entity);
    return {
      wake: () => this.wake(entity),
      get usedNs() {
        return usedNs;
      },
    };
  }

  wake(entity: Schedulable): void {
    const ran = this.#model.world.nowNs - this.#sliceNs - (this.#chargedNs - this.#sliceChargedNs);
    if (this.queue.wake(entity, Math.max(0, ran))) this.#needResched = true;
    this.reschedule();
  }

  /** Somebody may want the CPU: looks soon. Cheap when nobody does. */
  reschedule(): void {
    if (this.#scheduled || this.queue.current !== null || this.queue.pick() === null) return;
    this.#later(0);
  }

  #later(delayNs: number): void {
    this.#scheduled = true;
    const { world } = this.#model;
    world.at(Math.max(world.nowNs + delayNs, this.busyUntilNs), () => {
      this.#scheduled = false;
      this.#schedule();
    });
  }

  #schedule(): void {
    const { cpu, queue } = this;
    const { world, machine, costs } = this.#model;
    const tickNs = machine.jiffyNs;
    const next = queue.pick();
    if (next === null || queue.current !== null || machine.dead) return;
    const behind = this.busyUntilNs > world.nowNs;
    if (behind || cpu.preemptCount !== 0 || cpu.irqsDisabled) {
      this.#later(behind ? 0 : ASK_AGAIN_NS);
      return;
    }
    const interrupted = machine.enterCpu(cpu);
    if (!cpu.takesInterrupts) {
      // They waited until this CPU was no longer ahead, and come before whoever runs next.
      cpu.localIrqRestore(false);
      machine.leaveCpu(interrupted);
      this.reschedule();
      return;
    }
    queue.current = next;
    this.#needResched = false;
    this.#sliceNs = world.nowNs;
    this.#sliceChargedNs = this.#chargedNs;
    const before = this.#own(next);
    if (costs.switchNs > 0 && next !== this.#last) this.pass(costs.switchNs, timeSystem, false);
    this.#last = next;
    next.run(tickNs - (world.nowNs % tickNs));
    queue.account(next, this.#own(next) - before);
    queue.current = null;
    machine.leaveCpu(interrupted);
    this.reschedule();
  }

  /** What is put on the account of `entity`: the columns that are its own. */
  #own(entity: Schedulable): number {
    if (entity === this.ksoftirqd) return this.times[timeKsoftirqd]!;
    return entity === this.turns ? this.times[timeSystem]! : this.times[TASK]!;
  }

  #runKsoftirqd(): void {
    this.ksoftirqd.runnable = false;
    this.inKsoftirqd = true;
    this.#model.machine.softirq.runKsoftirqd(this.cpu);
    this.inKsoftirqd = false;
  }

  #entity(name: string, weight: number, run: (sliceNs: number) => void): Schedulable {
    const entity: Schedulable = { name, weight, runnable: false, vruntimeNs: 0, run };
    this.queue.add(entity);
    return entity;
  }
}

const timeKsoftirqd = CPU_TIMES.indexOf('ksoftirqd');
const timeSystem = CPU_TIMES.indexOf('system');
