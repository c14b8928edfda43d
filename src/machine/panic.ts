/**
 * panic: the machine has decided that it cannot go on.
 *
 *  1. interrupts off, for good; what consoles print from here on, they print with nothing but themselves
 *  2. the reason, and where it happened, at level EMERG
 *  3. the panic notifiers (netdump would start here)
 *  4. the machine is dead: no turn, no interrupt, no softirq runs any more
 *
 * What netpoll sends from here on, it sends by driving the NIC itself.
 */
import type { Machine } from './machine.ts';

export interface PanicOptions {
  /** Lines of the report between the reason and the end marker, for example a call trace. */
  readonly report?: readonly string[];
  readonly notifiers?: readonly (() => void)[];
}

/** Prints the last words and stops `machine`. Returns, because the world around it goes on. Does nothing on a dead machine. */
export function panic(machine: Machine, reason: string, options?: PanicOptions): void {
  if (machine.dead) return;
  machine.cpu.localIrqSave();
  machine.oopsInProgress++;
  const { printk } = machine;
  printk.emerg(`Kernel panic - not syncing: ${reason}`);
  printk.warn(`CPU: ${machine.cpu.id} PID: 1 Comm: init Not tainted ${machine.release}`);
  for (const line of options?.report ?? []) printk.warn(line);
  for (const notify of options?.notifiers ?? []) notify();
  machine.dead = true;
  printk.emerg(`---[ end Kernel panic - not syncing: ${reason} ]---`);
}
