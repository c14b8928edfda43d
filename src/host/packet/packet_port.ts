/**
 * `packet:IF`: a Port on a real interface through AF_PACKET. Needs CAP_NET_RAW.
 *
 *     kernel --> ring of blocks inside the arena --rxBurst--> frames that point there        rx_ring.ts
 *     kernel <-- sendmmsg, past the queueing discipline <--txBurst-- arena addresses         tx_socket.ts
 *
 *   1. The interrupt is "a block was handed over". The ring socket itself stays readable for as long as its last block
 *      is held, so the watched descriptor is an edge-triggered epoll over it; what is waiting is read from the ring.
 *   2. An idle frame waits for its block: `retireMs` (1 ms) is the price of receiving a thousand frames for one wake-up.
 *      (Kernels before 6.18 round it up to a tick.)
 *   3. Sent frames are finished at once; an interrupt in the next turn of the loop has their tags reaped.
 *
 * Frames handed up hold their block. All blocks held: the kernel drops and says so in `rx_dropped_kernel`.
 */

import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import { NETIF_F_HW_VLAN_CTAG_RX, NETIF_F_RXCSUM } from '../../device/features.ts';
import type { FrameBatch, Port, PortCaps, PortRxMode } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { HostArena, type RingArea } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  CarrierProbe,
  IFF_UP,
  ifreq,
  interfaceFacts,
  interfaceFlags,
} from '../sys/interface.ts';
import { libc } from '../sys/libc.ts';
import { PAGE_SIZE } from '../sys/mmap.ts';
import { EdgePoll } from '../sys/poll.ts';
import { takeSocketError } from '../sys/socket.ts';
import type { SockFilter } from './bpf_filter.ts';
import { PacketMembership } from './packet_membership.ts';
import { openRxSocket, openTxSocket, takeKernelDrops } from './packet_sockets.ts';
import { GRANULE, RxRing } from './rx_ring.ts';
import { TX_BURST, TxSocket } from './tx_socket.ts';

const BLOCK_SIZE = 256 << 10;
const BLOCKS = 64;
const RETIRE_MS = 1;
const HEADROOM = 64;

export interface PacketPortOptions {
  /** Bytes of a ring block: a power of two, at least a page and one frame; 256 KiB if absent. */
  readonly blockSize?: number;
  /** Blocks of the ring; 64 if absent. */
  readonly blocks?: number;
  /** Longest wait of a frame in a block that does not fill, in milliseconds; 1 if absent. */
  readonly retireMs?: number;
  /** A classic BPF program: frames that it refuses are not received. */
  readonly filter?: readonly SockFilter[];
  /** Receive frames for other stations too; false if absent. */
  readonly promiscuous?: boolean;
}

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_dropped_kernel',
  'rx_freeze_q_cnt',
  'rx_length_errors',
  'tx_frames',
  'tx_bytes',
  'tx_errors',
  'tx_busy',
] as const;
const RX_FRAMES = 0;
const RX_BYTES = 1;

/** Everything that exists while the port is open. */
interface OpenState {
  readonly rxFd: number;
  readonly txFd: number;
  readonly edge: EdgePoll;
  readonly watch: Watch;
  readonly memory: HostArena;
  readonly area: RingArea;
  readonly ring: RxRing;
  readonly tx: TxSocket;
  armed: boolean;
}

export class PacketPort implements Port {
  readonly name: string;
  readonly caps: PortCaps;
  /** The kernel's name of the interface. */
  readonly interfaceName: string;
  readonly #executive: HostExecutive;
  readonly #index: number;
  readonly #request: Buffer;
  readonly #carrier: CarrierProbe;
  readonly #options: PacketPortOptions;
  readonly #counters = new Counters(COUNTERS);
  #open: OpenState | undefined;
  /** What the device wants, and its address where that is not the interface's own. */
  #rxMode: PortRxMode = { promisc: false, allmulti: false, unicast: [], multicast: [] };
  #ownAddress: Uint8Array | null = null;
  #membership: PacketMembership | null = null;
  /** Transmit totals of earlier openings. */
  #closed: TxSocket | undefined;

  /**
   * Asks the interface for its address and mtu; opens nothing. `existing` lists interfaces for the error message. Throws SetupError:
   * ERR_NETPOLL_NO_INTERFACE, ERR_NETPOLL_NOT_ETHERNET, ERR_NETPOLL_RING, ERR_NETPOLL_NO_KOFFI.
   */
  constructor(name: string, executive: HostExecutive, options: PacketPortOptions, existing: () => readonly string[]) {
    this.name = `packet:${name}`;
    this.interfaceName = name;
    this.#executive = executive;
    this.#options = options;
    const blockSize = options.blockSize ?? BLOCK_SIZE;
    if (blockSize < PAGE_SIZE || (blockSize & (blockSize - 1)) !== 0) {
      throw new SetupError(
        'ERR_NETPOLL_RING',
        `a ring block of ${blockSize} bytes: it must be a power of two and a page`,
      );
    }
    const facts = interfaceFacts(name, existing);
    if (facts.hardware !== ARPHRD_ETHER && facts.hardware !== ARPHRD_LOOPBACK) {
      throw new SetupError('ERR_NETPOLL_NOT_ETHERNET', `${name} carries no Ethernet frames (type ${facts.hardware})`);
    }
    this.#index = facts.index;
    this.#request = ifreq(name);
    this.#carrier = new CarrierProbe(name);
    this.caps = {
      mtu: facts.mtu,
      rxQueues: 1,
      txQueues: 1,
      burst: TX_BURST,
      headroom: HEADROOM,
      features: NETIF_F_RXCSUM | NETIF_F_HW_VLAN_CTAG_RX,
      hasIrq: true,
      mac: facts.mac,
    };
  }

  /** Reads what the kernel counts on our behalf first: one system call while the port is open. */
  get counters(): Counters {
    this.#collect();
    return this.#counters;
  }

  /** Throws SetupError: ERR_NETPOLL_EPERM, ERR_NETPOLL_ENETDOWN, ERR_NETPOLL_ARENA (not a host arena), ERR_NETPOLL_ARENA_FULL. */
  open(memory: Arena, irq: (queue: number) => void): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError('ERR_NETPOLL_ARENA', `${this.name} maps its ring into the arena: use createHostArena()`);
    }
    const blockSize = this.#options.blockSize ?? BLOCK_SIZE;
    const txFd = openTxSocket(this.interfaceName, this.#index);
    let rxFd = -1;
    let area: RingArea | undefined;
    try {
      if ((interfaceFlags(txFd, this.#request) & IFF_UP) === 0) {
        const message = `${this.interfaceName} is down: ip link set ${this.interfaceName} up`;
        throw new SetupError('ERR_NETPOLL_ENETDOWN', message);
      }
      area = memory.takeRing(blockSize * (this.#options.blocks ?? BLOCKS), GRANULE, (buf) => ring.recycle(buf));
      const ring = new RxRing(memory, area, blockSize);
      rxFd = openRxSocket(this.interfaceName, this.#index, area, {
        blockSize,
        retireMs: this.#options.retireMs ?? RETIRE_MS,
        headroom: HEADROOM,
        filter: this.#options.filter,
        promiscuous: this.#options.promiscuous ?? false,
      });
      this.#membership = new PacketMembership(rxFd, this.#index);
      this.#membership.set(this.#rxMode, this.#ownAddress);
      const edge = new EdgePoll(rxFd);
      const watch = this.#executive.watch(edge.fd, () => this.#interrupt(irq), { spinFd: rxFd });
      this.#open = { rxFd, txFd, edge, watch, memory, area, ring, tx: new TxSocket(txFd, memory), armed: false };
    } catch (error) {
      if (rxFd >= 0) libc().close(rxFd);
      if (area !== undefined) memory.giveRing(area, 0);
      libc().close(txFd);
      throw error;
    }
  }

  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const n = open.ring.burst(out, Math.min(limit, out.size));
    const values = this.#counters.values;
    for (let i = 0; i < n; i++) values[RX_BYTES]! += out.len[i]!;
    values[RX_FRAMES]! += n;
    if (open.ring.losing) this.#collect();
    return n;
  }

  /** Frames must have their checksums. They have been sent when this returns; txReap gives the tags. */
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

  irqEnable(_queue: number, on: boolean): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    open.armed = on;
    if (on) open.edge.clear();
    open.watch.arm(on);
    return on && (open.ring.ready() || open.tx.done);
  }

  /** Asks the kernel's device for these frames; when the port is closed it goes back to what it was. */
  setRxMode(mode: PortRxMode): void {
    this.#rxMode = mode;
    if (this.#open !== undefined) this.#membership?.set(mode, this.#ownAddress);
  }

  setAddress(mac: Uint8Array): void {
    this.#ownAddress = mac.every((byte, i) => byte === this.caps.mac[i]) ? null : mac.slice();
    if (this.#open !== undefined) this.#membership?.set(this.#rxMode, this.#ownAddress);
  }

  /** Up, and with carrier. One system call. */
  link(): boolean {
    return this.#open !== undefined && this.#carrier.carrier(this.#open.txFd);
  }

  /** Frames that were handed up stay readable; the ring's memory goes with the last of them. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#collect();
    this.#open = undefined;
    this.#closed = open.tx;
    open.watch.close();
    open.edge.close();
    libc().close(open.rxFd);
    libc().close(open.txFd);
    open.memory.giveRing(open.area, open.ring.outstanding);
  }

  #interrupt(irq: (queue: number) => void): void {
    const open = this.#open;
    if (open === undefined) return;
    open.armed = false;
    // No frame: the interface went down, which stays pending as an error of the socket until it is asked for.
    if (!open.ring.ready()) takeSocketError(open.rxFd);
    irq(0);
  }

  #collect(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { drops, freezes } = takeKernelDrops(open.rxFd);
    const { ring, tx } = open;
    ring.losing = false;
    const counters = this.#counters;
    counters.count('rx_dropped_kernel', drops);
    counters.count('rx_freeze_q_cnt', freezes);
    counters.count('rx_length_errors', ring.truncated);
    counters.count('tx_frames', tx.frames);
    counters.count('tx_bytes', tx.bytes);
    counters.count('tx_errors', tx.errors);
    counters.count('tx_busy', tx.busy);
    ring.truncated = tx.frames = tx.bytes = tx.errors = tx.busy = 0;
  }
}
