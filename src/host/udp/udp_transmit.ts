// hot
/**
 * The transmit half of a queue of a udp port: reads address and port off each frame's headers and sends the payload from where
 * it lies in the arena, one by sendmsg(), several in one sendmmsg().
 *
 *     frames:    A 100 | A 100 | A 60 | B 100 | super-frame of B: 3000 in 1000s, in pieces
 *     messages:  A 260 by 100         | B 100 | B 3000 by 1000                             (UDP_SEGMENT: the kernel cuts them)
 *
 *   1. A frame that is not a whole UDP datagram (ARP, ICMP, fragments), or of a family that the socket does not speak, is
 *      taken, counted as an error, and goes nowhere.
 *   2. Neighbours of one length to one destination become one message, which the kernel walks through its stack once. Where it
 *      refuses that, they go one by one, and this queue tries it no more.
 *   3. EAGAIN and ENOBUFS: no room, not taken. Other errors belong to that one message, or to an earlier datagram (udp_errors.ts).
 *   4. The kernel puts its own headers and checksum on: source address and port are the socket's, whatever the frame says.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { UDP_HLEN, udpLen } from '../../wire/udp.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { EAGAIN, EINTR, ENOBUFS } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { highWord, type Pinned, pinned, wordsOf, writeWord } from '../sys/pinned.ts';
import {
  IOVEC_SIZE,
  MMSGHDR_SIZE,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_DONTWAIT,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_NAME,
  MSG_NAMELEN,
} from '../sys/socket.ts';
import { findUdp } from './frame_headers.ts';
import { NAME_SIZE, sameName, type UdpFamilies, writeDestination, writeSockaddrIn } from './socket_address.ts';
import { SEGMENT_SIZE, writeSegmentControl } from './udp_control.ts';
import type { UdpErrors } from './udp_errors.ts';

export const TX_BURST = 64;
/** What one call takes. (`IOV_MAX`) */
const IOVECS_MAX = 1024;
/** Datagrams in one message. (`UDP_MAX_SEGMENTS` of the first kernels that had it) */
const SEGMENTS_MAX = 64;
/** Payload bytes of one message, whichever family. */
const MESSAGE_MAX = 65_487;
/** A call is made again so often after errors of earlier datagrams. */
const TRIES_MAX = 4;
const TWO_32 = 2 ** 32;

export interface UdpTransmitOptions extends UdpFamilies {
  /** Put neighbours together. */
  readonly merge: boolean;
}

export class UdpTransmit {
  frames = 0;
  bytes = 0;
  /** Datagrams that the kernel refused for good. */
  errors = 0;
  /** Frames that are no UDP datagram, or not of the socket's family. */
  notUdp = 0;
  /** Frames that went to the kernel in one message with others. */
  merged = 0;
  /** Frames that came as one for several. */
  superFrames = 0;
  busy = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #errors: UdpErrors;
  readonly #options: UdpTransmitOptions;
  readonly #libc: Libc = libc();
  readonly #vector: Pinned = pinned(MMSGHDR_SIZE * TX_BURST);
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * IOVECS_MAX);
  readonly #names: Pinned = pinned(NAME_SIZE * TX_BURST);
  readonly #controls: Pinned = pinned(SEGMENT_SIZE * TX_BURST);
  readonly #done = new DoneTags();
  /** Of each message: frames, payload bytes, bytes of a segment, and whether nothing may be put behind it. */
  readonly #count = new Int32Array(TX_BURST);
  readonly #size = new Int32Array(TX_BURST);
  readonly #segment = new Int32Array(TX_BURST);
  readonly #closed = new Uint8Array(TX_BURST);
  /** The same memory as words: the kernel's numbers are little-endian, and so is this machine. */
  readonly #words: Int32Array = wordsOf(this.#vector);
  readonly #iovecWords: Int32Array = wordsOf(this.#iovecs);
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #vectorLow: number;
  readonly #vectorHigh: number;
  #merge: boolean;
  #messages = 0;
  #iovecsUsed = 0;
  #pieceAt = 0;

  constructor(fd: number, memory: HostArena, errors: UdpErrors, options: UdpTransmitOptions) {
    this.#fd = fd;
    this.#memory = memory;
    this.#errors = errors;
    this.#options = options;
    this.#merge = options.merge;
    this.#baseLow = memory.baseAt % TWO_32;
    this.#baseHigh = Math.floor(memory.baseAt / TWO_32);
    this.#vectorLow = this.#iovecs.at % TWO_32;
    this.#vectorHigh = Math.floor(this.#iovecs.at / TWO_32);
    for (let i = 0; i < TX_BURST; i++) {
      if (!options.six) writeSockaddrIn(this.#names.view, i * NAME_SIZE, 0, 0);
      const message = i * MMSGHDR_SIZE;
      writeWord(this.#vector.view, message + MSG_NAME, this.#names.at + i * NAME_SIZE);
      this.#vector.view.setUint32(message + MSG_NAMELEN, options.nameLen, true);
    }
  }

  /** True if sent frames wait to be reaped. */
  get done(): boolean {
    return this.#done.count > 0;
  }

  /** How many messages the last call was. */
  get messages(): number {
    return this.#messages;
  }

  /** Takes the first frames of batch[0..n) and gives how many. They have been sent, or refused, when this returns. */
  burst(batch: FrameBatch, n: number): number {
    const limit = Math.min(n, TX_BURST, this.#done.room);
    let taken = 0;
    let piece = 0;
    while (taken < limit) {
      this.#messages = this.#iovecsUsed = 0;
      this.#pieceAt = piece;
      let run = 0;
      while (taken + run < limit && this.#put(batch, taken + run)) run++;
      if (run === 0) {
        this.notUdp++;
        piece += batch.pieces[taken]!;
        taken++;
        continue;
      }
      const sent = this.#send();
      if (sent < 0) break;
      for (let i = 0; i < sent; i++) piece += batch.pieces[taken + i]!;
      taken += sent;
    }
    this.#done.put(batch, taken);
    return taken;
  }

  /** Tags of frames that have left, as many as `done` holds. */
  reap(done: FrameBatch): number {
    return this.#done.reap(done);
  }

  /** Sends the messages. Gives how many frames are done with, sent or refused; 0: try again; -1: there is no room for the first. */
  #send(): number {
    for (let tries = 0; ; tries++) {
      const sent = this.#call();
      if (sent > 0) return this.#sent(sent);
      const errno = this.#libc.errno();
      if (errno === EINTR) continue;
      if (errno === EAGAIN || errno === ENOBUFS) {
        this.busy++;
        return -1;
      }
      if (tries < TRIES_MAX && this.#errors.drain() > 0) continue;
      if (this.#count[0]! > 1) {
        this.#merge = false;
        return 0;
      }
      this.errors++;
      this.#errors.count(errno);
      return 1;
    }
  }

  /** By addresses that are always the same: one made for the call, as sendto() wants it, would be a number on the heap. */
  #call(): number {
    if (this.#messages > 1) return this.#libc.sendmmsg(this.#fd, this.#vector.at, this.#messages, MSG_DONTWAIT);
    return this.#libc.sendmsg(this.#fd, this.#vector.at, MSG_DONTWAIT) < 0 ? -1 : 1;
  }

  #sent(messages: number): number {
    let frames = 0;
    for (let i = 0; i < messages; i++) {
      const count = this.#count[i]!;
      frames += count;
      this.bytes += this.#size[i]!;
      if (count > 1) this.merged += count;
      else if (this.#segment[i] !== 0) this.superFrames++;
    }
    this.frames += frames;
    return frames;
  }

  /** Makes frame `i` of the batch a message, or part of the last one. False: nothing that this socket can send, or no room. */
  #put(batch: FrameBatch, i: number): boolean {
    const { view } = this.#memory;
    const eth = batch.offset[i]!;
    const total = batch.len[i]!;
    const pieces = batch.pieces[i]!;
    let head = total;
    for (let k = this.#pieceAt; k < this.#pieceAt + pieces; k++) head -= batch.pieceLen[k]!;
    const udp = batch.vlanTci[i]! >= 0 ? -1 : findUdp(view, eth, total);
    const payload = udp + UDP_HLEN;
    if (udp < 0 || payload > eth + head || this.#iovecsUsed + pieces + 1 > IOVECS_MAX) return false;
    const gso = batch.gsoSize[i]!;
    const size = gso !== 0 ? eth + total - payload : udpLen(view, udp) - UDP_HLEN;
    const to = this.#messages;
    if (!writeDestination(this.#names.view, to * NAME_SIZE, view, eth, udp, this.#options)) return false;
    const inHead = Math.min(size, eth + head - payload);
    if (pieces === 0 && gso === 0 && this.#join(to, size)) {
      this.#iovec(payload, size);
      return true;
    }
    const begin = this.#iovecsUsed;
    this.#open(to, size, gso);
    if (pieces > 0) this.#closed[to] = 1;
    if (inHead > 0 || pieces === 0) this.#iovec(payload, inHead);
    let left = size - inHead;
    for (let k = this.#pieceAt; k < this.#pieceAt + pieces && left > 0; k++) {
      const len = Math.min(left, batch.pieceLen[k]!);
      this.#iovec(batch.pieceOffset[k]!, len);
      left -= len;
    }
    this.#words[(to * MMSGHDR_SIZE + MSG_IOVLEN) >>> 2] = this.#iovecsUsed - begin;
    this.#pieceAt += pieces;
    return true;
  }

  /** Puts `size` bytes behind the last message, if they go to the same place and the last one takes them. `to` has their address. */
  #join(to: number, size: number): boolean {
    const last = to - 1;
    if (last < 0 || !this.#merge || this.#closed[last] !== 0) return false;
    const count = this.#count[last]!;
    const first = this.#segment[last] === 0 ? this.#size[last]! : this.#segment[last]!;
    if (size === 0 || size > first || count === SEGMENTS_MAX || this.#size[last]! + size > MESSAGE_MAX) return false;
    if (!sameName(this.#names.view, last * NAME_SIZE, to * NAME_SIZE, this.#options.nameLen)) return false;
    if (count === 1) this.#cut(last, first);
    this.#count[last] = count + 1;
    this.#size[last] = this.#size[last]! + size;
    if (size < first) this.#closed[last] = 1;
    const { view } = this.#vector;
    const message = last * MMSGHDR_SIZE;
    view.setUint32(message + MSG_IOVLEN, count + 1, true);
    return true;
  }

  #open(to: number, size: number, gso: number): void {
    const words = this.#words;
    const message = to * MMSGHDR_SIZE;
    const low = this.#vectorLow + this.#iovecsUsed * IOVEC_SIZE;
    words[(message + MSG_IOV) >>> 2] = low | 0;
    words[((message + MSG_IOV) >>> 2) + 1] = highWord(low, this.#vectorHigh);
    if (this.#segment[to] !== 0) this.#whole(to);
    this.#count[to] = 1;
    this.#size[to] = size;
    this.#closed[to] = gso !== 0 || size === 0 ? 1 : 0;
    if (gso !== 0 && gso < size) this.#cut(to, gso);
    this.#messages = to + 1;
  }

  /** Message `i` is one datagram; its last one was several. */
  #whole(i: number): void {
    const words = this.#words;
    const control = (i * MMSGHDR_SIZE + MSG_CONTROL) >>> 2;
    words[control] = 0;
    words[control + 1] = 0;
    words[(i * MMSGHDR_SIZE + MSG_CONTROLLEN) >>> 2] = 0;
    this.#segment[i] = 0;
  }

  /** Has message `i` cut into datagrams of `segment` bytes. */
  #cut(i: number, segment: number): void {
    const { view } = this.#vector;
    this.#segment[i] = segment;
    writeSegmentControl(this.#controls.view, i * SEGMENT_SIZE, segment);
    writeWord(view, i * MMSGHDR_SIZE + MSG_CONTROL, this.#controls.at + i * SEGMENT_SIZE);
    view.setUint32(i * MMSGHDR_SIZE + MSG_CONTROLLEN, SEGMENT_SIZE, true);
  }

  /** An address in the arena is written from its two halves: a double would be boxed on its way into another function. */
  #iovec(offset: number, len: number): void {
    const words = this.#iovecWords;
    const o = (this.#iovecsUsed++ * IOVEC_SIZE) >>> 2;
    const low = this.#baseLow + offset;
    words[o] = low | 0;
    words[o + 1] = highWord(low, this.#baseHigh);
    words[o + 2] = len;
  }
}
