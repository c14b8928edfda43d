/**
 * Failed system calls. On the data path an errno is a number that is compared with the few below; at set-up it becomes
 * a SetupError that names the call, the kernel's word and what to do.
 */
import { constants } from 'node:os';
import { SetupError } from '../../base/status.ts';
import { libc } from './libc.ts';

export const {
  EPERM,
  EINTR,
  EAGAIN,
  EACCES,
  EBUSY,
  EINVAL,
  ENOBUFS,
  ENETDOWN,
  EADDRINUSE,
  EADDRNOTAVAIL,
  ENODEV,
  ENXIO,
  EPROTO,
  ECONNREFUSED,
  EMSGSIZE,
} = constants.errno as Record<string, number> as {
  EPERM: number;
  EINTR: number;
  EAGAIN: number;
  EACCES: number;
  EBUSY: number;
  EINVAL: number;
  ENOBUFS: number;
  ENETDOWN: number;
  EADDRINUSE: number;
  EADDRNOTAVAIL: number;
  ENODEV: number;
  ENXIO: number;
  EPROTO: number;
  ECONNREFUSED: number;
  EMSGSIZE: number;
};

/** The peer has closed. (Node has no name for it.) */
export const ESHUTDOWN = 108;

/** `EPERM` for 1; the number itself if the kernel has a new one. */
export function errnoName(errno: number): string {
  // Two names have one number; the kernel says EOPNOTSUPP.
  for (const [name, value] of Object.entries(constants.errno)) if (value === errno && name !== 'ENOTSUP') return name;
  return `errno ${errno}`;
}

/** The error of the call that has just failed, with code `ERR_NETPOLL_` + the errno's name. `what` says what was tried. */
export function systemError(call: string, what: string, hint = ''): SetupError {
  const name = errnoName(libc().errno());
  return new SetupError(
    `ERR_NETPOLL_${name}`,
    `${what}: ${call}() failed with ${name}${hint === '' ? '' : `; ${hint}`}`,
  );
}

/** Gives back the result of a C call, or throws the systemError. */
export function check(result: number, call: string, what: string, hint = ''): number {
  if (result < 0) throw systemError(call, what, hint);
  return result;
}
