/**
 * Status codes of the data path and errors of the set-up path.
 *
 * The data path returns small integers, because a throw costs about 2 us (two orders above a frame's budget). Set-up may
 * throw, always a `SetupError` with a stable `code`, so that callers match on the code and people read the message.
 */

/** What a driver's startXmit returns (`netdev_tx_t`). BUSY: the frame is untouched and still the caller's. */
export const NETDEV_TX_OK = 0x00;
export const NETDEV_TX_BUSY = 0x10;

/** What a queueing layer returns; a value below 0x0f means that the frame was consumed (`dev_xmit_complete`). */
export const NET_XMIT_SUCCESS = 0x00;
export const NET_XMIT_DROP = 0x01;
/** Taken, but something was dropped: slow down. */
export const NET_XMIT_CN = 0x02;

/** What the receive path returns; callers usually ignore it. */
export const NET_RX_SUCCESS = 0;
export const NET_RX_DROP = 1;

/** True if a transmit status means that the frame is no longer the caller's (`dev_xmit_complete`). */
export function devXmitComplete(status: number): boolean {
  return status < 0x0f;
}

/**
 * Kernel errno values that the set-up functions report, as positive numbers; functions return them negated,
 * the way the kernel does (`return -ENODEV`).
 */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  ENOSPC: 28,
  EMLINK: 31,
  ELOOP: 40,
  EXFULL: 54,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  EOVERFLOW: 75,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  ENOTSUPP: 524,
  ENETDOWN: 100,
  EADDRNOTAVAIL: 99,
  EDESTADDRREQ: 89,
  ENOBUFS: 105,
  ENETUNREACH: 101,
  EMSGSIZE: 90,
  EAGAIN: 11,
} as const;

/** An error of the set-up path: a stable `code`, and a message that says what to do. */
export class SetupError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SetupError';
    this.code = code;
  }
}
