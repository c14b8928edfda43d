/**
 * The kernel log: records in a ring, and consoles that are shown each one.
 *
 *     printk(level, text) --> record, seq n --> ring --> every console whose turn has come up to n
 *                                                        (level < consoleLoglevel, or ignoreLoglevel)
 *
 *  1. A record gets the next sequence number whether or not anybody shows it; gaps at a receiver are normal.
 *  2. Only the outermost printk walks the consoles. One from inside a console (a driver that complains while netconsole
 *     sends) adds its record and leaves it to the outer walk, which is bounded, so a console that talks about itself
 *     cannot lock the machine up.
 *  3. A console registered with `replay` is first shown what the ring still holds (CON_PRINTBUFFER).
 *  4. A record may be left open for `cont` to lengthen. Nobody is shown an open record; the next one closes it.
 *  5. Who printed is recorded with the text (CPU, task name): a console may write much later, on behalf of somebody else.
 *
 * A record's text belongs to the record and is never changed once anybody can see it.
 */
import { Ring } from '../base/ring.ts';
import type { Machine } from './machine.ts';
import { LOG_LINE_MAX, TextStore } from './text_store.ts';

export { LOG_LINE_MAX } from './text_store.ts';

/** Severity of a record, the low three bits of its priority. */
export const Loglevel = { EMERG: 0, ALERT: 1, CRIT: 2, ERR: 3, WARNING: 4, NOTICE: 5, INFO: 6, DEBUG: 7 } as const;
export type Loglevel = (typeof Loglevel)[keyof typeof Loglevel];

/** One log record (`struct printk_info` and its text). */
export interface LogRecord {
  readonly seq: number;
  readonly level: number;
  readonly facility: number;
  /** Microseconds since the machine started. */
  readonly tsUs: number;
  /** A fragment of a line whose head could not be found again. */
  readonly cont: boolean;
  /** `T123` for a task, `C0` for a CPU in interrupt context; undefined if not recorded. */
  readonly caller: string | undefined;
  /** UTF-8, without the final newline. */
  readonly text: Uint8Array;
  readonly dict: { readonly subsystem?: string; readonly device?: string };
  /** The CPU that printed, and the name of the task that it ran. (`CONFIG_PRINTK_EXECUTION_CTX`) */
  readonly cpu?: number;
  readonly taskname?: string;
  /** Shown whatever the console level is. (`LOG_FORCE_CON`) */
  readonly force?: boolean;
}

/**
 * A console. write() may be called with interrupts off, in an interrupt, in a panic; it may not wait for anything that
 * needs them, and not throw.
 */
export interface Console {
  readonly name: string;
  write(record: LogRecord): void;
}

interface Registered {
  readonly console: Console;
  nextSeq: number;
}

export interface RegisterOptions {
  /** Shows the console what the ring still holds. (`CON_PRINTBUFFER`) */
  readonly replay?: boolean;
  /** Says in the log that the console is enabled, and later that it is disabled, as the kernel does. */
  readonly announce?: boolean;
}

export interface PrintkOptions {
  readonly facility?: number;
  readonly dict?: LogRecord['dict'];
  readonly caller?: string;
  readonly cont?: boolean;
  /** The line goes on: `cont` may add to it. */
  readonly open?: boolean;
  /** Name of the task that prints; the machine's own (`Printk.taskname`) if absent. */
  readonly taskname?: string;
  /** When it was printed, if not here and now: for records of another log. */
  readonly tsUs?: number;
  /** It is shown whatever the console level is. (`printk_force_console_enter`) */
  readonly force?: boolean;
}

const RECORDS = 4096;
const NO_DICT: LogRecord['dict'] = Object.freeze({});

export class Printk {
  /** A record is shown if its level is below this (`dmesg -n`, the first number of kernel.printk). */
  consoleLoglevel = 7;
  defaultMessageLoglevel = 4;
  minimumConsoleLoglevel = 1;
  defaultConsoleLoglevel = 7;
  ignoreLoglevel = false;
  /** What plain consoles show in front of each line: the time (`printk.time`), `<prio>` (console_msg_format=syslog). */
  time = true;
  syslogFormat = false;
  /** Name of the task that runs, at most 15 characters; null: the idle task of the CPU. */
  taskname: string | null = null;
  readonly #machine: Machine;
  readonly #records = new Ring<LogRecord>(RECORDS);
  readonly #consoles: Registered[] = [];
  readonly #idleTasks: string[] = [];
  readonly #texts = new TextStore();
  #nextSeq = 0;
  #walking = false;
  /** The last record may still be lengthened. */
  #open = false;
  readonly #announced = new Set<Console>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Sequence number of the next record. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Of the oldest record that is still there. The record itself is not looked at: it is long out of the processor's cache. */
  get #oldestSeq(): number {
    return this.#nextSeq - this.#records.length;
  }

  /** Adds a record and shows it. `text` may hold newlines; a final one is dropped. Never throws. */
  printk(level: number, text: string | Uint8Array, options?: PrintkOptions): void {
    const tsUs = options?.tsUs ?? Math.floor(this.#machine.executive.now() / 1000);
    const cpu = this.#machine.cpu.id;
    if (this.#records.length === this.#records.capacity) this.#records.shift();
    this.#records.push({
      seq: this.#nextSeq++,
      level,
      facility: options?.facility ?? 0,
      tsUs,
      cont: options?.cont ?? false,
      caller: options?.caller,
      text: this.#texts.keep(text),
      dict: options?.dict ?? NO_DICT,
      cpu,
      taskname: options?.taskname ?? this.taskname ?? this.#idleTask(cpu),
      force: options?.force ?? false,
    });
    this.#open = options?.open ?? false;
    this.flush();
  }

  /**
   * Lengthens the line that was left open (with `open` it stays so). Where somebody else has printed in between, or the line
   * would get too long, it is a record of its own, marked as a continuation. (`pr_cont`, LOG_CONT)
   */
  cont(text: string | Uint8Array, options?: Pick<PrintkOptions, 'open' | 'caller'>): void {
    const last = this.#records.at(this.#records.length - 1);
    const more = this.#texts.keep(text);
    const caller = options?.caller ?? last?.caller;
    const fits = last !== undefined && last.text.length + more.length <= LOG_LINE_MAX && last.caller === caller;
    if (!this.#open || !fits) {
      const level = last?.level ?? this.defaultMessageLoglevel;
      this.printk(level, more, { ...options, cont: true });
      return;
    }
    const whole = new Uint8Array(last.text.length + more.length);
    whole.set(last.text);
    whole.set(more, last.text.length);
    (last as { text: Uint8Array }).text = whole;
    this.#open = options?.open ?? false;
    this.flush();
  }

  #idleTask(cpu: number): string {
    this.#idleTasks[cpu] ??= `swapper/${cpu}`;
    return this.#idleTasks[cpu];
  }

  emerg(text: string): void {
    this.printk(Loglevel.EMERG, text);
  }

  crit(text: string): void {
    this.printk(Loglevel.CRIT, text);
  }

  err(text: string): void {
    this.printk(Loglevel.ERR, text);
  }

  warn(text: string): void {
    this.printk(Loglevel.WARNING, text);
  }

  notice(text: string): void {
    this.printk(Loglevel.NOTICE, text);
  }

  info(text: string): void {
    this.printk(Loglevel.INFO, text);
  }

  /** Adds a console; with `replay` it is shown the records that the ring still holds (`register_console`). */
  registerConsole(console: Console, options?: RegisterOptions): void {
    this.#consoles.push({ console, nextSeq: options?.replay === true ? this.#oldestSeq : this.#nextSeq });
    if (options?.announce === true) {
      this.#announced.add(console);
      this.info(`printk: console [${console.name}0] enabled`);
    }
    this.flush();
  }

  /** It is shown no more. (`unregister_console`) */
  unregisterConsole(console: Console): void {
    const at = this.#consoles.findIndex((each) => each.console === console);
    if (at < 0) return;
    if (this.#announced.delete(console)) this.info(`printk: console [${console.name}0] disabled`);
    this.#consoles.splice(
      this.#consoles.findIndex((each) => each.console === console),
      1,
    );
  }

  /** Is it shown what is printed? */
  isRegistered(console: Console): boolean {
    return this.#consoles.some((each) => each.console === console);
  }

  /** Record number `seq`, or undefined if the ring has lost it or it does not exist yet. */
  record(seq: number): LogRecord | undefined {
    return this.#records.at(seq - this.#oldestSeq);
  }

  /** Shows every console again what the ring still holds. (`console_try_replay_all`) */
  replay(): void {
    for (const each of this.#consoles) each.nextSeq = this.#oldestSeq;
    this.flush();
  }

  /** Shows every console what it has not seen. Bound: 4 times the ring, all consoles together. */
  flush(): void {
    if (this.#walking) return;
    this.#walking = true;
    try {
      this.#walk();
    } finally {
      this.#walking = false;
    }
  }

  #walk(): void {
    let left = 4 * RECORDS;
    for (let more = true; more && left > 0; ) {
      more = false;
      for (let i = 0; i < this.#consoles.length; i++) {
        const each = this.#consoles[i]!;
        const record = this.#next(each);
        if (record === undefined) continue;
        more = true;
        left--;
        each.nextSeq = record.seq + 1;
        const shown = this.ignoreLoglevel || record.force === true || record.level < this.consoleLoglevel;
        if (shown) each.console.write(record);
      }
    }
  }

  #next(each: Registered): LogRecord | undefined {
    const end = this.#open ? this.#nextSeq - 1 : this.#nextSeq;
    return each.nextSeq >= end ? undefined : this.record(Math.max(each.nextSeq, this.#oldestSeq));
  }
}
