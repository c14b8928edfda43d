// hot
/**
 * broadcast: a copy of every frame through every slave whose link is up.
 *
 *     all but the last slave get clones; the last one gets the frame itself, or it is freed where that one is down
 *
 * Answers to bond_xmit_broadcast.
 */
import { NET_XMIT_DROP, NETDEV_TX_OK } from '../../base/status.ts';
import { STAT_TX_DROPPED } from '../../device/net_device.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { BOND_LINK_UP, type Bonding, bondSlaveIsUp, type Slave } from './bond.ts';
import { bondDevQueueXmit } from './dev_queue_xmit.ts';

/** Consumes the frame. NETDEV_TX_OK: one slave at least has it. NET_XMIT_DROP: none, counted. */
export function bondXmitBroadcast(bond: Bonding, skb: SkBuff, slaves: readonly Slave[] = bond.allSlaves): number {
  let sent = false;
  let used = false;
  for (let i = 0; i < slaves.length; i++) {
    const slave = slaves[i]!;
    if (!bondSlaveIsUp(slave) || slave.link !== BOND_LINK_UP) continue;
    const last = i + 1 === slaves.length;
    const copy = last ? skb : skb.pool.clone(skb);
    if (copy === null) continue;
    used = last;
    if (bondDevQueueXmit(bond, copy, slave.dev) === NETDEV_TX_OK) sent = true;
  }
  if (!used) {
    if (sent) skb.pool.consume(skb);
    else skb.pool.kfree(skb, DropReason.NO_TX_TARGET);
  }
  if (sent) return NETDEV_TX_OK;
  bond.dev.stats.add(STAT_TX_DROPPED);
  return NET_XMIT_DROP;
}
