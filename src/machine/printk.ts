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
 *
 * A record's text belongs to the record and is never changed.
 */
import { Ring } from '../base/ring.ts';
import type { Machine } from './machine.ts';

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

export interface PrintkOptions {
  readonly facility?: number;
  readonly dict?: LogRecord['dict'];
  readonly caller?: string;
  readonly cont?: boolean;
}

const RECORDS = 4096;
/** Longest text of a record in bytes (`LOG_LINE_MAX`); what is longer is cut. */
export const LOG_LINE_MAX = 1024 - 48;

export class Printk {
  consoleLoglevel = 7;
  defaultMessageLoglevel = 4;
  ignoreLoglevel = false;
  readonly #machine: Machine;
  readonly #records = new Ring<LogRecord>(RECORDS);
  readonly #consoles: Registered[] = [];
  readonly #encoder = new TextEncoder();
  #nextSeq = 0;
  #walking = false;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Sequence number of the next record. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Adds a record and shows it. `text` may hold newlines; a final one is dropped. Never throws. */
  printk(level: number, text: string | Uint8Array, options?: PrintkOptions): void {
    let bytes = typeof text === 'string' ? this.#encoder.encode(text) : text.slice();
    if (bytes.length > 0 && bytes[bytes.length - 1] === 0x0a) bytes = bytes.subarray(0, bytes.length - 1);
    if (bytes.length > LOG_LINE_MAX) bytes = bytes.subarray(0, LOG_LINE_MAX);
    if (this.#records.length === this.#records.capacity) this.#records.shift();
    this.#records.push({
      seq: this.#nextSeq++,
      level,
      facility: options?.facility ?? 0,
      tsUs: Math.floor(this.#machine.executive.now() / 1000),
      cont: options?.cont ?? false,
      caller: options?.caller,
      text: bytes,
      dict: options?.dict ?? {},
    });
    this.flush();
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
  registerConsole(console: Console, options?: { replay?: boolean }): void {
    const oldest = this.#records.peek()?.seq ?? this.#nextSeq;
    this.#consoles.push({ console, nextSeq: options?.replay === true ? oldest : this.#nextSeq });
    this.flush();
  }

  unregisterConsole(console: Console): void {
    const at = this.#consoles.findIndex((each) => each.console === console);
    if (at >= 0) this.#consoles.splice(at, 1);
  }

  /** Record number `seq`, or undefined if the ring has lost it or it does not exist yet. */
  record(seq: number): LogRecord | undefined {
    const oldest = this.#records.peek();
    return oldest === undefined ? undefined : this.#records.at(seq - oldest.seq);
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
      for (const each of this.#consoles) {
        const record = this.#next(each);
        if (record === undefined) continue;
        more = true;
        left--;
        each.nextSeq = record.seq + 1;
        if (this.ignoreLoglevel || record.level < this.consoleLoglevel) each.console.write(record);
      }
    }
  }

  #next(each: Registered): LogRecord | undefined {
    const oldest = this.#records.peek();
    if (oldest === undefined || each.nextSeq >= this.#nextSeq) return undefined;
    return this.record(Math.max(each.nextSeq, oldest.seq));
  }
}
