// hot
/**
 * A CPU's context: what runs on it now, and what it may not do.
 *
 *     preempt count    bits 0-7 preempt | 8-15 softirq | 16-19 hardirq | 20-23 NMI      (kernel layout)
 *
 * Serving a softirq adds one softirq unit, localBhDisable adds two, so an odd softirq count means "in a softirq handler".
 * Interrupts that arrive while they are off wait, in order, and run when they are switched on again.
 */
import { Bug } from '../base/assert.ts';
import type { IrqLine } from './irq.ts';

// Not exported: V8 folds a module's own constant into the code, and reads an exported one each time.
const SOFTIRQ = 0xff00;
const HARDIRQ = 0xf0000;
const SOFTIRQ_ONE = 0x100;
const HARDIRQ_ONE = 0x10000;

export const SOFTIRQ_UNIT = SOFTIRQ_ONE;
export const SOFTIRQ_MASK = SOFTIRQ;
export const HARDIRQ_UNIT = HARDIRQ_ONE;
export const HARDIRQ_MASK = HARDIRQ;
/** localBhDisable counts double: the low bit of the softirq count means "serving". */
export const SOFTIRQ_DISABLE_UNIT = 2 * SOFTIRQ_ONE;

export class Cpu {
  readonly id: number;
  preemptCount = 0;
  irqsDisabled = false;
  /** Softirq vectors raised on this CPU, one bit each. */
  softirqPending = 0;
  /** How often each vector ran here (a column of /proc/softirqs). */
  readonly softirqCount = new Float64Array(10);
  /** ksoftirqd is runnable: it gets this CPU at the next turn. */
  ksoftirqdRunnable = false;
  /** Interrupts that arrived while they were off: entries #next to #tail; the array is reused, it never shrinks. */
  readonly #waiting: IrqLine[] = [];
  #next = 0;
  #tail = 0;
  /**
   * Context in which localIrqRestore delivers what waits, or -1: a handler's own end must not start another round inside this
   * one. Softirqs that run at the end of an interrupt are another context: they are interrupted again.
   */
  #deliveringAt = -1;

  constructor(id: number) {
    this.id = id;
  }

  /** Inside a hardware interrupt handler (`in_hardirq`). */
  get inHardirq(): boolean {
    return (this.preemptCount & HARDIRQ) !== 0;
  }

  /** In a softirq handler, or with softirqs disabled (`in_softirq`). */
  get inSoftirq(): boolean {
    return (this.preemptCount & SOFTIRQ) !== 0;
  }

  /** In a softirq handler (`in_serving_softirq`). */
  get inServingSoftirq(): boolean {
    return (this.preemptCount & SOFTIRQ_ONE) !== 0;
  }

  /** In any interrupt context (`in_interrupt`). */
  get inInterrupt(): boolean {
    return (this.preemptCount & (HARDIRQ | SOFTIRQ)) !== 0;
  }

  /** Switches interrupts off; gives the state for localIrqRestore (`local_irq_save`). */
  localIrqSave(): boolean {
    const were = this.irqsDisabled;
    this.irqsDisabled = true;
    return were;
  }

  /** Goes back to the state that localIrqSave gave; interrupts that waited run now (`local_irq_restore`). */
  localIrqRestore(were: boolean): void {
    if (were) return;
    this.irqsDisabled = false;
    if (this.inHardirq || this.#deliveringAt === this.preemptCount || this.#next === this.#tail) return;
    const outer = this.#deliveringAt;
    this.#deliveringAt = this.preemptCount;
    while (this.#next < this.#tail) {
      const line = this.#waiting[this.#next++]!;
      if (this.#next === this.#tail) this.#next = this.#tail = 0;
      line.deliver();
    }
    this.#deliveringAt = outer;
  }

  /** Interrupts are on, and none waits. */
  get takesInterrupts(): boolean {
    return !this.irqsDisabled && this.#next === this.#tail;
  }

  /** Keeps `line` until interrupts are on again. */
  postpone(line: IrqLine): void {
    this.#waiting[this.#tail++] = line;
  }

  /** Keeps softirqs from running on this CPU (`local_bh_disable`); localBhEnable is on the machine, it may run them. */
  localBhDisable(): void {
    this.preemptCount += 2 * SOFTIRQ_ONE;
  }

  /** A hardware interrupt begins, and ends. */
  hardirqEnter(): void {
    this.preemptCount += HARDIRQ_ONE;
  }

  hardirqExit(): void {
    this.preemptCount -= HARDIRQ_ONE;
  }

  /** Softirqs begin to be served, and end. */
  softirqEnter(): void {
    this.preemptCount += SOFTIRQ_ONE;
  }

  softirqExit(): void {
    this.preemptCount -= SOFTIRQ_ONE;
  }

  /** Raises unless the context word is what it was at `since`; a handler that leaks a count is a bug. */
  assertBalanced(since: number, what: string, which: string | number): void {
    if (this.preemptCount === since) return;
    throw new Bug(`${what} ${which} left the context count at ${this.preemptCount}, it was ${since}`);
  }
}
