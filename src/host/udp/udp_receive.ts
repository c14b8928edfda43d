// hot
/**
 * The receive half of a queue of a udp port: recvmmsg() places payloads in posted arena slots, the headers are written in front, the slot
 * goes up as a frame, and before the next call another takes its place: most often one that has just come back, still in the cache.
 *
 *     posted:  mmsghdr[i] -> iovec[2i]   -> | room for headers | payload ...    | of arena slot i
 *                         -> iovec[2i+1] -> | what did not fit into the slot    | tail i, 64 KiB         with UDP_GRO
 *                         -> name[i]        the peer                            sockaddr_in or sockaddr_in6
 *                         -> control[i]     see udp_control.ts
 *
 *   1. Datagrams that came alone over IPv4, nearly all of them, go up in one loop (`#quick`): words are read and written as they lie in
 *      memory, and of the control messages only those words are looked at that must be there. Anything else is looked at closely.
 *   2. The kernel has put datagrams of one sender together (UDP_GRO): each is copied out to a slot of its own. What does not fit
 *      into this burst waits for the next (`pending`); the message is posted again when all of it has gone up.
 *   3. No slot for a message: it is received into memory that nobody reads, and dropped, so a burst always makes progress.
 *   4. An error instead of a datagram is an earlier send's: counted, and the call made again.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import type { HostArena } from '../arena.ts';
import { EAGAIN, EINTR } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { highWord, type Pinned, pinned, wordsOf, writeWord } from '../sys/pinned.ts';
import {
  AF_INET,
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
import {
  HEADERS_IPV4,
  HEADERS_IPV6,
  type HeaderEnds,
  isUnicast,
  macWords,
  writeIpv4Headers,
  writeIpv4Words,
  writeIpv6Headers,
} from './frame_headers.ts';
import { isMapped, SIN_ADDR, SIN6_ADDR, SOCKADDR_IN6_SIZE, sockaddrPort } from './socket_address.ts';
import { CONTROL_SIZE, ControlLayout, isPacketInfo, isStamp, ReceivedControl } from './udp_control.ts';
import type { UdpErrors } from './udp_errors.ts';
import { openTails, TAIL_SIZE, type UdpTails } from './udp_tails.ts';

export const RX_BURST = 64;
export const RX_HEADROOM = 64;
/** Payload position in a slot: headroom and the longest headers, on a multiple of 16. */
const PAYLOAD_AT = (RX_HEADROOM + HEADERS_IPV6 + 15) & ~15;
const NAME_SIZE = 32;
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
  readonly #controls: Pinned = pinned(LOCAL_AT + 16);
  /** The same as words: the kernel's numbers are little-endian, and so is this machine. */
  readonly #words: Int32Array = wordsOf(this.#vector);
  readonly #bases: Int32Array = wordsOf(this.#iovecs);
  readonly #nameWords: Int32Array = wordsOf(this.#names);
  readonly #controlWords: Int32Array = wordsOf(this.#controls);
  /** Of each message; -1: none, and what comes goes #nowhere. Those without one are among the first #bare. */
  readonly #slots = new Int32Array(RX_BURST);
  readonly #nowhere: Pinned;
  #bare = 0;
  readonly #ends: HeaderEnds;
  readonly #room: number;
  /** Address of the arena, in halves: a double would be boxed on its way into another function. */
  readonly #baseLow: number;
  readonly #baseHigh: number;
  /** Bytes of control messages that are asked for with each datagram, and where things are in them if one has come alone. */
  readonly #controlSize: number;
  readonly #layout: ControlLayout;
  /** The bound IPv4 address and port, and the hardware address, as words in memory. */
  readonly #localWord: number;
  readonly #portWord: number;
  readonly #macWords: Int32Array;
  #tails: UdpTails | undefined;
  #id = 0;
  #six = false;
  /** Messages of the last call, the one that is next, and how far that has been handed up. */
  #got = 0;
  #next = 0;
  #at = 0;

  /** `control`: what comes beside each datagram, null: nothing. `local` is the bound address as 16 bytes (IPv4 in the first four), for datagrams that come without their own. */
  constructor(
    fd: number,
    memory: HostArena,
    errors: UdpErrors,
    mac: Uint8Array,
    local: { readonly bytes: Uint8Array; readonly port: number },
    control: ControlLayout | null,
  ) {
    this.#fd = fd;
    this.#memory = memory;
    this.#errors = errors;
    this.#mac = mac;
    this.#room = memory.slotSize - PAYLOAD_AT;
    this.#nowhere = pinned(this.#room);
    this.#baseLow = memory.baseAt % TWO_32;
    this.#baseHigh = Math.floor(memory.baseAt / TWO_32);
    this.#controlSize = control === null ? 0 : CONTROL_SIZE;
    this.#layout = control ?? new ControlLayout(false, false);
    this.#controls.bytes.set(local.bytes, LOCAL_AT);
    this.#localWord = this.#controlWords[LOCAL_AT >>> 2]!;
    this.#portWord = ((local.port & 0xff) << 24) | ((local.port >>> 8) << 16);
    this.#macWords = macWords(mac);
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
    this.#bare = RX_BURST;
  }

  /** Datagrams are here that have been received and not handed up. */
  get pending(): boolean {
    return this.#next < this.#got;
  }

  /** Takes slots for all messages that have none. False: the arena has not so many; those taken are given back by release(). */
  post(): boolean {
    let bare = 0;
    for (let i = 0; i < this.#bare; i++) {
      if (this.#slots[i]! >= 0) continue;
      const slot = bare > 0 ? -1 : this.#memory.alloc();
      if (slot < 0) {
        writeWord(this.#iovecs.view, 2 * i * IOVEC_SIZE, this.#nowhere.at);
        bare = i + 1;
      } else this.#place(i, slot);
    }
    this.#bare = bare;
    return bare === 0;
  }

  /** Takes memory for datagrams that come as one. False: the arena has no such area left. */
  postTails(): boolean {
    const tails = openTails(this.#memory, RX_BURST);
    if (tails === null) return false;
    this.#tails = tails;
    for (let i = 0; i < RX_BURST; i++) {
      const iovec = (2 * i + 1) * IOVEC_SIZE;
      writeWord(this.#iovecs.view, iovec, tails.addressOf(i));
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
    this.#bare = RX_BURST;
    this.#tails?.close();
    this.#tails = undefined;
    this.#got = this.#next = 0;
  }

  /** Receives at most `limit` datagrams as out[0..n), each with one reference, which is the caller's. */
  burst(out: FrameBatch, limit: number): number {
    const want = Math.min(limit, out.size);
    if (this.#next === this.#got) this.#receive(Math.min(want, RX_BURST));
    let n = 0;
    while (n < want && this.#next < this.#got) {
      if (this.#at === 0) {
        n = this.#quick(out, n, want);
        if (n === want || this.#next === this.#got) break;
        this.#ready(this.#next);
      }
      const i = this.#next;
      if (this.control.segment > 0) {
        n = this.#split(out, n, want, i);
        if (this.#at > 0) break;
      } else if (this.#frame(out, n, i)) n++;
      this.#reset(i);
      this.#next++;
    }
    this.frames += n;
    return n;
  }

  /** Message #next and those behind it, as long as they came alone over IPv4 and there are slots; gives the new count. */
  #quick(out: FrameBatch, from: number, want: number): number {
    const { i32, slotsAt, slotSize } = this.#memory;
    const words = this.#words;
    const names = this.#nameWords;
    const controls = this.#controlWords;
    const slots = this.#slots;
    const controlSize = this.#controlSize;
    const { len: controlLen, stamp, info } = this.#layout;
    const got = ((slotsAt | slotSize) & 3) === 0 ? this.#got : 0;
    let i = this.#next;
    let n = from;
    let sum = 0;
    for (; n < want && i < got; i++) {
      const message = i * (MMSGHDR_SIZE >>> 2);
      const name = i * (NAME_SIZE >>> 2);
      const len = words[message + (MSG_LEN >>> 2)]!;
      const peer = names[name]!;
      if ((peer & 0xffff) !== AF_INET || len > this.#room || (words[message + (MSG_FLAGS >>> 2)]! & MSG_TRUNC) !== 0)
        break;
      let dest = this.#localWord;
      let timeUs = 0;
      if (controlSize > 0) {
        const control = i * (CONTROL_SIZE >>> 2);
        if (words[message + (MSG_CONTROLLEN >>> 2)] !== controlLen) break;
        if (stamp >= 0) {
          if (!isStamp(controls, control + stamp)) break;
          timeUs = (controls[control + stamp + 4]! >>> 0) * 1e6 + controls[control + stamp + 6]!;
        }
        if (info >= 0) {
          if (!isPacketInfo(controls, control + info)) break;
          dest = controls[control + info + 6]!;
        }
      }
      if (!isUnicast(dest)) break;
      const slot = slots[i]!;
      if (slot < 0) break;
      const start = slotsAt + slot * slotSize;
      this.#id = (this.#id + 1) & 0xffff;
      const ports = (peer >>> 16) | this.#portWord;
      writeIpv4Words(i32, (start + PAYLOAD_AT) >>> 2, len, names[name + 1]!, dest, ports, this.#id, this.#macWords);
      out.buf[n] = slot;
      out.offset[n] = start + PAYLOAD_AT - HEADERS_IPV4;
      out.len[n] = HEADERS_IPV4 + len;
      out.end[n] = start + slotSize;
      out.tstampUs[n] = timeUs;
      out.csum[n] = CHECKSUM_UNNECESSARY;
      out.gsoSize[n] = 0;
      out.vlanTci[n] = -1;
      sum += HEADERS_IPV4 + len;
      n++;
      if (controlSize > 0) words[message + (MSG_CONTROLLEN >>> 2)] = controlSize;
      slots[i] = -1;
    }
    if (i > this.#bare) this.#bare = i;
    this.#next = i;
    this.bytes += sum;
    return n;
  }

  #receive(want: number): void {
    if (this.#bare > 0) this.post();
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
    const slot = this.#slots[i]!;
    if (slot < 0) {
      this.noBuffer++;
      return false;
    }
    this.#finish(out, n, slot, len);
    this.#slots[i] = -1;
    if (i >= this.#bare) this.#bare = i + 1;
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
      const slot = len > this.#room || this.#slots[i]! < 0 ? -1 : memory.alloc();
      if (slot < 0) {
        if (len > this.#room) this.truncated++;
        else this.noBuffer++;
      } else {
        const head = memory.start(this.#slots[i]!) + PAYLOAD_AT;
        this.#tails!.copy(i, at, memory.start(slot) + PAYLOAD_AT, len, head, this.#room);
        this.#finish(out, count++, slot, len);
        this.merged++;
      }
      at += len;
    }
    this.#at = at < total ? at : 0;
    return count;
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
    const low = this.#baseLow + this.#memory.slotsAt + slot * this.#memory.slotSize + PAYLOAD_AT;
    const at = (2 * i * IOVEC_SIZE) >>> 2;
    this.#bases[at] = low | 0;
    this.#bases[at + 1] = highWord(low, this.#baseHigh);
  }
}
