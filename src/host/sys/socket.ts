/**
 * Sockets: constants, options, and the structures that recvmmsg() and sendmmsg() take. Numbers are those of the generic
 * ABI (x86-64, arm64, riscv64: little-endian, 64-bit).
 *
 *     struct iovec    { void *base @0; size_t len @8 }                                                           16 bytes
 *     struct msghdr   { void *name @0; u32 namelen @8; iovec *iov @16; size_t iovlen @24;
 *                       void *control @32; size_t controllen @40; int flags @48 }                                56 bytes
 *     struct mmsghdr  { msghdr @0; u32 len @56 }                                                                 64 bytes
 *     struct cmsghdr  { size_t len @0; int level @8; int type @12; data @16, next one aligned to 8 }
 */
import { check } from './errno.ts';
import { libc } from './libc.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const SOL_PACKET = 263;
export const SOL_NETLINK = 270;

export const SO_ERROR = 4;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_BINDTODEVICE = 25;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
export const SO_TIMESTAMP = 29;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MEMINFO = 55;
/** Index of the drop count in the array of u32 that SO_MEMINFO gives. */
export const SK_MEMINFO_DROPS = 8;
export const IP_PKTINFO = 8;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;

export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;

export const IOVEC_SIZE = 16;
export const MMSGHDR_SIZE = 64;
export const MSG_NAME = 0;
export const MSG_NAMELEN = 8;
export const MSG_IOV = 16;
export const MSG_IOVLEN = 24;
export const MSG_CONTROL = 32;
export const MSG_CONTROLLEN = 40;
export const MSG_FLAGS = 48;
export const MSG_LEN = 56;
export const CMSG_DATA = 16;

/** Sets an option that is an int. False: the kernel refused. */
export function setInt(fd: number, level: number, name: number, value: number): boolean {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return libc().setsockopt(fd, level, name, bytes, 4) === 0;
}

/** Asks for a receive or send buffer of `bytes`; past the system's limit where we may (CAP_NET_ADMIN), else up to it. */
export function setBuffer(fd: number, force: number, polite: number, bytes: number): void {
  if (!setInt(fd, SOL_SOCKET, force, bytes)) setInt(fd, SOL_SOCKET, polite, bytes);
}

/** Fills `value` with an option; gives how many bytes the kernel wrote, -1 if it refused. */
export function getOption(fd: number, level: number, name: number, value: Uint8Array): number {
  const length = Buffer.alloc(4);
  length.writeInt32LE(value.length);
  return libc().getsockopt(fd, level, name, value, length) === 0 ? length.readInt32LE(0) : -1;
}

/** Frames or datagrams that the kernel had no room for since the socket was made (`sk_drops`, modulo 2^32); -1: unknown. */
export function socketDrops(fd: number): number {
  const info = Buffer.alloc(4 * 9);
  return getOption(fd, SOL_SOCKET, SO_MEMINFO, info) === info.length ? info.readUInt32LE(4 * SK_MEMINFO_DROPS) : -1;
}

/** The error that is pending on a socket, which is none afterwards; 0: none was. */
export function takeSocketError(fd: number): number {
  const error = Buffer.alloc(4);
  getOption(fd, SOL_SOCKET, SO_ERROR, error);
  return error.readInt32LE(0);
}

/** A non-blocking socket which children do not inherit. Throws systemError with `hint`. */
export function openSocket(domain: number, type: number, protocol: number, what: string, hint: string): number {
  return check(libc().socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), 'socket', what, hint);
}
