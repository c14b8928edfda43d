// hot
/**
 * Whether Node's own loop has anything to do on this thread: what the kernel asks of need_resched() while ksoftirqd runs.
 *
 *     libuv would sleep now (uv_backend_timeout), and none of its descriptors is readable (ppoll on its epoll)  --> stay
 *     an Immediate, a timer that is due, a socket of the application's, a message, an order to end              --> go back
 *
 * A turn of Node's loop costs 56 bytes of V8's heap, koffi's event another 56, an Immediate 390: a flood that is polled every 250 us would
 * make a megabyte a second of them. Who stays instead costs the application nothing, since it would sleep; only what a handler has left
 * to microtasks waits.
 */
import { type Libc, libc, type NodeLoopFacts } from './sys/libc.ts';
import { pinned } from './sys/pinned.ts';

const POLLIN = 1;
/** The kernel wakes who waits in ppoll() so much later than asked for, at most (a thread's timer slack). */
const SLACK_US = 50;

export class NodeLoop {
  readonly #libc: Libc = libc();
  readonly #facts: NodeLoopFacts;
  /** struct pollfd[2]: the interrupt controller, Node's loop. */
  readonly #fds = pinned(16);
  readonly #timeout = pinned(16);

  /** Null where Node's loop is not to be found (a worker thread, another libuv). `controller`: the descriptor of our interrupts. */
  static find(controller: number): NodeLoop | null {
    const facts = libc().nodeLoop();
    return facts === null ? null : new NodeLoop(facts, controller);
  }

  private constructor(facts: NodeLoopFacts, controller: number) {
    this.#facts = facts;
    const { view } = this.#fds;
    view.setInt32(0, controller, true);
    view.setInt16(4, POLLIN, true);
    view.setInt32(8, facts.fd, true);
    view.setInt16(12, POLLIN, true);
  }

  /**
   * Waits for `us`, less than a second, while neither Node nor an interrupt of ours wants the thread; 0: looks. False: one of them does.
   * May come back a slack early. One system call.
   */
  rest(us: number): boolean {
    const { timeout, loopAt } = this.#facts;
    const ms = timeout(loopAt);
    if (ms === 0 || (ms > 0 && ms <= us / 1000)) return false;
    // Not 0 where there is a wait: that only looks.
    this.#timeout.view.setInt32(8, us > SLACK_US ? (us - SLACK_US) * 1000 : us > 0 ? 1 : 0, true);
    return this.#libc.ppoll(this.#fds.bytes, 2, this.#timeout.bytes, null) === 0;
  }
}
