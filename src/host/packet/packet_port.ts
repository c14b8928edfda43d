/**
 * `packet:IF`: a Port on a real interface through AF_PACKET. Needs CAP_NET_RAW.
 *
 *     kernel --> rings of blocks inside the arena --rxBurst--> frames that point there        packet_queue.ts, rx_ring.ts
 *     kernel <-- sendmmsg, past the queueing discipline <--txBurst-- arena addresses           tx_socket.ts
 *
 *   1. Each queue has sockets of its own. Several are a fanout group (fanout.ts): the kernel deals the frames out among them,
 *      by default so that a flow's frames stay on one queue. A port with one queue may be a member too: of a group whose other
 *      members are ports of other threads.
 *   2. An idle frame waits for its block: `retireMs` (1 ms) is the price of receiving a thousand frames for one wake-up.
 *      (Kernels before 6.18 round it up to a tick.)
 *
 * Frames handed up hold their block. All blocks held: the kernel drops and says so in `rx_dropped_kernel`.
 */

import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import { NETIF_F_HW_VLAN_CTAG_RX, NETIF_F_RXCSUM } from '../../device/features.ts';
import type { FrameBatch, Port, PortCaps, PortRxMode } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import { HostArena } from '../arena.ts';
import type { HostExecutive } from '../executive.ts';
import type { InterfaceNow } from '../netlink/interface_port.ts';
import { ARPHRD_ETHER, ARPHRD_LOOPBACK, CarrierProbe, IFF_UP, interfaceFacts } from '../sys/interface.ts';
import { SLOT_HEADROOM } from '../sys/packet.ts';
import type { SockFilter } from './bpf_filter.ts';
import { checkFanout, FANOUT_MEMBERS_MAX, type Fanout } from './fanout.ts';
import { PacketMembership } from './packet_membership.ts';
import { PacketQueue, type PacketQueueOptions } from './packet_queue.ts';
import { type PacketRingOptions, PacketRingSize } from './packet_ring_size.ts';
import { deafen, takeKernelDrops } from './packet_sockets.ts';
import { TX_BURST, type TxSocket } from './tx_socket.ts';

const RETIRE_MS = 1;
const HEADROOM = 64;
const VLAN_HLEN = 4;

export interface PacketPortOptions extends PacketRingOptions {
  /** Longest wait of a frame in a block that does not fill, in milliseconds; 1 if absent. */
  readonly retireMs?: number;
  /** Every frame wakes the reader at once, from a ring of slots (frame_ring.ts), instead of after retireMs with others; false if absent. */
  readonly wakePerFrame?: boolean;
  /** A classic BPF program: frames that it refuses are not received. */
  readonly filter?: readonly SockFilter[];
  /** Receive frames for other stations too; false if absent. */
  readonly promiscuous?: boolean;
  /** Queues, each with a ring: the members of a fanout group. 1 if absent. */
  readonly packetQueues?: number;
  /** How several queues share the frames; for one queue: the group that it joins. */
  readonly fanout?: Fanout;
}

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_dropped_kernel',
  'rx_freeze_q_cnt',
  'rx_length_errors',
  /** In the ring when the port was closed. */
  'rx_unread',
  'tx_frames',
  'tx_bytes',
  'tx_errors',
  'tx_busy',
] as const;

/** Everything that exists while the port is open. */
interface OpenState {
  readonly index: number;
  readonly queues: readonly PacketQueue[];
  readonly membership: PacketMembership;
}

export class PacketPort implements Port {
  readonly name: string;
  readonly tuning: PacketRingSize;
  readonly caps: { -readonly [Cap in keyof PortCaps]: PortCaps[Cap] };
  /** The kernel's name of the interface. */
  interfaceName: string;
  readonly #executive: HostExecutive;
  readonly #existing: () => readonly string[];
  #carrier: CarrierProbe;
  readonly #options: PacketPortOptions;
  readonly #counters = new Counters(COUNTERS);
  #open: OpenState | undefined;
  /** What the device wants, and its address where that is not the interface's own. */
  #rxMode: PortRxMode = { promisc: false, allmulti: false, unicast: [], multicast: [] };
  #ownAddress: Uint8Array | null = null;
  /** The group of the last opening: the next one is a member of it, too, for others may be. */
  #group: number | undefined;
  /** Of the last opening: tags that were not reaped. */
  #closed: readonly TxSocket[] = [];

  /**
   * Asks the interface for its address and mtu; opens nothing. `existing` lists interfaces for the error message. Throws SetupError:
   * ERR_NETPOLL_NO_INTERFACE, ERR_NETPOLL_NOT_ETHERNET, ERR_NETPOLL_RING, ERR_NETPOLL_FANOUT, ERR_NETPOLL_NO_KOFFI.
   */
  constructor(name: string, executive: HostExecutive, options: PacketPortOptions, existing: () => readonly string[]) {
    this.name = `packet:${name}`;
    this.interfaceName = name;
    this.#executive = executive;
    this.#options = options;
    this.#existing = existing;
    const queues = options.packetQueues ?? 1;
    if (!Number.isInteger(queues) || queues < 1 || queues > FANOUT_MEMBERS_MAX) {
      throw new SetupError('ERR_NETPOLL_FANOUT', `a packet port has 1 to ${FANOUT_MEMBERS_MAX} queues, not ${queues}`);
    }
    if (options.fanout !== undefined) checkFanout(options.fanout);
    this.tuning = new PacketRingSize(options, queues);
    const facts = interfaceFacts(name, existing);
    if (facts.hardware !== ARPHRD_ETHER && facts.hardware !== ARPHRD_LOOPBACK) {
      throw new SetupError('ERR_NETPOLL_NOT_ETHERNET', `${name} carries no Ethernet frames (type ${facts.hardware})`);
    }
    this.#carrier = new CarrierProbe(name);
    this.caps = {
      mtu: facts.mtu,
      rxQueues: queues,
      txQueues: queues,
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

  /** A frame is told of at once, and not with its block. */
  get wakesPerFrame(): boolean {
    return this.#options.wakePerFrame ?? false;
  }

  /** The group that the port's queues are members of while it is open; -1: none. */
  get fanoutGroup(): number {
    return this.#open?.queues[0]?.fanoutGroup ?? -1;
  }

  /**
   * Throws SetupError: ERR_NETPOLL_EPERM, ERR_NETPOLL_ENETDOWN, ERR_NETPOLL_ARENA (not a host arena), ERR_NETPOLL_ARENA_FULL,
   * ERR_NETPOLL_EINVAL for a fanout group of another mode or interface.
   */
  open(memory: Arena, irq: (queue: number) => void): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError('ERR_NETPOLL_ARENA', `${this.name} maps its ring into the arena: use createHostArena()`);
    }
    // Anew: the interface may have been made anew.
    const { index, flags } = interfaceFacts(this.interfaceName, this.#existing);
    if ((flags & IFF_UP) === 0) {
      const message = `${this.interfaceName} is down: ip link set ${this.interfaceName} up`;
      throw new SetupError('ERR_NETPOLL_ENETDOWN', message);
    }
    this.tuning.opensIn(memory);
    const place = { interfaceName: this.interfaceName, ifindex: index, memory, executive: this.#executive };
    const queues: PacketQueue[] = [];
    try {
      for (let i = 0; i < this.caps.rxQueues; i++) {
        queues.push(new PacketQueue(place, this.#queueOptions(queues[0]?.fanoutGroup), () => irq(i)));
      }
      const membership = new PacketMembership(queues[0]!.rxFd, index);
      membership.set(this.#rxMode, this.#ownAddress);
      this.#open = { index, queues, membership };
    } catch (error) {
      for (const queue of queues) queue.close();
      throw error;
    }
  }

  rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const { ring } = open.queues[queue]!;
    const n = ring.burst(out, Math.min(limit, out.size));
    if (ring.losing) this.#collect();
    return n;
  }

  /** Frames must have their checksums. They have been sent when this returns; txReap gives the tags. */
  txBurst(queue: number, batch: FrameBatch, n: number): number {
    return this.#open?.queues[queue]?.txBurst(batch, n) ?? 0;
  }

  txReap(queue: number, done: FrameBatch): number {
    const open = this.#open;
    return (open === undefined ? this.#closed[queue] : open.queues[queue]!.tx)?.reap(done) ?? 0;
  }

  irqEnable(queue: number, on: boolean): boolean {
    return this.#open?.queues[queue]?.irqEnable(on) ?? false;
  }

  /** Asks the kernel's device for these frames; when the port is closed it goes back to what it was. */
  setRxMode(mode: PortRxMode): void {
    this.#rxMode = mode;
    this.#open?.membership.set(mode, this.#ownAddress);
  }

  setAddress(mac: Uint8Array): void {
    this.#ownAddress = mac.every((byte, i) => byte === this.caps.mac[i]) ? null : mac.slice();
    this.#open?.membership.set(this.#rxMode, this.#ownAddress);
  }

  /** The interface has another MTU, address, name, or was made anew. */
  interfaceChanged({ name, mtu, mac }: InterfaceNow): void {
    this.caps.mtu = mtu;
    this.caps.mac = mac;
    if (name === this.interfaceName) return;
    this.interfaceName = name;
    this.#carrier = new CarrierProbe(name);
  }

  /** Up, and with carrier. One system call. */
  link(): boolean {
    return this.#open !== undefined && this.#carrier.carrier(this.#open.queues[0]!.txFd);
  }

  /** Frames that were handed up stay readable; a ring's memory goes with the last of its own. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    if (this.fanoutGroup >= 0) this.#group = this.fanoutGroup;
    for (const queue of open.queues) deafen(queue.rxFd, open.index);
    this.#collect();
    for (const { unread } of open.queues) this.#counters.count('rx_unread', unread);
    this.#open = undefined;
    this.#closed = open.queues.map(({ tx }) => tx);
    for (const queue of open.queues) queue.close();
  }

  /** `joined`: the group that the port's first queue is in. */
  #queueOptions(joined: number | undefined): PacketQueueOptions {
    const { blockSize, blocks } = this.tuning;
    const { retireMs, filter, promiscuous, fanout } = this.#options;
    const group = joined ?? fanout?.group ?? this.#group;
    const shares = fanout !== undefined || this.caps.rxQueues > 1;
    return {
      blockSize,
      blocks,
      retireMs: retireMs ?? RETIRE_MS,
      slotSize: this.wakesPerFrame ? this.#slotSize() : 0,
      headroom: HEADROOM,
      filter,
      promiscuous: promiscuous ?? false,
      fanout: shares ? { ...fanout, ...(group !== undefined && { group }) } : undefined,
    };
  }

  /** Of a frame with everything in front of it; a block holds one at least. */
  #slotSize(): number {
    const longest = SLOT_HEADROOM + 16 + HEADROOM + ETH_HLEN + VLAN_HLEN + this.caps.mtu;
    const slotSize = 2 ** Math.ceil(Math.log2(Math.max(2048, longest)));
    if (slotSize <= this.tuning.blockSize) return slotSize;
    const message = `frames of an mtu of ${this.caps.mtu} do not fit into blocks of ${this.tuning.blockSize} bytes`;
    throw new SetupError('ERR_NETPOLL_RING', message);
  }

  #collect(): void {
    const open = this.#open;
    if (open === undefined) return;
    const counters = this.#counters;
    for (const queue of open.queues) {
      const { ring, tx, rxFd } = queue;
      const { frames, drops, freezes } = takeKernelDrops(rxFd);
      queue.unread += frames - drops - ring.frames - ring.truncated;
      ring.losing = false;
      counters.count('rx_frames', ring.frames);
      counters.count('rx_bytes', ring.bytes);
      counters.count('rx_dropped_kernel', drops);
      counters.count('rx_freeze_q_cnt', freezes);
      counters.count('rx_length_errors', ring.truncated);
      counters.count('tx_frames', tx.frames);
      counters.count('tx_bytes', tx.bytes);
      counters.count('tx_errors', tx.errors);
      counters.count('tx_busy', tx.busy);
      ring.frames = ring.bytes = ring.truncated = tx.frames = tx.bytes = tx.errors = tx.busy = 0;
    }
  }
}
