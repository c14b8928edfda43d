/**
 * The host world's Executive: this thread's event loop as a CPU.
 *
 *     process context   setImmediate / a timer  --> turn()           requestTurn, requestTurnAt
 *     interrupt         a descriptor is readable --> its handler     watch(): armed, fires once, masked until armed again
 *     wedged            ppoll() over all watched descriptors         spin(): works while the loop does not turn
 *
 * Interrupts come from a uv_poll_t on the loop itself (koffi wraps it), so no thread of libuv's pool is taken; the
 * measured alternatives stand in ARCHITECTURE.md and bench/irq_path.ts.
 *
 * Who keeps the process alive: open watches, unless they were opened with `keepAlive: false`. Timers and turns do not.
 */
import type { Executive } from '../machine/executive.ts';
import { libc } from './sys/libc.ts';
import { PollSet } from './sys/poll.ts';

/** A descriptor as an interrupt line. */
export interface Watch {
  /** True unmasks: the handler runs once when the descriptor is readable, or at once in a later turn if it is already. */
  arm(on: boolean): void;
  /** As if the hardware raised the line: the handler runs in a later turn of the loop if the watch is armed then. */
  raise(): void;
  /** Stops for good. The descriptor stays open: its owner closes it afterwards. */
  close(): void;
}

export interface WatchOptions {
  /** False: this watch does not keep the process alive. True if absent. */
  readonly keepAlive?: boolean;
  /** The descriptor that spin() waits for, if another one than the watched. */
  readonly spinFd?: number;
}

/** Longest delay that a Node timer takes, in milliseconds. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class HostExecutive implements Executive {
  /** What requestTurn() asks for; the world sets it to the machine's turn(). */
  onTurn: () => void = () => {};
  readonly #originMs = performance.now();
  /** Wall clock minus monotonic clock, in milliseconds. */
  #wallOffsetMs = Date.now() - performance.now();
  #turnPending = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAtNs = Number.POSITIVE_INFINITY;
  #polls: PollSet | undefined;
  #keepers = 0;
  #keeper: NodeJS.Timeout | undefined;
  readonly #turn = (): void => {
    this.#turnPending = false;
    this.onTurn();
  };
  readonly #timerFired = (): void => {
    const atNs = this.#timerAtNs;
    this.#timerAtNs = Number.POSITIVE_INFINITY;
    // The loop's idea of now is cut to milliseconds: its timers may fire up to one early.
    if (this.now() < atNs) this.requestTurnAt(atNs);
    else this.onTurn();
  };

  now(): number {
    return (performance.now() - this.#originMs) * 1e6;
  }

  /** Follows steps of the wall clock to a millisecond, and is even between them. */
  wallUs(): number {
    const mono = performance.now();
    const wall = Date.now();
    const off = mono + this.#wallOffsetMs - wall;
    if (off < -1 || off > 2) this.#wallOffsetMs = wall - mono;
    return (mono + this.#wallOffsetMs) * 1e3;
  }

  requestTurn(): void {
    if (this.#turnPending) return;
    this.#turnPending = true;
    setImmediate(this.#turn);
  }

  /** To the millisecond above (the loop's timers have no finer grain); what is due now becomes a turn of the loop. */
  requestTurnAt(atNs: number): void {
    if (atNs >= this.#timerAtNs) return;
    const delayMs = Math.ceil((atNs - this.now()) / 1e6);
    if (delayMs <= 0) {
      this.requestTurn();
      return;
    }
    clearTimeout(this.#timer);
    this.#timerAtNs = atNs;
    this.#timer = setTimeout(this.#timerFired, Math.min(delayMs, TIMER_MAX_MS)).unref();
  }

  /**
   * Waits in ppoll() until a watched descriptor becomes readable, or `ns` (plus the thread's timer slack) have passed, or a
   * signal came. One that was readable before is no news: whoever waits here does not read it now, and the time is slept to its end.
   */
  spin(ns: number): void {
    this.#polls ??= new PollSet();
    this.#polls.wait(ns);
  }

  /**
   * Makes a masked interrupt line of `fd`. `onReadable` runs on this thread, outside of any other callback. What it
   * throws is thrown again where Node reports uncaught exceptions. Throws SetupError `ERR_NETPOLL_NO_KOFFI`.
   */
  watch(fd: number, onReadable: () => void, options: WatchOptions = {}): Watch {
    const keepAlive = options.keepAlive ?? true;
    const spinFd = options.spinFd ?? fd;
    this.#polls ??= new PollSet();
    this.#polls.add(spinFd);
    if (keepAlive) this.#keep(1);
    return new LoopWatch(fd, onReadable, keepAlive, () => {
      this.#polls?.remove(spinFd);
      if (keepAlive) this.#keep(-1);
    });
  }

  /** A watch is masked most of the time under load, and a masked one holds no process: this timer does, while any is open. */
  #keep(change: number): void {
    this.#keepers += change;
    if (this.#keepers > 0) {
      this.#keeper ??= setInterval(() => {}, TIMER_MAX_MS);
    } else {
      clearInterval(this.#keeper);
      this.#keeper = undefined;
    }
  }
}

class LoopWatch implements Watch {
  readonly #poll: ReturnType<ReturnType<typeof libc>['loopPoll']>;
  readonly #onReadable: () => void;
  readonly #onClose: () => void;
  readonly #events = { readable: true };
  #armed = false;
  #raised = false;
  #closed = false;

  constructor(fd: number, onReadable: () => void, keepAlive: boolean, onClose: () => void) {
    this.#poll = libc().loopPoll(fd);
    if (!keepAlive) this.#poll.unref();
    this.#onReadable = onReadable;
    this.#onClose = onClose;
  }

  arm(on: boolean): void {
    if (this.#closed || on === this.#armed) return;
    this.#armed = on;
    if (on) this.#poll.start(this.#events, this.#fire);
    else this.#poll.stop();
  }

  raise(): void {
    if (this.#raised) return;
    this.#raised = true;
    setImmediate(this.#fireRaised);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#armed = false;
    this.#poll.close();
    this.#onClose();
  }

  readonly #fireRaised = (): void => {
    this.#raised = false;
    this.#fire();
  };

  /** Called by libuv, from no JavaScript: an exception that left here would come out of some later FFI call. */
  readonly #fire = (): void => {
    if (!this.#armed) return;
    this.arm(false);
    try {
      this.#onReadable();
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  };
}
