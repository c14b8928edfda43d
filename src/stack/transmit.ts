/**
 * What the way down keeps for a machine: who looks on, and who makes a frame fit for its device.
 */
import type { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { PacketHandler } from './packet_type.ts';

/**
 * Makes of a frame what its device can take: itself, or its segments, each put on `out`; or nothing, and then it was freed
 * and counted. The frame is consumed. (`validate_xmit_skb`)
 */
export type ValidateXmit = (skb: SkBuff, dev: NetDevice, out: SkbQueue) => void;

/** Segments of one frame at most. */
const PIECES = 1 << 16;
const COMPLAINTS = 10;
const COMPLAINTS_NS = 5e9;

export class Transmit {
  readonly net: Net;
  /** Get a clone of every frame that goes to a driver, marked PACKET_OUTGOING. */
  readonly taps: readonly PacketHandler[];
  validateXmit: ValidateXmit | null = null;
  readonly #pieces: SkbQueue[] = [];
  #complaints = 0;
  #complaintsSinceNs = 0;

  constructor(net: Net, taps: readonly PacketHandler[]) {
    this.net = net;
    this.taps = taps;
  }

  /** Where validateXmit puts what it makes, one for each depth of devices that stand on devices; empty between frames. */
  piecesAt(depth: number): SkbQueue {
    return (this.#pieces[depth] ??= new SkbQueue(PIECES));
  }

  /** A line at level CRIT; at most 10 in 5 seconds. (`net_crit_ratelimited`) */
  complain(text: string): void {
    const { machine } = this.net;
    const now = machine.executive.now();
    if (now - this.#complaintsSinceNs >= COMPLAINTS_NS) {
      this.#complaintsSinceNs = now;
      this.#complaints = 0;
    }
    if (this.#complaints++ < COMPLAINTS) machine.printk.crit(text);
  }
}

/** The way down of a device's machine, or null: it has no stack. */
export function transmitOf(dev: NetDevice): Transmit | null {
  return dev.net.transmit as Transmit | null;
}
