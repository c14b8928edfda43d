/**
 * `udp:ADDRESS:PORT`: a Port over ordinary UDP sockets. No privileges, no raw frames: what a packet port gets from the
 * wire, this one writes itself (frame_headers.ts), so the engine above is the same.
 *
 *     kernel --recvmmsg--> payloads in arena slots, headers in front --rxBurst-->     udp_receive.ts
 *     kernel <--sendmmsg-- payloads of UDP frames <--txBurst--                         udp_transmit.ts
 *
 *   1. A queue is a socket. Several share one address (SO_REUSEPORT): the kernel chooses by flow, so a sender keeps its queue.
 *   2. Datagrams that the kernel has put together come up one by one; super-frames of ours, and neighbours of one length, go down
 *      as one (UDP_GRO, UDP_SEGMENT). Checksums are the kernel's business both ways.
 *   3. What the kernel drops for want of room it counts (`rx_dropped_kernel`); a receive buffer that is smaller than was asked for
 *      is said in `notices`.
 *
 * What it cannot show: ARP and other protocols (kernel's own business), the sender's real hardware address, fragments
 * (joined already), checksums (verified already).
 */
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import {
  NETIF_F_FRAGLIST,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HIGHDMA,
  NETIF_F_HW_CSUM,
  NETIF_F_RXCSUM,
  NETIF_F_SG,
} from '../../device/features.ts';
import type { FrameBatch, Port, PortCaps } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { printIp } from '../../wire/address.ts';
import { HostArena } from '../arena.ts';
import type { HostExecutive } from '../executive.ts';
import { UdpQueue } from './udp_queue.ts';
import { RX_BURST, RX_HEADROOM } from './udp_receive.ts';
import { adoptUdpSocket, type BoundAddress, openUdpSocket, type UdpSocketOptions } from './udp_socket.ts';
import type { UdpTransmit } from './udp_transmit.ts';

const MTU = 1500;
const QUEUES_MAX = 64;
const PIECES = NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HIGHDMA;

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_merged',
  'rx_dropped_kernel',
  'rx_length_errors',
  'rx_no_buffer',
  'tx_frames',
  'tx_bytes',
  'tx_merged',
  'tx_super_frames',
  'tx_errors',
  'tx_not_udp',
  'tx_busy',
  'peer_refused',
  'peer_unreachable',
  'tx_too_long',
  'tx_forbidden',
  'socket_errors',
] as const;
export type UdpCounters = Counters<(typeof COUNTERS)[number]>;

export interface UdpPortOptions extends UdpSocketOptions {
  /** Sockets on the same address, a queue each; 1 if absent. */
  readonly udpQueues?: number;
  /** Use this descriptor, which is bound already, and do not close it; `address` is what it is bound to. One queue. */
  readonly udpFd?: number;
}

export class UdpPort implements Port {
  readonly caps: PortCaps;
  readonly #executive: HostExecutive;
  readonly #options: UdpPortOptions;
  readonly #counters: UdpCounters = new Counters(COUNTERS);
  #address: BoundAddress;
  #open: readonly UdpQueue[] = [];
  /** Transmit tags of the last opening. */
  #closed: readonly UdpTransmit[] = [];
  #notices: readonly string[] = [];

  /** Opens nothing. Throws SetupError `ERR_NETPOLL_QUEUES`. */
  constructor(address: BoundAddress, executive: HostExecutive, options: UdpPortOptions) {
    this.#address = address;
    this.#executive = executive;
    this.#options = options;
    const queues = options.udpQueues ?? 1;
    if (!Number.isInteger(queues) || queues < 1 || queues > QUEUES_MAX) {
      throw new SetupError('ERR_NETPOLL_QUEUES', `a udp port has 1 to ${QUEUES_MAX} queues, not ${queues}`);
    }
    if (options.udpFd !== undefined && queues > 1) {
      throw new SetupError('ERR_NETPOLL_QUEUES', `one descriptor (${options.udpFd}) is one queue, not ${queues}`);
    }
    this.caps = {
      mtu: MTU,
      rxQueues: queues,
      txQueues: queues,
      burst: RX_BURST,
      headroom: RX_HEADROOM,
      features: PIECES | NETIF_F_RXCSUM | NETIF_F_HW_CSUM | ((options.segment ?? true) ? NETIF_F_GSO_UDP_L4 : 0),
      datagrams: true,
      hasIrq: true,
      mac: macOf(address),
    };
  }

  /** With the port that the kernel chose, once it is open. */
  get name(): string {
    const { ip, port } = this.#address;
    return ip.family === 4 ? `udp:${printIp(ip)}:${port}` : `udp:[${printIp(ip)}]:${port}`;
  }

  /** What the sockets are bound to; the port is 0 until the kernel has chosen one. */
  get address(): BoundAddress {
    return this.#address;
  }

  /** What was not got as it was asked for, a sentence each, and what to do about it. Empty until the port is open. */
  get notices(): readonly string[] {
    return this.#notices;
  }

  /** The smallest path MTU that the sockets have been told of; 0: none. */
  get pathMtu(): number {
    const told = this.#open.map((queue) => queue.errors.pathMtu).filter((mtu) => mtu > 0);
    return told.length === 0 ? 0 : Math.min(...told);
  }

  /** Asks the kernel for its drop counts first: one system call a queue while the port is open. */
  get counters(): UdpCounters {
    for (const queue of this.#open) queue.collect(this.#counters);
    return this.#counters;
  }

  /** Throws SetupError: ERR_NETPOLL_EADDRINUSE and other errno names, ERR_NETPOLL_ARENA, ERR_NETPOLL_ARENA_FULL, ERR_NETPOLL_FD. */
  open(memory: Arena, irq: (queue: number) => void): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError(
        'ERR_NETPOLL_ARENA',
        `${this.name} gives arena addresses to the kernel: use createHostArena()`,
      );
    }
    const { udpFd } = this.#options;
    const queues: UdpQueue[] = [];
    const notices: string[] = [];
    let address = this.#address;
    // One queue more than one means that all of them, the first too, must agree to share.
    const options = this.caps.rxQueues > 1 ? { ...this.#options, reusePort: true } : this.#options;
    try {
      for (let i = 0; i < this.caps.rxQueues; i++) {
        const socket = udpFd === undefined ? openUdpSocket(address, options) : adoptUdpSocket(udpFd, options);
        address = socket.address;
        queues.push(new UdpQueue(socket, memory, this.#executive, this.caps.mac, () => irq(i)));
        if (i === 0) notices.push(...bufferNotice(this.name, socket));
      }
    } catch (error) {
      for (const queue of queues) queue.close();
      throw error;
    }
    this.#address = address;
    this.#open = queues;
    this.#notices = notices;
  }

  rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open[queue];
    return open === undefined ? 0 : open.rxBurst(out, limit);
  }

  txBurst(queue: number, batch: FrameBatch, n: number): number {
    const open = this.#open[queue];
    return open === undefined ? 0 : open.txBurst(batch, n);
  }

  txReap(queue: number, done: FrameBatch): number {
    return (this.#open[queue]?.tx ?? this.#closed[queue])?.reap(done) ?? 0;
  }

  /** A socket that is readable when it is unmasked interrupts at once; what has left the kernel and waits here does not. */
  irqEnable(queue: number, on: boolean): boolean {
    const open = this.#open[queue];
    return open === undefined ? false : open.arm(on);
  }

  /** A socket has no carrier: up while it is open. */
  link(): boolean {
    return this.#open.length > 0;
  }

  close(): void {
    const open = this.#open;
    if (open.length === 0) return;
    for (const queue of open) queue.collect(this.#counters);
    this.#open = [];
    this.#closed = open.map((queue) => queue.tx);
    for (const queue of open) queue.close();
  }
}

function bufferNotice(
  name: string,
  { wantedBuffer, receiveBuffer }: { wantedBuffer: number; receiveBuffer: number },
): string[] {
  if (receiveBuffer >= wantedBuffer) return [];
  return [
    `${name} has a receive buffer of ${receiveBuffer >>> 10} KiB, not ${wantedBuffer >>> 10}: ` +
      `needs CAP_NET_ADMIN, or sysctl -w net.core.rmem_max=${wantedBuffer}`,
  ];
}

/** A made-up address, the same for the same spec: 02:70 and a hash (FNV-1a) of what the port is bound to. */
function macOf({ ip, port }: BoundAddress): Uint8Array {
  let hash = 0x811c9dc5;
  for (const character of `${printIp(ip)}:${port}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  }
  return Uint8Array.of(0x02, 0x70, hash >>> 24, hash >>> 16, hash >>> 8, hash);
}
