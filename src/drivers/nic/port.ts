/**
 * Port: the smallest cut, under one NAPI driver. Everything that can move frames (a simulated wire, AF_PACKET, a UDP
 * socket, a capture file) is a Port; everything above it is the same code.
 *
 *     nic driver  --txBurst-->  Port  --> wire or kernel
 *     nic driver  <--rxBurst--  Port  <-- wire or kernel
 *                 <---irq-----
 *
 * A Port never blocks, and never throws after open(). "Full" is a count that is smaller than what was asked.
 * What a Port must do is written as cases in test/conformance/port_cases.ts, which run over every Port.
 */
import type { Counters } from '../../base/counters.ts';
import type { Arena } from '../../skb/arena.ts';
import type { PortRxMode, PortTuning } from './port_tuning.ts';

export type { PortRxMode, PortTuning } from './port_tuning.ts';

export interface PortCaps {
  /** Largest payload of the link layer, in bytes; a frame may have 14 more. */
  readonly mtu: number;
  /** Queues come in pairs: as many for receiving as for transmitting. */
  readonly rxQueues: number;
  readonly txQueues: number;
  /** How many frames a burst call moves at best. */
  readonly burst: number;
  /** Bytes that the port leaves free in front of a received frame. */
  readonly headroom: number;
  /** Feature bits of the device (see device/features.ts). */
  readonly features: number;
  /** Nothing comes in but datagrams, which receive offload does not merge unless it is told to: GRO is off until it is asked for. */
  readonly datagrams?: boolean;
  /** False: the port has to be polled. */
  readonly hasIrq: boolean;
  /** The hardware address: 6 bytes. */
  readonly mac: Uint8Array;
  /** Mbit/s; absent: 10000, as virtual devices say. */
  readonly speed?: number;
}

export interface Port {
  /** As the user names it: `packet:eth0`, `udp:0.0.0.0:6666`. */
  readonly name: string;
  readonly caps: PortCaps;
  readonly counters: Counters;
  /**
   * Starts moving frames. `irq(queue)` is called when a queue has work and its interrupt is enabled; `linkChanged` when link() may say
   * something else than before, by a port that learns of it. Throws SetupError.
   */
  open(memory: Arena, irq: (queue: number) => void, linkChanged?: () => void): void;
  /** Fills out[0..n), n <= limit. Each out.buf comes with one reference, which is now the caller's. */
  rxBurst(queue: number, out: FrameBatch, limit: number): number;
  /** Takes the first frames of batch[0..n) and returns how many; the rest stay the caller's. */
  txBurst(queue: number, batch: FrameBatch, n: number): number;
  /** Fills done.cookie[0..n): these frames have left, their memory may be used again. */
  txReap(queue: number, done: FrameBatch): number;
  /** Masks or unmasks the queue's interrupt. True: work is already waiting, poll once more (closes the lost wake-up). */
  irqEnable(queue: number, on: boolean): boolean;
  /** Carrier. */
  link(): boolean;
  /** Takes frames for these addresses, also those of `setAddress`. Absent: it takes what it gets to see. */
  setRxMode?(mode: PortRxMode): void;
  /** The device has another address of its own. */
  setAddress?(mac: Uint8Array): void;
  /** What the user should be told now that it is open, a sentence each: what was not got, what the far end is to do. */
  readonly notices?: readonly string[];
  /** What ethtool may ask and change. */
  readonly tuning?: PortTuning | undefined;
  /** Stops; every frame that the port still holds is released. */
  close(): void;
}

/**
 * Frames on their way through a Port: a struct of arrays, one entry a frame, allocated once by whoever calls the Port.
 * Positions are byte offsets into the arena.
 */
export class FrameBatch {
  readonly size: number;
  /** Arena handle of the frame's buffer. */
  readonly buf: Int32Array;
  /** Byte offset of the Ethernet header. */
  readonly offset: Int32Array;
  readonly len: Int32Array;
  /** Byte offset one behind the memory which belongs to this frame (`skb->end`). */
  readonly end: Int32Array;
  /** Transmit: the driver's tag, which comes back in txReap. */
  readonly cookie: Int32Array;
  /** Wall-clock arrival in microseconds since 1970, 0 if unknown. */
  readonly tstampUs: Float64Array;
  /** CHECKSUM_NONE, UNNECESSARY, COMPLETE or PARTIAL. */
  readonly csum: Uint8Array;
  /** PARTIAL: where the sum begins, from the Ethernet header on, and where its field is from there. 0: the port does not know. */
  readonly csumStart: Uint16Array;
  readonly csumOffset: Uint16Array;
  /** A super-frame is to be cut into segments of so many bytes, and of which kind (`SKB_GSO_*`); 0: an ordinary frame. */
  readonly gsoSize: Uint16Array;
  readonly gsoType: Int32Array;
  /** Transmit, by a port with NETIF_F_SG: so many pieces of `len` do not lie at `offset`, but where the piece columns say. */
  readonly pieces: Uint16Array;
  /** VLAN tag that the hardware took out of the frame, -1 if there was none. */
  readonly vlanTci: Int32Array;
  /** The pieces of all entries, one entry's behind the other's. */
  readonly pieceOffset: Int32Array;
  readonly pieceLen: Int32Array;

  /** `pieces`: how many there can be, for frames to be sent; 0 if absent. */
  constructor(size: number, pieces = 0) {
    this.size = size;
    this.buf = new Int32Array(size);
    this.offset = new Int32Array(size);
    this.len = new Int32Array(size);
    this.end = new Int32Array(size);
    this.cookie = new Int32Array(size);
    this.tstampUs = new Float64Array(size);
    this.csum = new Uint8Array(size);
    this.csumStart = new Uint16Array(size);
    this.csumOffset = new Uint16Array(size);
    this.gsoSize = new Uint16Array(size);
    this.gsoType = new Int32Array(size);
    this.pieces = new Uint16Array(size);
    this.pieceOffset = new Int32Array(pieces);
    this.pieceLen = new Int32Array(pieces);
    this.vlanTci = new Int32Array(size).fill(-1);
  }
}
