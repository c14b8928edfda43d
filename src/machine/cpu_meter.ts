/**
 * CpuMeter: what a world installs in a machine (`machine.meter`) so that running code takes time there.
 *
 * Without one, code between two events takes none, and what would charge for it costs a comparison with null. sim/cpu_model.ts
 * is the one that there is; on host the CPU is a real one and needs no meter.
 */
import type { Cpu } from './cpu.ts';

export interface CpuMeter {
  /** Entering an interrupt on `cpu`, its context word says so already. Takes that long; the world goes on meanwhile. */
  irqEntry(cpu: Cpu): void;
  /** One pass over the raised softirqs begins on `cpu`. */
  softirqPass(cpu: Cpu): void;
  /** The outermost interrupt of `cpu` is over, its softirqs too. */
  irqReturn(cpu: Cpu): void;
  /** `cpu` is still at work on something that began before: an interrupt has to wait. */
  busy(cpu: Cpu): boolean;
  /** Takes the interrupts that wait on `cpu` as soon as it is no longer busy. */
  deliverLater(cpu: Cpu): void;
  /** ksoftirqd of `cpu` wants to run; the meter calls `softirq.runKsoftirqd` when its turn has come. */
  wakeKsoftirqd(cpu: Cpu): void;
}
