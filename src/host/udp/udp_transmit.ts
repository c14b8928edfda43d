// hot
/**
 * The transmit half of a udp port: reads address and port off each frame's headers and sends the payload from where it
 * lies in the arena, one by sendto(), several in one sendmmsg().
 *
 *   1. A frame that is not a whole UDP datagram (ARP, ICMP, fragments), or of a family that the socket does not speak, is
 *      taken, counted as an error, and goes nowhere.
 *   2. EAGAIN and ENOBUFS: no room, not taken. Other errors (no route, message too long) belong to that one datagram.
 *   3. The kernel puts its own headers on: source address and port are the socket's, whatever the frame says.
 */

import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN, ETH_P_IP } from '../../wire/eth.ts';
import { ipv4Dest } from '../../wire/ipv4.ts';
import { UDP_HLEN, udpDestPort, udpLen } from '../../wire/udp.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';
import { EAGAIN, EINTR, ENOBUFS } from '../sys/errno.ts';
import { type Libc, libc } from '../sys/libc.ts';
import { type Pinned, pinned, writeWord } from '../sys/pinned.ts';
import { IOVEC_SIZE, MMSGHDR_SIZE, MSG_DONTWAIT, MSG_IOV, MSG_IOVLEN, MSG_NAME, MSG_NAMELEN } from '../sys/socket.ts';
import { findUdp } from './frame_headers.ts';
import {
  isLinkLocal,
  SIN6_ADDR,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
  writeMapped,
  writeSockaddrIn,
  writeSockaddrIn6,
} from './socket_address.ts';

export const TX_BURST = 64;
const NAME_SIZE = 32;
const IPV6_DEST = 24;

export interface UdpTransmitOptions {
  /** The socket is AF_INET6. */
  readonly six: boolean;
  /** The socket takes IPv4 destinations: it is AF_INET, or AF_INET6 for both families. */
  readonly four: boolean;
  /** Interface index for link-local destinations, 0 if none. */
  readonly scope: number;
}

export class UdpTransmit {
  frames = 0;
  bytes = 0;
  /** Datagrams that the kernel refused for good. */
  errors = 0;
  /** Frames that are no UDP datagram, or not of the socket's family. */
  notUdp = 0;
  busy = 0;
  readonly #fd: number;
  readonly #memory: HostArena;
  readonly #options: UdpTransmitOptions;
  readonly #libc: Libc = libc();
  readonly #vector: Pinned = pinned(MMSGHDR_SIZE * TX_BURST);
  readonly #iovecs: Pinned = pinned(IOVEC_SIZE * TX_BURST);
  readonly #names: Pinned = pinned(NAME_SIZE * TX_BURST);
  readonly #done = new DoneTags();
  /** Where the payload of message 0 lies. */
  #firstAt = 0;

  constructor(fd: number, memory: HostArena, options: UdpTransmitOptions) {
    this.#fd = fd;
    this.#memory = memory;
    this.#options = options;
    for (let i = 0; i < TX_BURST; i++) {
      const message = i * MMSGHDR_SIZE;
      writeWord(this.#vector.view, message + MSG_NAME, this.#names.at + i * NAME_SIZE);
      writeWord(this.#vector.view, message + MSG_IOV, this.#iovecs.at + i * IOVEC_SIZE);
      this.#vector.view.setUint32(message + MSG_IOVLEN, 1, true);
    }
  }

  /** True if sent frames wait to be reaped. */
  get done(): boolean {
    return this.#done.count > 0;
  }

  /** Takes the first frames of batch[0..n) and gives how many. They have been sent, or refused, when this returns. */
  burst(batch: FrameBatch, n: number): number {
    const limit = Math.min(n, TX_BURST, this.#done.room);
    let taken = 0;
    while (taken < limit) {
      let run = 0;
      while (taken + run < limit && this.#fill(batch, taken + run, run)) run++;
      const sent = run === 0 ? 0 : this.#send(run);
      if (sent < 0) break;
      taken += sent;
      if (sent === run && taken < limit) {
        this.notUdp++;
        taken++;
      }
    }
    this.#done.put(batch, taken);
    return taken;
  }

  /** Tags of frames that have left, as many as `done` holds. */
  reap(done: FrameBatch): number {
    return this.#done.reap(done);
  }

  /** Sends messages [0, run). Gives how many are done with, sent or refused; -1 if there is no room for the first. */
  #send(run: number): number {
    for (;;) {
      const sent = run === 1 ? this.#sendOne() : this.#libc.sendmmsg(this.#fd, this.#vector.at, run, MSG_DONTWAIT);
      if (sent > 0) {
        this.frames += sent;
        for (let i = 0; i < sent; i++) this.bytes += this.#iovecs.view.getUint32(i * IOVEC_SIZE + 8, true);
        return sent;
      }
      const errno = this.#libc.errno();
      if (errno === EINTR) continue;
      if (errno === EAGAIN || errno === ENOBUFS) {
        this.busy++;
        return -1;
      }
      this.errors++;
      return 1;
    }
  }

  /** Message 0 alone needs no vectors. 1, or -1 as of sendmmsg. */
  #sendOne(): number {
    const nameLen = this.#options.six ? SOCKADDR_IN6_SIZE : SOCKADDR_IN_SIZE;
    const len = this.#iovecs.view.getUint32(8, true);
    return this.#libc.sendtoAt(this.#fd, this.#firstAt, len, MSG_DONTWAIT, this.#names.at, nameLen) < 0 ? -1 : 1;
  }

  /** Makes frame `i` of the batch message `to`. False: it is nothing that this socket can send. */
  #fill(batch: FrameBatch, i: number, to: number): boolean {
    const view = this.#memory.view;
    const eth = batch.offset[i]!;
    const udp = batch.vlanTci[i]! >= 0 ? -1 : findUdp(view, eth, batch.len[i]!);
    if (udp < 0 || !this.#address(view, eth, udp, to)) return false;
    const at = this.#memory.baseAt + udp + UDP_HLEN;
    if (to === 0) this.#firstAt = at;
    writeWord(this.#iovecs.view, to * IOVEC_SIZE, at);
    this.#iovecs.view.setUint32(to * IOVEC_SIZE + 8, udpLen(view, udp) - UDP_HLEN, true);
    return true;
  }

  /** Writes where the datagram goes. False: not a family of this socket. */
  #address(view: DataView, eth: number, udp: number, to: number): boolean {
    const names = this.#names.view;
    const name = to * NAME_SIZE;
    const ip = eth + ETH_HLEN;
    const port = udpDestPort(view, udp);
    const { six, four, scope } = this.#options;
    const isFour = view.getUint16(eth + 12) === ETH_P_IP;
    if (isFour ? !four : !six) return false;
    this.#vector.view.setUint32(to * MMSGHDR_SIZE + MSG_NAMELEN, six ? SOCKADDR_IN6_SIZE : SOCKADDR_IN_SIZE, true);
    if (!six) {
      writeSockaddrIn(names, name, port, ipv4Dest(view, ip));
    } else if (isFour) {
      writeSockaddrIn6(names, name, port, 0);
      writeMapped(names, name + SIN6_ADDR, ipv4Dest(view, ip));
    } else {
      const address = ip + IPV6_DEST;
      writeSockaddrIn6(names, name, port, isLinkLocal(view, address) ? scope : 0);
      for (let k = 0; k < 16; k += 4) names.setUint32(name + SIN6_ADDR + k, view.getUint32(address + k));
    }
    return true;
  }
}
