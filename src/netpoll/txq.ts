/**
 * The deferred queue of a device: frames that netpoll could not send when it wanted to, tried again from process context.
 *
 *     netpollQueue --> txq, at most 256 frames --> work: tx lock, startXmit
 *                       ^                            | stopped or BUSY: back to the head, again in 100 ms
 *                       +----------------------------+
 *
 * A frame on the queue is the queue's. Answers to queue_process, and to the seeds' netpoll_queue.
 */
import { devXmitComplete, NET_XMIT_DROP, NET_XMIT_SUCCESS } from '../base/status.ts';
import { devOf, type NetDevice, netifDevicePresent, netifRunning } from '../device/net_device.ts';
import { type NetdevQueue, txTrylock, txUnlock } from '../device/netdev_queue.ts';
import { DropReason } from '../skb/drop_reason.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { Netpoll } from './netpoll.ts';
import { type NetpollInfo, npinfoOf } from './npinfo.ts';

/** Frames that wait for a device at most. */
export const NETPOLL_TXQ_LIMIT = 256;

const RETRY_NS = 100_000_000;

/**
 * A `drop` routine: keeps the frame for later (NET_XMIT_SUCCESS) on the queue of the device that it was about to leave by, or
 * frees and counts it if that is full or nobody uses netpoll there (NET_XMIT_DROP). (`netpoll_queue`)
 */
export function netpollQueue(_np: Netpoll, skb: SkBuff): number {
  const info = npinfoOf(devOf(skb));
  if (info === null) {
    skb.pool.kfree(skb, DropReason.NETPOLL_NOT_RUNNING);
    return NET_XMIT_DROP;
  }
  if (!info.txq.queueTail(skb)) {
    info.counters.count('dropped');
    skb.pool.kfree(skb, DropReason.NETPOLL_QUEUE_FULL);
    return NET_XMIT_DROP;
  }
  info.counters.count('deferred');
  info.txWork.schedule();
  return NET_XMIT_SUCCESS;
}

/** The queue that a frame leaves by; its mapping may be from when the device had more queues. */
export function netpollTxQueue(dev: NetDevice, skb: SkBuff): NetdevQueue {
  return dev.txQueues[skb.queueMapping % dev.realNumTxQueues]!;
}

/**
 * Sends what waits, in order, until the device takes no more; what is left is tried again in 100 ms. Bound: the frames
 * that wait when it is called; what a driver's own complaints add meanwhile has its turn later. Not called while this CPU
 * polls the device or is inside its driver.
 */
export function netpollProcessQueue(info: NetpollInfo): void {
  const { dev } = info;
  const cpu = dev.net.machine.cpu;
  for (let left = info.txq.length; left > 0; left--) {
    const skb = info.txq.dequeue();
    if (skb === null) return;
    if (!netifDevicePresent(dev) || !netifRunning(dev)) {
      info.counters.count('not_running');
      skb.pool.kfree(skb, DropReason.NETPOLL_NOT_RUNNING);
      continue;
    }
    const txq = netpollTxQueue(dev, skb);
    const irqs = cpu.localIrqSave();
    let sent = false;
    if (txTrylock(txq, cpu.id)) {
      sent = !txq.frozenOrStopped && devXmitComplete(dev.ops.startXmit(skb, dev, txq));
      txUnlock(txq);
    }
    if (!sent) info.txq.queueHead(skb);
    cpu.localIrqRestore(irqs);
    if (!sent) {
      info.txWork.schedule(RETRY_NS);
      return;
    }
    info.counters.count('deferred_sent');
  }
}
