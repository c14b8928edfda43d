/**
 * The two sockets of a packet port, made ready: one receives through a ring in the arena, one only sends.
 *
 * Order matters on the receiving side: the socket is made with protocol 0 and hears nothing; ring, filter and the rest are
 * set; only then does bind() name the interface and the protocol. So no frame is seen that the filter would have refused.
 * Who joins a fanout group does so behind bind(), and refuses all until then (fanout.ts).
 */
import { SetupError } from '../../base/status.ts';
import { ETH_P_ALL } from '../../wire/eth.ts';
import type { RingArea } from '../arena.ts';
import { check, EACCES, EPERM, errnoName, systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { mapOver } from '../sys/mmap.ts';
import {
  FRAME_HEADROOM,
  PACKET_ADD_MEMBERSHIP,
  PACKET_IGNORE_OUTGOING,
  PACKET_MR_PROMISC,
  PACKET_QDISC_BYPASS,
  PACKET_RESERVE,
  PACKET_RX_RING,
  PACKET_STATISTICS,
  PACKET_VERSION,
  SLOT_HEADROOM,
  sockaddrLl,
  TPACKET_V2,
  TPACKET_V3,
  tpacketReq,
  tpacketReq3,
} from '../sys/packet.ts';
import { pinned, writeWord } from '../sys/pinned.ts';
import { notPermitted, schemeInstead } from '../sys/privilege.ts';
import {
  AF_PACKET,
  getOption,
  openSocket,
  SO_ATTACH_FILTER,
  SO_DETACH_FILTER,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  setBuffer,
  setInt,
} from '../sys/socket.ts';
import { encodeFilter, REFUSE_ALL, type SockFilter } from './bpf_filter.ts';
import { type Fanout, joinFanout } from './fanout.ts';

const SEND_BUFFER = 4 << 20;

export interface RxSocketOptions {
  readonly blockSize: number;
  readonly retireMs: number;
  /** Bytes of a slot, for a ring of slots (frame_ring.ts); 0: a ring of blocks. */
  readonly slotSize: number;
  readonly headroom: number;
  readonly filter: readonly SockFilter[] | undefined;
  readonly promiscuous: boolean;
  /** Becomes a member of this group. */
  readonly fanout: Fanout | undefined;
}

export interface RxSocket {
  readonly fd: number;
  /** Number of its fanout group; -1: it is in none. */
  readonly fanoutGroup: number;
}

/** Opens the receiving socket with its ring laid over `area`. Throws SetupError; then nothing stays open. */
export function openRxSocket(name: string, ifindex: number, area: RingArea, options: RxSocketOptions): RxSocket {
  const what = `receive on ${name}`;
  const fd = openPacketSocket(what, name, 'packet');
  try {
    const { slotSize, blockSize, headroom } = options;
    option(fd, PACKET_VERSION, slotSize > 0 ? TPACKET_V2 : TPACKET_V3, what);
    const reserve = headroom - (slotSize > 0 ? SLOT_HEADROOM : FRAME_HEADROOM);
    if (reserve > 0) option(fd, PACKET_RESERVE, reserve, what);
    // Since Linux 4.20; where it is missing the ring's walk leaves out what we sent ourselves.
    setInt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    const blocks = area.length / blockSize;
    const request =
      slotSize > 0 ? tpacketReq(blockSize, blocks, slotSize) : tpacketReq3(blockSize, blocks, options.retireMs);
    const set = libc().setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, request.length);
    check(set, 'setsockopt', `${what}: make a ring of ${area.length} bytes`, 'a smaller ring may fit');
    mapOver(area.at, area.length, fd, `${what}: map the ring`);
    const { fanout, filter } = options;
    const first = fanout === undefined ? filter : REFUSE_ALL;
    if (first !== undefined) attachFilter(fd, first, what);
    if (options.promiscuous) joinPromiscuous(fd, ifindex, what);
    check(libc().bind(fd, sockaddrLl(ETH_P_ALL, ifindex), 20), 'bind', what);
    if (fanout === undefined) return { fd, fanoutGroup: -1 };
    const fanoutGroup = joinFanout(fd, fanout, what);
    if (filter !== undefined) attachFilter(fd, filter, what);
    else if (!setInt(fd, SOL_SOCKET, SO_DETACH_FILTER, 0)) throw systemError('setsockopt', what, 'let frames in');
    return { fd, fanoutGroup };
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/** Opens the sending socket, bound to the interface, which receives nothing. Throws SetupError. */
export function openTxSocket(name: string, ifindex: number, scheme: 'packet' | 'xdp' = 'packet'): number {
  const what = `send on ${name}`;
  const fd = openPacketSocket(what, name, scheme);
  setInt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
  if (libc().bind(fd, sockaddrLl(0, ifindex), 20) < 0) {
    const error = systemError('bind', what);
    libc().close(fd);
    throw error;
  }
  return fd;
}

/** The socket hears nothing from now on. A member of a fanout group goes on hearing: the kernel binds it no more. */
export function deafen(fd: number, ifindex: number): void {
  libc().bind(fd, sockaddrLl(0, ifindex), 20);
}

export interface KernelDrops {
  /** Frames that came for the socket, dropped ones among them. */
  readonly frames: number;
  readonly drops: number;
  readonly freezes: number;
}

/** What came, and what the kernel had no room for since it was asked last, and how often all blocks were ours (reading sets them to 0). */
export function takeKernelDrops(fd: number): KernelDrops {
  const stats = Buffer.alloc(12);
  // A ring of slots has no third figure.
  if (getOption(fd, SOL_PACKET, PACKET_STATISTICS, stats) < 8) return { frames: 0, drops: 0, freezes: 0 };
  return { frames: stats.readUInt32LE(0), drops: stats.readUInt32LE(4), freezes: stats.readUInt32LE(8) };
}

function openPacketSocket(what: string, name: string, scheme: 'packet' | 'xdp'): number {
  try {
    return openSocket(AF_PACKET, SOCK_RAW, 0, what, '');
  } catch (cause) {
    const errno = libc().errno();
    if (errno === EPERM || errno === EACCES) throw notPermitted(scheme, name, `${scheme}:${name}`, cause);
    if (errnoName(errno) !== 'EAFNOSUPPORT') throw cause;
    const message = `${scheme}:${name}: this kernel has no AF_PACKET (CONFIG_PACKET); ${schemeInstead('packet', name)}`;
    throw new SetupError('ERR_NETPOLL_NO_PACKET', message, { cause });
  }
}

function option(fd: number, name: number, value: number, what: string): void {
  if (!setInt(fd, SOL_PACKET, name, value)) throw systemError('setsockopt', what, `option ${name}`);
}

/** The kernel copies the program within the call. */
function attachFilter(fd: number, filter: readonly SockFilter[], what: string): void {
  const program = pinned(8 * filter.length);
  program.bytes.set(encodeFilter(filter));
  const fprog = pinned(16);
  fprog.view.setUint16(0, filter.length, true);
  writeWord(fprog.view, 8, program.at);
  const attached = libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, fprog.bytes, 16);
  // After the call, so that the program's memory is reachable until then.
  check(
    attached,
    'setsockopt',
    `${what}: attach a filter of ${program.bytes.length / 8} instructions`,
    'is it valid BPF?',
  );
}

function joinPromiscuous(fd: number, ifindex: number, what: string): void {
  const request = Buffer.alloc(16);
  request.writeInt32LE(ifindex, 0);
  request.writeUInt16LE(PACKET_MR_PROMISC, 4);
  check(libc().setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, 16), 'setsockopt', `${what}, promiscuous`);
}
