// hot
/**
 * Interrupt lines.
 *
 *     hardware --raise()--> line --(enabled, CPU takes interrupts)--> handler, on the line's CPU, interrupts off
 *                             \--(disabled, or CPU has them off)----> waits, one at most per line
 *
 * At the end of the outermost interrupt the CPU runs its raised softirqs (`irq_exit`).
 */
import { assert } from '../base/assert.ts';
import type { Cpu } from './cpu.ts';
import type { Machine } from './machine.ts';

export class IrqLine {
  readonly name: string;
  readonly number: number;
  cpu: Cpu;
  /** How often the handler ran (a column of /proc/interrupts). */
  count = 0;
  readonly #machine: Machine;
  readonly #handler: () => void;
  #disableDepth = 0;
  #pending = false;

  constructor(machine: Machine, number: number, name: string, cpu: Cpu, handler: () => void) {
    this.#machine = machine;
    this.number = number;
    this.name = name;
    this.cpu = cpu;
    this.#handler = handler;
  }

  /** From the next interrupt on the handler runs on `cpu`; none may wait now. (`irq_set_affinity`) */
  setAffinity(cpu: Cpu): void {
    assert(!this.#pending, 'an interrupt that waits has its CPU');
    this.cpu = cpu;
  }

  /** True while the line may not interrupt. */
  get disabled(): boolean {
    return this.#disableDepth > 0;
  }

  /** Called by the hardware. Runs the handler now, or when the line and its CPU allow it. */
  raise(): void {
    if (this.#pending) return;
    if (this.#disableDepth > 0 || this.#machine.dead) {
      this.#pending = true;
      return;
    }
    const { meter } = this.#machine;
    const busy = meter?.busy(this.cpu) === true;
    if (busy || this.cpu.irqsDisabled || this.cpu.inHardirq) {
      this.#pending = true;
      this.cpu.postpone(this);
      if (busy) meter?.deliverLater(this.cpu);
      return;
    }
    this.#handle();
  }

  /** Called by the CPU when it takes interrupts again. A line that may not interrupt now still ends the row of those that do. */
  deliver(): void {
    if (this.#disableDepth > 0 || !this.#pending || this.#machine.dead) {
      this.#machine.softirq.irqExit(this.cpu);
      return;
    }
    this.#pending = false;
    this.#handle();
  }

  /** Keeps the line quiet; calls nest (`disable_irq`). */
  disable(): void {
    this.#disableDepth++;
  }

  /** Undoes one disable(); an interrupt that came meanwhile is delivered (`enable_irq`). */
  enable(): void {
    if (this.#disableDepth === 0 || --this.#disableDepth > 0 || !this.#pending) return;
    this.#pending = false;
    this.raise();
  }

  #handle(): void {
    const machine = this.#machine;
    const cpu = this.cpu;
    const interrupted = machine.enterCpu(cpu);
    const since = cpu.preemptCount;
    const irqsWere = cpu.localIrqSave();
    cpu.hardirqEnter();
    this.count++;
    if (machine.meter !== null) machine.meter.irqEntry(cpu);
    this.#handler();
    cpu.hardirqExit();
    cpu.assertBalanced(since, 'the interrupt handler of', this.name);
    cpu.localIrqRestore(irqsWere);
    machine.softirq.irqExit(cpu);
    if (machine.meter !== null) machine.meter.irqReturn(cpu);
    machine.leaveCpu(interrupted);
  }
}
