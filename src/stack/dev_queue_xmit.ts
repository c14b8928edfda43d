// hot
/**
 * dev_queue_xmit: the ordinary way down, for who may wait. (Netpoll has its own way, netpoll/send.ts, for who may not.)
 *
 *     devQueueXmit --> queue of the transmit queue, at most txQueueLen --> driver, while it takes frames
 *                                        ^ BUSY or stopped: the frame goes back to the head, tried again
 *                                          when the driver wakes the queue
 *
 * Not callable with interrupts off. The frame is consumed, whatever is returned.
 */
import { assert } from '../base/assert.ts';
import { devXmitComplete, NET_XMIT_DROP, NET_XMIT_SUCCESS } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { devOf, type NetDevice, netifRunning, STAT_TX_DROPPED } from '../device/net_device.ts';
import { type NetdevQueue, txTrylock, txUnlock } from '../device/netdev_queue.ts';
import { Softirq } from '../machine/softirq.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';

/** Frames that one run hands to the driver (`net.core.dev_weight`). */
const DEV_TX_WEIGHT = 64;

/** NET_XMIT_SUCCESS, or NET_XMIT_DROP (freed: the device is down, or the queue is full). */
export function devQueueXmit(skb: SkBuff): number {
  const dev = devOf(skb);
  const machine = dev.net.machine;
  assert(!machine.cpu.irqsDisabled, 'devQueueXmit is not called with interrupts off');
  const txq = dev.txQueues[skb.queueMapping % dev.txQueues.length]!;
  if (!netifRunning(dev)) {
    dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.DEV_READY);
    return NET_XMIT_DROP;
  }
  txq.qdisc ??= new SkbQueue(dev.txQueueLen);
  txq.onWake ??= () => machine.softirq.raise(Softirq.NET_TX);
  if (!txq.qdisc.queueTail(skb)) {
    dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.QDISC_OVERLIMIT);
    return NET_XMIT_DROP;
  }
  qdiscRun(dev, txq, txq.qdisc);
  return NET_XMIT_SUCCESS;
}

/** The NET_TX softirq: every device whose queue holds frames. Bound: DEV_TX_WEIGHT frames a queue. */
export function netTxAction(net: Net): void {
  for (let d = 0; d < net.devices.length; d++) {
    const dev = net.devices[d]!;
    for (let q = 0; q < dev.txQueues.length; q++) {
      const txq = dev.txQueues[q]!;
      if (txq.qdisc !== null && txq.qdisc.length > 0) qdiscRun(dev, txq, txq.qdisc);
    }
  }
}

function qdiscRun(dev: NetDevice, txq: NetdevQueue, qdisc: SkbQueue): void {
  const machine = dev.net.machine;
  if (!txTrylock(txq, machine.cpu.id)) {
    // Netpoll, or another CPU, is inside the driver, and does not look at this queue when it leaves.
    machine.softirq.raise(Softirq.NET_TX);
    return;
  }
  let quota = DEV_TX_WEIGHT;
  while (quota-- > 0 && !txq.frozenOrStopped) {
    const skb = qdisc.dequeue();
    if (skb === null) break;
    if (!devXmitComplete(dev.ops.startXmit(skb, dev, txq))) {
      qdisc.queueHead(skb);
      txq.requeues++;
      break;
    }
    txq.transStartNs = machine.executive.now();
  }
  txUnlock(txq);
  if (qdisc.length > 0 && !txq.frozenOrStopped) machine.softirq.raise(Softirq.NET_TX);
}
