// hot
/**
 * netif_rx: the way up for drivers without NAPI, from any context. The frame waits on a backlog for the NET_RX softirq.
 */
import { NET_RX_SUCCESS } from '../base/status.ts';
import { devOf } from '../device/net_device.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { Rps } from './rps.ts';

/**
 * Netpoll is asked first; then the frame goes to the backlog of the CPU that RPS names, or of this one. NET_RX_DROP: the device is
 * down or the backlog is full; the frame is freed.
 */
export function netifRx(rps: Rps, skb: SkBuff): number {
  const { rxTrap } = devOf(skb);
  if (rxTrap !== null) {
    if (rxTrap(skb)) return NET_RX_SUCCESS;
    skb.netpollSeen = true;
  }
  return rps.enqueue(skb, rps.get(skb));
}
