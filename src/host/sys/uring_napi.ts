/**
 * A NAPI instance of the kernel's that is polled by whoever wants its frames: an io_uring with no request in it, whose wait polls.
 *
 *     drive()  -->  io_uring_enter(wait for a completion, `usecs` at most)  -->  poll, poll, poll ... for `usecs`, here, in this call
 *                        there is none: the time is up                           8 frames each; the device's own interrupt stays away
 *
 * Socket options (SO_BUSY_POLL, SO_PREFER_BUSY_POLL) do the same for a socket that knows its instance. An AF_XDP socket in copy mode does
 * not since Linux 6.13, nor one on a driver that does not say which instance polls which queue (veth). Here the instance is named.
 *
 * Between two calls the interrupt stays away for the interface's gro_flush_timeout, if its napi_defer_hard_irqs is not 0; then a timer
 * polls, and who has not come back after so many of these is interrupted again.
 *
 *     struct io_uring_napi          { u32 busy_poll_to @0; u8 prefer_busy_poll @4, opcode @5, pad[2]; u32 op_param @8, resv @12 }  16 bytes
 *     struct io_uring_getevents_arg { u64 sigmask @0; u32 sigmask_sz @8, min_wait_usec @12; u64 ts @16 }                       24 bytes
 *     struct __kernel_timespec      { i64 tv_sec @0, tv_nsec @8 }                                                             16 bytes
 *
 * Answers to: io_uring_register_napi(3), include/uapi/linux/io_uring.h. Linux 6.13.
 */
import { constants } from 'node:os';
import { SetupError } from '../../base/status.ts';
import { errnoName } from './errno.ts';
import { type Libc, libc } from './libc.ts';
import { type Pinned, pinned, writeWord } from './pinned.ts';

const PARAMS_SIZE = 120;
const IORING_REGISTER_NAPI = 27;
const IO_URING_NAPI_REGISTER_OP = 0;
const IO_URING_NAPI_STATIC_ADD_ID = 1;
const IO_URING_NAPI_TRACKING_STATIC = 1;
const IORING_ENTER_GETEVENTS = 1;
const IORING_ENTER_EXT_ARG = 8;
const FLAGS = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
const ARG_SIZE = 24;
const TIMESPEC_AT = 32;
const { ENOSYS, EPERM, EINVAL } = constants.errno;

export class UringNapi {
  readonly #libc: Libc = libc();
  readonly #fd: number;
  /** The argument, and the time that it points to. */
  readonly #arg: Pinned = pinned(TIMESPEC_AT + 16);

  /** Set-up: see openUringNapi. */
  constructor(fd: number, usecs: number) {
    this.#fd = fd;
    writeWord(this.#arg.view, 16, this.#arg.at + TIMESPEC_AT);
    writeWord(this.#arg.view, TIMESPEC_AT, Math.floor(usecs / 1e6));
    writeWord(this.#arg.view, TIMESPEC_AT + 8, (usecs % 1e6) * 1000);
  }

  /** Polls for the time it was opened with; one system call. */
  drive(): void {
    this.#libc.ioUringWait(this.#fd, FLAGS, this.#arg.at, ARG_SIZE);
  }

  close(): void {
    this.#libc.close(this.#fd);
  }
}

/** For the instance with this id, `usecs` (1 to 1000000) a call. Throws SetupError `ERR_NETPOLL_NO_IO_URING` that says why not. */
export function openUringNapi(id: number, usecs: number): UringNapi {
  const fd = libc().ioUringSetup(1, Buffer.alloc(PARAMS_SIZE));
  if (fd < 0) throw noRing(libc().errno());
  const told =
    register(fd, usecs, IO_URING_NAPI_REGISTER_OP, IO_URING_NAPI_TRACKING_STATIC) &&
    register(fd, usecs, IO_URING_NAPI_STATIC_ADD_ID, id);
  if (told) return new UringNapi(fd, usecs);
  const errno = libc().errno();
  libc().close(fd);
  throw noRing(errno);
}

function register(fd: number, usecs: number, opcode: number, param: number): boolean {
  const { bytes, view } = pinned(16);
  view.setUint32(0, usecs, true);
  view.setUint8(4, 1);
  view.setUint8(5, opcode);
  view.setUint32(8, param, true);
  return libc().ioUringRegister(fd, IORING_REGISTER_NAPI, bytes, 1) >= 0;
}

function noRing(errno: number): SetupError {
  let why = errnoName(errno);
  if (errno === ENOSYS) why = 'this kernel, or this container, has none';
  else if (errno === EPERM) why = 'it is turned off: sysctl kernel.io_uring_disabled, or this container';
  else if (errno === EINVAL) why = 'this kernel is older than 6.13';
  return new SetupError('ERR_NETPOLL_NO_IO_URING', `no io_uring that polls devices: ${why}`);
}
