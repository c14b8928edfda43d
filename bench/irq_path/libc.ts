/** The few libc calls that the experiment needs, through koffi. */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

export const socket = libc.func('int socket(int, int, int)');
export const bind = libc.func('int bind(int, void*, uint)');
export const getsockname = libc.func('int getsockname(int, void*, void*)');
export const setsockopt = libc.func('int setsockopt(int, int, int, void*, uint)');
export const recv = libc.func('int recv(int, void*, size_t, int)');
export const sendto = libc.func('int sendto(int, void*, size_t, int, void*, uint)');
export const clockGettime = libc.func('int clock_gettime(int, void*)');
export const fcntl = libc.func('int fcntl(int, int, int)');
export const poll = libc.func('int poll(void*, ulong, int)');
export const getpid = libc.func('int getpid()');

export const AF_INET = 2;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0x800;
export const MSG_DONTWAIT = 0x40;
export const CLOCK_MONOTONIC = 1;

/** sockaddr_in of 127.0.0.1: family @0 (host order), port @2 (network order), address @4. */
export function loopback(port: number): Buffer {
  const sa = Buffer.alloc(16);
  sa.writeUInt16LE(AF_INET, 0);
  sa.writeUInt16BE(port, 2);
  sa.writeUInt32BE(0x7f000001, 4);
  return sa;
}

/** struct pollfd: fd @0, events @4, revents @6. */
export function pollfdOf(fd: number): Buffer {
  const pfd = Buffer.alloc(8);
  pfd.writeInt32LE(fd, 0);
  pfd.writeInt16LE(1, 4);
  return pfd;
}
