// hot
/**
 * balance-xor and 802.3ad: a conversation keeps to one slave, which the hash of its frames chooses among those that can send.
 *
 *     usableSlaves[bondXmitHash mod how many]
 *
 * usableSlaves changes with links, not with frames; then conversations move. With broadcast_neighbor, 802.3ad sends ARP and
 * neighbour discovery through every slave: the partners may be two switches that learn from what they see.
 *
 * Answers to bond_3ad_xor_xmit, bond_should_broadcast_neighbor.
 */
import { type SkBuff, skbHeadlen } from '../../skb/sk_buff.ts';
import { ETH_P_ARP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_ICMPV6 } from '../../wire/icmpv6.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../../wire/ipv6.ts';
import { NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION } from '../../wire/ndisc.ts';
import type { Bonding, Slave } from './bond.ts';
import { BOND_MODE_8023AD } from './bond.ts';
import { bondDevQueueXmit, bondTxDrop } from './dev_queue_xmit.ts';
import { networkAt } from './flow_ip.ts';
import { bondXmitHash } from './hash.ts';

/** Consumes the frame; a transmit status. */
export function bond3adXorXmit(bond: Bonding, skb: SkBuff): number {
  const slave = bondXmit3adXorSlaveGet(bond, skb);
  return slave === null ? bondTxDrop(bond, skb) : bondDevQueueXmit(bond, skb, slave.dev);
}

/** Whom the frame goes to; null: nobody can send. */
export function bondXmit3adXorSlaveGet(bond: Bonding, skb: SkBuff): Slave | null {
  const { usableSlaves } = bond;
  const count = usableSlaves.length;
  return count === 0 ? null : usableSlaves[bondXmitHash(bond, skb) % count]!;
}

/** 802.3ad that sends what neighbours ask and answer through all slaves. */
export function bondShouldBroadcastNeighbor(bond: Bonding, skb: SkBuff): boolean {
  if (bond.params.mode !== BOND_MODE_8023AD || !bond.params.broadcastNeigh) return false;
  return skb.protocol === ETH_P_ARP || isNeighbourDiscovery(skb);
}

/** A neighbour solicitation or advertisement directly behind the IPv6 header. */
export function isNeighbourDiscovery(skb: SkBuff): boolean {
  if (skb.protocol !== ETH_P_IPV6) return false;
  const { view } = skb.arena;
  const ip = networkAt(skb);
  if (ip + IPV6_HLEN >= skb.data + skbHeadlen(skb) || ipv6NextHeader(view, ip) !== IPPROTO_ICMPV6) return false;
  const type = view.getUint8(ip + IPV6_HLEN);
  return type === NDISC_NEIGHBOUR_SOLICITATION || type === NDISC_NEIGHBOUR_ADVERTISEMENT;
}
