/**
 * The interrupt controller of a thread: all its lines, and its timer, behind one descriptor that the event loop watches.
 *
 *     descriptor of a port --+
 *     descriptor of a port --+--> epoll --readable--> the loop's poll handle --> take(): which lines? --> their handlers
 *     timerfd ---------------+    (ours)              (always started)
 *
 *   1. A line is in the epoll one-shot: it interrupts once, and is masked by that. Unmasking is one system call, and finds a
 *      descriptor that is readable already, so no wake-up is lost. Masking one that has interrupted is none.
 *   2. The loop's own handle is started once and never stopped: starting and stopping it for each interrupt costs more than the
 *      interrupt (5.0 us against 1.7, and 1.3 for the two system calls that a line needs).
 *   3. The timer has the kernel's grain, not the loop's milliseconds: moderation is counted in microseconds. It is edge-triggered;
 *      nobody reads it.
 *
 * Bound of one take(): EVENTS lines; the loop comes back for the others in its next round.
 */

import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
  EpollEvents,
} from './sys/epoll.ts';
import { check } from './sys/errno.ts';
import { type Libc, type LoopPoll, libc } from './sys/libc.ts';
import { Timerfd } from './sys/timerfd.ts';

const EVENTS = 16;
const EFD_CLOEXEC = EPOLL_CLOEXEC;
/** What the epoll knows the timer and the always readable descriptor by; lines are known by their numbers, from 2. */
const TIMER = 0;
const SELF = 1;

export class IrqController {
  readonly #libc: Libc = libc();
  /** Readable when a line or the timer interrupts. */
  readonly fd: number;
  readonly #loop: LoopPoll;
  readonly #timer = new Timerfd();
  /** Always readable, and masked but for interruptSelf(). */
  readonly #self: number;
  readonly #owner: IrqOwner;
  /** By number. */
  readonly #lines: (IrqInput | null | undefined)[] = [undefined, undefined];
  readonly #event = new EpollEvents(1);
  readonly #events = new EpollEvents(EVENTS);

  /** Throws SetupError `ERR_NETPOLL_NO_KOFFI`, or what the system refused. */
  constructor(owner: IrqOwner) {
    this.#owner = owner;
    this.fd = check(this.#libc.epollCreate1(EPOLL_CLOEXEC), 'epoll_create1', 'watch descriptors');
    this.#control(EPOLL_CTL_ADD, this.#timer.fd, EPOLLIN | EPOLLET, TIMER);
    this.#self = check(this.#libc.eventfd(1, EFD_CLOEXEC), 'eventfd', 'make an interrupt');
    this.#control(EPOLL_CTL_ADD, this.#self, EPOLLONESHOT, SELF);
    this.#loop = this.#libc.loopPoll(this.fd);
    this.#loop.unref();
    this.#loop.start({ readable: true }, this.#take);
    process.on('exit', this.#exit);
  }

  /** A masked line; `fire` is called when `fd` is readable and the line is not masked, which it is from then on. */
  add(fd: number, fire: () => void): IrqInput {
    const free = this.#lines.indexOf(null);
    const number = free < 0 ? this.#lines.length : free;
    const input: IrqInput = { fd, number, fire, resting: false };
    this.#control(EPOLL_CTL_ADD, fd, EPOLLONESHOT, number);
    this.#lines[number] = input;
    return input;
  }

  /** One system call. Unmasked, a descriptor that is readable interrupts in the loop's next round. */
  unmask(input: IrqInput, on: boolean): void {
    const { fd, number } = input;
    if (input.resting) {
      if (!on) return;
      input.resting = false;
      this.#event.write(EPOLLIN | EPOLLONESHOT, number);
      this.#libc.epollCtl(this.fd, EPOLL_CTL_ADD, fd, this.#event.bytes);
      return;
    }
    this.#control(EPOLL_CTL_MOD, fd, on ? EPOLLIN | EPOLLONESHOT : EPOLLONESHOT, number);
  }

  /**
   * A masked line whose port is polled for longer: out of the epoll until it is unmasked. A masked descriptor that becomes readable wakes
   * nobody, but who makes it so takes the epoll's lock to find that out, for each frame: 7 % of what a veth's sender can.
   */
  rest(input: IrqInput): void {
    if (input.resting) return;
    input.resting = true;
    this.#control(EPOLL_CTL_DEL, input.fd, 0, 0);
  }

  /** The descriptor is still open. */
  remove({ fd, number, resting }: IrqInput): void {
    if (!resting) this.#control(EPOLL_CTL_DEL, fd, 0, 0);
    this.#lines[number] = null;
  }

  /** No line is left. */
  get idle(): boolean {
    return this.#lines.every((line) => line == null);
  }

  /** The timer runs out once, `us` from now; this replaces what was set before. */
  setTimer(us: number): void {
    this.#timer.set(us);
  }

  /** A round of interrupts in the loop's next turn, with no line in it. One system call, where an Immediate is 400 bytes of heap. */
  interruptSelf(): void {
    this.#control(EPOLL_CTL_MOD, this.#self, EPOLLIN | EPOLLONESHOT, SELF);
  }

  /** Whether the controller keeps the process alive; not, at first. */
  hold(on: boolean): void {
    if (on) this.#loop.ref();
    else this.#loop.unref();
  }

  /** Stops for good; every line was removed. */
  close(): void {
    process.off('exit', this.#exit);
    this.#loop.close();
    this.#timer.close();
    this.#libc.close(this.#self);
    this.#libc.close(this.fd);
  }

  #control(operation: number, fd: number, events: number, data: number): void {
    this.#event.write(events, data);
    const done = this.#libc.epollCtl(this.fd, operation, fd, this.#event.bytes);
    if (operation === EPOLL_CTL_ADD) check(done, 'epoll_ctl', 'watch a descriptor');
  }

  /** A handle that becomes readable while Node takes its environment apart calls into what is no longer there, and aborts. */
  readonly #exit = (): void => this.#loop.stop();

  /** Called by libuv, from no JavaScript: an exception that left here would come out of some later FFI call. */
  readonly #take = (): void => {
    const events = this.#events;
    const owner = this.#owner;
    owner.irqsBegin();
    const n = this.#libc.epollWait(this.fd, events.bytes, EVENTS, 0);
    for (let i = 0; i < n; i++) {
      const number = events.data(i);
      try {
        if (number === TIMER) owner.timerFired();
        // One that a handler before it has closed is gone; its number may be another's by now, who looks whether it is masked.
        else this.#lines[number]?.fire();
      } catch (error) {
        setImmediate(() => {
          throw error;
        });
      }
    }
    owner.irqsEnd();
  };
}

/** Whose controller it is. */
export interface IrqOwner {
  /** A round of interrupts begins, and has ended. */
  irqsBegin(): void;
  irqsEnd(): void;
  /** The time of setTimer() has come. */
  timerFired(): void;
}

/** A line at the controller. */
export interface IrqInput {
  readonly fd: number;
  readonly number: number;
  readonly fire: () => void;
  resting: boolean;
}
