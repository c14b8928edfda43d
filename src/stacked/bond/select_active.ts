/**
 * Which slave is the active one (modes 1, 5 and 6), and what happens when another one becomes it.
 *
 *  1. primary is up: it, unless the present one is up too and primary_reselect says to stay (better: as fast; failure: always)
 *  2. no primary that is up: the slave with the highest prio among those that are up, with the same question to the present one
 *  3. nobody is up: who is coming back and has the least to wait of its updelay comes back early
 *
 * Answers to bond_find_best_slave, bond_change_active_slave, bond_select_active_slave.
 */
import { netifCarrierOk, netifRunning } from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { Loglevel } from '../../machine/printk.ts';
import { ad3HandleLinkChange } from './ad_3ad.ts';
import { bondAlbHandleActiveChange, bondAlbHandleLinkChange } from './alb.ts';
import {
  BOND_LINK_BACK,
  BOND_LINK_UP,
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ROUNDROBIN,
  BOND_PRI_RESELECT_ALWAYS,
  BOND_PRI_RESELECT_BETTER,
  type Bonding,
  bondIsLb,
  bondSlaveIsUp,
  bondUsesPrimary,
  type Slave,
} from './bond.ts';
import { bondSetCarrier } from './carrier.ts';
import { bondDoFailOverMac } from './fail_over_mac.ts';
import { bondNotifyPeers, bondShouldNotifyPeers } from './peer_notify.ts';
import { bondSyncRxMode } from './rx_mode.ts';
import {
  bondPrintk,
  bondSetSlaveActiveFlags,
  bondSetSlaveInactiveFlags,
  bondSetSlaveLinkState,
  slaveInfo,
} from './slave_state.ts';

/** Chooses anew, and changes over if that is another one. Netpoll is kept out meanwhile by the caller. */
export function bondSelectActiveSlave(bond: Bonding): void {
  const best = bondFindBestSlave(bond);
  if (best === bond.currActiveSlave) return;
  bondChangeActiveSlave(bond, best);
  if (!bondSetCarrier(bond)) return;
  const up = netifCarrierOk(bond.dev);
  bondPrintk(bond, Loglevel.INFO, up ? 'active interface up!' : 'now running without any active interface!');
}

/** Null: none can be. */
export function bondFindBestSlave(bond: Bonding): Slave | null {
  const chosen = choosePrimaryOrCurrent(bond);
  if (chosen !== null) return chosen;
  let best: Slave | null = null;
  let least = bond.params.updelay;
  for (const slave of bond.slaves) {
    if (slave.link === BOND_LINK_UP) return slave;
    if (slave.link === BOND_LINK_BACK && bondSlaveIsUp(slave) && slave.delay < least) {
      least = slave.delay;
      best = slave;
    }
  }
  return best;
}

/** (`bond_choose_primary_or_current`) */
function choosePrimaryOrCurrent(bond: Bonding): Slave | null {
  const present = bond.currActiveSlave;
  const presentUp = present !== null && present.link === BOND_LINK_UP;
  let wanted = bond.primarySlave;
  if (wanted === null || wanted.link !== BOND_LINK_UP) {
    wanted = highestPrio(bond);
    if (wanted === null || wanted === present) return presentUp ? present : null;
  } else if (bond.forcePrimary) {
    bond.forcePrimary = false;
    return wanted;
  }
  return presentUp && staysActive(bond.params.primaryReselect, wanted, present) ? present : wanted;
}

/** The first of the highest prio among those that are up. */
function highestPrio(bond: Bonding): Slave | null {
  let best: Slave | null = null;
  for (const slave of bond.slaves) {
    if (slave.link === BOND_LINK_UP && (best === null || slave.prio > best.prio)) best = slave;
  }
  return best;
}

/** Both are up: `present` stays although `wanted` could take over. */
function staysActive(reselect: number, wanted: Slave, present: Slave): boolean {
  if (reselect === BOND_PRI_RESELECT_ALWAYS) return false;
  if (reselect !== BOND_PRI_RESELECT_BETTER) return true;
  if (wanted.speed !== present.speed) return wanted.speed < present.speed;
  return wanted.duplex <= present.duplex;
}

/** Null: nobody is active from now on. */
export function bondChangeActiveSlave(bond: Bonding, newActive: Slave | null): void {
  const oldActive = bond.currActiveSlave;
  if (oldActive === newActive) return;
  if (newActive !== null) promote(bond, newActive);
  if (bondIsLb(bond)) {
    bondAlbHandleActiveChange(bond, newActive);
    if (oldActive !== null) bondSetSlaveInactiveFlags(oldActive);
    if (newActive !== null) bondSetSlaveActiveFlags(newActive);
  }
  bond.currActiveSlave = newActive;
  if (bondUsesPrimary(bond)) bondSyncRxMode(bond);
  if (bond.params.mode === BOND_MODE_ACTIVEBACKUP) changeOver(bond, newActive, oldActive);
  resendIgmp(bond, newActive);
}

/** Who was still waiting for its updelay comes back now. */
function promote(bond: Bonding, slave: Slave): void {
  const { net, params } = bond;
  slave.lastLinkUpNs = net.machine.executive.now();
  if (slave.link !== BOND_LINK_BACK) {
    if (bondUsesPrimary(bond)) slaveInfo(slave, 'making interface the new active one');
    return;
  }
  const earlierMs = (params.updelay - slave.delay) * params.miimon;
  if (bondUsesPrimary(bond)) slaveInfo(slave, `making interface the new active one ${earlierMs} ms earlier`);
  slave.delay = 0;
  bondSetSlaveLinkState(slave, BOND_LINK_UP);
  if (params.mode === BOND_MODE_8023AD) ad3HandleLinkChange(slave, true);
  if (bondIsLb(bond)) bondAlbHandleLinkChange(bond, slave, BOND_LINK_UP);
}

/** Active-backup: flags, addresses, announcements. */
function changeOver(bond: Bonding, newActive: Slave | null, oldActive: Slave | null): void {
  if (oldActive !== null) bondSetSlaveInactiveFlags(oldActive);
  if (newActive === null) return;
  bondSetSlaveActiveFlags(newActive);
  bondDoFailOverMac(bond, newActive, oldActive);
  const { params, dev } = bond;
  if (netifRunning(dev)) bond.sendPeerNotif = params.numPeerNotif * Math.max(1, params.peerNotifDelay);
  const due = netifRunning(dev) && bondShouldNotifyPeers(bond);
  bond.net.notify(NetdevEvent.BONDING_FAILOVER, dev);
  if (!due) return;
  bond.sendPeerNotif--;
  bondNotifyPeers(bond);
}

/** The groups of the bond are joined again through the new slave. */
function resendIgmp(bond: Bonding, newActive: Slave | null): void {
  const { params, dev } = bond;
  const concerned = bondUsesPrimary(bond) ? newActive !== null : params.mode === BOND_MODE_ROUNDROBIN;
  if (!netifRunning(dev) || params.resendIgmp === 0 || !concerned) return;
  bond.igmpRetrans = params.resendIgmp;
  bond.mcastWork?.schedule(bond.net.machine.jiffyNs);
}
