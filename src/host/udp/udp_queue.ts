/**
 * One queue of a udp port: a socket, its interrupt, and its two halves.
 *
 *     socket --readable--> interrupt      rxBurst: UdpReceive      txBurst: UdpTransmit      both: UdpErrors
 */
import { SetupError } from '../../base/status.ts';
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { HostArena } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import { libc } from '../sys/libc.ts';
import { setInt, socketDrops } from '../sys/socket.ts';
import { SOCKADDR_IN_SIZE, SOCKADDR_IN6_SIZE } from './socket_address.ts';
import { SOL_UDP, UDP_GRO } from './udp_control.ts';
import { UdpErrors } from './udp_errors.ts';
import type { UdpCounters } from './udp_port.ts';
import { RX_BURST, UdpReceive } from './udp_receive.ts';
import type { UdpSocket } from './udp_socket.ts';
import { UdpTransmit } from './udp_transmit.ts';

/** A queue that is polled so often without an interrupt is asked on: its sender need not wake anybody. */
const REST_POLLS = 64;
/**
 * A burst of so many messages is sent with the socket out of the epoll: the kernel tells whoever waits at the socket of each message that
 * has left, 130 ns each, and an epoll is told though it does not want to know. Two system calls a burst.
 */
const ALONE_MESSAGES = 16;

export class UdpQueue {
  readonly rx: UdpReceive;
  readonly tx: UdpTransmit;
  readonly errors: UdpErrors;
  readonly #socket: UdpSocket;
  readonly #watch: Watch;
  #armed = false;
  /** Bursts since the interrupt was masked. */
  #polls = 0;
  /** The interrupt came, and nothing has been received since. */
  #woken = false;
  /** What the socket had dropped when it was asked last. */
  #drops: number;

  /** Takes the socket over: it is closed with the queue, or here if there is no memory, unless it is somebody else's. */
  constructor(socket: UdpSocket, memory: HostArena, executive: HostExecutive, mac: Uint8Array, irq: () => void) {
    const { fd, address, four } = socket;
    const six = address.ip.family === 6;
    const local = new Uint8Array(16);
    if (address.ip.family === 6) local.set(address.ip.v6);
    else new DataView(local.buffer).setUint32(0, address.ip.v4);
    this.#socket = socket;
    this.errors = new UdpErrors(fd);
    this.rx = new UdpReceive(fd, memory, this.errors, mac, { bytes: local, port: address.port }, socket.control);
    try {
      if (!this.rx.post()) {
        throw new SetupError(
          'ERR_NETPOLL_ARENA_FULL',
          `a udp port needs ${RX_BURST} arena slots for each receive queue`,
        );
      }
      // Without memory for what comes together, the kernel gives datagrams one by one.
      if (socket.gro && !this.rx.postTails()) setInt(fd, SOL_UDP, UDP_GRO, 0);
      const nameLen = six ? SOCKADDR_IN6_SIZE : SOCKADDR_IN_SIZE;
      const families = { six, four, scope: address.scope, nameLen };
      this.tx = new UdpTransmit(fd, memory, this.errors, { ...families, merge: socket.segment });
      this.#watch = executive.watch(fd, () => {
        this.#armed = false;
        this.#woken = true;
        irq();
      });
    } catch (error) {
      this.rx.release();
      if (socket.owned) libc().close(fd);
      throw error;
    }
    // Of a socket that is not new the count began before us.
    this.#drops = socket.owned ? 0 : Math.max(0, socketDrops(fd));
  }

  rxBurst(out: FrameBatch, limit: number): number {
    if (!this.#armed && ++this.#polls === REST_POLLS) this.#watch.rest();
    const n = this.rx.burst(out, limit);
    // Readable, and nothing to read: an error queue that nobody empties would interrupt for ever.
    if (this.#woken && n === 0 && !this.rx.pending) this.errors.drain();
    this.#woken = false;
    return n;
  }

  txBurst(batch: FrameBatch, n: number): number {
    // As many as the last time, one would think.
    const alone = this.tx.messages >= ALONE_MESSAGES;
    if (alone) this.#watch.rest();
    const taken = this.tx.burst(batch, n);
    if (alone && this.#armed) this.#watch.arm(true);
    if (taken > 0 && this.#armed) this.#watch.raise();
    return taken;
  }

  /** Unmasks or masks. True: there is work already that nobody will interrupt for. */
  arm(on: boolean): boolean {
    this.#armed = on;
    this.#polls = 0;
    this.#watch.arm(on);
    return on && (this.tx.done || this.rx.pending);
  }

  /** Adds what was counted since the last time. */
  collect(counters: UdpCounters): void {
    const { rx, tx, errors } = this;
    // Where the kernel does not tell (SO_MEMINFO, before 4.12), the count that came with a datagram is all that is known.
    const asked = socketDrops(this.#socket.fd);
    const drops = asked >= 0 ? asked : rx.control.drops;
    counters.count('rx_dropped_kernel', (drops - this.#drops) >>> 0);
    this.#drops = drops;
    counters.count('rx_frames', rx.frames);
    counters.count('rx_bytes', rx.bytes);
    counters.count('rx_merged', rx.merged);
    counters.count('rx_length_errors', rx.truncated);
    counters.count('rx_no_buffer', rx.noBuffer);
    counters.count('tx_frames', tx.frames);
    counters.count('tx_bytes', tx.bytes);
    counters.count('tx_merged', tx.merged);
    counters.count('tx_super_frames', tx.superFrames);
    counters.count('tx_errors', tx.errors + tx.notUdp);
    counters.count('tx_not_udp', tx.notUdp);
    counters.count('tx_busy', tx.busy);
    counters.count('peer_refused', errors.refused);
    counters.count('peer_unreachable', errors.unreachable);
    counters.count('tx_too_long', errors.tooLong);
    counters.count('tx_forbidden', errors.forbidden);
    counters.count('socket_errors', errors.other);
    rx.frames = rx.bytes = rx.merged = rx.truncated = rx.noBuffer = 0;
    tx.frames = tx.bytes = tx.merged = tx.superFrames = tx.errors = tx.notUdp = tx.busy = 0;
    errors.refused = errors.unreachable = errors.tooLong = errors.forbidden = errors.other = 0;
  }

  /** Frames that were handed up stay readable. */
  close(): void {
    this.#watch.close();
    if (this.#socket.owned) libc().close(this.#socket.fd);
    this.rx.release();
  }
}
