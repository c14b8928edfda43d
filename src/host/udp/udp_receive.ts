// hot
/**
 * The receive half of a queue of a udp port: recvmmsg() places payloads in arena slots that were posted beforehand, the headers
 * are written in front, the slot goes up as a frame, a fresh slot takes its place.
 *
 *     posted:  mmsghdr[i] -> iovec[2i]   -> | room for headers | payload ...    | of arena slot i
 *                         -> iovec[2i+1] -> | what did not fit into the slot    | tail i, 64 KiB         with UDP_GRO
 *                         -> name[i]        the peer                            sockaddr_in or sockaddr_in6
 *                         -> control[i]     see udp_control.ts
 *
 *   1. The kernel has put datagrams of one sender together (UDP_GRO): each is copied out to a slot of its own. What does not fit
 *      into this burst waits for the next (`pending`); the message is posted again when all of it has gone up.
 *   2. No fresh slot: the datagram is dropped and its slot used again (as a NIC does), so a burst always makes progress.
 *   3. An error instead of a datagram is an earlier send's: counted, and the call made again.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import type { HostArena, RingArea } from '../arena.ts';
import { EAGAIN, EINTR } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { highWord, type Pinned, pinned, wordsOf, writeWord } from '../sys/pinned.ts';
import {
  AF_INET6,
  IOVEC_SIZE,
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
} from '../sys/socket.ts';
import { HEADERS_IPV6, type HeaderEnds, writeIpv4Headers, writeIpv6Headers } from './frame_headers.ts';
import { isMapped, SIN_ADDR, SIN6_ADDR, SOCKADDR_IN6_SIZE, sockaddrPort } from './socket_address.ts';
import { CONTROL_SIZE, ReceivedControl } from './udp_control.ts';
import type { UdpErrors } from './udp_errors.ts';

export const RX_BURST = 64;
export const RX_HEADROOM = 64;
/** Payload position in a slot: headroom and the longest headers, on a multiple of 16. */
const PAYLOAD_AT = (RX_HEADROOM + HEADERS_IPV6 + 15) & ~15;
const NAME_SIZE = 32;
const TAIL_SIZE = 64 << 10;
/** Place of the bound address, behind the control messages. */
const LOCAL_AT = CONTROL_SIZE * RX_BURST;
/** Calls that may fail in one burst before it gives up. */
const TRIES_MAX = 4;
const TWO_32 = 2 ** 32;

export class UdpReceive {
  frames = 0;
  bytes = 0;
  /** Datagrams that came in one with others. */
  merged = 0;
  /** Datagrams longer than a slot. */
  truncated = 0;
  /** Datagrams for which the arena had no fresh slot. */
  noBuffer = 0;
  readonly control = new ReceivedControl();
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #errors: UdpErrors;
  readonly #libc: Libc = libc();
  readonly #mac: Uint8Array;
  readonly #vector: Pinned = pinned(MMSGHDR_SIZE * RX_BURST);
  readonly #iovecs: Pinned = pinned(2 * IOVEC_SIZE * RX_BURST);
  readonly #names: Pinned = pinned(NAME_SIZE * RX_BURST);
  /** And, behind them, the bound address. */
  readonly #controls: Pinned = pinned(LOCAL_AT + 16);
  /** The same as words: the kernel's numbers are little-endian, and so is this machine. */
  readonly #words: Int32Array = wordsOf(this.#vector);
  readonly #bases: Int32Array = wordsOf(this.#iovecs);
  readonly #slots = new Int32Array(RX_BURST);
  readonly #ends: HeaderEnds;
  readonly #room: number;
  /** Address of the arena, in halves: a double would be boxed on its way into another function. */
  readonly #baseLow: number;
  readonly #baseHigh: number;
  /** Bytes of control messages that are asked for with each datagram. */
  readonly #controlSize: number;
  #tails: RingArea | undefined;
  #id = 0;
  #six = false;
  /** Messages of the last call, the one that is next, and how far that has been handed up. */
  #got = 0;
  #next = 0;
  #at = 0;

  /** `control`: something comes beside each datagram. `local` is the bound address as 16 bytes (IPv4 in the first four), for datagrams that come without their own. */
  constructor(
    fd: number,
    memory: HostArena,
    errors: UdpErrors,
    mac: Uint8Array,
    local: { readonly bytes: Uint8Array; readonly port: number },
    control: boolean,
  ) {
    this.#fd = fd;
    this.#memory = memory;
    this.#errors = errors;
    this.#mac = mac;
    this.#room = memory.slotSize - PAYLOAD_AT;
    this.#baseLow = memory.baseAt % TWO_32;
    this.#baseHigh = Math.floor(memory.baseAt / TWO_32);
    this.#controlSize = control ? CONTROL_SIZE : 0;
    this.#controls.bytes.set(local.bytes, LOCAL_AT);
    const source = this.#names.view;
    this.#ends = { source, sourceAt: 0, sourcePort: 0, dest: this.#controls.view, destAt: 0, destPort: local.port };
    for (let i = 0; i < RX_BURST; i++) {
      const message = i * MMSGHDR_SIZE;
      writeWord(this.#vector.view, message + MSG_NAME, this.#names.at + i * NAME_SIZE);
      writeWord(this.#vector.view, message + MSG_IOV, this.#iovecs.at + i * 2 * IOVEC_SIZE);
      this.#vector.view.setUint32(message + MSG_IOVLEN, 1, true);
      writeWord(this.#vector.view, message + MSG_CONTROL, this.#controls.at + i * CONTROL_SIZE);
      this.#vector.view.setUint32(message + MSG_NAMELEN, SOCKADDR_IN6_SIZE, true);
      this.#iovecs.view.setUint32(2 * i * IOVEC_SIZE + 8, this.#room, true);
      this.#reset(i);
      this.#slots[i] = -1;
    }
  }

  /** Datagrams are here that have been received and not handed up. */
  get pending(): boolean {
    return this.#next < this.#got;
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

  /** Takes memory for datagrams that come as one. False: the arena has no such area left. */
  postTails(): boolean {
    let tails: RingArea;
    try {
      tails = this.#memory.takeRing(RX_BURST * TAIL_SIZE, TAIL_SIZE, noFrame);
    } catch {
      return false;
    }
    this.#tails = tails;
    for (let i = 0; i < RX_BURST; i++) {
      const iovec = (2 * i + 1) * IOVEC_SIZE;
      writeWord(this.#iovecs.view, iovec, tails.at + i * TAIL_SIZE);
      this.#iovecs.view.setUint32(iovec + 8, TAIL_SIZE, true);
      this.#vector.view.setUint32(i * MMSGHDR_SIZE + MSG_IOVLEN, 2, true);
    }
    return true;
  }

  /** Gives the posted memory back. */
  release(): void {
    for (let i = 0; i < RX_BURST; i++) {
      if (this.#slots[i]! >= 0) this.#memory.release(this.#slots[i]!);
      this.#slots[i] = -1;
    }
    if (this.#tails !== undefined) this.#memory.giveRing(this.#tails, 0);
    this.#tails = undefined;
    this.#got = this.#next = 0;
  }

  /** Receives at most `limit` datagrams as frames out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, out.size);
    if (this.#next === this.#got) this.#receive(Math.min(want, RX_BURST));
    let n = 0;
    while (n < want && this.#next < this.#got) {
      const i = this.#next;
      if (this.#at === 0) this.#ready(i);
      if (this.control.segment > 0) {
        n = this.#split(out, n, want, i);
        if (this.#at > 0) break;
      } else if (this.#frame(out, n, i)) {
        n++;
      }
      this.#reset(i);
      this.#next++;
    }
    this.frames += n;
    return n;
  }

  #receive(want: number): void {
    this.#got = this.#next = 0;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const got = this.#libc.recvmmsg(this.#fd, this.#vector.at, want, MSG_DONTWAIT, 0);
      if (got >= 0) {
        this.#got = got;
        return;
      }
      const errno = this.#libc.errno();
      if (errno === EAGAIN) return;
      if (errno !== EINTR && this.#errors.drain() === 0) this.#errors.count(errno);
    }
  }

  /** Reads what came beside message `i`: addresses, ports, time, size of its parts. */
  #ready(i: number): void {
    const ends = this.#ends;
    const names = this.#names.view;
    const name = i * NAME_SIZE;
    ends.destAt = LOCAL_AT;
    if (this.#controlSize > 0) {
      const { control } = this;
      const message = i * MMSGHDR_SIZE;
      control.read(this.#controls.view, i * CONTROL_SIZE, this.#words[(message + MSG_CONTROLLEN) >>> 2]!);
      if (control.segment >= this.#words[(message + MSG_LEN) >>> 2]!) control.segment = 0;
      if (control.dest >= 0) ends.destAt = control.dest;
    }
    ends.sourcePort = sockaddrPort(names, name);
    this.#six = names.getUint16(name, true) === AF_INET6;
    ends.sourceAt = name + (this.#six ? SIN6_ADDR : SIN_ADDR);
    if (this.#six && isMapped(names, ends.sourceAt)) {
      this.#six = false;
      ends.sourceAt += 12;
      ends.destAt += 12;
    }
  }

  /** Makes message `i` the frame out[n]. False: dropped, and its slot stays posted. */
  #frame(out: FrameBatch, n: number, i: number): boolean {
    const words = this.#words;
    const message = i * MMSGHDR_SIZE;
    const len = words[(message + MSG_LEN) >>> 2]!;
    if (len > this.#room || (words[(message + MSG_FLAGS) >>> 2]! & MSG_TRUNC) !== 0) {
      this.truncated++;
      return false;
    }
    const fresh = this.#memory.alloc();
    if (fresh < 0) {
      this.noBuffer++;
      return false;
    }
    this.#finish(out, n, this.#slots[i]!, len);
    this.#place(i, fresh);
    return true;
  }

  /** Hands up message `i`, or as much of it as there is room for, datagram by datagram; gives the new count. #at is 0 at its end. */
  #split(out: FrameBatch, n: number, want: number, i: number): number {
    const memory = this.#memory;
    const total = this.#words[(i * MMSGHDR_SIZE + MSG_LEN) >>> 2]!;
    const { segment } = this.control;
    let count = n;
    let at = this.#at;
    while (at < total && count < want) {
      const len = Math.min(segment, total - at);
      const slot = len > this.#room ? -1 : memory.alloc();
      if (slot < 0) {
        if (len > this.#room) this.truncated++;
        else this.noBuffer++;
      } else {
        this.#copy(i, at, memory.start(slot) + PAYLOAD_AT, len);
        this.#finish(out, count++, slot, len);
        this.merged++;
      }
      at += len;
    }
    this.#at = at < total ? at : 0;
    return count;
  }

  /** Copies `len` bytes at `from` of message `i` to `to`, from its slot and its tail. */
  #copy(i: number, from: number, to: number, len: number): void {
    const { bytes } = this.#memory;
    const room = this.#room;
    const slot = this.#memory.start(this.#slots[i]!) + PAYLOAD_AT;
    const inSlot = from < room ? Math.min(len, room - from) : 0;
    if (inSlot > 0) bytes.copyWithin(to, slot + from, slot + from + inSlot);
    if (inSlot === len) return;
    const tail = this.#tails!.offset + i * TAIL_SIZE + from + inSlot - room;
    bytes.copyWithin(to + inSlot, tail, tail + len - inSlot);
  }

  /** Writes the headers before the payload in `slot`, and describes the frame as out[n]. */
  #finish(out: FrameBatch, n: number, slot: number, len: number): void {
    const { view } = this.#memory;
    const start = this.#memory.start(slot);
    const payload = start + PAYLOAD_AT;
    this.#id = (this.#id + 1) & 0xffff;
    const offset = this.#six
      ? writeIpv6Headers(view, payload, len, this.#ends, this.#mac)
      : writeIpv4Headers(view, payload, len, this.#ends, this.#id, this.#mac);
    out.buf[n] = slot;
    out.offset[n] = offset;
    out.len[n] = payload + len - offset;
    out.end[n] = start + this.#memory.slotSize;
    out.tstampUs[n] = this.control.timeUs;
    out.csum[n] = CHECKSUM_UNNECESSARY;
    out.gsoSize[n] = 0;
    out.vlanTci[n] = -1;
    this.bytes += payload + len - offset;
  }

  /** The kernel has written how long control was; tells it again how long it may be. The name's length is what it was: one family's. */
  #reset(i: number): void {
    if (this.#controlSize > 0) this.#words[(i * MMSGHDR_SIZE + MSG_CONTROLLEN) >>> 2] = this.#controlSize;
  }

  #place(i: number, slot: number): void {
    this.#slots[i] = slot;
    const low = this.#baseLow + this.#memory.start(slot) + PAYLOAD_AT;
    const at = (2 * i * IOVEC_SIZE) >>> 2;
    this.#bases[at] = low | 0;
    this.#bases[at + 1] = highWord(low, this.#baseHigh);
  }
}

/** Tails are copied from and never handed up. */
function noFrame(): void {}
