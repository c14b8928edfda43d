// hot
/**
 * Which transmit queue a frame takes.
 *
 *     one queue in use -------------------------------------> 0
 *     the driver chooses (selectQueue) ---------------------> that one
 *     XPS: the frame's receive queue has a map, or this CPU -> of the map's queues, by hash
 *     else --------------------------------------------------> its receive queue; without one, by hash
 *
 * A flow keeps to one queue, so it is not reordered. Answers to netdev_core_pick_tx, netdev_pick_tx, skb_tx_hash.
 */
import type { NetDevice } from '../device/net_device.ts';
import type { NetdevQueue } from '../device/netdev_queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';

/** Sets `skb.queueMapping` to the queue that is returned. `hash` is asked only where it is needed. */
export function netdevCorePickTx(dev: NetDevice, skb: SkBuff, hash: (skb: SkBuff) => number): NetdevQueue {
  let index = 0;
  if (dev.realNumTxQueues > 1) {
    index = dev.ops.selectQueue === undefined ? -1 : dev.ops.selectQueue(dev, skb);
    if (index < 0) index = netdevPickTx(dev, skb, hash);
    else if (index >= dev.realNumTxQueues) index = capped(dev, index);
  }
  skb.queueMapping = index;
  return dev.txQueues[index]!;
}

/** XPS, else by hash. */
export function netdevPickTx(dev: NetDevice, skb: SkBuff, hash: (skb: SkBuff) => number): number {
  const queue = xpsQueue(dev, skb, hash);
  return queue >= 0 ? queue : skbTxHash(dev, skb, hash);
}

/** A queue by the frame's receive queue (a reply goes where the question came in), else by its hash. */
export function skbTxHash(dev: NetDevice, skb: SkBuff, hash: (skb: SkBuff) => number): number {
  const count = dev.realNumTxQueues;
  if (skb.queueMapping > 0) return (skb.queueMapping - 1) % count;
  return scaled(hash(skb), count);
}

/** -1: no map says anything, or the one it names is not in use. (`get_xps_queue`) */
function xpsQueue(dev: NetDevice, skb: SkBuff, hash: (skb: SkBuff) => number): number {
  let queues: readonly number[] | undefined;
  if (dev.xpsRxqs !== null && skb.queueMapping > 0) queues = dev.xpsRxqs[skb.queueMapping - 1];
  if (queues === undefined && dev.xpsCpus !== null) queues = dev.xpsCpus[dev.net.machine.cpu.id];
  if (queues === undefined || queues.length === 0) return -1;
  const queue = queues.length === 1 ? queues[0]! : queues[scaled(hash(skb), queues.length)]!;
  return queue < dev.realNumTxQueues ? queue : -1;
}

/** A 32-bit hash onto [0, count), without a division. (`reciprocal_scale`) */
function scaled(hash: number, count: number): number {
  return Math.floor((hash >>> 0) * count * 2.3283064365386963e-10);
}

/** The driver named a queue that is not in use: the first one, and a word about it. (`netdev_cap_txqueue`) */
function capped(dev: NetDevice, index: number): number {
  if (!dev.txQueueComplained) {
    dev.txQueueComplained = true;
    dev.net.machine.printk.warn(
      dev.name + ' selects TX queue ' + index + ', but real number of TX queues is ' + dev.realNumTxQueues,
    );
  }
  return 0;
}
