// hot
/**
 * One queue of a packet port: a receiving socket with its ring, a sending socket, and the interrupt.
 *
 *     kernel --> ring in the arena --> rxBurst          rx_ring.ts, or frame_ring.ts
 *     kernel <-- sendmmsg          <-- txBurst          tx_socket.ts
 *     ring socket --> edge-triggered epoll --> watch --> irq
 *
 *   1. The interrupt is "a block was handed over". The ring socket itself stays readable for as long as its last block
 *      is held, so the watched descriptor is an edge-triggered epoll over it; what is waiting is read from the ring.
 *   2. Sent frames are finished at once; an interrupt has their tags reaped, soon or a little later (tx_moderation.ts).
 *
 * Owns both sockets and the ring's area. Frames handed up hold the area beyond `close`.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { HostArena, RingArea } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import { libc } from '../sys/libc.ts';
import { EdgePoll } from '../sys/poll.ts';
import { takeSocketError } from '../sys/socket.ts';
import { TxModeration } from '../tx_moderation.ts';
import { FrameRing } from './frame_ring.ts';
import { openRxSocket, openTxSocket, type RxSocketOptions } from './packet_sockets.ts';
import { GRANULE, RxRing } from './rx_ring.ts';
import { TxSocket } from './tx_socket.ts';

export interface PacketQueueOptions extends RxSocketOptions {
  readonly blocks: number;
}

/** Where a queue is opened. */
export interface PacketQueuePlace {
  readonly interfaceName: string;
  readonly ifindex: number;
  readonly memory: HostArena;
  readonly executive: HostExecutive;
}

export class PacketQueue {
  readonly ring: RxRing | FrameRing;
  readonly tx: TxSocket;
  readonly rxFd: number;
  readonly txFd: number;
  /** Number of its fanout group; -1: it is in none. */
  readonly fanoutGroup: number;
  /** Frames that the kernel had put into the ring and nobody had read, when its counters were read last. */
  unread = 0;
  readonly #memory: HostArena;
  readonly #area: RingArea;
  readonly #edge: EdgePoll;
  readonly #watch: Watch;
  readonly #txModeration: TxModeration;
  #armed = false;

  /** Set-up. `irq` is called with the interrupt masked. Throws SetupError; then nothing stays open. */
  constructor(place: PacketQueuePlace, options: PacketQueueOptions, irq: () => void) {
    const { interfaceName, ifindex, memory } = place;
    const { blockSize, blocks } = options;
    this.txFd = openTxSocket(interfaceName, ifindex);
    let rxFd = -1;
    let area: RingArea | undefined;
    let edge: EdgePoll | undefined;
    try {
      area = memory.takeRing(blockSize * blocks, GRANULE, (buf) => ring.recycle(buf));
      const { slotSize } = options;
      const ring = slotSize > 0 ? new FrameRing(memory, area, slotSize) : new RxRing(memory, area, blockSize);
      const rx = openRxSocket(interfaceName, ifindex, area, options);
      rxFd = rx.fd;
      edge = new EdgePoll(rxFd);
      this.#watch = place.executive.watch(edge.fd, () => this.#interrupt(irq), { spinFd: rxFd });
      this.ring = ring;
      this.fanoutGroup = rx.fanoutGroup;
    } catch (error) {
      edge?.close();
      if (rxFd >= 0) libc().close(rxFd);
      if (area !== undefined) memory.giveRing(area, 0);
      libc().close(this.txFd);
      throw error;
    }
    this.rxFd = rxFd;
    this.tx = new TxSocket(this.txFd, memory);
    this.#txModeration = new TxModeration(this.#watch, () => this.tx.waiting);
    this.#memory = memory;
    this.#area = area;
    this.#edge = edge;
  }

  txBurst(batch: FrameBatch, n: number): number {
    const taken = this.tx.burst(batch, n);
    if (taken > 0 && this.#armed) this.#txModeration.sent();
    return taken;
  }

  /** True: work is waiting. */
  irqEnable(on: boolean): boolean {
    this.#armed = on;
    if (on) this.#edge.clear();
    this.#watch.arm(on);
    return on && (this.ring.ready() || this.tx.done);
  }

  /** Frames that were handed up stay readable; the ring's memory goes with the last of them. */
  close(): void {
    this.#watch.close();
    this.#txModeration.close();
    this.#edge.close();
    libc().close(this.rxFd);
    libc().close(this.txFd);
    this.#memory.giveRing(this.#area, this.ring.outstanding);
  }

  #interrupt(irq: () => void): void {
    this.#armed = false;
    // No frame: the interface went down, which stays pending as an error of the socket until it is asked for.
    if (!this.ring.ready()) takeSocketError(this.rxFd);
    irq();
  }
}
