/**
 * TAP devices: the requests that /dev/net/tun takes.
 *
 *     open /dev/net/tun --TUNSETIFF(name, flags)--> one queue of the device, made if it is not there
 *
 *     struct ifreq { char name[16] @0; short flags @16 }                                                          40 bytes
 *
 * A device that is not persistent goes with its last descriptor, whatever became of the process.
 * Answers to: Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h.
 */
import { constants, readFileSync } from 'node:fs';
import { SetupError } from '../../base/status.ts';
import { check, EACCES, EBUSY, EINVAL, EPERM, errnoName, systemError } from './errno.ts';
import { ifreq } from './interface.ts';
import { libc } from './libc.ts';
import { notPermitted, schemeInstead } from './privilege.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.ts';

const TUN_PATH = '/dev/net/tun';
const O_CLOEXEC = 0o2000000;
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const TUNGETIFF = 0x800454d2;
const TUNSETVNETHDRSZ = 0x400454d8;
const TUNSETVNETLE = 0x400454dc;
const TUNSETCARRIER = 0x400454e2;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFMTU = 0x8922;
const IFNAMSIZ = 16;
const IFF_UP = 0x1;

/** Errno of a descriptor whose device has been deleted. */
export const EBADFD = 77;

export const IFF_TUN = 0x0001;
export const IFF_TAP = 0x0002;
/** A poll for each frame that is written: the kernel's own receive offload works on it. */
export const IFF_NAPI = 0x0010;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_PERSIST = 0x0800;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;

/** What the reader does by itself: it fills in checksums, and cuts super-frames of these kinds. */
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/** What the kernel says of a device that is there. */
export interface TunFacts {
  readonly name: string;
  readonly flags: number;
}

/**
 * Opens a queue of TAP device `name` (`tap%d`: the kernel chooses), and makes the device if it is not there. Non-blocking, not inherited
 * by children. `flags`: IFF_* beside IFF_TAP. Throws SetupError: ERR_NETPOLL_NO_TUN, ERR_NETPOLL_EPERM, ERR_NETPOLL_EBUSY, ...
 */
export function openTap(name: string, flags: number): number {
  // Not by node:fs: Node would close it once more when a thread ends, whatever has its number by then.
  const fd = libc().open(TUN_PATH, constants.O_RDWR | constants.O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    const cause = systemError('open', TUN_PATH);
    const why = errnoName(libc().errno());
    if (why === 'EACCES' || why === 'EPERM') {
      // Who may not open it, may not make a device either.
      throw notPermitted('tap', name, `tap:${name}: ${TUN_PATH} does not open (${why})`, cause);
    }
    const message = `tap:${name}: this kernel, or this container, has no ${TUN_PATH} (${why}); modprobe tun, or pass it in`;
    throw new SetupError('ERR_NETPOLL_NO_TUN', `${message}; ${schemeInstead('tap', name)}`, { cause });
  }
  const request = ifreq(name);
  request.writeUInt16LE((IFF_TAP | flags) & 0xffff, IFNAMSIZ);
  if (libc().ioctl(fd, TUNSETIFF, request) === 0) return fd;
  const errno = libc().errno();
  const theirs = `open TAP device ${name}`;
  const error =
    errno === EPERM || errno === EACCES
      ? notPermitted(
          'tap',
          name,
          `tap:${name}, which was not made for this user (ip tuntap add dev NAME mode tap user USER)`,
        )
      : systemError('TUNSETIFF', theirs, whyNot(errno));
  libc().close(fd);
  throw error;
}

function whyNot(errno: number): string {
  if (errno === EBUSY) return 'another process has it open';
  if (errno === EINVAL)
    return 'there is an interface of that name which is no TAP device, or one with another number of queues';
  return '';
}

/** Name and flags of the device behind a descriptor; also after it was renamed. */
export function tunFacts(fd: number): TunFacts {
  const request = ifreq('');
  check(libc().ioctl(fd, TUNGETIFF, request), 'TUNGETIFF', 'ask for a TAP device');
  const end = request.indexOf(0);
  return { name: request.toString('latin1', 0, Math.min(end, IFNAMSIZ)), flags: request.readUInt16LE(IFNAMSIZ) };
}

/** The descriptor still has a device behind it. */
export function isTun(fd: number): boolean {
  return libc().ioctl(fd, TUNGETIFF, ifreq('')) === 0;
}

/** IFF_* of an existing tun or tap device of this namespace as /sys has them; -1: there is none. */
export function tunFlags(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/tun_flags`, 'utf8'));
  } catch {
    return -1;
  }
}

/** Says what the reader does by itself (`TUN_F_*`); the kernel does the rest. False: this kernel does not know all of them. */
export function setTunOffload(fd: number, offload: number): boolean {
  return libc().ioctlValue(fd, TUNSETOFFLOAD, offload) === 0;
}

/** virtio-net headers of `size` bytes, little-endian on every machine. */
export function setVnetHeader(fd: number, size: number): void {
  const value = Buffer.alloc(4);
  value.writeInt32LE(size);
  check(libc().ioctl(fd, TUNSETVNETHDRSZ, value), 'TUNSETVNETHDRSZ', 'set the size of virtio-net headers');
  value.writeInt32LE(1);
  check(libc().ioctl(fd, TUNSETVNETLE, value), 'TUNSETVNETLE', 'set the order of virtio-net headers');
}

/** The device stays when nobody has it open, or does not. */
export function setTunPersist(fd: number, on: boolean): void {
  check(libc().ioctlValue(fd, TUNSETPERSIST, on ? 1 : 0), 'TUNSETPERSIST', 'change what becomes of a TAP device');
}

/** The kernel's end sees a carrier or none. False: the kernel cannot (before 5.0), or the device is down. */
export function setTunCarrier(fd: number, on: boolean): boolean {
  const value = Buffer.alloc(4);
  value.writeInt32LE(on ? 1 : 0);
  return libc().ioctl(fd, TUNSETCARRIER, value) === 0;
}

/** Sets an interface of this namespace up. Throws systemError. */
export function setInterfaceUp(name: string): void {
  withSocket(name, (fd) => {
    const request = ifreq(name);
    check(libc().ioctl(fd, SIOCGIFFLAGS, request), 'SIOCGIFFLAGS', `ask for ${name}`);
    request.writeUInt16LE(request.readUInt16LE(IFNAMSIZ) | IFF_UP, IFNAMSIZ);
    check(libc().ioctl(fd, SIOCSIFFLAGS, request), 'SIOCSIFFLAGS', `set ${name} up`);
  });
}

/** Throws systemError. */
export function setInterfaceMtu(name: string, mtu: number): void {
  withSocket(name, (fd) => {
    const request = ifreq(name);
    request.writeInt32LE(mtu, IFNAMSIZ);
    if (libc().ioctl(fd, SIOCSIFMTU, request) < 0) {
      throw new SetupError('ERR_NETPOLL_MTU', `${name} takes no MTU of ${mtu} (${errnoName(libc().errno())})`);
    }
  });
}

function withSocket(name: string, use: (fd: number) => void): void {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, `change ${name}`, '');
  try {
    use(fd);
  } finally {
    libc().close(fd);
  }
}
