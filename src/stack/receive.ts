// hot
/**
 * netif_receive_skb: the way up, after the driver.
 *
 *  1. netpoll's trap may take the frame, unless it has seen it on its way to the backlog
 *  2. every tap gets a clone
 *  3. the device's rx handler (bond, bridge) may take it, or give it back on another device: another round
 *  4. the handler of its protocol gets it; nobody wants it: dropped, UNHANDLED_PROTO
 *
 * Runs in softirq context. The frame is consumed, whatever is returned. Bound: rounds are limited to the depth of stacked devices.
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { devOf, STAT_RX_DROPPED, STAT_RX_NOHANDLER } from '../device/net_device.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { type SkBuff, skbResetNetworkHeader } from '../skb/sk_buff.ts';
import type { PacketTypes } from './packet_type.ts';

/** Devices may stand on each other this deep. */
const MAX_ROUNDS = 8;

export function netifReceiveSkb(net: Net, types: PacketTypes, skb: SkBuff): number {
  net.softnet[net.machine.cpu.id]!.processed++;
  skbResetNetworkHeader(skb);
  skb.skbIif = devOf(skb).ifindex;
  let exact = false;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const dev = devOf(skb);
    if (dev.rxTrap !== null && !skb.netpollSeen && dev.rxTrap(skb)) return NET_RX_SUCCESS;
    skb.netpollSeen = false;
    for (let i = 0; i < types.taps.length; i++) {
      const copy = skb.pool.clone(skb);
      if (copy !== null) types.taps[i]!(copy);
    }
    if (dev.rxHandler === null) break;
    const result = dev.rxHandler(skb);
    if (result === 'consumed') return NET_RX_SUCCESS;
    exact = result === 'exact';
    if (result !== 'another') break;
  }
  const handler = exact ? undefined : types.handler(skb.protocol);
  if (handler !== undefined) return handler(skb);
  devOf(skb).stats.add(exact ? STAT_RX_NOHANDLER : STAT_RX_DROPPED);
  skb.pool.kfree(skb, DropReason.UNHANDLED_PROTO);
  return NET_RX_DROP;
}
