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
 * After a round of interrupts, or a turn, the thread stays for what they have asked for while Node's own loop would sleep (node_loop.ts):
 *
 *     interrupts, turn --> a turn is wanted: here and now --+--> ... STAY_NS at most, then back to Node's loop, with an
 *          ^               a timer is near: wait for it ----+    Immediate or the controller's timer for what is left
 *          `------------------------------------------------'
 *
 * On the heap: nothing for a reading of the clock that is compared or stored, nor for what is done while it stays; about 110 bytes for
 * each round of interrupts that Node's loop brings, half of them its own, half koffi's; an Immediate (400) where the thread goes back and
 * a turn is wanted.
 */
import type { Executive } from '../machine/executive.ts';
import { IrqController, type IrqOwner } from './irq_controller.ts';
import { LoopWatch, type Watch, type WatchOptions } from './loop_watch.ts';
import { NodeLoop } from './node_loop.ts';
import { MonotonicClock } from './sys/clock.ts';
import { PollSet } from './sys/poll.ts';

import { hostWallClock, type WallClock } from './wall_clock.ts';

export type { Watch, WatchOptions } from './loop_watch.ts';

/** The timer is set for no longer; what is due later is looked at again then. */
const TIMER_MAX_US = 1e9;
/** Waits shorter than this do not sleep: going to sleep and waking up takes longer. */
const SLEEP_MIN_NS = 10_000;
/** So long Node's loop is kept waiting at most, although it has nothing to do: what handlers left to microtasks waits for it. */
const STAY_US = 4000;
/** A timer that is so near is waited for. */
const NEAR_US = 500;

export class HostExecutive implements Executive {
  /** What requestTurn() asks for; the world sets it to the machine's turn(). */
  onTurn: () => void = () => {};
  clockNs = 0;
  #originNs = performance.now() * 1e6;
  /** Until there is a controller the clock is Node's. */
  #clock: MonotonicClock | undefined;
  #wall: WallClock | undefined;
  #soonPending = false;
  #selfInterrupted = false;
  #turnWanted = false;
  /** Lines raised by software, the first #raisedCount; and what takes its place while they are served. Neither shrinks. */
  #raised: LoopWatch[] = [];
  #raisedCount = 0;
  #spare: LoopWatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtNs = Number.POSITIVE_INFINITY;
  /**
   * Microseconds modulo 2^32, as 32 bits with sign: what is called a few hundred times a second is interpreted for half a minute, and there each
   * double on the way is a number on V8's heap. Only differences mean something.
   */
  #clockUs = 0;
  #timerAtUs = 0;
  #timerArmed = false;
  #polls: PollSet | undefined;
  #controller: IrqController | undefined;
  #keepers = 0;
  /** In a round of interrupts or a turn: what is asked for meanwhile is looked at when it ends. */
  #inRound = false;
  /** What the controller's timer is set to, if it is. */
  #setToUs = 0;
  #isSet = false;
  #node: NodeLoop | null = null;
  readonly #irqs: IrqOwner = {
    irqsBegin: () => {
      this.#inRound = true;
    },
    irqsEnd: () => {
      if (this.#selfInterrupted) {
        this.#selfInterrupted = false;
        this.#soon();
      } else this.#roundEnds();
    },
    timerFired: () => {
      this.#isSet = false;
      this.#timerFired();
    },
  };
  readonly #soon = (): void => {
    this.#soonPending = false;
    this.#inRound = true;
    try {
      this.#serve();
    } catch (error) {
      throwLater(error);
    }
    this.#roundEnds();
  };
  readonly #timerFired = (): void => {
    if (!this.#timerArmed) return;
    // The loop's idea of now is cut to milliseconds: its timers may fire up to one early. Ours may have been set for another turn.
    if (this.#timerLeftUs() <= 0) this.#timerTurn();
    else if (!this.#inRound) this.#setTimer();
  };

  now(): number {
    this.readClock();
    return this.clockNs;
  }

  readClock(): void {
    const clock = this.#clock;
    if (clock === undefined) {
      this.clockNs = performance.now() * 1e6 - this.#originNs;
    } else {
      clock.read();
      this.clockNs = clock.ns - this.#originNs;
    }
    this.#clockUs = (this.clockNs / 1000) | 0;
  }

  wallUs(): number {
    this.wall.read();
    return this.wall.us;
  }

  /** The clock behind wallUs(). */
  get wall(): WallClock {
    this.#wall ??= hostWallClock();
    return this.#wall;
  }

  requestTurn(): void {
    this.#turnWanted = true;
    this.#callSoon();
  }

  /** To the timer's grain; what is due now becomes a turn of the loop. */
  requestTurnAt(atNs: number): void {
    if (atNs >= this.#timerAtNs) return;
    this.readClock();
    const delayNs = atNs - this.clockNs;
    if (delayNs <= 0) {
      this.requestTurn();
      return;
    }
    this.#timerAtNs = atNs;
    this.#timerAtUs = delayNs > TIMER_MAX_US * 1000 ? (this.#clockUs + TIMER_MAX_US) | 0 : (atNs / 1000 + 1) | 0;
    this.#timerArmed = true;
    if (!this.#inRound) this.#setTimer();
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
      this.#controller = new IrqController(this.#irqs);
      this.#node = NodeLoop.find(this.#controller.fd);
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
    clock.read();
    this.#originNs = clock.ns - before;
    this.#clock = clock;
  }

  #closeController(): void {
    this.#controller?.close();
    this.#controller = undefined;
    this.#soonByNode();
    this.#node = null;
    this.#isSet = false;
    this.#timerAgain();
  }

  #timerAgain(): void {
    if (this.#timerArmed && !this.#inRound) this.#setTimer();
  }

  #keep(change: number): void {
    this.#keepers += change;
    this.#controller?.hold(this.#keepers > 0);
    if (this.#keepers === 0) this.#soonByNode();
  }

  /** Nobody keeps the controller waiting, or it closes: the turn that it was to bring is Node's affair. */
  #soonByNode(): void {
    if (!this.#selfInterrupted) return;
    this.#selfInterrupted = false;
    setImmediate(this.#soon);
  }

  #raise(watch: LoopWatch): void {
    this.#raised[this.#raisedCount++] = watch;
    this.#callSoon();
  }

  #callSoon(): void {
    if (this.#soonPending || this.#inRound) return;
    this.#soonPending = true;
    // Node's loop does not end before an Immediate has run; nor does it while a watch keeps it.
    if (this.#controller === undefined || this.#keepers === 0) setImmediate(this.#soon);
    else {
      this.#selfInterrupted = true;
      this.#controller.interruptSelf();
    }
  }

  #setTimer(): void {
    const leftUs = Math.max(1, this.#timerLeftUs());
    if (this.#controller !== undefined) {
      this.#setToUs = this.#timerAtUs;
      this.#isSet = true;
      this.#controller.setTimer(leftUs);
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#timerFired, Math.ceil(leftUs / 1000)).unref();
  }

  #timerLeftUs(): number {
    this.readClock();
    return (this.#timerAtUs - this.#clockUs) | 0;
  }

  #timerTurn(): void {
    this.#timerArmed = false;
    this.#timerAtNs = Number.POSITIVE_INFINITY;
    this.onTurn();
  }

  /** Lines that were raised, and the turn if one is wanted. */
  #serve(): void {
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
        throwLater(error);
      }
    }
    if (turn) this.onTurn();
  }

  #roundEnds(): void {
    try {
      this.#stay();
    } catch (error) {
      throwLater(error);
    }
    this.#inRound = false;
    if (this.#turnWanted || this.#raisedCount > 0) this.#callSoon();
    if (this.#timerArmed && (!this.#isSet || ((this.#timerAtUs - this.#setToUs) | 0) < 0)) this.#setTimer();
  }

  /** Does what is wanted now or soon, while nobody else wants the thread. Bound: STAY_US, and what was begun by then. */
  #stay(): void {
    const node = this.#node;
    if (node === null || !(this.#timerArmed || this.#turnWanted || this.#raisedCount > 0)) return;
    this.readClock();
    const since = this.#clockUs;
    // Who is called may close the controller.
    while (this.#node === node) {
      if (this.#turnWanted || this.#raisedCount > 0) {
        this.readClock();
        if (((this.#clockUs - since) | 0) >= STAY_US || !node.rest(0)) return;
        this.#serve();
        continue;
      }
      if (!this.#timerArmed) return;
      const leftUs = this.#timerLeftUs();
      if (leftUs <= 0) this.#timerTurn();
      else if (leftUs > NEAR_US || ((this.#timerAtUs - since) | 0) >= STAY_US || !node.rest(leftUs)) return;
    }
  }
}

/** Where Node reports what nobody has caught. */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
