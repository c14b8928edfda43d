/**
 * Netpoll over a bond: whoever sets up netpoll on bond0 gets it on every slave, each with a netpoll client of its own.
 *
 *     netpollSetup(bond0) --> netpollSetup of the bond --> slave.np on eth0, on eth1         all of them, or none
 *     netpollSendSkb(bond0) -> bond chooses eth1 -> netpollSendSkb(slave.np, eth1)           dev_queue_xmit.ts
 *     netpollPoll(bond0) ----> pollController of the bond -> netpollPollDev(eth0), (eth1)    as many frames as bond0 may
 *     frame on eth1 ---------> passUp? as if it had come in on bond0 --> bond0's clients
 *
 * A frame is passed up only from a slave that receives for the bond, as in rx_handler.ts.
 */
import { Errno } from '../../base/status.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { Loglevel } from '../../machine/printk.ts';
import { netpollCleanup, netpollSetupLower } from '../../netpoll/attach.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { netpollPollDev } from '../../netpoll/poll.ts';
import { ad3GetActiveAggInfo } from './ad_carrier.ts';
import { BOND_MODE_8023AD, bondOf, bondSlaveIsUp, type Slave } from './bond.ts';
import { bondShouldDeliverExactMatch } from './rx_handler.ts';
import { slavePrintk } from './slave_state.ts';

/** All slaves, or none and the errno of the one that cannot. (`bond_netpoll_setup`) */
export function bondNetpollSetup(dev: NetDevice): number {
  for (const slave of bondOf(dev).slaves) {
    const error = slaveEnableNetpoll(slave);
    if (error >= 0) continue;
    bondNetpollCleanup(dev);
    return error;
  }
  return 0;
}

/** (`bond_netpoll_cleanup`, which forgets the slaves that are down) */
export function bondNetpollCleanup(dev: NetDevice): void {
  for (const slave of bondOf(dev).slaves) slaveDisableNetpoll(slave);
}

/** The slave gets its own client; 0, or the errno of its device. (`slave_enable_netpoll`) */
function slaveEnableNetpoll(slave: Slave): number {
  if (slave.np !== null) return 0;
  const np = netpollSetupLower(slave.bond.dev, slave.dev, (skb) => !bondShouldDeliverExactMatch(slave, skb));
  if (typeof np === 'number') return np;
  slave.np = np;
  return 0;
}

/** (`slave_disable_netpoll`) */
export function slaveDisableNetpoll(slave: Slave): void {
  const { np } = slave;
  slave.np = null;
  if (np !== null) netpollCleanup(np);
}

/** A new slave, of a bond that netpoll may be using. 0, or -EBUSY: it may not join, and the log says why. */
export function bondNetpollJoin(slave: Slave): number {
  const { bond } = slave;
  if (npinfoOf(bond.dev) === null || slaveEnableNetpoll(slave) === 0) return 0;
  const why = 'master_dev is using netpoll, but new slave device does not support netpoll';
  slavePrintk(bond, slave.dev, Loglevel.ERR, why);
  return -Errno.EBUSY;
}

/** Polls what can carry traffic; 802.3ad: the active aggregator. Interrupts are off. (`bond_poll_controller`) */
export function bondPollController(dev: NetDevice): void {
  const bond = bondOf(dev);
  let aggregator = -1;
  if (bond.params.mode === BOND_MODE_8023AD) {
    const active = ad3GetActiveAggInfo(bond);
    if (active === null) return;
    aggregator = active.aggregatorId;
  }
  for (const slave of bond.slaves) {
    if (aggregator >= 0 && slave.ad?.aggregator?.id !== aggregator) continue;
    if (bondSlaveIsUp(slave)) netpollPollDev(slave.dev);
  }
}
