/**
 * What SysRq asks its world to do: things that a machine made of objects has no power over.
 *
 * Who makes the machine decides. A simulated machine really resets and boots again (sim/power.ts); in a process of the host world
 * its owner says what "reboot" means, for example to exit and be started again by whoever supervises it. What is absent does
 * nothing, and the log shows what a kernel shows that finds nothing to act upon.
 */
import type { Cpu } from './cpu.ts';

export interface SysrqWorld {
  /** b: at once, without saving anything. Called in any context; the machine is given up for dead. */
  reboot(): void;
  /** o: as reboot, and it stays off. */
  powerOff(): void;
  /** c: called in the middle of the panic, before the machine is dead; a dump may start here. */
  readonly panicNotifiers?: readonly (() => void)[];
  /** s, u: in process context, once what ran has ended. */
  sync?(): void;
  remountReadOnly?(): void;
  /** e (SIGTERM), i (SIGKILL): every task but the first. */
  signalAll?(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** f: frees memory by ending a task; its name, or null if none can be ended. */
  oomKill?(): string | null;
  /** n: no task has realtime priority afterwards. */
  niceAll?(): void;
  /** r: the keyboard is the system's again. */
  unraw?(): void;
  /** l, p: the call stack of a CPU, and what else is known of it; a line each, innermost first. */
  backtrace?(cpu: Cpu): readonly string[];
  registers?(cpu: Cpu): readonly string[];
}
