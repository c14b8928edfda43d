// hot
/**
 * netif_receive_skb: the way up, after the driver.
 *
 *  1. netpoll's trap may take the frame, unless it has seen it on its way to the backlog
 *  2. a VLAN tag in the frame is taken out and kept beside it
 *  3. every tap gets a clone
 *  4. the device of its VLAN, if there is one, has it: another round
 *  5. the device's rx handler (bond, bridge) may take it, or give it back on another device: another round
 *  6. a tag that nobody took makes it somebody else's frame, but for a mere priority; behind that there may be a tag to be looked at
 *  7. the handler of its protocol gets it; nobody wants it: dropped, UNHANDLED_PROTO
 *
 * Runs in softirq context. The frame is consumed, whatever is returned. Bound: rounds are limited to the depth of stacked devices.
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { devOf, STAT_RX_DROPPED, STAT_RX_NOHANDLER } from '../device/net_device.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { PACKET_OTHERHOST, type SkBuff, skbResetNetworkHeader } from '../skb/sk_buff.ts';
import { skbVlanUntag } from '../skb/vlan_tag.ts';
import { ETH_P_8021Q } from '../wire/eth.ts';
import { ETH_P_8021AD, VLAN_VID_MASK } from '../wire/vlan.ts';
import type { PacketTypes } from './packet_type.ts';

/** Devices may stand on each other this deep. */
const MAX_ROUNDS = 8;

export function netifReceiveSkb(net: Net, types: PacketTypes, skb: SkBuff): number {
  const softnet = net.softnet[net.machine.cpu.id]!;
  skbResetNetworkHeader(skb);
  let exact = false;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const dev = devOf(skb);
    softnet.processed++;
    skb.skbIif = dev.ifindex;
    if (dev.rxTrap !== null && !skb.netpollSeen && dev.rxTrap(skb)) return NET_RX_SUCCESS;
    skb.netpollSeen = false;
    if ((skb.protocol === ETH_P_8021Q || skb.protocol === ETH_P_8021AD) && !skbVlanUntag(skb)) {
      skb.pool.kfree(skb, DropReason.HDR_TRUNC);
      return NET_RX_DROP;
    }
    for (let i = 0; i < types.taps.length; i++) {
      const copy = skb.pool.clone(skb);
      if (copy !== null) types.taps[i]!(copy);
    }
    if (skb.vlanTci >= 0 && net.vlanReceive !== null) {
      const result = net.vlanReceive(skb);
      if (result === 'consumed') return NET_RX_SUCCESS;
      if (result === 'another') continue;
    }
    if (dev.rxHandler === null) break;
    const result = dev.rxHandler(skb);
    if (result === 'consumed') return NET_RX_SUCCESS;
    exact = result === 'exact';
    if (result !== 'another') break;
  }
  if (skb.vlanTci >= 0) {
    const result = withoutTag(net, skb);
    if (result === 'consumed') return NET_RX_SUCCESS;
    // On the device of a tag behind a priority now. Bound: how deep VLAN devices stand on each other.
    if (result === 'another') return netifReceiveSkb(net, types, skb);
  }
  const handler = exact ? undefined : types.handler(skb.protocol);
  if (handler !== undefined) return handler(skb);
  devOf(skb).stats.add(exact ? STAT_RX_NOHANDLER : STAT_RX_DROPPED);
  skb.pool.kfree(skb, DropReason.UNHANDLED_PROTO);
  return NET_RX_DROP;
}

/** Nobody took the tag. Behind a mere priority there may be one that somebody takes: 'another'. Bound: the frame's tags. */
function withoutTag(net: Net, skb: SkBuff): 'another' | 'consumed' | 'none' {
  for (;;) {
    const priority = (skb.vlanTci & VLAN_VID_MASK) === 0;
    skb.vlanTci = -1;
    if (!priority) skb.pktType = PACKET_OTHERHOST;
    if (!priority || (skb.protocol !== ETH_P_8021Q && skb.protocol !== ETH_P_8021AD)) return 'none';
    if (!skbVlanUntag(skb)) {
      skb.pool.kfree(skb, DropReason.HDR_TRUNC);
      return 'consumed';
    }
    const result = net.vlanReceive === null ? 'none' : net.vlanReceive(skb);
    if (result !== 'none') return result;
  }
}
