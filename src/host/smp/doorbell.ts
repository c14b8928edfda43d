/**
 * Doorbells: the interrupt from one CPU to another. An eventfd each, which the CPU's own event loop watches.
 *
 *     ring(k):  asleep[k] 1 -> 0?  --yes--> write(eventfd of k)  --> its loop wakes, and looks at every ring
 *                                 \--no---> it is awake: it looks before it sleeps
 *
 *   1. A CPU that finds nothing sets "asleep" and looks once more. Who has put something in looks at "asleep" afterwards. So one of the
 *      two sees the other, and no frame waits for ever.
 *   2. Of several who find it asleep one rings.
 *
 * All doorbells are the boot CPU's, which makes them before the thread and closes them after it.
 */
import { check } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned } from '../sys/pinned.ts';
import { type CpuTable, counterAt } from './cpu_table.ts';

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const BELLS = counterAt('doorbells');

export class Doorbells {
  readonly #table: CpuTable;
  readonly #counters: Float64Array;
  readonly #libc: Libc = libc();
  readonly #one: Pinned = pinned(8);
  readonly #read: Pinned = pinned(8);
  readonly #me: number;

  /** For the CPU `me`. Throws SetupError `ERR_NETPOLL_NO_KOFFI`. */
  constructor(table: CpuTable, me: number) {
    this.#table = table;
    this.#me = me;
    this.#counters = table.counters(me);
    this.#one.view.setUint32(0, 1, true);
  }

  /** Wakes `cpu` if it sleeps. At most one system call. */
  ring(cpu: number): void {
    if (this.#table.claimWake(cpu)) this.force(cpu);
  }

  /** Wakes `cpu` whatever it does: there is something else to look at than frames. */
  force(cpu: number): void {
    const fd = this.#table.bell(cpu);
    if (fd < 0) return;
    this.#counters[BELLS]!++;
    this.#libc.write(fd, this.#one.bytes, 8);
  }

  /** This CPU has heard its own. One system call. */
  heard(): void {
    this.#libc.read(this.#table.bell(this.#me), this.#read.bytes, 8);
  }
}

/** The boot CPU makes the one of `cpu`. Throws SetupError `ERR_NETPOLL_NO_KOFFI`, or systemError. */
export function makeDoorbell(table: CpuTable, cpu: number): void {
  const fd = check(libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'eventfd', `make a doorbell for CPU ${cpu}`);
  table.setBell(cpu, fd);
}

/** The boot CPU closes the one of `cpu`, whose thread has ended. */
export function closeDoorbell(table: CpuTable, cpu: number): void {
  const fd = table.bell(cpu);
  table.setBell(cpu, -1);
  if (fd >= 0) libc().close(fd);
}
