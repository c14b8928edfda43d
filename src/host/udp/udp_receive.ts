// hot
/**
 * The receive half of a udp port: recvmmsg() places payloads in arena slots that were posted beforehand, the headers are
 * written in front, the slot goes up as a frame, a fresh slot takes its place.
 *
 *     posted:  mmsghdr[i] -> iovec[i] -> | room for headers | payload ...    | of arena slot i
 *                         -> name[i]     the peer                                sockaddr_in or sockaddr_in6
 *                         -> control[i]  local address, time of arrival          IP_PKTINFO, SO_TIMESTAMP
 *
 * No fresh slot: the datagram is dropped and its slot used again (as a NIC does), so a burst always makes progress.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import type { HostArena } from '../arena.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import {
  AF_INET6,
  CMSG_DATA,
  IOVEC_SIZE,
  IP_PKTINFO,
  IPV6_PKTINFO,
  MMSGHDR_SIZE,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_DONTWAIT,
  MSG_FLAGS,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_LEN,
  MSG_NAME,
  MSG_NAMELEN,
  MSG_TRUNC,
  SO_TIMESTAMP,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from '../sys/socket.ts';
import { HEADERS_IPV6, type HeaderEnds, writeIpv4Headers, writeIpv6Headers } from './frame_headers.ts';
import { isMapped, SIN_ADDR, SIN6_ADDR, SOCKADDR_IN6_SIZE, sockaddrPort } from './socket_address.ts';

export const RX_BURST = 64;
export const RX_HEADROOM = 64;
/** Payload position in a slot: headroom and the longest headers, on a multiple of 16. */
const PAYLOAD_AT = (RX_HEADROOM + HEADERS_IPV6 + 15) & ~15;
const NAME_SIZE = 32;
const CONTROL_SIZE = 128;
/** in_pktinfo { int ifindex @0; spec_dst @4; addr @8 }; in6_pktinfo { addr[16] @0; u32 ifindex @16 } */
const PKTINFO_ADDR = 8;
const TWO_32 = 2 ** 32;

export class UdpReceive {
  frames = 0;
  bytes = 0;
  /** Datagrams longer than a slot. */
  truncated = 0;
  /** Datagrams for which the arena had no fresh slot. */
  noBuffer = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #libc: Libc = libc();
  readonly #mac: Uint8Array;
  readonly #vector: Pinned = pinned(MMSGHDR_SIZE * RX_BURST);
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * RX_BURST);
  readonly #names: Pinned = pinned(NAME_SIZE * RX_BURST);
  readonly #controls: Pinned = pinned(CONTROL_SIZE * RX_BURST);
  readonly #slots = new Int32Array(RX_BURST);
  readonly #ends: HeaderEnds;
  readonly #local: Pinned = pinned(16);
  #id = 0;
  #timeUs = 0;

  /** `local` is the bound address as 16 bytes (IPv4 in the first four), for datagrams that come without their own. */
  constructor(fd: number, memory: HostArena, mac: Uint8Array, local: Uint8Array, localPort: number) {
    this.#fd = fd;
    this.#memory = memory;
    this.#mac = mac;
    this.#local.bytes.set(local);
    const source = this.#names.view;
    this.#ends = { source, sourceAt: 0, sourcePort: 0, dest: this.#controls.view, destAt: 0, destPort: localPort };
    for (let i = 0; i < RX_BURST; i++) {
      const message = i * MMSGHDR_SIZE;
      writeWord(this.#vector.view, message + MSG_NAME, this.#names.at + i * NAME_SIZE);
      writeWord(this.#vector.view, message + MSG_IOV, this.#iovecs.at + i * IOVEC_SIZE);
      this.#vector.view.setUint32(message + MSG_IOVLEN, 1, true);
      writeWord(this.#vector.view, message + MSG_CONTROL, this.#controls.at + i * CONTROL_SIZE);
      this.#reset(i);
      this.#slots[i] = -1;
    }
  }

  /** Takes slots from the arena for all messages. False: it has not so many; those taken are given back by release(). */
  post(): boolean {
    for (let i = 0; i < RX_BURST; i++) {
      const slot = this.#memory.alloc();
      if (slot < 0) return false;
      this.#place(i, slot);
    }
    return true;
  }

  /** Gives the posted slots back. */
  release(): void {
    for (let i = 0; i < RX_BURST; i++) {
      if (this.#slots[i]! >= 0) this.#memory.release(this.#slots[i]!);
      this.#slots[i] = -1;
    }
  }

  /** Receives at most `limit` datagrams as frames out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, RX_BURST, out.size);
    const got = this.#libc.recvmmsg(this.#fd, this.#vector.at, want, MSG_DONTWAIT, 0);
    let n = 0;
    for (let i = 0; i < got; i++) {
      if (this.#frame(out, n, i)) n++;
      this.#reset(i);
    }
    this.frames += n;
    return n;
  }

  /** Makes message `i` the frame out[n]. False: dropped, and its slot stays posted. */
  #frame(out: FrameBatch, n: number, i: number): boolean {
    const vector = this.#vector.view;
    const message = i * MMSGHDR_SIZE;
    if ((vector.getUint32(message + MSG_FLAGS, true) & MSG_TRUNC) !== 0) {
      this.truncated++;
      return false;
    }
    const fresh = this.#memory.alloc();
    if (fresh < 0) {
      this.noBuffer++;
      return false;
    }
    const arena = this.#memory;
    const slot = this.#slots[i]!;
    const start = arena.start(slot);
    const payload = start + PAYLOAD_AT;
    const len = vector.getUint32(message + MSG_LEN, true);
    const offset = this.#headers(i, payload, len);
    out.buf[n] = slot;
    out.offset[n] = offset;
    out.len[n] = payload + len - offset;
    out.end[n] = start + arena.slotSize;
    out.tstampUs[n] = this.#timeUs;
    out.csum[n] = CHECKSUM_UNNECESSARY;
    out.vlanTci[n] = -1;
    this.bytes += out.len[n]!;
    this.#place(i, fresh);
    return true;
  }

  #headers(i: number, payload: number, len: number): number {
    const ends = this.#ends;
    const name = i * NAME_SIZE;
    const names = this.#names.view;
    ends.sourcePort = sockaddrPort(names, name);
    this.#control(i);
    const view = this.#memory.view;
    this.#id = (this.#id + 1) & 0xffff;
    if (names.getUint16(name, true) !== AF_INET6) {
      ends.sourceAt = name + SIN_ADDR;
      return writeIpv4Headers(view, payload, len, ends, this.#id, this.#mac);
    }
    ends.sourceAt = name + SIN6_ADDR;
    if (!isMapped(names, ends.sourceAt)) return writeIpv6Headers(view, payload, len, ends, this.#mac);
    ends.sourceAt += 12;
    ends.destAt += 12;
    return writeIpv4Headers(view, payload, len, ends, this.#id, this.#mac);
  }

  /** Reads the control messages: destination address (into #ends) and time of arrival. */
  #control(i: number): void {
    const view = this.#controls.view;
    const begin = i * CONTROL_SIZE;
    const end = begin + this.#vector.view.getUint32(i * MMSGHDR_SIZE + MSG_CONTROLLEN, true);
    this.#timeUs = 0;
    let dest = -1;
    for (let at = begin; at + CMSG_DATA <= end; ) {
      const len = view.getUint32(at, true);
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      if (level === SOL_IP && type === IP_PKTINFO) dest = at + CMSG_DATA + PKTINFO_ADDR;
      else if (level === SOL_IPV6 && type === IPV6_PKTINFO) dest = at + CMSG_DATA;
      else if (level === SOL_SOCKET && type === SO_TIMESTAMP) this.#timeUs = timevalUs(view, at + CMSG_DATA);
      if (len < CMSG_DATA) break;
      at += (len + 7) & ~7;
    }
    if (dest < 0) {
      // Without its destination a datagram went to the address that we are bound to.
      dest = begin;
      for (let k = 0; k < 16; k++) view.setUint8(dest + k, this.#local.view.getUint8(k));
    }
    this.#ends.destAt = dest;
  }

  /** The kernel has written how long name and control were; tells it again how long they may be. */
  #reset(i: number): void {
    this.#vector.view.setUint32(i * MMSGHDR_SIZE + MSG_NAMELEN, SOCKADDR_IN6_SIZE, true);
    this.#vector.view.setUint32(i * MMSGHDR_SIZE + MSG_CONTROLLEN, CONTROL_SIZE, true);
  }

  #place(i: number, slot: number): void {
    this.#slots[i] = slot;
    const start = this.#memory.start(slot) + PAYLOAD_AT;
    writeWord(this.#iovecs.view, i * IOVEC_SIZE, this.#memory.baseAt + start);
    this.#iovecs.view.setUint32(i * IOVEC_SIZE + 8, this.#memory.slotSize - PAYLOAD_AT, true);
  }
}

/** struct timeval { i64 sec @0; i64 usec @8 } */
function timevalUs(view: DataView, o: number): number {
  return (view.getUint32(o, true) + view.getUint32(o + 4, true) * TWO_32) * 1e6 + view.getUint32(o + 8, true);
}
