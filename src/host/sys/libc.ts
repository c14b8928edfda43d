/**
 * The C library, as far as the ports need it: one table of typed functions. koffi makes the calls; whatever replaces it
 * one day (Node's own FFI) has to fill this table and nothing else.
 *
 *   1. Nothing is loaded by importing this file. The first `libc()` looks for koffi, which is an optional dependency.
 *   2. Results are the C results: -1 means failed, and `errno()` right after says why.
 *   3. A parameter called `...At` is an address as a plain number (user addresses have 47 bits, a double holds 53): no
 *      BigInt is made in a call. Memory whose address goes to the kernel comes from `pinned.ts` or from the arena, and
 *      its owner keeps it reachable: the garbage collector does not see addresses.
 */
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { SetupError } from '../../base/status.ts';

/** A descriptor watched by this thread's event loop (level-triggered; `start` and `stop` are unmask and mask). */
export interface LoopPoll {
  start(events: { readable: boolean }, fire: () => void): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/** Node's loop as libuv knows it. */
export interface NodeLoopFacts {
  /** Its epoll: readable when one of the loop's descriptors is. */
  readonly fd: number;
  readonly loopAt: number;
  /** Milliseconds that it would sleep now; 0: not at all, -1: until something happens. `loopAt` is its argument. */
  readonly timeout: (loopAt: number) => number;
}

export interface Libc {
  errno(): number;
  /** Of a file that is there. Unlike node:fs, it is not closed by Node when a thread ends, and may be closed by close(). */
  open(path: string, flags: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  /** The next caller of a listening socket, whose address nobody asks for. */
  accept4(fd: number, address: null, length: null, flags: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  /** A request that takes the number itself, not its address. */
  ioctlValue(fd: number, request: number, value: number): number;
  /** From and to as many pieces of memory as the iovecs at `vectorAt` say; one frame of a TAP device. */
  readv(fd: number, vectorAt: number, count: number): number;
  writev(fd: number, vectorAt: number, count: number): number;
  close(fd: number): number;
  ifNametoindex(name: string): number;
  /** One datagram from memory that the call looks at and no longer; the address may be null. Gives what it took, or -1. */
  sendto(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array | null,
    addressLength: number,
  ): number;
  /** The same from an address; `addressAt` 0: to whom the socket is bound or connected. For the data path: nothing is converted. */
  sendtoAt(fd: number, at: number, length: number, flags: number, addressAt: number, addressLength: number): number;
  /** One datagram as a struct msghdr says. */
  sendmsg(fd: number, messageAt: number, flags: number): number;
  recv(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  recvmmsg(fd: number, vectorAt: number, count: number, flags: number, timeoutAt: number): number;
  sendmmsg(fd: number, vectorAt: number, count: number, flags: number): number;
  /** Gives the address, or -1. */
  read(fd: number, bytes: Uint8Array, length: number): number;
  write(fd: number, bytes: Uint8Array, length: number): number;
  eventfd(initial: number, flags: number): number;
  /** From address to address. */
  memcpy(toAt: number, fromAt: number, length: number): unknown;
  /** Moves a mapping; gives the new address, or -1. */
  mremap(at: number, length: number, newLength: number, flags: number, newAt: number): number;
  mmap(at: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(at: number, length: number): number;
  /** A system call which the C library has no function for, by its number on this machine. */
  syscall(number: number, a: number, bAt: number, c: number): number;
  /** The calls of an io_uring, which the C library has no functions for. */
  ioUringSetup(entries: number, params: Uint8Array): number;
  ioUringEnter(fd: number, submit: number, wait: number, flags: number): number;
  /** Waits for a completion, no longer than the struct io_uring_getevents_arg says. */
  ioUringWait(fd: number, flags: number, argAt: number, argSize: number): number;
  ioUringRegister(fd: number, opcode: number, arg: Uint8Array, count: number): number;
  ppoll(fds: Uint8Array, count: number, timeout: Uint8Array, mask: null): number;
  epollCreate1(flags: number): number;
  epollCtl(epfd: number, operation: number, fd: number, event: Uint8Array): number;
  epollWait(epfd: number, events: Uint8Array, count: number, timeoutMs: number): number;
  clockGettime(clock: number, now: Uint8Array): number;
  timerfdCreate(clock: number, flags: number): number;
  timerfdSettime(fd: number, flags: number, value: Uint8Array, old: null): number;
  /** Address of the first byte of memory which does not move (not an on-heap typed array). */
  addressOf(memory: Uint8Array): number;
  /** Memory at an address as an ArrayBuffer. Once for each address: V8 allows no second one. */
  viewOf(at: number, length: number): ArrayBuffer;
  /** Makes a stopped watch of `fd` on this thread's event loop. */
  loopPoll(fd: number): LoopPoll;
  /** The main thread's loop; null on another thread, and where the program does not export libuv's functions. */
  nodeLoop(): NodeLoopFacts | null;
}

type Koffi = typeof import('koffi').default;

const WITHOUT_KOFFI = 'pcap:FILE works, and so do simulations (netpoll lab, netpoll dump sim:fleet)';

let table: Libc | undefined;

/** The table. Throws SetupError `ERR_NETPOLL_NO_KOFFI` where koffi is absent or does not load, or this is not Linux. */
export function libc(): Libc {
  table ??= loadLibc(createRequire(import.meta.url));
  return table;
}

/** Makes the table; `require` finds koffi. */
export function loadLibc(require: (name: string) => unknown): Libc {
  if (process.platform !== 'linux') {
    throw new SetupError('ERR_NETPOLL_NOT_LINUX', `real ports need Linux, this is ${process.platform}; use sim: here`);
  }
  const koffi = loadKoffi(require);
  // glibc's name; musl's is found by its own. Both export everything below.
  const library = loadFirst(koffi, ['libc.so.6', 'libc.so']);
  const f = (definition: string): ReturnType<typeof library.func> => library.func(definition);
  const ioctlOf = library.func('ioctl', 'int', ['int', 'ulong', 'void *']);
  const ioctlValueOf = library.func('ioctl', 'int', ['int', 'ulong', 'ulong']);
  const uringSetup = f('int syscall(intptr_t, uint, void *)');
  const uringEnter = f('int syscall(intptr_t, int, uint, uint, uint, uintptr_t, size_t)');
  const uringRegister = f('int syscall(intptr_t, int, uint, void *, uint)');
  const mremapOf = f('intptr_t mremap(uintptr_t, size_t, size_t, int, uintptr_t)');
  const mmapOf = f('intptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)');
  return {
    errno: () => koffi.errno(),
    open: f('int open(str, int)'),
    socket: f('int socket(int, int, int)'),
    bind: f('int bind(int, void *, uint)'),
    connect: f('int connect(int, void *, uint)'),
    listen: f('int listen(int, int)'),
    accept4: f('int accept4(int, void *, void *, int)'),
    getsockname: f('int getsockname(int, void *, void *)'),
    setsockopt: f('int setsockopt(int, int, int, void *, uint)'),
    getsockopt: f('int getsockopt(int, int, int, void *, void *)'),
    ioctl: (fd, request, argument) => ioctlOf(fd, request, argument),
    ioctlValue: (fd, request, value) => ioctlValueOf(fd, request, value),
    readv: f('intptr_t readv(int, uintptr_t, int)'),
    writev: f('intptr_t writev(int, uintptr_t, int)'),
    close: f('int close(int)'),
    ifNametoindex: f('uint if_nametoindex(str)'),
    sendto: f('intptr_t sendto(int, void *, size_t, int, void *, uint)'),
    sendtoAt: f('intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint)'),
    sendmsg: f('intptr_t sendmsg(int, uintptr_t, int)'),
    recv: f('intptr_t recv(int, void *, size_t, int)'),
    recvmmsg: f('int recvmmsg(int, uintptr_t, uint, int, uintptr_t)'),
    sendmmsg: f('int sendmmsg(int, uintptr_t, uint, int)'),
    mmap: (at, length, protection, flags, fd, offset) => Number(mmapOf(at, length, protection, flags, fd, offset)),
    munmap: f('int munmap(uintptr_t, size_t)'),
    read: f('intptr_t read(int, void *, size_t)'),
    write: f('intptr_t write(int, void *, size_t)'),
    eventfd: f('int eventfd(uint, int)'),
    memcpy: f('intptr_t memcpy(uintptr_t, uintptr_t, size_t)'),
    mremap: (at, length, newLength, flags, newAt) => Number(mremapOf(at, length, newLength, flags, newAt)),
    syscall: f('intptr_t syscall(intptr_t, intptr_t, uintptr_t, uintptr_t)'),
    ioUringSetup: (entries, params) => uringSetup(425, entries, params),
    ioUringEnter: (fd, submit, wait, flags) => uringEnter(426, fd, submit, wait, flags, 0, 0),
    ioUringWait: (fd, flags, argAt, argSize) => uringEnter(426, fd, 0, 1, flags, argAt, argSize),
    ioUringRegister: (fd, opcode, arg, count) => uringRegister(427, fd, opcode, arg, count),
    ppoll: f('int ppoll(void *, ulong, void *, void *)'),
    epollCreate1: f('int epoll_create1(int)'),
    epollCtl: f('int epoll_ctl(int, int, int, void *)'),
    epollWait: f('int epoll_wait(int, void *, int, int)'),
    clockGettime: f('int clock_gettime(int, void *)'),
    timerfdCreate: f('int timerfd_create(int, int)'),
    timerfdSettime: f('int timerfd_settime(int, int, void *, void *)'),
    addressOf: (memory) => Number(koffi.address(memory)),
    viewOf: (at, length) => koffi.view(BigInt(at), length),
    loopPoll(fd) {
      const poll = koffi.node.poll(fd, { readable: true }, () => {});
      poll.stop();
      return poll;
    },
    nodeLoop: () => (isMainThread ? mainLoop(koffi) : null),
  };
}

function mainLoop(koffi: Koffi): NodeLoopFacts | null {
  try {
    const program = koffi.load(null);
    const loopAt = Number(program.func('uintptr_t uv_default_loop()')());
    const fd = program.func('int uv_backend_fd(uintptr_t)')(loopAt) as number;
    return fd < 0 ? null : { fd, loopAt, timeout: program.func('int uv_backend_timeout(uintptr_t)') };
  } catch {
    return null;
  }
}

function loadKoffi(require: (name: string) => unknown): Koffi {
  let koffi: Koffi;
  try {
    koffi = require('koffi') as Koffi;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new SetupError(
      'ERR_NETPOLL_NO_KOFFI',
      `real ports need koffi, which does not load (${why}): npm install koffi; without it ${WITHOUT_KOFFI}`,
      {
        cause,
      },
    );
  }
  if (typeof koffi.node?.poll !== 'function') {
    const message = `koffi ${koffi.version} cannot watch descriptors: npm install koffi@3.3.4`;
    throw new SetupError('ERR_NETPOLL_NO_KOFFI', message);
  }
  return koffi;
}

function loadFirst(koffi: Koffi, names: readonly string[]): ReturnType<Koffi['load']> {
  let cause: unknown;
  for (const name of names) {
    try {
      return koffi.load(name);
    } catch (error) {
      cause ??= error;
    }
  }
  throw new SetupError('ERR_NETPOLL_NO_KOFFI', `koffi finds no C library (${names.join(', ')})`, { cause });
}
