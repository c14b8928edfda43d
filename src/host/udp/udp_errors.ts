// hot
/**
 * Errors that a UDP socket reports: counted by reason, never thrown.
 *
 *     this datagram's own:       EMSGSIZE (longer than the path takes, or than a datagram can be), no route, not permitted
 *     an earlier datagram's:     an ICMP message came back (nobody listens there: ECONNREFUSED); the kernel keeps it in the
 *                                socket's error queue and lets the next call fail with it, whichever that is
 *
 *   1. A call fails: `drain` empties the error queue. If there was anything in it, the failure was an earlier datagram's,
 *      which is counted here; the caller tries again.
 *   2. Nothing was: the failure belongs to the call; the caller counts it with `count`.
 *
 * As long as the error queue is not empty the descriptor looks readable, so whoever was woken for nothing drains it too.
 *
 *     struct sock_extended_err { u32 errno @0; u8 origin @4, type @5, code @6, pad @7; u32 info @8; u32 data @12 }
 */
import { constants } from 'node:os';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import {
  CMSG_DATA,
  MMSGHDR_SIZE,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_DONTWAIT,
  MSG_NAMELEN,
  SOL_IP,
  SOL_IPV6,
} from '../sys/socket.ts';

const { ECONNREFUSED, EMSGSIZE, EHOSTUNREACH, ENETUNREACH, EPERM, EACCES } = constants.errno;
const MSG_ERRQUEUE = 0x2000;
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const ERRORS_AT_ONCE = 16;
/** Rounds of one drain: a socket that gets errors faster is looked at again with the next call. */
const ROUNDS_MAX = 8;
/** The error itself (16), the address of who reported it (28), and what other options add. */
const CONTROL_SIZE = 192;
const EE_INFO = 8;

export class UdpErrors {
  /** Nobody listens at the destination. */
  refused = 0;
  /** Longer than the path takes, or than a datagram can be. */
  tooLong = 0;
  /** No way to the destination. */
  unreachable = 0;
  /** A firewall, or a broadcast that is not allowed. */
  forbidden = 0;
  other = 0;
  /** The smallest MTU that a router, or this host, has told of; 0: none has. */
  pathMtu = 0;
  readonly #fd: number;
  readonly #libc: Libc = libc();
  readonly #vector: Pinned = pinned(MMSGHDR_SIZE * ERRORS_AT_ONCE);
  readonly #controls: Pinned = pinned(CONTROL_SIZE * ERRORS_AT_ONCE);

  constructor(fd: number) {
    this.#fd = fd;
    for (let i = 0; i < ERRORS_AT_ONCE; i++) {
      writeWord(this.#vector.view, i * MMSGHDR_SIZE + MSG_CONTROL, this.#controls.at + i * CONTROL_SIZE);
    }
  }

  /** Counts one failure. */
  count(errno: number): void {
    if (errno === ECONNREFUSED) this.refused++;
    else if (errno === EMSGSIZE) this.tooLong++;
    else if (errno === EHOSTUNREACH || errno === ENETUNREACH) this.unreachable++;
    else if (errno === EPERM || errno === EACCES) this.forbidden++;
    else this.other++;
  }

  /** Counts all errors of earlier datagrams that the kernel keeps; gives how many. */
  drain(): number {
    let all = 0;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (let i = 0; i < ERRORS_AT_ONCE; i++) {
        this.#vector.view.setUint32(i * MMSGHDR_SIZE + MSG_NAMELEN, 0, true);
        this.#vector.view.setUint32(i * MMSGHDR_SIZE + MSG_CONTROLLEN, CONTROL_SIZE, true);
      }
      const flags = MSG_ERRQUEUE | MSG_DONTWAIT;
      const got = this.#libc.recvmmsg(this.#fd, this.#vector.at, ERRORS_AT_ONCE, flags, 0);
      if (got <= 0) break;
      for (let i = 0; i < got; i++) this.#read(i);
      all += got;
      if (got < ERRORS_AT_ONCE) break;
    }
    return all;
  }

  #read(i: number): void {
    const { view } = this.#controls;
    const begin = i * CONTROL_SIZE;
    const end = begin + this.#vector.view.getUint32(i * MMSGHDR_SIZE + MSG_CONTROLLEN, true);
    for (let at = begin; at + CMSG_DATA + 16 <= end; ) {
      const size = view.getUint32(at, true);
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      if ((level === SOL_IP && type === IP_RECVERR) || (level === SOL_IPV6 && type === IPV6_RECVERR)) {
        const errno = view.getUint32(at + CMSG_DATA, true);
        this.count(errno);
        const mtu = view.getUint32(at + CMSG_DATA + EE_INFO, true);
        if (errno === EMSGSIZE && mtu > 0 && (this.pathMtu === 0 || mtu < this.pathMtu)) this.pathMtu = mtu;
        return;
      }
      if (size < CMSG_DATA) break;
      at += (size + 7) & ~7;
    }
    this.other++;
  }
}

export { IP_RECVERR, IPV6_RECVERR };
