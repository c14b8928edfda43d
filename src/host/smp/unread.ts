/**
 * What a dead CPU has left unread behind a descriptor that it received by. Counted and closed in one go: nobody knows afterwards, and
 * frames come until the very end.
 *
 *     udp:     how many datagrams wait, no option tells (SIOCINQ and the kernel's tables have bytes): they are taken out one by one. What the
 *              kernel has put together (UDP_GRO) says how long each of its parts is
 *     xdp:     the receive ring, which is the socket's and not the thread's: what the kernel has produced and nobody consumed
 *     tap:     frames are taken out one by one; a super-frame is one, as it would have been to us
 *     packet:  the counts that nobody has asked for yet; what is unread follows from them (smp.ts)
 *
 * Frames without room, where the kernel counts them for the descriptor, are added to `kernel_drops`.
 */
import { EAGAIN } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { pinned, writeWord } from '../sys/pinned.ts';
import {
  AF_INET,
  AF_INET6,
  AF_PACKET,
  getOption,
  IOVEC_SIZE,
  MMSGHDR_SIZE,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_DONTWAIT,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_LEN,
  MSG_TRUNC,
  SOCK_DGRAM,
  SOL_PACKET,
  SOL_SOCKET,
  socketDrops,
} from '../sys/socket.ts';
import { isTun } from '../sys/tun.ts';
import { AF_XDP, unreadXdpFrames, xdpStatistics } from '../sys/xdp.ts';
import { CONTROL_SIZE, ReceivedControl } from '../udp/udp_control.ts';
import { counterAt } from './cpu_table.ts';

const PACKET_STATISTICS = 6;
const SO_TYPE = 3;
const SO_DOMAIN = 39;
/** Datagrams or frames that are taken out. */
const TAKE_MAX = 1_000_000;
const ERRORS_MAX = 8;

const FRAMES = counterAt('kernel_frames');
const DROPS = counterAt('kernel_drops');

/** True for a socket; anything else that a thread has open brings it no frames, but a TAP device. */
export function isSocket(fd: number): boolean {
  return intOption(fd, SO_DOMAIN) >= 0;
}

/**
 * Closes it. Gives how many frames and datagrams were there that nobody has read a byte of. What the kernel counted goes to `counters`, a
 * CPU's row.
 */
export function closeCounted(fd: number, counters: Float64Array): number {
  const domain = intOption(fd, SO_DOMAIN);
  if (domain === AF_PACKET) {
    closePacket(fd, counters);
    return 0;
  }
  const unread = countUnread(fd, domain, counters);
  libc().close(fd);
  return unread;
}

/**
 * `struct tpacket_stats`: frames, those without room included, and those without room; since it was asked last. No way is known to have a
 * member of a fanout group hear no more but to close it, so nothing is done between the two calls.
 */
function closePacket(fd: number, counters: Float64Array): void {
  const c = libc();
  const stats = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeInt32LE(stats.length);
  c.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, stats, length);
  c.close(fd);
  counters[FRAMES]! += stats.readUInt32LE(0);
  counters[DROPS]! += stats.readUInt32LE(4);
}

function countUnread(fd: number, domain: number, counters: Float64Array): number {
  switch (domain) {
    case AF_XDP: {
      const dropped = xdpStatistics(fd);
      if (dropped !== null) counters[DROPS]! += dropped.rxDropped + dropped.rxRingFull;
      return unreadXdpFrames(fd);
    }
    case AF_INET:
    case AF_INET6:
      if (intOption(fd, SO_TYPE) !== SOCK_DGRAM) return 0;
      counters[DROPS]! += Math.max(0, socketDrops(fd));
      return takeDatagrams(fd);
    case -1:
      return isTun(fd) ? takeFrames(fd) : 0;
    default:
      return 0;
  }
}

function takeDatagrams(fd: number): number {
  const c = libc();
  const message = pinned(MMSGHDR_SIZE);
  const iovec = pinned(IOVEC_SIZE);
  const controls = pinned(CONTROL_SIZE);
  const control = new ReceivedControl();
  const { view } = message;
  // A length is all that is asked for.
  writeWord(view, MSG_IOV, iovec.at);
  view.setUint32(MSG_IOVLEN, 1, true);
  writeWord(view, MSG_CONTROL, controls.at);
  let unread = 0;
  for (let taken = 0, errors = 0; taken < TAKE_MAX && errors < ERRORS_MAX; taken++) {
    view.setUint32(MSG_CONTROLLEN, CONTROL_SIZE, true);
    if (c.recvmmsg(fd, message.at, 1, MSG_DONTWAIT | MSG_TRUNC, 0) !== 1) {
      // Another error is that of an earlier send, which is told once.
      if (c.errno() === EAGAIN) break;
      errors++;
      continue;
    }
    control.read(controls.view, 0, view.getUint32(MSG_CONTROLLEN, true));
    const { segment } = control;
    unread += segment > 0 ? Math.ceil(view.getUint32(MSG_LEN, true) / segment) : 1;
  }
  return unread;
}

/** The descriptor does not block: it was opened so. */
function takeFrames(fd: number): number {
  const c = libc();
  const some = Buffer.alloc(64);
  let unread = 0;
  while (unread < TAKE_MAX && c.read(fd, some, some.length) >= 0) unread++;
  return unread;
}

function intOption(fd: number, name: number): number {
  const value = Buffer.alloc(4);
  return getOption(fd, SOL_SOCKET, name, value) === 4 ? value.readInt32LE(0) : -1;
}
