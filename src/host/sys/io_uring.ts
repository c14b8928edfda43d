// hot
/**
 * io_uring as a way to make one system call of many: a burst of reads or writes of one non-blocking descriptor.
 *
 *     entries (64 bytes each):   | opcode | flags | ... | address | length | number |      written here, shared memory
 *     submit(n):                 io_uring_enter(n)      the kernel does them one after the other, before it returns
 *     completions:               | number | result | --> results[number]                   written by the kernel
 *
 *   1. `entry(i)` is where entry i of the coming burst lies; what is the same in all of them was written when the ring was made.
 *   2. `submit(n)` gives how many were done; results[i] is what read() or write() would have given, an error as -errno.
 *   3. A request that is not over when the call returns would own memory that its owner believes free. So each asks not to wait
 *      (RWF_NOWAIT: O_NONBLOCK alone has the kernel wait in our place); should one all the same, it is cancelled and waited for, and the
 *      ring says that it is `broken`. So does one whose file knows no such requests; nothing was done then.
 *
 * Nothing runs on other threads. One thread makes and uses a ring. It does not hold the descriptor: a registered file would save 50 ns a
 * request, but is let go by a kernel thread some time after the process has died, and its TAP device with it.
 *
 * What it is worth is the price of entering the kernel: on a machine where that is 0.4 us (mitigations), 64 writes to a TAP device cost
 * 0.6 of what they cost one by one in C. DEFER_TASKRUN and skipped completions gave nothing for bursts like these.
 *
 *     struct io_uring_sqe { u8 opcode @0, flags @1; u16 ioprio @2; i32 fd @4; u64 off @8, addr @16; u32 len @24, op_flags @28;
 *                           u64 user_data @32; u16 buf_index @40, personality @42; i32 file_index @44; u64 @48 @56 }   64 bytes
 *     struct io_uring_cqe { u64 user_data @0; i32 res @8; u32 flags @12 }                                             16 bytes
 *     struct io_uring_params { u32 sq_entries @0, cq_entries @4, flags @8, ..., features @20; ...;
 *                              sq_off { u32 head @40, tail @44, mask @48, entries @52, flags @56, dropped @60, array @64 };
 *                              cq_off { u32 head @80, tail @84, mask @88, entries @92, overflow @96, cqes @100 } }   120 bytes
 *
 * Answers to: io_uring(7), include/uapi/linux/io_uring.h.
 */
import { constants } from 'node:os';
import { SetupError } from '../../base/status.ts';
import { errnoName } from './errno.ts';
import { type Libc, libc } from './libc.ts';
import { mapFile } from './mmap.ts';

export const IORING_OP_READV = 1;
export const IORING_OP_WRITEV = 2;
export const IORING_OP_READ = 22;
export const IORING_OP_WRITE = 23;
const IORING_OP_ASYNC_CANCEL = 14;

/** Places in an entry. */
export const SQE_OPCODE = 0;
const SQE_FD = 4;
const SQE_ADDR = 16;
const SQE_LEN = 24;
const SQE_OP_FLAGS = 28;
const SQE_NUMBER = 32;
const SQE_SIZE = 64;
const CQE_SIZE = 16;
const PARAMS_SIZE = 120;

/** One bad request does not keep the others back. (since 5.18) */
const IORING_SETUP_SUBMIT_ALL = 1 << 7;
/** One thread submits. (since 6.0) */
const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
const IORING_FEAT_SINGLE_MMAP = 1;
const IORING_ENTER_GETEVENTS = 1;
const RWF_NOWAIT = 1 << 3;
const IORING_ASYNC_CANCEL_ALL = 1 << 0;
const IORING_ASYNC_CANCEL_ANY = 1 << 2;
const SQES_AT = 0x1000_0000;
const CANCEL = 0xffff_ffff;
const { ENOSYS, EPERM, EINVAL, EOPNOTSUPP } = constants.errno;
/** Of a request that was not over in time. */
export const { ECANCELED } = constants.errno;

export class IoUring {
  /** Entries of a burst at most. */
  readonly size: number;
  /** Of each entry of the last burst. */
  readonly results: Int32Array;
  /** A request was not over in time: use plain calls. */
  broken = false;
  readonly #fd: number;
  readonly #libc: Libc = libc();
  readonly #entries: DataView;
  readonly #ring: Int32Array;
  /** Positions in `ring`, in words. */
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqes: number;
  readonly #cqMask: number;
  readonly #mask: number;
  #tail = 0;
  #closed = false;

  /** Set-up: see openIoUring. */
  constructor(ring: number, fd: number, params: DataView, opcode: number) {
    this.#fd = ring;
    const word = (at: number): number => params.getUint32(at, true);
    this.size = word(0);
    const array = word(64);
    const length = Math.max(array + 4 * word(0), word(100) + CQE_SIZE * word(4));
    this.#ring = new Int32Array(mapFile(ring, 0, length, 'map an io_uring').buffer);
    this.#entries = new DataView(mapFile(ring, SQES_AT, word(0) * SQE_SIZE, 'map the entries of an io_uring').buffer);
    this.results = new Int32Array(this.size);
    this.#sqHead = word(40) >>> 2;
    this.#sqTail = word(44) >>> 2;
    this.#cqHead = word(80) >>> 2;
    this.#cqTail = word(84) >>> 2;
    this.#cqes = word(100) >>> 2;
    this.#mask = word(0) - 1;
    this.#cqMask = word(4) - 1;
    for (let i = 0; i < this.size; i++) {
      this.#ring[(array >>> 2) + i] = i;
      this.#entries.setUint8(i * SQE_SIZE + SQE_OPCODE, opcode);
      this.#entries.setInt32(i * SQE_SIZE + SQE_FD, fd, true);
      this.#entries.setUint32(i * SQE_SIZE + SQE_OP_FLAGS, RWF_NOWAIT, true);
    }
  }

  /** Makes entry `i` of the coming burst a request for `len` bytes, or iovecs, at the address `high` * 2^32 + `low`. */
  put(i: number, opcode: number, low: number, high: number, len: number): void {
    const view = this.#entries;
    const o = ((this.#tail + i) & this.#mask) * SQE_SIZE;
    view.setUint8(o, opcode);
    view.setUint32(o + SQE_ADDR, low, true);
    view.setUint32(o + SQE_ADDR + 4, high, true);
    view.setUint32(o + SQE_LEN, len, true);
    view.setUint32(o + SQE_NUMBER, i, true);
  }

  /** Has the first `n` entries done, and fills results[0..m); gives m, which is smaller than n where the kernel lacked memory. */
  submit(n: number): number {
    const ring = this.#ring;
    const first = this.#tail;
    this.#tail = (first + n) | 0;
    Atomics.store(ring, this.#sqTail, this.#tail);
    this.#libc.ioUringEnter(this.#fd, n, 0, 0);
    const done = (Atomics.load(ring, this.#sqHead) - first) | 0;
    if (done < n) {
      // What the kernel has not looked at is ours again.
      this.#tail = (first + done) | 0;
      Atomics.store(ring, this.#sqTail, this.#tail);
    }
    this.results.fill(-ECANCELED, 0, done);
    const complete = this.#complete();
    if (complete < done) this.#settle(done, done - complete);
    if (done === 0 || this.results[0] !== -EOPNOTSUPP) return done;
    this.broken = true;
    return 0;
  }

  /** Gives the rings back. The memory goes when nobody can look at it any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#libc.close(this.#fd);
  }

  /** Takes what is complete; gives how many requests of the burst that were. */
  #complete(): number {
    const ring = this.#ring;
    const { results } = this;
    const tail = Atomics.load(ring, this.#cqTail);
    let head = ring[this.#cqHead]!;
    let n = 0;
    for (; head !== tail; head = (head + 1) | 0) {
      const at = this.#cqes + (head & this.#cqMask) * (CQE_SIZE >>> 2);
      const number = ring[at]!;
      if (number < 0) continue;
      results[number] = ring[at + 2]!;
      n++;
    }
    Atomics.store(ring, this.#cqHead, head);
    return n;
  }

  /** `missing` requests of `n` are not over, which should not be: cancels them, so that nothing is written to later. Bound: n calls. */
  #settle(n: number, missing: number): void {
    this.broken = true;
    const view = this.#entries;
    const o = (this.#tail & this.#mask) * SQE_SIZE;
    this.put(0, IORING_OP_ASYNC_CANCEL, 0, 0, 0);
    view.setUint32(o + SQE_OP_FLAGS, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY, true);
    view.setUint32(o + SQE_NUMBER, CANCEL, true);
    this.#tail = (this.#tail + 1) | 0;
    Atomics.store(this.#ring, this.#sqTail, this.#tail);
    this.#libc.ioUringEnter(this.#fd, 1, 1, IORING_ENTER_GETEVENTS);
    let left = missing - this.#complete();
    for (let tries = 0; left > 0 && tries < n; tries++) {
      this.#libc.ioUringEnter(this.#fd, 0, 1, IORING_ENTER_GETEVENTS);
      left -= this.#complete();
    }
  }
}

/**
 * A ring of `entries` requests (a power of two) to the non-blocking `fd`. Set-up. Throws SetupError `ERR_NETPOLL_NO_IO_URING`, which
 * says why there is none: a kernel before 6.0, one that is told not to (`kernel.io_uring_disabled`), a container.
 */
export function openIoUring(fd: number, entries: number, opcode: number): IoUring {
  const bytes = Buffer.alloc(PARAMS_SIZE);
  const params = new DataView(bytes.buffer, bytes.byteOffset, PARAMS_SIZE);
  params.setUint32(8, IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER, true);
  const ring = libc().ioUringSetup(entries, bytes);
  if (ring < 0) throw noRing(libc().errno());
  try {
    if ((params.getUint32(20, true) & IORING_FEAT_SINGLE_MMAP) === 0) throw noRing(EINVAL);
    return new IoUring(ring, fd, params, opcode);
  } catch (error) {
    libc().close(ring);
    throw error;
  }
}

/** Set-up: what is said where there is none. */
function noRing(errno: number): SetupError {
  let why = errnoName(errno);
  if (errno === ENOSYS) why = 'this kernel, or this container, has none';
  else if (errno === EPERM) why = 'it is turned off: sysctl kernel.io_uring_disabled, or this container';
  else if (errno === EINVAL) why = 'this kernel is older than 6.0';
  return new SetupError('ERR_NETPOLL_NO_IO_URING', `no io_uring: ${why}`);
}
