/**
 * SysRq: commands for a machine that may not be well. A key picks an operation from a table; which of them may be used is a mask.
 *
 *     handle(key)     asks the mask        keyboard, netconsole
 *     trigger(text)   does not             /proc/sysrq-trigger
 *         |
 *         1. the header is shown whatever the log level is:  sysrq: ACTION | This sysrq operation is disabled. | HELP : ...
 *         2. the operation runs, and what it prints obeys the log level
 *
 *     mask    0 nothing, 1 everything, else a sum of SYSRQ_ENABLE_*; 0 after boot: nobody gets in
 *
 * May be called in any context: nothing here waits. The operations that every machine has stand in sysrq_keys.ts; what only some
 * have is registered (registerSysrqKey). An instance is a machine's; it owns the softirq HI, in which those who receive commands
 * in an interrupt run them (bottomHalf). Answers to __handle_sysrq, register_sysrq_key and sysrq_sysctl_handler.
 */
import { Errno } from '../base/status.ts';
import type { Machine } from './machine.ts';
import { Loglevel } from './printk.ts';
import { Softirq } from './softirq.ts';
import { builtinSysrqKeys, type SysrqOp } from './sysrq_keys.ts';
import { parseSysrqMask, sysrqOnMask } from './sysrq_mask.ts';
import type { SysrqWorld } from './sysrq_world.ts';

/** What became of a key. HELP: no operation has it, and the list of those that there are was printed. */
export type SysrqOutcome = 'done' | 'disabled' | 'help';

const KEYS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** Runs soon, outside of the interrupt or poll that asks for it. */
export interface BottomHalf {
  /** From any context; the machine's HI softirq runs it, never on a dead machine. */
  raise(): void;
  /** It will not run any more. */
  remove(): void;
}

export class Sysrq {
  readonly machine: Machine;
  readonly world: SysrqWorld;
  /** What may be used through handle (`kernel.sysrq`). */
  mask = 0;
  readonly #table = new Map<string, SysrqOp>();
  readonly #reports = new Map<string, ((print: (line: string) => void) => void)[]>();
  readonly #halves: { run: () => void; raised: boolean }[] = [];

  /** Set-up. One instance a machine; `world` does what the machine itself cannot. */
  constructor(machine: Machine, world: SysrqWorld) {
    this.machine = machine;
    this.world = world;
    for (const [key, op] of builtinSysrqKeys(this)) this.#table.set(key, op);
    machine.softirq.open(Softirq.HI, () => this.#runHalves());
  }

  /** Runs the operation of `key`, if the mask allows it. (`handle_sysrq`) */
  handle(key: string): SysrqOutcome {
    return this.#handle(key, true);
  }

  /**
   * What is written to /proc/sysrq-trigger: the first character, whatever the mask says; after an underscore all that follow.
   * Returns the length of `text`. (`write_sysrq_trigger`)
   */
  trigger(text: string): number {
    let bulk = false;
    for (const key of text) {
      if (key === '_') {
        bulk = true;
        continue;
      }
      this.#handle(key, false);
      if (!bulk) break;
    }
    return text.length;
  }

  /** True if the mask lets `key` run; a key without operation shows help, which is always allowed. */
  permits(key: string): boolean {
    const op = this.#table.get(key);
    return op === undefined || this.#allowed(op);
  }

  /** Gives `key` an operation. -EINVAL: not a letter or digit. -EBUSY: it has one, or is kept for help. (`register_sysrq_key`) */
  registerSysrqKey(key: string, op: SysrqOp): number {
    if (!isSysrqKey(key)) return -Errno.EINVAL;
    if (key === 'h' || this.#table.has(key)) return -Errno.EBUSY;
    this.#table.set(key, op);
    return 0;
  }

  /** Takes the operation away again. -EINVAL: not a key. -ENOENT: it has another operation, or none. (`unregister_sysrq_key`) */
  unregisterSysrqKey(key: string, op: SysrqOp): number {
    if (!isSysrqKey(key)) return -Errno.EINVAL;
    if (this.#table.get(key) !== op) return -Errno.ENOENT;
    this.#table.delete(key);
    return 0;
  }

  /** Keys that have an operation, in the table's order. */
  get keys(): [string, SysrqOp][] {
    return [...KEYS].flatMap((key): [string, SysrqOp][] => {
      const op = this.#table.get(key);
      return op === undefined ? [] : [[key, op]];
    });
  }

  /** Has `report` print its part whenever one of the showing keys (l m p q t w) runs. Those right of machine add theirs here. */
  addReport(key: string, report: (print: (line: string) => void) => void): void {
    const reports = this.#reports.get(key) ?? [];
    reports.push(report);
    this.#reports.set(key, reports);
  }

  /** The parts that were added for `key`. */
  report(key: string, print: (line: string) => void): void {
    for (const each of this.#reports.get(key) ?? []) each(print);
  }

  /** The mask as /proc/sys/kernel/sysrq has it. */
  readSysrq(): string {
    return `${this.mask}\n`;
  }

  /**
   * Sets the mask: one whole number of 32 bits, decimal, 0x or 0 octal, white space around it. Returns the bytes taken, -EINVAL for
   * anything else.
   */
  writeSysrq(text: string): number {
    const mask = parseSysrqMask(text);
    if (mask === null) return -Errno.EINVAL;
    this.mask = mask;
    return text.length;
  }

  /** Set-up: a bottom half; `run` may print, send and run keys. */
  bottomHalf(run: () => void): BottomHalf {
    const half = { run, raised: false };
    this.#halves.push(half);
    return {
      raise: () => {
        half.raised = true;
        this.machine.softirq.raise(Softirq.HI);
      },
      remove: () => {
        const at = this.#halves.indexOf(half);
        if (at >= 0) this.#halves.splice(at, 1);
      },
    };
  }

  /** A line of the log as SysRq writes them. */
  say(text: string): void {
    this.machine.printk.info(`sysrq: ${text}`);
  }

  /** The same, shown whatever the log level is: whoever pressed a key sees that it arrived. */
  sayForced(text: string): void {
    this.machine.printk.printk(Loglevel.INFO, `sysrq: ${text}`, { force: true });
  }

  #allowed(op: SysrqOp): boolean {
    return sysrqOnMask(this.mask, op.mask);
  }

  #handle(key: string, checked: boolean): SysrqOutcome {
    const op = this.#table.get(key);
    const outcome = op === undefined ? 'help' : checked && !this.#allowed(op) ? 'disabled' : 'done';
    if (op === undefined) this.sayForced(`HELP : ${this.#help()}`);
    else this.sayForced(outcome === 'done' ? op.action : 'This sysrq operation is disabled.');
    if (outcome === 'done') op?.run(key);
    return outcome;
  }

  /** Each distinct help text with a blank behind it, in the table's order. */
  #help(): string {
    const said = new Set(this.keys.map(([, { help }]) => help));
    return [...said].map((text) => `${text} `).join('');
  }

  #runHalves(): void {
    for (const half of this.#halves.slice()) {
      if (!half.raised) continue;
      half.raised = false;
      half.run();
    }
  }
}

/** A letter or a digit. */
export function isSysrqKey(key: string): boolean {
  return key.length === 1 && KEYS.includes(key);
}
