// hot
/**
 * The last step of a bond's transmit: the frame goes to the slave's own queue; or, while netpoll transmits, to the slave's own
 * netpoll, since dev_queue_xmit may not be called with interrupts off.
 *
 *     netpollSendSkb(bond0) --> bond's startXmit --> mode chooses eth1 --> netpollSendSkb(eth1)
 *     devQueueXmit(bond0)  ---> bond's startXmit --> mode chooses eth1 --> devQueueXmit(eth1)
 */
import { NETDEV_TX_OK } from '../../base/status.ts';
import { type NetDevice, STAT_TX_DROPPED } from '../../device/net_device.ts';
import { netpollSendSkb, netpollTxRunning } from '../../netpoll/send.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { type Bonding, bondGetSlaveByDev } from './bond.ts';

/** Sends the frame through `dev`, one of the bond's. The frame is consumed. (`bond_dev_queue_xmit`) */
export function bondDevQueueXmit(bond: Bonding, skb: SkBuff, dev: NetDevice): number {
  skb.dev = dev;
  if (!netpollTxRunning(dev)) return devQueueXmit(skb);
  const slave = bondGetSlaveByDev(bond, dev);
  if (slave === undefined || slave.np === null) return bondTxDrop(bond, skb);
  return netpollSendSkb(slave.np, skb);
}

/** No slave can send it: freed and counted. Always NETDEV_TX_OK: it is gone. (`bond_tx_drop`) */
export function bondTxDrop(bond: Bonding, skb: SkBuff): number {
  bond.dev.stats.add(STAT_TX_DROPPED);
  skb.pool.kfree(skb, DropReason.NO_TX_TARGET);
  return NETDEV_TX_OK;
}
