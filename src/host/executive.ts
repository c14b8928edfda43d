/**
 * The host world's Executive: this thread's event loop as a CPU.
 *
 *     process context   setImmediate / a timer  --> turn()           requestTurn, requestTurnAt
 *     interrupt         a descriptor is readable --> its handler     watch(): armed, fires once, masked until armed again
 *     wedged            ppoll() over all watched descriptors         spin(): works while the loop does not turn
 *
 * Interrupts and the timer come from a descriptor of the controller's (irq_controller.ts) which the loop itself watches (koffi wraps
 * libuv's poll handle), so no thread of libuv's pool is taken; the measured alternatives stand in ARCHITECTURE.md and bench/irq_path.ts.
 * Before the first watch there is no controller, and no koffi needed: timers are the loop's own then, with its grain of a millisecond.
 *
 * Who keeps the process alive: open watches, unless they were opened with `keepAlive: false`. Timers and turns do not.
 *
 * On the heap: nothing for a reading of the clock that is compared or stored, one Immediate for whatever is asked for until the loop's next
 * turn, and the poll handle's event object (about 120 bytes) for each round of interrupts.
 */
import type { Executive } from '../machine/executive.ts';
import { IrqController, type IrqInput } from './irq_controller.ts';
import { MonotonicClock } from './sys/clock.ts';
import { PollSet } from './sys/poll.ts';

/** A descriptor as an interrupt line. */
export interface Watch {
  /** True unmasks: the handler runs once when the descriptor is readable, or at once in a later turn if it is already. */
  arm(on: boolean): void;
  /** As if the hardware raised the line: the handler runs in a later turn of the loop if the watch is armed then. */
  raise(): void;
  /** It is masked, and stays so for a while: until then the descriptor's becoming readable costs nobody anything. */
  rest(): void;
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
/** Waits shorter than this do not sleep: going to sleep and waking up takes longer. */
const SLEEP_MIN_NS = 10_000;

export class HostExecutive implements Executive {
  /** What requestTurn() asks for; the world sets it to the machine's turn(). */
  onTurn: () => void = () => {};
  #originNs = performance.now() * 1e6;
  /** Until there is a controller the clock is Node's. */
  #clock: MonotonicClock | undefined;
  /** Wall clock minus monotonic clock, in milliseconds. */
  #wallOffsetMs = Date.now() - performance.now();
  #soonPending = false;
  #turnWanted = false;
  /** Lines raised by software, the first #raisedCount; and what takes its place while they are served. Neither shrinks. */
  #raised: LoopWatch[] = [];
  #raisedCount = 0;
  #spare: LoopWatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtNs = Number.POSITIVE_INFINITY;
  #polls: PollSet | undefined;
  #controller: IrqController | undefined;
  #keepers = 0;
  readonly #soon = (): void => {
    this.#soonPending = false;
    const raised = this.#raised;
    const count = this.#raisedCount;
    this.#raised = this.#spare;
    this.#raisedCount = 0;
    this.#spare = raised;
    const turn = this.#turnWanted;
    this.#turnWanted = false;
    for (let i = 0; i < count; i++) {
      try {
        raised[i]!.fireRaised();
      } catch (error) {
        setImmediate(() => {
          throw error;
        });
      }
    }
    if (turn) this.onTurn();
  };
  readonly #timerFired = (): void => {
    const atNs = this.#timerAtNs;
    this.#timerAtNs = Number.POSITIVE_INFINITY;
    // The loop's idea of now is cut to milliseconds: its timers may fire up to one early.
    if (this.now() < atNs) this.requestTurnAt(atNs);
    else this.onTurn();
  };

  now(): number {
    return (this.#clock === undefined ? performance.now() * 1e6 : this.#clock.now()) - this.#originNs;
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
    this.#turnWanted = true;
    this.#callSoon();
  }

  /** To the timer's grain; what is due now becomes a turn of the loop. */
  requestTurnAt(atNs: number): void {
    if (atNs >= this.#timerAtNs) return;
    const delayNs = atNs - this.now();
    if (delayNs <= 0) {
      this.requestTurn();
      return;
    }
    this.#timerAtNs = atNs;
    if (this.#controller !== undefined) {
      this.#controller.setTimer(delayNs);
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#timerFired, Math.min(Math.ceil(delayNs / 1e6), TIMER_MAX_MS)).unref();
  }

  /**
   * Waits in ppoll() until a watched descriptor becomes readable, or `ns` (plus the thread's timer slack) have passed, or a
   * signal came. One that was readable before is no news: whoever waits here does not read it now, and the time is slept to its end.
   * A few microseconds are waited for awake.
   */
  spin(ns: number): void {
    if (ns < SLEEP_MIN_NS) {
      const endNs = this.now() + ns;
      while (this.now() < endNs);
      return;
    }
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
    const controller = this.#control();
    const watch = new LoopWatch(
      controller,
      fd,
      onReadable,
      (raised) => this.#raise(raised),
      () => {
        this.#polls?.remove(spinFd);
        if (keepAlive) this.#keep(-1);
        if (controller.idle) this.#closeController();
      },
    );
    this.#polls ??= new PollSet();
    this.#polls.add(spinFd);
    if (keepAlive) this.#keep(1);
    return watch;
  }

  /** The controller takes over the timer that runs. */
  #control(): IrqController {
    if (this.#controller === undefined) {
      this.#controller = new IrqController(this.#timerFired);
      this.#readMonotonic();
      clearTimeout(this.#timer);
      this.#timerAgain();
    }
    return this.#controller;
  }

  /** From here on the clock is read without allocating; it goes on from where it is. */
  #readMonotonic(): void {
    if (this.#clock !== undefined) return;
    const clock = new MonotonicClock();
    const before = this.now();
    this.#originNs = clock.now() - before;
    this.#clock = clock;
  }

  #closeController(): void {
    this.#controller?.close();
    this.#controller = undefined;
    this.#timerAgain();
  }

  #timerAgain(): void {
    const atNs = this.#timerAtNs;
    this.#timerAtNs = Number.POSITIVE_INFINITY;
    if (atNs !== Number.POSITIVE_INFINITY) this.requestTurnAt(atNs);
  }

  #keep(change: number): void {
    this.#keepers += change;
    this.#controller?.hold(this.#keepers > 0);
  }

  #raise(watch: LoopWatch): void {
    this.#raised[this.#raisedCount++] = watch;
    this.#callSoon();
  }

  #callSoon(): void {
    if (this.#soonPending) return;
    this.#soonPending = true;
    setImmediate(this.#soon);
  }
}

class LoopWatch implements Watch {
  readonly #controller: IrqController;
  readonly #input: IrqInput;
  readonly #onReadable: () => void;
  readonly #raise: (watch: LoopWatch) => void;
  readonly #onClose: () => void;
  #armed = false;
  #raised = false;
  #closed = false;

  constructor(
    controller: IrqController,
    fd: number,
    onReadable: () => void,
    raise: (watch: LoopWatch) => void,
    onClose: () => void,
  ) {
    this.#controller = controller;
    this.#input = controller.add(fd, () => this.#fire());
    this.#onReadable = onReadable;
    this.#raise = raise;
    this.#onClose = onClose;
  }

  arm(on: boolean): void {
    if (this.#closed || on === this.#armed) return;
    this.#armed = on;
    this.#controller.unmask(this.#input, on);
  }

  raise(): void {
    if (this.#raised) return;
    this.#raised = true;
    this.#raise(this);
  }

  rest(): void {
    if (!this.#closed && !this.#armed) this.#controller.rest(this.#input);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#armed = false;
    this.#controller.remove(this.#input);
    this.#onClose();
  }

  /** In a later turn of the loop. Masks the line, as the descriptor's own interrupt would have. */
  fireRaised(): void {
    this.#raised = false;
    if (!this.#armed) return;
    this.#controller.unmask(this.#input, false);
    this.#fire();
  }

  /** The controller has masked the line. */
  #fire(): void {
    if (!this.#armed) return;
    this.#armed = false;
    this.#onReadable();
  }
}
