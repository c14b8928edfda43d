/**
 * Binding to a queue of which the kernel may still be taking down the last socket.
 *
 *     close() --> the socket is off the data path --> work queue: the card lets go of the slots --> the queue is free
 *                                                     until here bind() says EBUSY, and a card that
 *                                                     copies by itself may still write into our slots
 *
 *   1. bindPatiently asks again until the queue is free, half a second at most.
 *   2. awaitUnbound asks the same with a socket of its own, which it closes at once: afterwards nobody writes into slots.
 */
import { EBUSY } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { PAGE_SIZE } from '../sys/mmap.ts';
import { pinned } from '../sys/pinned.ts';
import { PollSet } from '../sys/poll.ts';
import { bindXdp, openXdpSocket, RINGS, registerUmem, setRing, XDP_COPY } from '../sys/xdp.ts';

const TRIES = 500;
const PAUSE_NS = 1e6;
const PROBE_RING = 64;
const PROBE_CHUNK = 2048;

/** 0, or -1 and errno: EBUSY if the queue was not free in half a second. */
export function bindPatiently(fd: number, ifindex: number, queue: number, flags: number, sharedFd: number): number {
  const pause = new PollSet();
  for (let tries = 0; ; tries++) {
    const bound = bindXdp(fd, ifindex, queue, flags, sharedFd);
    if (bound === 0 || libc().errno() !== EBUSY) return bound;
    if (tries === TRIES) return bound;
    pause.wait(PAUSE_NS);
  }
}

/** Waits until no socket has the queue, or the interface is gone. False: one has it after half a second, or we cannot tell. */
export function awaitUnbound(ifindex: number, queue: number): boolean {
  const what = `wait for queue ${queue}`;
  const page = pinned(2 * PAGE_SIZE);
  let fd = -1;
  try {
    fd = openXdpSocket(what, 'IFACE');
    registerUmem(fd, Math.ceil(page.at / PAGE_SIZE) * PAGE_SIZE, PAGE_SIZE, PROBE_CHUNK, what);
    for (const { option } of [RINGS.fill, RINGS.completion, RINGS.tx]) setRing(fd, option, PROBE_RING, what);
    return bindPatiently(fd, ifindex, queue, XDP_COPY, 0) === 0 || libc().errno() !== EBUSY;
  } catch {
    // Whoever closes cannot be told: no descriptor, no memory.
    return false;
  } finally {
    if (fd >= 0) libc().close(fd);
  }
}
