/**
 * The idle loop of a CPU that is a worker thread: where the kernel's idle task halts until an interrupt comes, this waits in epoll.
 *
 *     turn of Node's loop --setImmediate--> epoll_wait( interrupt controller, Node's own loop ) --> interrupts --> next turn
 *                                             0 ms while anybody wants a turn, else IDLE_MS at most
 *
 * Why not libuv's poll handle, as on the main thread (executive.ts): while a thread's environment is taken apart libuv runs once
 * more, and a handle that is readable then calls into JavaScript that can no longer run. koffi throws, and Node aborts the process,
 * with all its other CPUs. An 'exit' handler can prevent it where the thread ends by itself, not where it is terminated or out of
 * memory: there no JavaScript runs any more. A system call that waits does no such thing. (See the test that kills a thread in a flood.)
 *
 *   1. libc().loopPoll of this thread is ours: the interrupt controller does not know the difference.
 *   2. Node's own events (messages, sockets, the order to end) wake it: the descriptor of this thread's libuv loop is in the set. It is
 *      found by watching a descriptor with that loop for one turn, and looking which epoll of this process has it.
 *   3. Timers of Node's wait IDLE_MS at most; the machine's own have a descriptor and are exact.
 *
 * Cost when nothing happens: a wake-up each IDLE_MS.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, EpollEvents } from '../sys/epoll.ts';
import { check } from '../sys/errno.ts';
import { type Libc, type LoopPoll, libc } from '../sys/libc.ts';

const IDLE_MS = 50;
const EVENTS = 4;
/** What the set knows Node's own loop by; polls are known by their numbers, from 1. */
const NODE = 0;

interface IdlePoll {
  readonly fd: number;
  fire: (() => void) | null;
}

export class IdleLoop {
  readonly #libc: Libc = libc();
  readonly #epfd: number;
  readonly #event = new EpollEvents(1);
  readonly #events = new EpollEvents(EVENTS);
  readonly #polls: (IdlePoll | null)[] = [null];
  readonly #setImmediate = globalThis.setImmediate;
  #wanted = false;
  #stopped = false;

  /** Takes over this thread's descriptors: call before the first executive watches one. Resolves when it runs. Throws systemError. */
  static async start(): Promise<IdleLoop> {
    const ours = nodeLoopDescriptor();
    const idle = new IdleLoop();
    idle.#watchNode(await ours);
    idle.#setImmediate(idle.#turn);
    return idle;
  }

  private constructor() {
    this.#epfd = check(this.#libc.epollCreate1(EPOLL_CLOEXEC), 'epoll_create1', 'make an idle loop');
    this.#libc.loopPoll = (fd) => this.#poll(fd);
    // Who wants a turn of the loop keeps the CPU awake.
    const real = this.#setImmediate;
    const asked = (...args: Parameters<typeof setImmediate>): NodeJS.Immediate => {
      this.#wanted = true;
      return real(...args);
    };
    globalThis.setImmediate = Object.assign(asked, real) as typeof setImmediate;
  }

  /** Waits no more: the thread ends by itself when nothing else holds it. */
  stop(): void {
    this.#stopped = true;
  }

  #watchNode(fd: number): void {
    if (fd < 0) return;
    this.#event.write(EPOLLIN, NODE);
    this.#libc.epollCtl(this.#epfd, EPOLL_CTL_ADD, fd, this.#event.bytes);
  }

  #poll(fd: number): LoopPoll {
    const number = this.#polls.length;
    const poll: IdlePoll = { fd, fire: null };
    this.#polls.push(poll);
    return {
      start: (_events, fire) => {
        const was = poll.fire;
        poll.fire = fire;
        this.#event.write(EPOLLIN, number);
        if (was === null) this.#libc.epollCtl(this.#epfd, EPOLL_CTL_ADD, fd, this.#event.bytes);
      },
      stop: () => {
        poll.fire = null;
        this.#libc.epollCtl(this.#epfd, EPOLL_CTL_DEL, fd, this.#event.bytes);
      },
      close: () => {
        poll.fire = null;
        this.#libc.epollCtl(this.#epfd, EPOLL_CTL_DEL, fd, this.#event.bytes);
        this.#polls[number] = null;
      },
      ref: () => {},
      unref: () => {},
    };
  }

  readonly #turn = (): void => {
    if (this.#stopped) return;
    const events = this.#events;
    const n = this.#libc.epollWait(this.#epfd, events.bytes, EVENTS, this.#wanted ? 0 : IDLE_MS);
    this.#wanted = false;
    for (let i = 0; i < n; i++) this.#polls[events.data(i)]?.fire?.();
    this.#setImmediate(this.#turn);
  };
}

/** The epoll descriptor of this thread's libuv loop, -1 if it is not found: then Node's events wait IDLE_MS. */
async function nodeLoopDescriptor(): Promise<number> {
  const table = libc();
  const mark = check(table.eventfd(0, 0), 'eventfd', 'look for the event loop');
  const poll = table.loopPoll(mark);
  poll.start({ readable: true }, () => {});
  try {
    // libuv tells the kernel when it waits next: after this turn.
    await new Promise((resolve) => setTimeout(resolve, 1));
    return epollOf(mark);
  } finally {
    poll.close();
    // Closing a handle takes a turn; the descriptor outlives it.
    await new Promise((resolve) => setTimeout(resolve, 1));
    table.close(mark);
  }
}

function epollOf(fd: number): number {
  const line = new RegExp(`^tfd:\\s+${fd}\\s`, 'm');
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`) !== 'anon_inode:[eventpoll]') continue;
      if (line.test(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'))) return Number(name);
    } catch {
      // Closed by another thread meanwhile.
    }
  }
  return -1;
}
