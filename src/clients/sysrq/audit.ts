/**
 * Who gave commands, and who tried: counters, and lines in the kernel's log.
 *
 *     accepted   a line each, at level NOTICE:   sysrq: netconsole: t from 10.0.0.9 port 40000, command 7
 *     refused    counted; a line of sums at once and then at most every 5 s, at level WARNING:
 *                sysrq: netconsole: refused 1204: forged 1200, replayed 4; last from 10.0.0.66 port 9
 */
import { Counters } from '../../base/counters.ts';
import type { Machine } from '../../machine/machine.ts';
import type { Timer } from '../../machine/timer.ts';
import type { NetpollPeer, RxDatagram } from '../../netpoll/netpoll.ts';
import { printIp } from '../../wire/address.ts';
import { KeptPeer } from './pending.ts';

/** Why a datagram was refused. */
export const SYSRQ_REFUSALS = [
  /** Not a frame of SysRq, or one that a machine does not receive. */
  'malformed',
  'other_host',
  'other_boot',
  /** Its counter is not higher than the last one that was accepted. */
  'replayed',
  /** Issued too long ago, or not yet. */
  'expired',
  /** The tag is wrong: not made with this host's key, or changed on the way. */
  'forged',
  /** Right, but the mask forbids the key. */
  'disabled',
  /** Right, but too many came at once. */
  'limited',
  /** No place on the list; the sender comes again. */
  'busy',
] as const;
export type SysrqRefusal = (typeof SYSRQ_REFUSALS)[number];

export const SYSRQ_COUNTERS = [
  'received',
  'questions',
  'accepted',
  'repeated',
  'unanswered',
  ...SYSRQ_REFUSALS,
] as const;
export type SysrqCounter = (typeof SYSRQ_COUNTERS)[number];

/** Between two lines about refusals, at least. */
export const AUDIT_NS = 5e9;

export class SysrqAudit {
  readonly counters: Counters<SysrqCounter> = new Counters(SYSRQ_COUNTERS);
  readonly #machine: Machine;
  readonly #timer: Timer;
  readonly #last = new KeptPeer();
  /** What the counters were when the last line was written. */
  readonly #told = new Float64Array(SYSRQ_COUNTERS.length);
  #notBeforeNs = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#timer = machine.timers.create(() => this.tell());
  }

  count(counter: SysrqCounter): void {
    this.counters.count(counter);
  }

  /** From any context; the line comes later, from a timer. */
  refused(why: SysrqRefusal, datagram: RxDatagram): void {
    this.counters.count(why);
    this.#last.keep(datagram);
    if (this.#timer.atNs < 0) {
      this.#machine.timers.mod(this.#timer, Math.max(this.#machine.executive.now(), this.#notBeforeNs));
    }
  }

  accepted(key: string, from: NetpollPeer, command: number): void {
    const which = command > 0 ? `command ${command}` : 'without authentication';
    this.#machine.printk.notice(`sysrq: netconsole: ${key} from ${peer(from)}, ${which}`);
  }

  /** The sums since the last line; nothing if nothing was refused. */
  tell(): void {
    const { values } = this.counters;
    const sums: string[] = [];
    let total = 0;
    for (const why of SYSRQ_REFUSALS) {
      const at = SYSRQ_COUNTERS.indexOf(why);
      const since = values[at]! - this.#told[at]!;
      total += since;
      if (since > 0) sums.push(`${why} ${since}`);
    }
    if (total === 0) return;
    this.#told.set(values);
    this.#notBeforeNs = this.#machine.executive.now() + AUDIT_NS;
    this.#machine.printk.warn(`sysrq: netconsole: refused ${total}: ${sums.join(', ')}; last from ${peer(this.#last)}`);
  }

  close(): void {
    this.#machine.timers.del(this.#timer);
  }
}

function peer({ remoteIp, remotePort }: NetpollPeer): string {
  return `${printIp(remoteIp)} port ${remotePort}`;
}
