/**
 * `udp:ADDRESS:PORT`: a Port over an ordinary UDP socket. No privileges, no raw frames: what a packet port gets from the
 * wire, this one writes itself (frame_headers.ts), so the engine above is the same.
 *
 *     kernel --recvmmsg--> payloads in arena slots, headers in front --rxBurst-->     udp_receive.ts
 *     kernel <--sendmmsg-- payloads of UDP frames <--txBurst--                         udp_transmit.ts
 *
 * What it cannot show: ARP and other protocols (kernel's own business), the sender's real hardware address, fragments
 * (joined already), checksums (verified already).
 */
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import { NETIF_F_RXCSUM } from '../../device/features.ts';
import type { FrameBatch, Port, PortCaps } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { printIp } from '../../wire/address.ts';
import { HostArena } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import { libc } from '../sys/libc.ts';
import { socketDrops } from '../sys/socket.ts';
import { RX_BURST, RX_HEADROOM, UdpReceive } from './udp_receive.ts';
import { type BoundAddress, openUdpSocket } from './udp_socket.ts';
import { UdpTransmit } from './udp_transmit.ts';

const MTU = 1500;

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_dropped_kernel',
  'rx_length_errors',
  'rx_no_buffer',
  'tx_frames',
  'tx_bytes',
  'tx_errors',
  'tx_not_udp',
  'tx_busy',
] as const;

export interface UdpPortOptions {
  /** Receive buffer of the socket in bytes; 4 MiB if absent (the system's limit may cut it). */
  readonly receiveBuffer?: number;
  /** False: an IPv6 socket takes no IPv4; true if absent. */
  readonly dualStack?: boolean;
}

interface OpenState {
  readonly fd: number;
  readonly watch: Watch;
  readonly rx: UdpReceive;
  readonly tx: UdpTransmit;
  armed: boolean;
}

export class UdpPort implements Port {
  readonly caps: PortCaps;
  readonly #executive: HostExecutive;
  readonly #options: UdpPortOptions;
  readonly #counters = new Counters(COUNTERS);
  #address: BoundAddress;
  #open: OpenState | undefined;
  #closed: UdpTransmit | undefined;
  /** What the socket had dropped when it was asked last. */
  #drops = 0;

  constructor(address: BoundAddress, executive: HostExecutive, options: UdpPortOptions) {
    this.#address = address;
    this.#executive = executive;
    this.#options = options;
    this.caps = {
      mtu: MTU,
      rxQueues: 1,
      txQueues: 1,
      burst: RX_BURST,
      headroom: RX_HEADROOM,
      features: NETIF_F_RXCSUM,
      hasIrq: true,
      mac: macOf(address),
    };
  }

  /** With the port that the kernel chose, once it is open. */
  get name(): string {
    const { ip, port } = this.#address;
    return ip.family === 4 ? `udp:${printIp(ip)}:${port}` : `udp:[${printIp(ip)}]:${port}`;
  }

  /** What the socket is bound to; the port is 0 until the kernel has chosen one. */
  get address(): BoundAddress {
    return this.#address;
  }

  /** Asks the kernel for its drop count first: one system call while the port is open. */
  get counters(): Counters {
    this.#collect();
    return this.#counters;
  }

  /** Throws SetupError: ERR_NETPOLL_EADDRINUSE and other errno names, ERR_NETPOLL_ARENA, ERR_NETPOLL_ARENA_FULL. */
  open(memory: Arena, irq: (queue: number) => void): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError(
        'ERR_NETPOLL_ARENA',
        `${this.name} gives arena addresses to the kernel: use createHostArena()`,
      );
    }
    const { fd, address } = openUdpSocket(this.#address, this.#options);
    const local = new Uint8Array(16);
    if (address.ip.family === 6) local.set(address.ip.v6);
    else new DataView(local.buffer).setUint32(0, address.ip.v4);
    const rx = new UdpReceive(fd, memory, this.caps.mac, local, address.port);
    if (!rx.post()) {
      rx.release();
      libc().close(fd);
      throw new SetupError(
        'ERR_NETPOLL_ARENA_FULL',
        `${this.name} needs ${RX_BURST} arena slots for its receive queue`,
      );
    }
    const six = address.ip.family === 6;
    const four = !six || (this.#options.dualStack ?? true);
    const tx = new UdpTransmit(fd, memory, { six, four, scope: address.scope });
    const watch = this.#executive.watch(fd, () => this.#interrupt(irq));
    this.#address = address;
    this.#drops = 0;
    this.#open = { fd, watch, rx, tx, armed: false };
  }

  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    return this.#open?.rx.burst(out, limit) ?? 0;
  }

  txBurst(_queue: number, batch: FrameBatch, n: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const taken = open.tx.burst(batch, n);
    if (taken > 0 && open.armed) open.watch.raise();
    return taken;
  }

  txReap(_queue: number, done: FrameBatch): number {
    return (this.#open?.tx ?? this.#closed)?.reap(done) ?? 0;
  }

  /** Receiving needs no second look: a socket that is readable when it is unmasked interrupts at once. */
  irqEnable(_queue: number, on: boolean): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    open.armed = on;
    open.watch.arm(on);
    return on && open.tx.done;
  }

  /** A socket has no carrier: up while it is open. */
  link(): boolean {
    return this.#open !== undefined;
  }

  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#collect();
    this.#open = undefined;
    this.#closed = open.tx;
    open.watch.close();
    libc().close(open.fd);
    open.rx.release();
  }

  #interrupt(irq: (queue: number) => void): void {
    const open = this.#open;
    if (open === undefined) return;
    open.armed = false;
    irq(0);
  }

  #collect(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { rx, tx } = open;
    const counters = this.#counters;
    const drops = socketDrops(open.fd);
    if (drops >= 0) {
      counters.count('rx_dropped_kernel', (drops - this.#drops) >>> 0);
      this.#drops = drops;
    }
    counters.count('rx_frames', rx.frames);
    counters.count('rx_bytes', rx.bytes);
    counters.count('rx_length_errors', rx.truncated);
    counters.count('rx_no_buffer', rx.noBuffer);
    counters.count('tx_frames', tx.frames);
    counters.count('tx_bytes', tx.bytes);
    counters.count('tx_errors', tx.errors + tx.notUdp);
    counters.count('tx_not_udp', tx.notUdp);
    counters.count('tx_busy', tx.busy);
    rx.frames = rx.bytes = rx.truncated = rx.noBuffer = 0;
    tx.frames = tx.bytes = tx.errors = tx.notUdp = tx.busy = 0;
  }
}

/** A made-up address, the same for the same spec: 02:70 and a hash (FNV-1a) of what the port is bound to. */
function macOf({ ip, port }: BoundAddress): Uint8Array {
  let hash = 0x811c9dc5;
  for (const character of `${printIp(ip)}:${port}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  }
  return Uint8Array.of(0x02, 0x70, hash >>> 24, hash >>> 16, hash >>> 8, hash);
}
