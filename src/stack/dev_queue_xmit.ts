// hot
/**
 * dev_queue_xmit: the ordinary way down, for who may wait. (Netpoll has its own way, netpoll/send.ts, for who may not.)
 *
 *     devQueueXmit --> pick a transmit queue --> its qdisc ------> qdiscRun --> driver        (qdisc_run.ts)
 *                                           \--> no qdisc: the driver at once; stacked devices come back here
 *
 * Not callable with interrupts off. Softirqs are off on the way, so a driver is not interrupted by its own poll. The frame is
 * consumed, whatever is returned.
 */
import { assert } from '../base/assert.ts';
import { devXmitComplete, Errno, NET_XMIT_DROP } from '../base/status.ts';
import { devOf, IFF_UP, type NetDevice, netifRunning } from '../device/net_device.ts';
import type { NetdevQueue } from '../device/netdev_queue.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { skbGetHash } from '../skb/get_hash.ts';
import { type SkBuff, skbResetMacHeader } from '../skb/sk_buff.ts';
import { netdevCorePickTx } from './pick_tx.ts';
import { devXmitSkb, txDrop, xmitUnqueued } from './qdisc_run.ts';
import { type Transmit, transmitOf } from './transmit.ts';

/** Devices that stand on devices, counted in one call. (`XMIT_RECURSION_LIMIT`) */
export const XMIT_RECURSION_LIMIT = 8;

/**
 * NET_XMIT_SUCCESS; NET_XMIT_DROP or NET_XMIT_CN (freed: no room, or the device is down); -ENETDOWN (freed: a device without
 * a queue is down or cannot send now).
 */
export function devQueueXmit(skb: SkBuff): number {
  const dev = devOf(skb);
  const tx = transmitOf(dev);
  assert(tx !== null, 'netInit puts the stack into a machine before devQueueXmit');
  const { machine } = dev.net;
  const { cpu } = machine;
  assert(!cpu.irqsDisabled, 'devQueueXmit is not called with interrupts off');
  cpu.localBhDisable();
  skbResetMacHeader(skb);
  const txq = netdevCorePickTx(dev, skb, skbGetHash);
  const { qdisc } = txq;
  let status: number;
  if (qdisc === null) {
    txDrop(dev, skb, DropReason.DEV_READY);
    status = NET_XMIT_DROP;
  } else if (qdisc.ops.enqueue !== undefined) {
    status = devXmitSkb(tx, skb, qdisc, txq);
  } else {
    status = xmitNoqueue(tx, dev, skb, txq);
  }
  machine.softirq.localBhEnable(cpu);
  return status;
}

/** A device without a queue: sent now, or not at all. */
function xmitNoqueue(tx: Transmit, dev: NetDevice, skb: SkBuff, txq: NetdevQueue): number {
  if ((dev.flags & IFF_UP) === 0 || !netifRunning(dev)) {
    txDrop(dev, skb, DropReason.DEV_READY);
    return -Errno.ENETDOWN;
  }
  const { machine } = dev.net;
  const softnet = dev.net.softnet[machine.cpu.id]!;
  if (txq.xmitLockOwner === machine.cpu.id || softnet.xmitRecursion > XMIT_RECURSION_LIMIT) {
    tx.complain('Dead loop on virtual device ' + dev.name + ', fix it urgently!');
    txDrop(dev, skb, DropReason.RECURSION_LIMIT);
    return -Errno.ENETDOWN;
  }
  const pieces = tx.piecesAt(softnet.xmitRecursion);
  if (tx.validateXmit === null) pieces.queueTail(skb);
  else tx.validateXmit(skb, dev, pieces);
  let status = 0;
  softnet.xmitRecursion++;
  for (let piece = pieces.dequeue(); piece !== null; piece = pieces.dequeue()) {
    if (devXmitComplete(xmitUnqueued(tx, piece, txq))) continue;
    tx.complain('Virtual device ' + dev.name + ' asks to queue packet!');
    txDrop(dev, piece, DropReason.DEV_READY);
    status = -Errno.ENETDOWN;
  }
  softnet.xmitRecursion--;
  return status;
}
