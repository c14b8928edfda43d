/**
 * A console of netconsole: all targets of one format.
 *
 *     record --> message, once --> each enabled target, the newest first: what it adds --> datagrams of at most 1000 bytes
 *
 * There are two, since a target wants either plain text (`netcon`) or records with their numbers (`netcon_ext`). All of a
 * message goes to one target before the next has its turn: one at least shall have it. May be called in any context, after a
 * panic as well; prints nothing, waits for nothing but netpoll, does not throw. (write_msg, write_ext_msg)
 */
import type { Machine } from '../../machine/machine.ts';
import type { Console, LogRecord } from '../../machine/printk.ts';
import {
  forEachBasicDatagram,
  forEachExtendedDatagram,
  formatBasic,
  formatExtended,
} from '../../wire/netconsole_emit.ts';
import { DATAGRAM_MAX } from '../../wire/netconsole_record.ts';
import type { NetconsoleTarget } from './target.ts';

export interface ConsoleOptions {
  readonly machine: Machine;
  readonly extended: boolean;
  /** All targets, of either format. */
  readonly targets: readonly NetconsoleTarget[];
  /** Longest message in bytes. */
  readonly messageMax: number;
  /** Only what is printed while the machine oopses. */
  readonly oopsOnly: () => boolean;
}

export class NetconsoleConsole implements Console {
  readonly name: string;
  readonly extended: boolean;
  readonly #machine: Machine;
  readonly #targets: readonly NetconsoleTarget[];
  readonly #oopsOnly: () => boolean;
  readonly #message: Uint8Array;
  readonly #scratch = new Uint8Array(DATAGRAM_MAX);

  constructor(options: ConsoleOptions) {
    this.name = options.extended ? 'netcon_ext' : 'netcon';
    this.extended = options.extended;
    this.#machine = options.machine;
    this.#targets = options.targets;
    this.#oopsOnly = options.oopsOnly;
    this.#message = new Uint8Array(options.messageMax);
  }

  write(record: LogRecord): void {
    const machine = this.#machine;
    if (this.#oopsOnly() && machine.oopsInProgress === 0) return;
    const { printk } = machine;
    const message = this.#message;
    let length = -1;
    for (let i = 0; i < this.#targets.length; i++) {
      const target = this.#targets[i]!;
      if (target.extended !== this.extended || !target.wants()) continue;
      if (length < 0) {
        length = this.extended
          ? formatExtended(record, message)
          : formatBasic(record, message, { time: printk.time, priority: printk.syslogFormat });
      }
      if (this.extended) {
        target.prepare(record);
        forEachExtendedDatagram(message, length, target.extradata, this.#scratch, target.send);
      } else {
        forEachBasicDatagram(message, length, target.send);
      }
    }
  }
}
