/**
 * AF_XDP as a table of numbers: the structures and options of a socket whose rings and frames are shared memory.
 *
 *     struct sockaddr_xdp     { u16 family @0, flags @2; u32 ifindex @4, queue_id @8, shared_umem_fd @12 }          16 bytes
 *     struct xdp_umem_reg     { u64 addr @0, len @8; u32 chunk_size @16, headroom @20, flags @24 }                  32 bytes
 *     struct xdp_mmap_offsets { struct { u64 producer @0, consumer @8, desc @16, flags @24 } rx @0, tx @32, fill @64,
 *                               completion @96 }                                                                   128 bytes
 *     struct xdp_desc         { u64 addr @0; u32 len @8, options @12 }                                              16 bytes
 *     struct xdp_statistics   { u64 rx_dropped @0, rx_invalid_descs @8, tx_invalid_descs @16, rx_ring_full @24,
 *                               rx_fill_ring_empty_descs @32, tx_ring_empty_descs @40 }                             48 bytes
 *
 * The fill and the completion ring hold addresses alone, 8 bytes each. Addresses count from the start of the UMEM.
 * Answers to: Documentation/networking/af_xdp.rst, include/uapi/linux/if_xdp.h.
 */
import { constants } from 'node:os';
import { SetupError } from '../../base/status.ts';
import { check, EACCES, EPERM } from './errno.ts';
import { libc } from './libc.ts';
import { pinned, writeWord } from './pinned.ts';
import { notPermitted, schemeInstead } from './privilege.ts';
import { getOption, openSocket, SOCK_RAW, SOL_SOCKET, setInt } from './socket.ts';

export const AF_XDP = 44;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_RX_RING = 2;
const XDP_TX_RING = 3;
const XDP_UMEM_REG = 4;
const XDP_UMEM_FILL_RING = 5;
const XDP_UMEM_COMPLETION_RING = 6;
const XDP_STATISTICS = 7;
const XDP_OPTIONS = 8;
const XDP_MAX_TX_SKB_BUDGET = 9;
const XDP_OPTIONS_ZEROCOPY = 1;
const PROT_READ = 1;
const MAP_SHARED = 1;
const SO_BUSY_POLL = 46;
const SO_INCOMING_NAPI_ID = 56;
const SO_PREFER_BUSY_POLL = 69;
const SO_BUSY_POLL_BUDGET = 70;

export const XDP_SHARED_UMEM = 1 << 0;
export const XDP_COPY = 1 << 1;
export const XDP_ZEROCOPY = 1 << 2;
export const XDP_USE_NEED_WAKEUP = 1 << 3;
/** In a ring's flags word: the kernel wants to be called before it looks at the ring. */
export const XDP_RING_NEED_WAKEUP = 1;
/** What the kernel leaves free in front of each frame. */
export const XDP_PACKET_HEADROOM = 256;
export const DESC_SIZE = 16;
export const ADDRESS_SIZE = 8;

/** Place of each ring in the file behind the socket, and the option that sets its size. */
export const RINGS = {
  rx: { option: XDP_RX_RING, fileOffset: 0, offsets: 0, entry: DESC_SIZE },
  tx: { option: XDP_TX_RING, fileOffset: 0x8000_0000, offsets: 32, entry: DESC_SIZE },
  fill: { option: XDP_UMEM_FILL_RING, fileOffset: 0x1_0000_0000, offsets: 64, entry: ADDRESS_SIZE },
  completion: { option: XDP_UMEM_COMPLETION_RING, fileOffset: 0x1_8000_0000, offsets: 96, entry: ADDRESS_SIZE },
} as const;

/** Byte offsets inside a ring's mapping. */
export interface RingOffsets {
  readonly producer: number;
  readonly consumer: number;
  readonly desc: number;
  readonly flags: number;
}

/** Cumulative since the socket was made. */
export interface XdpStatistics {
  /** Frames that found no buffer, or were longer than one. */
  readonly rxDropped: number;
  readonly rxInvalidDescs: number;
  readonly txInvalidDescs: number;
  /** Frames that found the receive ring full. */
  readonly rxRingFull: number;
  /** How often the kernel found no buffer in the fill ring. */
  readonly rxFillRingEmptyDescs: number;
  readonly txRingEmptyDescs: number;
}

/** Throws SetupError: ERR_NETPOLL_NO_XDP (kernel without it), ERR_NETPOLL_EPERM. */
export function openXdpSocket(what: string, name: string): number {
  try {
    return openSocket(AF_XDP, SOCK_RAW, 0, what, '');
  } catch (cause) {
    const errno = libc().errno();
    if (errno === constants.errno.EAFNOSUPPORT) {
      const message = `${what}: this kernel has no AF_XDP (CONFIG_XDP_SOCKETS); ${schemeInstead('xdp', name)}`;
      throw new SetupError('ERR_NETPOLL_NO_XDP', message, { cause });
    }
    if (errno !== EPERM && errno !== EACCES) throw cause;
    throw notPermitted('xdp', name, what, cause);
  }
}

/** Makes [at, at + length) the memory of frames, in chunks; the kernel pins it. Throws SetupError. */
export function registerUmem(fd: number, at: number, length: number, chunkSize: number, what: string): void {
  const reg = pinned(32);
  writeWord(reg.view, 0, at);
  writeWord(reg.view, 8, length);
  reg.view.setUint32(16, chunkSize, true);
  const set = libc().setsockopt(fd, SOL_XDP, XDP_UMEM_REG, reg.bytes, 32);
  check(set, 'setsockopt', `${what}: register ${length} bytes of frames`, 'ENOBUFS: raise the limit, ulimit -l');
}

/** Sets a ring's size, in entries (a power of two). Throws SetupError. */
export function setRing(fd: number, option: number, entries: number, what: string): void {
  if (!setInt(fd, SOL_XDP, option, entries)) check(-1, 'setsockopt', `${what}: a ring of ${entries} entries`);
}

/** Where the parts of each ring lie. Throws SetupError. */
export function ringOffsets(fd: number, what: string): (at: number) => RingOffsets {
  const offsets = Buffer.alloc(128);
  if (getOption(fd, SOL_XDP, XDP_MMAP_OFFSETS, offsets) !== 128) {
    const message = `${what}: the kernel's AF_XDP is too old (before Linux 5.4); use packet:`;
    throw new SetupError('ERR_NETPOLL_NO_XDP', message);
  }
  return (at) => ({
    producer: offsets.readUInt32LE(at),
    consumer: offsets.readUInt32LE(at + 8),
    desc: offsets.readUInt32LE(at + 16),
    flags: offsets.readUInt32LE(at + 24),
  });
}

/** Binds to a queue: 0, or -1 and errno. */
export function bindXdp(fd: number, ifindex: number, queue: number, flags: number, sharedFd: number): number {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_XDP, 0);
  address.writeUInt16LE(flags, 2);
  address.writeUInt32LE(ifindex, 4);
  address.writeUInt32LE(queue, 8);
  address.writeUInt32LE(sharedFd, 12);
  return libc().bind(fd, address, 16);
}

/** True if the device reads and writes the frames itself. */
export function isZeroCopy(fd: number): boolean {
  const options = Buffer.alloc(4);
  return getOption(fd, SOL_XDP, XDP_OPTIONS, options) === 4 && (options.readUInt32LE(0) & XDP_OPTIONS_ZEROCOPY) !== 0;
}

/** The socket's receive calls drive the device's NAPI, and its interrupts stay off meanwhile. False: the kernel refused. */
export function preferBusyPoll(fd: number, usecs: number, budget: number): boolean {
  return (
    setInt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, 1) &&
    setInt(fd, SOL_SOCKET, SO_BUSY_POLL, usecs) &&
    setInt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, budget)
  );
}

/** Of the NAPI instance that a busy poll of this socket polls; 0: it knows none. */
export function incomingNapiId(fd: number): number {
  const id = Buffer.alloc(4);
  return getOption(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, id) === 4 ? id.readUInt32LE(0) : 0;
}

/** How many frames one send call takes out of the transmit ring in copy mode; kernels before 6.18 have 32 and refuse. */
export function setTxBudget(fd: number, frames: number): boolean {
  return setInt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, frames);
}

/** Null if the kernel does not say. */
export function xdpStatistics(fd: number): XdpStatistics | null {
  const bytes = Buffer.alloc(48);
  const length = getOption(fd, SOL_XDP, XDP_STATISTICS, bytes);
  if (length < 24) return null;
  const word = (at: number): number => bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  return {
    rxDropped: word(0),
    rxInvalidDescs: word(8),
    txInvalidDescs: word(16),
    rxRingFull: word(24),
    rxFillRingEmptyDescs: word(32),
    txRingEmptyDescs: word(40),
  };
}

/** Frames in the receive ring of a socket that nobody has taken out, as long as it is open, whoever has or had the ring mapped. */
export function unreadXdpFrames(fd: number): number {
  const { fileOffset, offsets: at } = RINGS.rx;
  const { producer, consumer } = ringOffsets(fd, 'ask for unread frames')(at);
  const c = libc();
  const length = Math.max(producer, consumer) + 4;
  const mapped = c.mmap(0, length, PROT_READ, MAP_SHARED, fd, fileOffset);
  // A socket that only sends has no such ring.
  if (mapped <= 0) return 0;
  const words = pinned(8);
  c.memcpy(words.at, mapped + producer, 4);
  c.memcpy(words.at + 4, mapped + consumer, 4);
  c.munmap(mapped, length);
  return (words.view.getUint32(0, true) - words.view.getUint32(4, true)) >>> 0;
}
