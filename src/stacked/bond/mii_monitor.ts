/**
 * The MII monitor: looks at every slave's carrier each `miimon` ms, and makes of it what the bond believes.
 *
 *             no carrier                  downdelay over
 *     UP ------------------> FAIL -----------------------> DOWN        failure_count++, its traffic moves
 *      ^ <----- carrier ------+                              |
 *      |                                                     | carrier
 *      +---- updelay over ---- BACK <------------------------+
 *                                +------- no carrier ------> DOWN
 *
 *  1. inspect: each slave's next state is proposed; a delay of 0 goes through FAIL or BACK in the same tick
 *  2. commit: proposals hold; flags, aggregators, arrays follow; the active slave is chosen anew if that matters
 *  3. an announcement to the neighbours that is due is made
 *
 * With nobody to send at all the first slave that comes back does not wait for its updelay.
 */
import { Loglevel } from '../../machine/printk.ts';
import { ad3AdapterSpeedDuplexChanged, ad3HandleLinkChange } from './ad_3ad.ts';
import { bondAlbHandleLinkChange } from './alb.ts';
import {
  BOND_LINK_BACK,
  BOND_LINK_DOWN,
  BOND_LINK_FAIL,
  BOND_LINK_NOCHANGE,
  BOND_LINK_UP,
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  type Bonding,
  bondIsActiveSlave,
  bondIsLb,
  DUPLEX_HALF,
  type Slave,
  SPEED_UNKNOWN,
} from './bond.ts';
import { bondSetCarrier } from './carrier.ts';
import { bondCheckDevLink, bondNeedsSpeedDuplex, bondUpdateSpeedDuplex } from './link_settings.ts';
import { bondNotifyPeers, bondShouldNotifyPeers } from './peer_notify.ts';
import { bondSelectActiveSlave } from './select_active.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import {
  bondCommitLinkState,
  bondProposeLinkState,
  bondSetActiveSlave,
  bondSetBackupSlave,
  bondSetSlaveInactiveFlags,
  bondSetSlaveLinkState,
  slaveInfo,
  slavePrintk,
} from './slave_state.ts';

/** One tick. Process context; the work that calls it arms itself again. (`bond_mii_monitor`) */
export function bondMiiMonitor(bond: Bonding): void {
  if (bond.slaves.length === 0) return;
  const due = bondShouldNotifyPeers(bond);
  const changed = bondMiimonInspect(bond);
  if (bond.sendPeerNotif > 0) bond.sendPeerNotif--;
  if (changed) bondMiimonCommit(bond);
  if (due) bondNotifyPeers(bond);
}

/** Proposes; true if there is anything to commit. (`bond_miimon_inspect`) */
export function bondMiimonInspect(bond: Bonding): boolean {
  const lonely =
    bond.params.mode === BOND_MODE_ACTIVEBACKUP ? bond.currActiveSlave === null : bond.usableSlaves.length === 0;
  let ignoreUpdelay = lonely;
  let changed = false;
  for (const slave of bond.slaves) {
    bondProposeLinkState(slave, BOND_LINK_NOCHANGE);
    const carrier = bondCheckDevLink(slave.dev);
    if (slave.link === BOND_LINK_UP || slave.link === BOND_LINK_FAIL) inspectUp(bond, slave, carrier);
    else if (inspectDown(bond, slave, carrier, ignoreUpdelay)) ignoreUpdelay = false;
    if (slave.newLink !== BOND_LINK_NOCHANGE) changed = true;
  }
  return changed;
}

/** UP or FAIL. */
function inspectUp(bond: Bonding, slave: Slave, carrier: boolean): void {
  const { downdelay, miimon } = bond.params;
  if (slave.link === BOND_LINK_UP) {
    if (carrier) return;
    bondProposeLinkState(slave, BOND_LINK_FAIL);
    slave.delay = downdelay;
    if (downdelay > 0) {
      const kind =
        bond.params.mode === BOND_MODE_ACTIVEBACKUP ? (bondIsActiveSlave(slave) ? 'active ' : 'backup ') : '';
      slaveInfo(slave, `link status down for ${kind}interface, disabling it in ${downdelay * miimon} ms`);
    }
  } else if (carrier) {
    bondProposeLinkState(slave, BOND_LINK_UP);
    slave.lastLinkUpNs = bond.net.machine.executive.now();
    slaveInfo(slave, `link status up again after ${(downdelay - slave.delay) * miimon} ms`);
    return;
  }
  if (slave.delay <= 0) bondProposeLinkState(slave, BOND_LINK_DOWN);
  else slave.delay--;
}

/** DOWN or BACK; true: it came up without having to wait, and nobody else does. */
function inspectDown(bond: Bonding, slave: Slave, carrier: boolean, ignoreUpdelay: boolean): boolean {
  const { updelay, miimon } = bond.params;
  if (slave.link === BOND_LINK_DOWN) {
    if (!carrier) return false;
    bondProposeLinkState(slave, BOND_LINK_BACK);
    slave.delay = updelay;
    if (updelay > 0) slaveInfo(slave, `link status up, enabling it in ${ignoreUpdelay ? 0 : updelay * miimon} ms`);
  } else if (!carrier) {
    bondProposeLinkState(slave, BOND_LINK_DOWN);
    slaveInfo(slave, `link status down again after ${(updelay - slave.delay) * miimon} ms`);
    return false;
  }
  if (ignoreUpdelay) slave.delay = 0;
  if (slave.delay > 0) {
    slave.delay--;
    return false;
  }
  bondProposeLinkState(slave, BOND_LINK_UP);
  return true;
}

/** What was proposed holds from now on. (`bond_miimon_commit`) */
export function bondMiimonCommit(bond: Bonding): void {
  let failover = false;
  for (const slave of bond.slaves) {
    const { newLink } = slave;
    if (newLink === BOND_LINK_UP) failover = commitUp(bond, slave) || failover;
    else if (newLink === BOND_LINK_DOWN) failover = commitDown(bond, slave) || failover;
    else if (newLink === BOND_LINK_NOCHANGE) {
      // Its port may have been disabled for a speed that nobody could read, and it has one by now.
      if (bond.params.mode === BOND_MODE_8023AD && slave.link === BOND_LINK_UP) ad3AdapterSpeedDuplexChanged(slave);
    } else bondCommitLinkState(slave);
  }
  if (failover) {
    bond.blockNetpollTx++;
    bondSelectActiveSlave(bond);
    bond.blockNetpollTx--;
  }
  bondSetCarrier(bond);
}

/** True: the active slave is to be chosen anew. */
function commitUp(bond: Bonding, slave: Slave): boolean {
  const { mode } = bond.params;
  if (!bondUpdateSpeedDuplex(slave) && bondNeedsSpeedDuplex(bond)) {
    bondSetSlaveLinkState(slave, BOND_LINK_DOWN);
    slavePrintk(bond, slave.dev, Loglevel.WARNING, 'failed to get link speed/duplex');
    return false;
  }
  bondSetSlaveLinkState(slave, BOND_LINK_UP);
  slave.lastLinkUpNs = bond.net.machine.executive.now();
  if (mode === BOND_MODE_8023AD) bondSetBackupSlave(slave);
  else if (mode !== BOND_MODE_ACTIVEBACKUP) bondSetActiveSlave(slave);
  const speed = slave.speed === SPEED_UNKNOWN ? 0 : slave.speed;
  const duplex = slave.duplex === DUPLEX_HALF ? 'half' : 'full';
  slaveInfo(slave, `link status definitely up, ${speed} Mbps ${duplex} duplex`);
  bondMiimonLinkChange(bond, slave, BOND_LINK_UP);
  const active = bond.currActiveSlave;
  return active === null || slave === bond.primarySlave || slave.prio > active.prio;
}

function commitDown(bond: Bonding, slave: Slave): boolean {
  const { mode } = bond.params;
  slave.linkFailureCount++;
  bondSetSlaveLinkState(slave, BOND_LINK_DOWN);
  if (mode === BOND_MODE_ACTIVEBACKUP || mode === BOND_MODE_8023AD) bondSetSlaveInactiveFlags(slave);
  slaveInfo(slave, 'link status definitely down, disabling slave');
  bondMiimonLinkChange(bond, slave, BOND_LINK_DOWN);
  return slave === bond.currActiveSlave;
}

/** Those who choose slaves learn of it. (`bond_miimon_link_change`) */
export function bondMiimonLinkChange(bond: Bonding, slave: Slave, link: number): void {
  const { mode } = bond.params;
  if (mode === BOND_MODE_8023AD) ad3HandleLinkChange(slave, link === BOND_LINK_UP);
  else if (bondIsLb(bond)) bondAlbHandleLinkChange(bond, slave, link);
  else bondUpdateSlaveArr(bond);
}
