/**
 * `tap:NAME`: a Port that is the far end of an interface of this machine. What the kernel sends by it comes here, what is sent here the
 * kernel receives. Needs CAP_NET_ADMIN, or a device that was made for the user.
 *
 *     kernel's stack, bridge, guest -- interface NAME --> readv --rxBurst-->  frames in the arena        tap_receive.ts
 *                                                     <-- writev <--txBurst-- arena addresses            tap_transmit.ts
 *
 * A TAP device takes and gives one frame a call; a burst is one call all the same where the kernel has io_uring (sys/io_uring.ts).
 * Where it has none, or may not, `notices` says so and each frame is a call.
 *
 *   1. Frames carry virtio-net headers, so neither side cuts what the other can take whole: super-frames of 64 KiB with their
 *      checksum to do go through as one. Turned off (`offload: false`), both do their own, and there are no headers.
 *   2. A queue is a descriptor, and its interrupt. It is readable while frames wait: level-triggered, no wake-up is lost.
 *   3. Sent frames are finished at once; an interrupt in the next turn of the loop has their tags reaped.
 *
 * The device goes with its last descriptor, so nothing is left after SIGKILL either, unless it is to persist. Somebody deletes it while it
 * is open: no link, and the port is quiet from then on.
 */
import { readFileSync } from 'node:fs';
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import {
  NETIF_F_FRAGLIST,
  NETIF_F_GSO_ROBUST,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HIGHDMA,
  NETIF_F_HW_CSUM,
  NETIF_F_HW_VLAN_CTAG_TX,
  NETIF_F_RXCSUM,
  NETIF_F_SG,
  NETIF_F_TSO,
  NETIF_F_TSO_ECN,
  NETIF_F_TSO6,
} from '../../device/features.ts';
import type { FrameBatch, Port, PortCaps } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { VNET_HLEN } from '../../wire/virtio_net.ts';
import { HostArena } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import type { InterfaceNow } from '../netlink/interface_port.ts';
import { IORING_OP_WRITE, type IoUring, openIoUring } from '../sys/io_uring.ts';
import { isTun, setTunCarrier } from '../sys/tun.ts';
import { SuperBuffers } from './super_buffers.ts';
import {
  closeTapDevice,
  openTapDevice,
  planTap,
  type TapDevice,
  type TapOptions,
  type TapPlan,
  TapUp,
} from './tap_device.ts';
import { PLACES_MAX, RX_HEADROOM, TapReceive } from './tap_receive.ts';
import { TapTransmit, TX_BURST } from './tap_transmit.ts';

const PIECES = NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HIGHDMA | NETIF_F_HW_VLAN_CTAG_TX;
const CHECKSUMS = NETIF_F_HW_CSUM | NETIF_F_RXCSUM;
const SUPER_FRAMES = NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN | NETIF_F_GSO_UDP_L4 | NETIF_F_GSO_ROBUST;
const SUPER_BUFFERS = 192;
/** A queue that is polled so often without an interrupt is asked on: its sender need not wake anybody. */
const REST_POLLS = 64;
/** A frame is its MTU and so much more: Ethernet header, two VLAN tags. */
const FRAME_MORE = 22;

export interface TapPortOptions extends TapOptions {
  /** Our own address; the interface has another one. Absent: made from the name. */
  readonly mac?: Uint8Array;
  /** Frames longer than a slot that may be out at once, of all queues; 192 if absent (72 KiB each, once it was used). */
  readonly superFrames?: number;
  /** False: a call for each frame, also where the kernel has io_uring; true if absent. */
  readonly ioUring?: boolean;
}

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  'rx_super_frames',
  'rx_dropped_kernel',
  'rx_bad_headers',
  'rx_length_errors',
  'rx_no_buffer',
  'tx_frames',
  'tx_bytes',
  'tx_super_frames',
  'tx_errors',
  'tx_busy',
] as const;

interface TapQueue {
  readonly ring: IoUring | null;
  readonly rx: TapReceive;
  readonly tx: TapTransmit;
  readonly watch: Watch;
  armed: boolean;
  /** Bursts since the interrupt was masked. */
  polls: number;
}

/** Everything that exists while the port is open. */
interface OpenState {
  readonly device: TapDevice;
  up: TapUp;
  readonly supers: SuperBuffers;
  readonly queues: readonly TapQueue[];
  readonly linkChanged: () => void;
  gone: boolean;
}

export class TapPort implements Port {
  readonly name: string;
  readonly caps: { -readonly [Cap in keyof PortCaps]: PortCaps[Cap] };
  readonly #tap: string;
  readonly #plan: TapPlan;
  readonly #options: TapPortOptions;
  readonly #executive: HostExecutive;
  readonly #counters = new Counters(COUNTERS);
  #open: OpenState | undefined;
  #carrier = true;
  /** The interface was renamed while it was open. */
  #renamed: string | undefined;
  /** The kernel's count of frames that did not fit into its queue, at the last look. */
  #kernelDrops = 0;
  #notices: readonly string[] = [];
  /** Transmit tags of the last opening. */
  #closed: readonly TapTransmit[] = [];

  /** Looks whether the device is there; opens nothing. Throws SetupError as planTap. */
  constructor(name: string, executive: HostExecutive, options: TapPortOptions = {}) {
    this.name = `tap:${name}`;
    this.#tap = name;
    this.#executive = executive;
    this.#options = options;
    this.#plan = planTap(name, options);
    this.caps = {
      mtu: this.#plan.mtu,
      rxQueues: this.#plan.queues,
      txQueues: this.#plan.queues,
      burst: TX_BURST,
      headroom: RX_HEADROOM,
      features: (options.offload ?? true) ? PIECES | CHECKSUMS | SUPER_FRAMES : PIECES,
      hasIrq: true,
      mac: options.mac ?? macOf(name),
    };
  }

  /** The kernel's name of the interface; that of a pattern (`tap%d`) once it is open. */
  get interfaceName(): string {
    return this.#renamed ?? this.#open?.device.name ?? this.#tap;
  }

  /** It is open, and nobody has deleted its interface, wherever that is now. */
  get attached(): boolean {
    const open = this.#open;
    return open !== undefined && !open.gone && isTun(open.device.fds[0]!);
  }

  /** The interface has another MTU or name; our own address has nothing to do with its. */
  interfaceChanged({ name, mtu, index }: InterfaceNow): void {
    this.caps.mtu = mtu;
    if (name === this.interfaceName) return;
    this.#renamed = name;
    if (this.#open !== undefined) this.#open.up = new TapUp(name, index);
  }

  /** What was not got as it was asked for, and why. Empty until the port is open. */
  get notices(): readonly string[] {
    return this.#notices;
  }

  get counters(): Counters {
    this.#collect();
    return this.#counters;
  }

  /**
   * Attaches to the device, or makes it. Throws SetupError: ERR_NETPOLL_EPERM, ERR_NETPOLL_EBUSY, ERR_NETPOLL_NO_TUN, ERR_NETPOLL_MTU,
   * ERR_NETPOLL_ARENA (not a host arena), ERR_NETPOLL_ARENA_FULL.
   */
  open(memory: Arena, irq: (queue: number) => void, linkChanged: () => void = () => {}): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError(
        'ERR_NETPOLL_ARENA',
        `${this.name} lets the kernel write to the arena: use createHostArena()`,
      );
    }
    const superFrames = this.#options.superFrames ?? SUPER_BUFFERS;
    const supers = new SuperBuffers(memory, superFrames);
    let device: TapDevice;
    try {
      device = openTapDevice(this.#tap, this.#plan, this.#options);
    } catch (error) {
      supers.close();
      throw error;
    }
    if (!this.#carrier) setTunCarrier(device.fds[0]!, false);
    const room = memory.slotSize - RX_HEADROOM - FRAME_MORE;
    const offload = this.#options.offload ?? true;
    const header = offload ? VNET_HLEN : 0;
    const short = !offload && this.caps.mtu <= room;
    // A quarter of the large buffers waits for frames at most.
    const most = short ? PLACES_MAX : Math.floor(superFrames / (4 * device.fds.length));
    const places = Math.max(1, Math.min(most, PLACES_MAX));
    this.#notices = [];
    const queues = device.fds.map((fd, queue) => {
      const ring = this.#ring(fd);
      return {
        ring,
        rx: new TapReceive(fd, memory, supers, { ring, places, short, header }),
        tx: new TapTransmit(fd, memory, ring, header),
        watch: this.#executive.watch(fd, () => this.#interrupt(queue, irq)),
        armed: false,
        polls: 0,
      };
    });
    const up = new TapUp(device.name, device.index);
    this.#open = { device, up, supers, queues, linkChanged, gone: false };
    this.#kernelDrops = kernelDrops(device.name);
  }

  rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open;
    if (open === undefined || open.gone) return 0;
    const each = open.queues[queue]!;
    const { rx } = each;
    if (!each.armed && ++each.polls === REST_POLLS) each.watch.rest();
    const n = rx.burst(out, limit);
    if (rx.gone !== 0) this.#deviceGone(open);
    return n;
  }

  /** They have been received by the kernel when this returns; txReap gives the tags. */
  txBurst(queue: number, batch: FrameBatch, n: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const { tx, watch, armed } = open.queues[queue]!;
    const taken = tx.burst(batch, n);
    if (taken > 0 && armed) watch.raise();
    return taken;
  }

  txReap(queue: number, done: FrameBatch): number {
    return (this.#open?.queues[queue]?.tx ?? this.#closed[queue])?.reap(done) ?? 0;
  }

  irqEnable(queue: number, on: boolean): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    const each = open.queues[queue]!;
    each.armed = on;
    each.polls = 0;
    // A descriptor whose device is gone is readable for ever.
    each.watch.arm(on && !open.gone);
    return on && each.tx.done;
  }

  /** Attached, with carrier, and the kernel's end is up. Two system calls. */
  link(): boolean {
    const open = this.#open;
    return open !== undefined && !open.gone && this.#carrier && open.up.up(open.device.asks);
  }

  /** What the kernel's end sees: a cable, or none. Holds for the next opening too. False: this kernel cannot say so. */
  setCarrier(on: boolean): boolean {
    this.#carrier = on;
    const open = this.#open;
    if (open === undefined || open.gone) return true;
    const done = setTunCarrier(open.device.fds[0]!, on);
    open.linkChanged();
    return done;
  }

  /** Frames that were handed up stay readable. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#collect();
    this.#open = undefined;
    this.#renamed = undefined;
    this.#closed = open.queues.map((each) => each.tx);
    for (const each of open.queues) {
      each.watch.close();
      each.rx.release();
      each.ring?.close();
    }
    closeTapDevice(open.device);
    open.supers.close();
  }

  /** Null: there is none; `notices` says why. */
  #ring(fd: number): IoUring | null {
    if (!(this.#options.ioUring ?? true)) return null;
    try {
      return openIoUring(fd, TX_BURST, IORING_OP_WRITE);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      this.#notices = [`${this.name} makes a system call for each frame, not for each burst: ${error.message}`];
      return null;
    }
  }

  #interrupt(queue: number, irq: (queue: number) => void): void {
    const open = this.#open;
    if (open === undefined) return;
    open.queues[queue]!.armed = false;
    irq(queue);
  }

  #deviceGone(open: OpenState): void {
    if (open.gone) return;
    open.gone = true;
    for (const each of open.queues) each.watch.arm(false);
    open.linkChanged();
  }

  #collect(): void {
    const open = this.#open;
    if (open === undefined) return;
    const counters = this.#counters;
    for (const { rx, tx } of open.queues) {
      counters.count('rx_frames', rx.frames);
      counters.count('rx_bytes', rx.bytes);
      counters.count('rx_super_frames', rx.superFrames);
      counters.count('rx_bad_headers', rx.badHeaders);
      counters.count('rx_length_errors', rx.lengthErrors);
      counters.count('rx_no_buffer', rx.noBuffer);
      counters.count('tx_frames', tx.frames);
      counters.count('tx_bytes', tx.bytes);
      counters.count('tx_super_frames', tx.superFrames);
      counters.count('tx_errors', tx.errors);
      counters.count('tx_busy', tx.busy);
      rx.frames = rx.bytes = rx.superFrames = rx.badHeaders = rx.lengthErrors = rx.noBuffer = 0;
      tx.frames = tx.bytes = tx.superFrames = tx.errors = tx.busy = 0;
    }
    const drops = kernelDrops(this.interfaceName);
    if (drops > this.#kernelDrops) counters.count('rx_dropped_kernel', drops - this.#kernelDrops);
    this.#kernelDrops = drops;
  }
}

/** Frames that the interface could not give us because its queue was full; 0 where /sys does not show it. */
function kernelDrops(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/statistics/tx_dropped`, 'utf8'));
  } catch {
    return 0;
  }
}

/** Locally administered, the same for the same name. */
function macOf(name: string): Uint8Array {
  let hash = 0x811c9dc5;
  for (const character of `tap:${name}`) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return Uint8Array.of(0x02, 0x74, hash >>> 24, hash >>> 16, hash >>> 8, hash);
}
