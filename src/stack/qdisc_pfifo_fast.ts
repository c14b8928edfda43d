// hot
/**
 * pfifo_fast: three queues, the first before the second before the third; within a queue in order.
 *
 *     skb.priority & 15 --map--> band 0, 1 or 2 --> each at most txQueueLen frames
 *
 * A band that is full drops its newest frame (QDISC_OVERLIMIT), whatever the others hold.
 */
import { NET_XMIT_DROP, NET_XMIT_SUCCESS } from '../base/status.ts';
import type { NetDevice } from '../device/net_device.ts';
import { Qdisc, type QdiscOps } from '../device/qdisc.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';

export const PFIFO_FAST_BANDS = 3;
/** Band of each priority (`prio2band`). */
export const PRIO_TO_BAND: readonly number[] = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];

interface Bands {
  queues: SkbQueue[];
}

const PFIFO_FAST_OPS: QdiscOps = {
  id: 'pfifo_fast',
  canBypass: true,
  enqueue(skb, qdisc) {
    const band = (qdisc.priv as Bands).queues[PRIO_TO_BAND[skb.priority & 15]!]!;
    if (!band.queueTail(skb)) {
      qdisc.drops++;
      skb.pool.kfree(skb, DropReason.QDISC_OVERLIMIT);
      return NET_XMIT_DROP;
    }
    qdisc.added(skb);
    return NET_XMIT_SUCCESS;
  },
  dequeue(qdisc) {
    const { queues } = qdisc.priv as Bands;
    for (let b = 0; b < PFIFO_FAST_BANDS; b++) {
      const skb = queues[b]!.dequeue();
      if (skb !== null) return skb;
    }
    return null;
  },
  reset(qdisc) {
    const { queues } = qdisc.priv as Bands;
    for (let b = 0; b < PFIFO_FAST_BANDS; b++) queues[b]!.purge(DropReason.QUEUE_PURGE);
  },
};

/** A pfifo_fast for one transmit queue of `dev`, its bands as long as txQueueLen says now. */
export function pfifoFast(dev: NetDevice): Qdisc {
  const bands: Bands = { queues: bandsOf(dev.txQueueLen) };
  return new Qdisc(PFIFO_FAST_OPS, dev, bands);
}

/** The bands are as long as txQueueLen says now; what does not fit any more is dropped. (`pfifo_fast_change_tx_queue_len`) */
export function pfifoFastResize(qdisc: Qdisc): void {
  if (qdisc.ops !== PFIFO_FAST_OPS) return;
  const bands = qdisc.priv as Bands;
  const old = bands.queues;
  bands.queues = bandsOf(qdisc.dev.txQueueLen);
  for (let b = 0; b < PFIFO_FAST_BANDS; b++) {
    for (let skb: SkBuff | null = old[b]!.dequeue(); skb !== null; skb = old[b]!.dequeue()) {
      if (bands.queues[b]!.queueTail(skb)) continue;
      qdisc.removed(skb);
      qdisc.drops++;
      skb.pool.kfree(skb, DropReason.QDISC_OVERLIMIT);
    }
  }
}

function bandsOf(limit: number): SkbQueue[] {
  return [new SkbQueue(limit), new SkbQueue(limit), new SkbQueue(limit)];
}
