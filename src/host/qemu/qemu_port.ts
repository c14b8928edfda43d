/**
 * `qemu:...`: a Port whose wire ends in a virtual NIC of QEMU. Frames go through a socket (`-netdev stream`, `-netdev dgram`, the older
 * `-netdev socket`), so neither side needs privileges.
 *
 *     guest's virtio-net, e1000, ... -- QEMU -- socket --> StreamReceive or DatagramReceive --> rxBurst
 *                                              socket <-- StreamTransmit or DatagramTransmit <-- txBurst
 *
 *   1. The link is the peer: down until QEMU is there, down when it has gone, up again when it is back. See qemu_channel.ts.
 *   2. All sockets are one interrupt line (ready_set.ts), which is also what a machine waits on whose event loop is dead: a guest may come
 *      while nothing works but netpoll.
 *   3. A peer that does not read makes us wait: at most 128 frames, then the queue is stopped. What comes faster than it is
 *      received waits in the socket, and then QEMU holds back the guest.
 *
 * QEMU passes no offloads through these sockets: every frame is whole, with its checksums.
 */
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import type { FrameBatch, Port, PortCaps } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { HostArena } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import { EPROTO, ESHUTDOWN, errnoName } from '../sys/errno.ts';
import { ReadySet } from '../sys/ready_set.ts';
import { TxModeration } from '../tx_moderation.ts';
import { DatagramChannel } from './datagram_channel.ts';
import type { FrameQueue } from './frame_queue.ts';
import type { QemuChannel } from './qemu_channel.ts';
import { printQemuSpec, type QemuSpec, qemuCommandLine } from './qemu_spec.ts';
import { StreamChannel } from './stream_channel.ts';
import { RX_HEADROOM } from './stream_receive.ts';

const MTU = 1500;
const BURST = 64;

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_length_errors',
  'rx_bad_lengths',
  'rx_no_buffer',
  'tx_frames',
  'tx_bytes',
  'tx_errors',
  'tx_no_peer',
  'peers',
  'peers_lost',
  'peer_refused',
] as const;

interface OpenState {
  readonly channel: QemuChannel;
  readonly ready: ReadySet;
  readonly watch: Watch;
  readonly moderation: TxModeration;
  armed: boolean;
}

export class QemuPort implements Port {
  readonly name: string;
  readonly caps: PortCaps;
  readonly #spec: QemuSpec;
  readonly #executive: HostExecutive;
  readonly #counters = new Counters(COUNTERS);
  #open: OpenState | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Transmit tags of the last opening. */
  #closed: FrameQueue | undefined;

  /** Opens nothing. */
  constructor(spec: QemuSpec, executive: HostExecutive) {
    this.name = printQemuSpec(spec);
    this.#spec = spec;
    this.#executive = executive;
    this.caps = {
      mtu: MTU,
      rxQueues: 1,
      txQueues: 1,
      burst: BURST,
      headroom: RX_HEADROOM,
      features: 0,
      hasIrq: true,
      mac: macOf(this.name),
    };
  }

  get counters(): Counters {
    this.#collect();
    return this.#counters;
  }

  /** What QEMU has to be started with, a sentence for people; empty once it is there. */
  get notices(): readonly string[] {
    if (this.#open?.channel.up === true) return [];
    return [`${this.name} waits for QEMU: ${qemuCommandLine(this.#spec)}`];
  }

  /** Why there is no peer any more, if there was one; null. */
  get problem(): string | null {
    const by = this.#open?.channel.lostBy ?? 0;
    if (by === 0) return null;
    if (by === ESHUTDOWN) return 'QEMU has closed the connection';
    if (by === EPROTO)
      return 'what came was not frames with their lengths: is it a -netdev stream, or socket, of QEMU?';
    return `the connection is lost (${errnoName(by)})`;
  }

  /**
   * Binds or calls; that nobody is there yet is no error. Throws SetupError: ERR_NETPOLL_EADDRINUSE, ERR_NETPOLL_EACCES,
   * ERR_NETPOLL_ENOENT, ..., ERR_NETPOLL_ARENA (not a host arena), ERR_NETPOLL_ARENA_FULL.
   */
  open(memory: Arena, irq: (queue: number) => void, linkChanged: () => void = () => {}): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError(
        'ERR_NETPOLL_ARENA',
        `${this.name} gives arena addresses to the kernel: use createHostArena()`,
      );
    }
    const ready = new ReadySet(`watch ${this.name}`);
    const site = {
      now: () => this.#executive.now(),
      changed: linkChanged,
      advanceIn: (ms: number) => this.#later(ms),
    };
    let channel: QemuChannel;
    try {
      const spec = this.#spec;
      channel =
        spec.mode === 'dgram'
          ? new DatagramChannel(spec, memory, ready, site)
          : new StreamChannel({ ...spec, mode: spec.mode }, memory, ready, site);
    } catch (error) {
      ready.close();
      throw error;
    }
    const watch = this.#executive.watch(ready.fd, () => this.#interrupt(irq));
    const moderation = new TxModeration(watch, () => channel.tx.done);
    this.#open = { channel, ready, watch, moderation, armed: false };
    channel.advance();
  }

  rxBurst(_queue: number, out: FrameBatch, limit: number): number {
    return this.#open?.channel.rxBurst(out, limit) ?? 0;
  }

  /** Frames are taken also while there is no peer, and counted as `tx_no_peer`. */
  txBurst(_queue: number, batch: FrameBatch, n: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const taken = open.channel.txBurst(batch, n);
    if (open.armed && open.channel.tx.done > 0) open.moderation.sent();
    return taken;
  }

  txReap(_queue: number, done: FrameBatch): number {
    return this.#open?.channel.txReap(done) ?? this.#closed?.reap(done) ?? 0;
  }

  irqEnable(_queue: number, on: boolean): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    open.armed = on;
    open.watch.arm(on);
    return on && (open.channel.pending || open.channel.tx.done > 0);
  }

  /** A peer is there. While there is none, a system call. */
  link(): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    open.channel.advance();
    return open.channel.up;
  }

  /** Frames that were handed up stay readable. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    open.moderation.close();
    open.watch.close();
    open.channel.close();
    open.ready.close();
    this.#collect();
    this.#closed = open.channel.tx;
    this.#open = undefined;
  }

  #interrupt(irq: (queue: number) => void): void {
    const open = this.#open;
    if (open === undefined) return;
    open.armed = false;
    open.channel.advance();
    irq(0);
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open?.channel.advance(), ms + 1).unref();
  }

  #collect(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { channel } = open;
    const { rx, tx } = channel;
    const counters = this.#counters;
    counters.count('rx_frames', rx.frames);
    counters.count('rx_bytes', rx.bytes);
    counters.count('rx_length_errors', rx.lengthErrors);
    counters.count('rx_bad_lengths', rx.badLengths ?? 0);
    counters.count('rx_no_buffer', rx.noBuffer);
    counters.count('tx_frames', tx.frames);
    counters.count('tx_bytes', tx.bytes);
    counters.count('tx_errors', tx.errors);
    counters.count('tx_no_peer', tx.dropped);
    counters.count('peers', channel.peers);
    counters.count('peers_lost', channel.lostPeers);
    counters.count('peer_refused', rx.refusals ?? 0);
    rx.frames = rx.bytes = rx.lengthErrors = rx.noBuffer = 0;
    if (rx.badLengths !== undefined) rx.badLengths = 0;
    if (rx.refusals !== undefined) rx.refusals = 0;
    tx.frames = tx.bytes = tx.errors = tx.dropped = 0;
    channel.peers = channel.lostPeers = 0;
  }
}

/** Locally administered, the same for the same name. */
function macOf(name: string): Uint8Array {
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return Uint8Array.of(0x02, 0x71, hash >>> 24, hash >>> 16, hash >>> 8, hash);
}
