/**
 * The sockets of a qemu port: of a path, of an abstract name, or of an IP address.
 *
 *     struct sockaddr_un { u16 family @0; char path[108] @2 }      an abstract name begins with a zero and ends with the length
 *
 * A path that a dead process left behind is removed: somebody who listens there answers a call, and then it is in use.
 */
import { statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupError } from '../../base/status.ts';
import { errnoName, systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  openSocket,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  setBuffer,
  setInt,
} from '../sys/socket.ts';
import {
  SIN6_ADDR,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
  writeSockaddrIn,
  writeSockaddrIn6,
} from '../udp/socket_address.ts';
import { printAddress, type QemuAddress } from './qemu_spec.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SUN_PATH = 2;
const SO_REUSEADDR = 2;
const SO_KEEPALIVE = 9;
const SOL_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_USER_TIMEOUT = 18;
const BACKLOG = 4;
/** Buffers of the kernel: several frames of 64 KiB. */
const BUFFER = 1 << 20;

/** A socket that is bound or listening, and the file that goes with it. */
export interface BoundSocket {
  readonly fd: number;
  /** Removes what the socket left in the file system, if it is still ours. */
  remove(): void;
}

export function openQemuSocket(address: QemuAddress, stream: boolean, what: string): number {
  const family = address.kind === 'unix' ? AF_UNIX : address.ip.family === 6 ? AF_INET6 : AF_INET;
  const fd = openSocket(family, stream ? SOCK_STREAM : SOCK_DGRAM, 0, what, '');
  setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, BUFFER);
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER);
  return fd;
}

/** Binds, and listens on a stream. Throws SetupError: ERR_NETPOLL_EADDRINUSE, _EACCES, _ENOENT, ...; nothing stays open then. */
export function bindQemuSocket(address: QemuAddress, stream: boolean, what: string): BoundSocket {
  const fd = openQemuSocket(address, stream, what);
  try {
    if (address.kind === 'inet' && stream) setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    const name = sockaddr(address);
    let bound = libc().bind(fd, name, name.length) === 0;
    if (!bound && errnoName(libc().errno()) === 'EADDRINUSE') {
      removeStale(address, stream);
      bound = libc().bind(fd, name, name.length) === 0;
    }
    if (!bound) throw systemError('bind', what, bindHint(address));
    if (stream && libc().listen(fd, BACKLOG) < 0) throw systemError('listen', what, bindHint(address));
    return { fd, remove: remover(address) };
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/** Calls. True: connected, or on the way (a stream over IP; `takeSocketError` says how it went). False: `errno()` says why not. */
export function callQemuSocket(fd: number, address: QemuAddress): boolean {
  const name = sockaddr(address);
  return libc().connect(fd, name, name.length) === 0 || errnoName(libc().errno()) === 'EINPROGRESS';
}

/** The next caller's connection; -1: nobody waits. */
export function acceptQemuSocket(fd: number): number {
  return libc().accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/** Frames leave at once, and a peer that is gone without a word is noticed within about ten seconds. */
export function tuneConnection(fd: number, address: QemuAddress): void {
  setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, BUFFER);
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER);
  if (address.kind !== 'inet') return;
  setInt(fd, SOL_TCP, TCP_NODELAY, 1);
  setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setInt(fd, SOL_TCP, TCP_KEEPIDLE, 4);
  setInt(fd, SOL_TCP, TCP_KEEPINTVL, 2);
  setInt(fd, SOL_TCP, TCP_KEEPCNT, 3);
  setInt(fd, SOL_TCP, TCP_USER_TIMEOUT, 10_000);
}

function sockaddr(address: QemuAddress): Buffer {
  if (address.kind === 'unix') {
    const path = Buffer.from(address.path);
    const bytes = Buffer.alloc(SUN_PATH + path.length + 1);
    bytes.writeUInt16LE(AF_UNIX);
    path.copy(bytes, SUN_PATH + (address.abstract ? 1 : 0));
    return bytes;
  }
  const { ip, port } = address;
  const bytes = Buffer.alloc(ip.family === 6 ? SOCKADDR_IN6_SIZE : SOCKADDR_IN_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (ip.family === 4) {
    writeSockaddrIn(view, 0, port, ip.v4);
  } else {
    writeSockaddrIn6(view, 0, port, 0);
    bytes.set(ip.v6, SIN6_ADDR);
  }
  return bytes;
}

/** Removes a socket's file behind which nobody is any more. */
function removeStale(address: QemuAddress, stream: boolean): void {
  if (address.kind !== 'unix' || address.abstract || inodeOf(address.path) === null) return;
  const fd = openQemuSocket(address, stream, 'see who is there');
  const refused = !callQemuSocket(fd, address) && errnoName(libc().errno()) === 'ECONNREFUSED';
  libc().close(fd);
  if (refused) unlink(address.path);
}

function remover(address: QemuAddress): () => void {
  if (address.kind !== 'unix' || address.abstract) return () => {};
  const ours = inodeOf(address.path);
  return () => {
    if (ours !== null && inodeOf(address.path) === ours) unlink(address.path);
  };
}

function inodeOf(path: string): string | null {
  try {
    const { dev, ino, mode } = statSync(path);
    return (mode & 0o170000) === 0o140000 ? `${dev}:${ino}` : null;
  } catch {
    return null;
  }
}

function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else was faster, or may, and we may not: binding says it.
  }
}

function bindHint(address: QemuAddress): string {
  const name = errnoName(libc().errno());
  const where = printAddress(address);
  if (address.kind === 'inet') {
    if (name === 'EADDRINUSE')
      return `another program has ${where}: give another port, or ss -lntup 'sport = :${address.port}'`;
    if (name === 'EADDRNOTAVAIL') return 'no interface has this address: ip address';
    if (name === 'EACCES') return 'ports below 1024 need CAP_NET_BIND_SERVICE';
    return '';
  }
  if (name === 'EADDRINUSE')
    return `another program is there (ss -xlp src ${where}), or it is a file: give another path`;
  const folder = dirname(address.path);
  if (name === 'ENOENT') return `there is no folder ${folder}`;
  if (name === 'EACCES' || name === 'EPERM')
    return `you may not make files in ${folder}: give a path of your own, as in $XDG_RUNTIME_DIR`;
  return '';
}

/** Throws where the address is of no use at all, so that it is said at once and not tried for ever. */
export function refuseUseless(address: QemuAddress, what: string): void {
  if (address.kind !== 'unix' || address.abstract) return;
  try {
    if (statSync(dirname(address.path)).isDirectory()) return;
  } catch {
    // The sentence below says it.
  }
  throw new SetupError('ERR_NETPOLL_ENOENT', `${what}: there is no folder ${dirname(address.path)}`);
}
