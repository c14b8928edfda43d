/**
 * What happens to this namespace's interfaces, as the kernel tells it (`ip monitor link address`).
 *
 *     kernel --RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR--> socket --interrupt--> listener, a call for each message
 *
 *   1. Messages are read in the order in which things happened, all that there are, at most READS a turn.
 *   2. The socket's buffer overflows: messages are lost, and the listener is told so, to look at everything anew. The kernel says so before
 *      it gives out what was in the buffer: that is older than what the listener sees by then, and thrown away.
 *   3. A bridge says that a port has left it with the same message that says that an interface is gone, of another family: left out.
 *
 * No privileges are needed. The watch does not keep the process alive, unless somebody waits for an interface to come.
 */

import type { HostExecutive, Watch } from '../executive.ts';
import { check, EAGAIN, EINTR, ENOBUFS, errnoName } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { AF_NETLINK, openSocket, SO_RCVBUF, SO_RCVBUFFORCE, SOCK_RAW, setBuffer } from '../sys/socket.ts';
import { nlMessages } from './nlmsg.ts';
import { type Link, parseAddress, parseLink, RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK } from './rtnetlink.ts';

const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV6_IFADDR = 0x100;
const AF_UNSPEC = 0;
const RECV_SIZE = 1 << 16;
const RECEIVE_BUFFER = 1 << 20;
/** Messages read in one turn of the loop at most; the descriptor stays readable for the rest. */
const READS = 256;

/** Who is told. None of it may throw. */
export interface LinkListener {
  /** The interface is new, or something of it has changed. */
  link(link: Link): void;
  /** It was deleted, or has moved to another namespace. */
  gone(link: Link): void;
  /** An address of the interface has come or gone. */
  addresses(ifindex: number): void;
  /** Something was lost: all of the above may have happened. */
  lost(): void;
}

export class LinkMonitor {
  readonly #fd: number;
  readonly #executive: HostExecutive;
  readonly #listener: LinkListener;
  readonly #buffer = Buffer.allocUnsafeSlow(RECV_SIZE);
  #watch: Watch;
  #keepsAlive = false;
  /** What is in the socket is older than what the listener has looked at. */
  #lost = false;

  /** Listens from now on. Throws SetupError: no koffi, or no netlink here. */
  constructor(executive: HostExecutive, listener: LinkListener) {
    const what = 'hear of interfaces that change';
    this.#executive = executive;
    this.#listener = listener;
    this.#fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, what, '');
    try {
      setBuffer(this.#fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK, 0);
      address.writeUInt32LE(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, 8);
      check(libc().bind(this.#fd, address, address.length), 'bind', what);
      this.#watch = this.#open();
    } catch (error) {
      libc().close(this.#fd);
      throw error;
    }
  }

  /** True: the process does not end while this monitor is open. */
  keepAlive(on: boolean): void {
    if (on === this.#keepsAlive) return;
    this.#keepsAlive = on;
    this.#watch.close();
    this.#watch = this.#open();
  }

  close(): void {
    this.#watch.close();
    libc().close(this.#fd);
  }

  #open(): Watch {
    const watch = this.#executive.watch(this.#fd, () => this.#read(watch), { keepAlive: this.#keepsAlive });
    watch.arm(true);
    return watch;
  }

  #read(watch: Watch): void {
    let empty = false;
    for (let i = 0; i < READS && !empty; i++) {
      const n = libc().recv(this.#fd, this.#buffer, RECV_SIZE, 0);
      if (n >= 0) {
        if (!this.#lost) this.#take(Uint8Array.from(this.#buffer.subarray(0, n)));
        continue;
      }
      const errno = libc().errno();
      if (errno === EAGAIN) empty = true;
      else if (errno === ENOBUFS) this.#lost = true;
      else if (errno !== EINTR) throw new Error(`a netlink socket gives ${errnoName(errno)}`);
    }
    const lost = this.#lost;
    if (empty) this.#lost = false;
    if (lost) this.#listener.lost();
    // Whoever was told may have opened another watch, or closed all.
    if (watch === this.#watch) watch.arm(true);
  }

  #take(bytes: Uint8Array): void {
    for (const { type, payload } of nlMessages(bytes)) {
      if (type === RTM_NEWLINK || type === RTM_DELLINK) {
        const link = payload[0] === AF_UNSPEC ? parseLink(payload) : null;
        if (link !== null) this.#listener[type === RTM_NEWLINK ? 'link' : 'gone'](link);
      } else if (type === RTM_NEWADDR || type === RTM_DELADDR) {
        const address = parseAddress(payload);
        if (address !== null) this.#listener.addresses(address.ifindex);
      }
    }
  }
}
