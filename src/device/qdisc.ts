// hot
/**
 * Qdisc: what waits in front of a transmit queue, as the device sees it. The disciplines themselves are the stack's
 * (stack/qdisc_*.ts); without a stack a device has none, and netpoll needs none.
 *
 *     enqueue --> discipline --dequeue--> gsoSkb --> driver
 *                                           ^  frames that left the discipline and have not reached the driver:
 *                                              validated already, and first in line
 *
 * A qdisc owns the frames in it. `qlen` and `backlog` count gsoSkb too.
 */
import { NET_XMIT_CN } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { STAT_TX_DROPPED } from './link_stats.ts';
import type { NetDevice } from './net_device.ts';

/** What a discipline does; `priv` is its own state. */
export interface QdiscOps {
  readonly id: string;
  /** A frame that finds nothing waiting may go to the driver without being queued. (`TCQ_F_CAN_BYPASS`) */
  readonly canBypass?: boolean;
  /** Takes the frame, or frees it and returns NET_XMIT_DROP or NET_XMIT_CN. Absent: frames go straight to the driver. */
  readonly enqueue?: (skb: SkBuff, qdisc: Qdisc) => number;
  readonly dequeue: (qdisc: Qdisc) => SkBuff | null;
  /** Frees everything in it. */
  readonly reset: (qdisc: Qdisc) => void;
}

/** Frames that left a discipline and wait for the driver; bulk dequeue bounds them. */
const GSO_SKB_LIMIT = 1 << 16;

export class Qdisc {
  readonly ops: QdiscOps;
  readonly dev: NetDevice;
  /** The discipline's own state. */
  readonly priv: unknown;
  readonly gsoSkb = new SkbQueue(GSO_SKB_LIMIT);
  /** A CPU is in qdiscRun for it. */
  running = false;
  /** It is on a CPU's output queue. */
  scheduled = false;
  /** It takes nothing any more. */
  deactivated = false;
  /** The next on the CPU's output queue. */
  nextSched: Qdisc | null = null;
  /** Frames and bytes in it. */
  qlen = 0;
  backlog = 0;
  /** `tc -s qdisc`: what it has sent, dropped, been over its limit with, and got back. */
  packets = 0;
  bytes = 0;
  drops = 0;
  overlimits = 0;
  requeues = 0;

  constructor(ops: QdiscOps, dev: NetDevice, priv: unknown = null) {
    this.ops = ops;
    this.dev = dev;
    this.priv = priv;
  }

  /** The frame is in the discipline. */
  added(skb: SkBuff): void {
    this.qlen++;
    this.backlog += skb.len;
  }

  /** The frame is no longer in the discipline nor in gsoSkb. */
  removed(skb: SkBuff): void {
    this.qlen--;
    this.backlog -= skb.len;
  }

  /** Drops everything that waits. (`qdisc_reset`) */
  reset(): void {
    this.gsoSkb.purge(DropReason.QUEUE_PURGE);
    this.ops.reset(this);
    this.qlen = 0;
    this.backlog = 0;
  }
}

/** The discipline of a device that is down: takes nothing. (`noop_qdisc`) */
export const NOOP_OPS: QdiscOps = {
  id: 'noop',
  enqueue(skb, qdisc) {
    qdisc.dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.QDISC_DROP);
    return NET_XMIT_CN;
  },
  dequeue: () => null,
  reset: () => {},
};
