// hot
/**
 * Softirqs: work that an interrupt left behind, run as soon as the interrupt is over, bounded so that it cannot starve
 * everything else.
 *
 *  1. raise(vector) sets a bit of this CPU. In an interrupt that is all; elsewhere ksoftirqd is woken.
 *  2. The end of the outermost interrupt (irqExit) or of the outermost BH-off section (localBhEnable) runs the set bits,
 *     lowest first.
 *  3. Bits raised meanwhile get another pass: at most 10 passes, and not longer than 2 ms.
 *  4. What is left then goes to ksoftirqd, which runs at the machine's next turn, after everybody else had one.
 *
 * Answers to kernel/softirq.c (handle_softirqs) in its rules, see docs/linux-names.md.
 */
import { assert } from '../base/assert.ts';
import type { Cpu } from './cpu.ts';
import { SOFTIRQ_DISABLE_UNIT } from './cpu.ts';
import type { Machine } from './machine.ts';

/** The vectors; the number is the bit and the order. */
export const Softirq = {
  HI: 0,
  TIMER: 1,
  NET_TX: 2,
  NET_RX: 3,
  BLOCK: 4,
  IRQ_POLL: 5,
  TASKLET: 6,
  SCHED: 7,
  HRTIMER: 8,
  RCU: 9,
} as const;
export type SoftirqVector = (typeof Softirq)[keyof typeof Softirq];

const VECTORS = 10;
/** The action of a vector that nobody has opened. */
const NOTHING = (): void => {};
const MAX_RESTART = 10;
const MAX_TIME_NS = 2_000_000;

export class SoftirqTable {
  /** How often each vector ran (a row of /proc/softirqs). */
  readonly count = new Float64Array(VECTORS);
  readonly #machine: Machine;
  readonly #actions: (() => void)[] = Array.from({ length: VECTORS }, () => NOTHING);

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Installs the handler of a vector (`open_softirq`). */
  open(vector: SoftirqVector, action: () => void): void {
    this.#actions[vector] = action;
  }

  /** Sets the bit on the current CPU; wakes ksoftirqd unless an interrupt's end will run it anyway. */
  raise(vector: SoftirqVector): void {
    const cpu = this.#machine.cpu;
    cpu.softirqPending |= 1 << vector;
    if (!cpu.inInterrupt) this.wakeKsoftirqd(cpu);
  }

  /** Sets the bit only; for callers who know that softirqs run next. */
  raiseIrqoff(cpu: Cpu, vector: SoftirqVector): void {
    cpu.softirqPending |= 1 << vector;
  }

  /** The end of an interrupt. While others wait for this CPU they come first; the end of the last one runs the softirqs. */
  irqExit(cpu: Cpu): void {
    if (!cpu.inInterrupt && cpu.takesInterrupts && cpu.softirqPending !== 0 && !this.#machine.dead) this.#handle(cpu);
  }

  /** Ends one localBhDisable(); the outermost one runs what was raised meanwhile. */
  localBhEnable(cpu: Cpu): void {
    assert(!cpu.inHardirq && !cpu.irqsDisabled, 'softirqs are switched on again outside of interrupts only');
    assert(cpu.inSoftirq, 'localBhEnable undoes a localBhDisable');
    cpu.preemptCount -= SOFTIRQ_DISABLE_UNIT;
    if (!cpu.inInterrupt && cpu.softirqPending !== 0) this.#handle(cpu);
  }

  wakeKsoftirqd(cpu: Cpu): void {
    if (cpu.ksoftirqdRunnable) return;
    cpu.ksoftirqdRunnable = true;
    const { meter } = this.#machine;
    if (meter === null) this.#machine.executive.requestTurn();
    else meter.wakeKsoftirqd(cpu);
  }

  /** ksoftirqd's turn on `cpu`; called by the machine. */
  runKsoftirqd(cpu: Cpu): void {
    cpu.ksoftirqdRunnable = false;
    if (cpu.softirqPending !== 0 && !cpu.inInterrupt) this.#handle(cpu);
  }

  /** Bound: 10 passes or 2 ms, each pass bounded by its handlers. */
  #handle(cpu: Cpu): void {
    const machine = this.#machine;
    const interrupted = machine.enterCpu(cpu);
    const { executive } = machine;
    executive.readClock();
    const endNs = executive.clockNs + MAX_TIME_NS;
    cpu.softirqEnter();
    let restarts = MAX_RESTART;
    while (cpu.softirqPending !== 0 && !machine.dead) {
      if (restarts < MAX_RESTART) executive.readClock();
      if (restarts-- === 0 || executive.clockNs >= endNs) {
        this.wakeKsoftirqd(cpu);
        break;
      }
      if (machine.meter !== null) machine.meter.softirqPass(cpu);
      let pending = cpu.softirqPending;
      cpu.softirqPending = 0;
      // The lowest bit first.
      for (; pending !== 0 && !machine.dead; pending &= pending - 1) {
        const vector = 31 - Math.clz32(pending & -pending);
        const action = this.#actions[vector]!;
        if (action === NOTHING) continue;
        const since = cpu.preemptCount;
        this.count[vector]!++;
        cpu.softirqCount[vector]!++;
        action();
        cpu.assertBalanced(since, 'softirq', vector);
      }
    }
    cpu.softirqExit();
    machine.leaveCpu(interrupted);
  }
}
