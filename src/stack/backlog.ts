// hot
/**
 * The backlog: frames of drivers without NAPI wait here for the NET_RX softirq.
 *
 *     netifRx (any context) --> input queue, at most 1000 --> process_backlog, a NAPI poll of its own --> netif_receive_skb
 *
 * A frame that finds the queue full is dropped and counted (softnet `dropped`, reason CPU_BACKLOG): the work that the
 * interrupt did for it is lost. That is the livelock which NAPI ends by not taking the frame off the hardware at all.
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import {
  NAPI_POLL_WEIGHT,
  type NapiStruct,
  napiCompleteDone,
  napiEnable,
  napiSchedule,
  netifNapiAdd,
} from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import { allocNetdev, devOf, netifRunning, STAT_RX_DROPPED } from '../device/net_device.ts';
import type { Softnet } from '../device/softnet.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';

/** Frames that a CPU's backlog takes (`net.core.netdev_max_backlog`). */
export const NETDEV_MAX_BACKLOG = 1000;

/** Gives every CPU a backlog; `softnet.enqueue` becomes netif_rx. */
export function backlogInit(net: Net): void {
  for (const softnet of net.softnet) {
    const queue = new SkbQueue(NETDEV_MAX_BACKLOG);
    const napi = backlogNapi(net, softnet, queue);
    softnet.enqueue = (skb) => netifRx(softnet, napi, queue, skb);
  }
}

/** Set-up. The instance belongs to a device that nobody sees, as the kernel's dummy net_device. */
function backlogNapi(net: Net, softnet: Softnet, queue: SkbQueue): NapiStruct {
  const ops = { open: () => 0, startXmit: () => 0 };
  const dev = allocNetdev(net, { name: `backlog${softnet.cpu.id}`, ops, setup: () => {} });
  const napi = netifNapiAdd(dev, (self, budget) => processBacklog(softnet, queue, self, budget), NAPI_POLL_WEIGHT);
  napiEnable(napi);
  return napi;
}

/** Takes the frame in any context. NET_RX_DROP: the device is down or the queue is full; the frame is freed. (`netif_rx`) */
function netifRx(softnet: Softnet, napi: NapiStruct, queue: SkbQueue, skb: SkBuff): number {
  const dev = devOf(skb);
  if (dev.rxTrap !== null) {
    if (dev.rxTrap(skb)) return NET_RX_SUCCESS;
    skb.netpollSeen = true;
  }
  if (!netifRunning(dev)) {
    dev.stats.add(STAT_RX_DROPPED);
    skb.pool.kfree(skb, DropReason.DEV_READY);
    return NET_RX_DROP;
  }
  if (!queue.queueTail(skb)) {
    softnet.dropped++;
    dev.stats.add(STAT_RX_DROPPED);
    skb.pool.kfree(skb, DropReason.CPU_BACKLOG);
    return NET_RX_DROP;
  }
  // A queue that held frames already has its instance scheduled.
  if (queue.length === 1) napiSchedule(napi);
  return NET_RX_SUCCESS;
}

/** Bound: `budget` frames. Budget 0 (netpoll): nothing. */
function processBacklog(softnet: Softnet, queue: SkbQueue, napi: NapiStruct, budget: number): number {
  let work = 0;
  while (work < budget) {
    const skb = queue.dequeue();
    if (skb === null) {
      napiCompleteDone(napi, work);
      return work;
    }
    softnet.deliver(skb);
    work++;
  }
  return work;
}
