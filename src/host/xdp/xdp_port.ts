/**
 * `xdp:IF` and `xdp:IF/QUEUE`: a Port on a real interface through AF_XDP. Needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF.
 *
 *     card, driver --> redirect program --> rx ring --rxBurst--> slots of the arena         redirect_program.ts xsk_rx.ts
 *     card, driver <-- sendto() <-- tx ring <--txBurst-- the frame's slot itself            xsk_tx.ts
 *
 *   1. Opening: a socket and rings for each queue (xsk_queue.ts), then the program (xdp_attach.ts), native if the driver has it, else
 *      generic; zero copy if the device has it. `report` says what it was, and why not better.
 *   2. The interrupt is the socket: readable as long as its receive ring holds a frame, which is what NAPI wants masked.
 *   3. Nobody interrupts for a transmit that the kernel finishes later, for a ring that it would not take (link down), or for a
 *      stock of slots that ran dry: while one of these is so, a timer looks again, at first after a millisecond.
 *   4. Closing, exit and SIGKILL alike: sockets and link go, and nothing stays attached to the interface.
 *
 * Unlike a packet port this one takes frames away from the kernel: all of them, or with `udpPort` what is for that port. Whoever
 * forwards from a veth turns off its other end's offload (`ethtool -K PEER tx off`), which leaves out checksums. Tags that a card
 * takes out of frames are lost (`ethtool -K IF rxvlan off`).
 */
import { Counters } from '../../base/counters.ts';
import { SetupError } from '../../base/status.ts';
import type { FrameBatch, Port, PortCaps, PortRxMode, PortTuning } from '../../drivers/nic/port.ts';
import type { Arena } from '../../skb/arena.ts';
import { HostArena } from '../arena.ts';
import type { HostExecutive, Watch } from '../executive.ts';
import type { InterfaceNow } from '../netlink/interface_port.ts';
import { PacketMembership } from '../packet/packet_membership.ts';
import { openTxSocket } from '../packet/packet_sockets.ts';
import { ARPHRD_ETHER, CarrierProbe, IFF_UP, interfaceFacts } from '../sys/interface.ts';
import { libc } from '../sys/libc.ts';
import { MSG_DONTWAIT } from '../sys/socket.ts';
import { XDP_PACKET_HEADROOM, type XdpStatistics, xdpStatistics } from '../sys/xdp.ts';
import { TX_FRAMES } from '../tx_moderation.ts';
import { Looker } from './looker.ts';
import { Deferral, DrivenQueue } from './napi_drive.ts';
import type { Attachment } from './xdp_attach.ts';
import { type OpenXdp, openXdp, queueNumbers } from './xdp_open.ts';
import { printXdpReport, XDP_MODES, type XdpPortOptions, type XdpReport } from './xdp_options.ts';
import { RingSizes } from './xdp_rings.ts';
import { checkSlots, type XskQueue, xskFrameMax } from './xsk_queue.ts';
import type { XskTx } from './xsk_tx.ts';

const BURST = 64;
const ETH_VLAN_HLEN = 18;
/** Who has been polled so often without an interrupt will be polled on. */
const REST_POLLS = 64;

const COUNTERS = [
  'rx_frames',
  'rx_bytes',
  /** Everything the kernel had no room for: the sum of the next two. */
  'rx_dropped_kernel',
  'rx_dropped',
  'rx_ring_full',
  'rx_fill_ring_empty_descs',
  'rx_invalid_descs',
  /** In the ring when the port was closed. */
  'rx_unread',
  'tx_frames',
  'tx_bytes',
  'tx_errors',
  'tx_busy',
  'tx_copied',
  'tx_invalid_descs',
  'tx_ring_empty_descs',
] as const;
const RX_FRAMES = 0;
const RX_BYTES = 1;

/** A queue while the port is open. */
interface OpenQueue {
  readonly index: number;
  readonly xsk: XskQueue;
  /** Polls the device's queue; null: the device interrupts. */
  readonly drive: DrivenQueue | null;
  readonly watch: Watch;
  armed: boolean;
  /** Since the interrupt was masked. */
  polls: number;
  /** Looks after what nobody interrupts for; one timer, wound up again. */
  readonly looker: Looker;
  seen: XdpStatistics | undefined;
}

interface OpenState {
  readonly controlFd: number;
  readonly queues: readonly OpenQueue[];
  readonly attachment: Attachment;
  readonly membership: PacketMembership;
  readonly deferral: Deferral | null;
}

export class XdpPort implements Port {
  readonly name: string;
  readonly caps: { -readonly [Cap in keyof PortCaps]: PortCaps[Cap] };
  /** The kernel's name of the interface. */
  interfaceName: string;
  readonly tuning: PortTuning;
  /** What was got at the last opening. */
  report: XdpReport | undefined;
  readonly #executive: HostExecutive;
  readonly #existing: () => readonly string[];
  readonly #options: XdpPortOptions;
  readonly #rings: RingSizes;
  /** The interface's numbers of our queues. */
  readonly #numbers: readonly number[];
  #carrier: CarrierProbe;
  readonly #counters = new Counters(COUNTERS);
  readonly #nothing = Buffer.alloc(1);
  #open: OpenState | undefined;
  #closed: readonly XskTx[] = [];
  #rxMode: PortRxMode = { promisc: false, allmulti: false, unicast: [], multicast: [] };
  #ownAddress: Uint8Array | null = null;

  /**
   * Asks the interface for its address, mtu and queues; opens nothing. `queue` undefined: all that there are. `existing` lists interfaces
   * for the error message. Throws SetupError: ERR_NETPOLL_NO_INTERFACE, ERR_NETPOLL_NOT_ETHERNET, ERR_NETPOLL_XDP_QUEUE,
   * ERR_NETPOLL_XDP_MODE, ERR_NETPOLL_RING, ERR_NETPOLL_NO_KOFFI.
   */
  constructor(
    name: string,
    queue: number | undefined,
    executive: HostExecutive,
    options: XdpPortOptions,
    existing: () => readonly string[],
  ) {
    this.name = queue === undefined ? `xdp:${name}` : `xdp:${name}/${queue}`;
    this.interfaceName = name;
    this.#executive = executive;
    this.#options = options;
    this.#existing = existing;
    const { xdpMode } = options;
    if (xdpMode !== undefined && !XDP_MODES.includes(xdpMode)) {
      const message = `"${String(xdpMode)}" is no mode of XDP; there are ${XDP_MODES.join(', ')}`;
      throw new SetupError('ERR_NETPOLL_XDP_MODE', message);
    }
    const facts = interfaceFacts(name, existing);
    if (facts.hardware !== ARPHRD_ETHER) {
      throw new SetupError('ERR_NETPOLL_NOT_ETHERNET', `${name} carries no Ethernet frames (type ${facts.hardware})`);
    }
    this.#numbers = queueNumbers(name, queue);
    this.#rings = new RingSizes(options);
    this.tuning = this.#rings;
    this.#carrier = new CarrierProbe(name);
    this.caps = {
      mtu: facts.mtu,
      rxQueues: this.#numbers.length,
      txQueues: this.#numbers.length,
      burst: BURST,
      headroom: XDP_PACKET_HEADROOM,
      features: 0,
      hasIrq: true,
      mac: facts.mac,
    };
  }

  /** Reads what the kernel counts on our behalf first: one system call a queue while the port is open. */
  get counters(): Counters {
    this.#collect();
    return this.#counters;
  }

  /** What was got, and why not better; nothing before the port was opened. */
  get notices(): readonly string[] {
    if (this.report === undefined) return [];
    const all = this.#options.udpPort === undefined ? '; the kernel itself gets none of its frames meanwhile' : '';
    const settings = this.#open?.deferral?.said ?? '';
    const said = settings === '' ? [] : [`${this.name}: ${settings}`];
    return [`${this.name}: ${printXdpReport(this.report)}${all}`, ...said];
  }

  /**
   * Throws SetupError: ERR_NETPOLL_NO_XDP, ERR_NETPOLL_EPERM, ERR_NETPOLL_ENETDOWN, ERR_NETPOLL_EBUSY (another program, or another
   * socket on the queue), ERR_NETPOLL_XDP_MODE, ERR_NETPOLL_XDP_QUEUE, ERR_NETPOLL_XDP_MTU, ERR_NETPOLL_ARENA (not a host arena, or
   * slots of a wrong size), ERR_NETPOLL_ARENA_FULL.
   */
  open(memory: Arena, irq: (queue: number) => void): void {
    if (!(memory instanceof HostArena)) {
      throw new SetupError('ERR_NETPOLL_ARENA', `${this.name} shares the arena's memory: use createHostArena()`);
    }
    checkSlots(memory, this.name);
    // Anew: the interface may have been made anew.
    const { index, mtu, flags } = interfaceFacts(this.interfaceName, this.#existing);
    if ((flags & IFF_UP) === 0) {
      const message = `${this.interfaceName} is down: ip link set ${this.interfaceName} up`;
      throw new SetupError('ERR_NETPOLL_ENETDOWN', message);
    }
    const frameMax = xskFrameMax(memory);
    if (mtu + ETH_VLAN_HLEN > frameMax) {
      const fits = frameMax - ETH_VLAN_HLEN;
      const message =
        `${this.interfaceName} has an mtu of ${mtu}, of which a slot of ${memory.slotSize} bytes takes ${fits}: ` +
        `ip link set ${this.interfaceName} mtu ${fits}${memory.slotSize < 4096 ? ', or slotSize 4096' : ''}`;
      throw new SetupError('ERR_NETPOLL_XDP_MTU', message);
    }
    const controlFd = openTxSocket(this.interfaceName, index, 'xdp');
    let opened: OpenXdp | undefined;
    try {
      opened = openXdp(memory, {
        name: this.interfaceName,
        ifindex: index,
        queues: this.#numbers,
        rxRing: this.#rings.rx(memory, this.#numbers.length),
        txRing: this.#rings.tx,
        options: this.#options,
      });
      this.report = opened.report;
      const membership = new PacketMembership(controlFd, index);
      membership.set(this.#rxMode, this.#ownAddress);
      const { sockets, drives, attachment } = opened;
      const deferral = drives.length === 0 ? null : new Deferral(this.interfaceName, this.#options.busyPoll!);
      const queues = sockets.map((xsk, i) => {
        const drive = deferral === null ? null : new DrivenQueue(drives[i]!, deferral, this.#executive);
        return this.#watch(xsk, drive, i, irq);
      });
      this.#open = { controlFd, queues, attachment, membership, deferral };
    } catch (error) {
      opened?.attachment.close();
      for (const each of opened?.drives ?? []) each.close();
      for (const xsk of opened?.sockets ?? []) xsk.close();
      libc().close(controlFd);
      throw error;
    }
  }

  rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const one = open.queues[queue]!;
    const { xsk } = one;
    if (!one.armed && ++one.polls === REST_POLLS) one.watch.rest();
    const most = Math.min(limit, out.size);
    const n = xsk.rx.burst(out, most);
    if (n > 0) one.drive?.took(n);
    if (n > 0 || most === 0) return n;
    if (one.drive !== null) {
      if (!one.drive.ask()) return 0;
      const asked = xsk.rx.burst(out, most);
      one.drive.took(asked);
      return asked;
    }
    if (!xsk.rx.needsWakeup()) return 0;
    libc().recv(xsk.fd, this.#nothing, 0, MSG_DONTWAIT);
    return xsk.rx.burst(out, most);
  }

  /** Frames must have their checksums. In copy mode they have been sent when this returns; txReap gives the tags. */
  txBurst(queue: number, batch: FrameBatch, n: number): number {
    const open = this.#open;
    if (open === undefined) return 0;
    const one = open.queues[queue]!;
    const taken = one.xsk.tx.burst(batch, n);
    if (taken > 0 && one.armed) {
      // A few that have left can wait to be freed; the timer finds them.
      if (one.xsk.tx.inFlight >= TX_FRAMES && one.xsk.tx.done) one.watch.raise();
      else one.looker.start();
    }
    return taken;
  }

  txReap(queue: number, done: FrameBatch): number {
    const open = this.#open;
    if (open === undefined) return this.#closed[queue]?.reapClosed(done) ?? 0;
    const { tx } = open.queues[queue]!.xsk;
    if (tx.pending !== 0) tx.kick();
    return tx.reap(done);
  }

  irqEnable(queue: number, on: boolean): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    const one = open.queues[queue]!;
    const { rx, tx } = one.xsk;
    one.armed = on;
    one.polls = 0;
    if (on) {
      rx.refill();
      one.drive?.unmasked();
    }
    one.watch.arm(on);
    if (!on) return false;
    if (rx.ready() || tx.done) return true;
    if (rx.starving || tx.inFlight > 0) one.looker.start();
    return false;
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
    return this.#open !== undefined && this.#carrier.carrier(this.#open.controlFd);
  }

  /** Frames that were handed up stay readable: their slots are the arena's. */
  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    open.attachment.close();
    this.#collect();
    for (const { xsk } of open.queues) this.#counters.count('rx_unread', xsk.rx.unread);
    this.#open = undefined;
    this.#closed = open.queues.map(({ xsk }) => xsk.tx);
    for (const one of open.queues) {
      one.watch.close();
      one.looker.close();
      one.drive?.close();
    }
    open.deferral?.close();
    // The first queue's memory is shared by the others: it goes last.
    for (const { xsk } of [...open.queues].reverse()) xsk.close();
    libc().close(open.controlFd);
  }

  #watch(xsk: XskQueue, drive: DrivenQueue | null, index: number, irq: (queue: number) => void): OpenQueue {
    const watch = this.#executive.watch(xsk.fd, () => {
      one.armed = false;
      irq(index);
    });
    const one: OpenQueue = {
      index,
      xsk,
      drive,
      watch,
      armed: false,
      polls: 0,
      looker: new Looker(() => look(one)),
      seen: undefined,
    };
    return one;
  }

  #collect(): void {
    const open = this.#open;
    if (open === undefined) return;
    const counters = this.#counters;
    for (const one of open.queues) {
      const { rx, tx, fd } = one.xsk;
      counters.values[RX_FRAMES]! += rx.frames;
      counters.values[RX_BYTES]! += rx.bytes;
      counters.count('tx_frames', tx.frames);
      counters.count('tx_bytes', tx.bytes);
      counters.count('tx_errors', tx.errors);
      counters.count('tx_busy', tx.busy);
      counters.count('tx_copied', tx.copied);
      rx.frames = rx.bytes = tx.frames = tx.bytes = tx.errors = tx.busy = tx.copied = 0;
      const now = xdpStatistics(fd);
      if (now === null) continue;
      const since = (field: keyof XdpStatistics): number => now[field] - (one.seen?.[field] ?? 0);
      counters.count('rx_dropped', since('rxDropped'));
      counters.count('rx_ring_full', since('rxRingFull'));
      counters.count('rx_dropped_kernel', since('rxDropped') + since('rxRingFull'));
      counters.count('rx_fill_ring_empty_descs', since('rxFillRingEmptyDescs'));
      counters.count('rx_invalid_descs', since('rxInvalidDescs'));
      counters.count('tx_invalid_descs', since('txInvalidDescs'));
      counters.count('tx_ring_empty_descs', since('txRingEmptyDescs'));
      one.seen = now;
    }
  }
}

/** True: there is still something that nobody will interrupt for. */
function look({ armed, xsk, watch }: OpenQueue): boolean {
  if (!armed) return false;
  const { rx, tx } = xsk;
  rx.refill();
  if (tx.pending !== 0) tx.kick();
  if (rx.ready() || tx.done) {
    watch.raise();
    return false;
  }
  return rx.starving || tx.inFlight > 0;
}
