/**
 * The ARP monitor: a slave is alive if frames come in on it, and probes see to it that there are some. Every arp_interval ms:
 *
 *   modes that use all slaves (balance-rr, balance-xor, broadcast):
 *     not UP --sent and heard within 1 interval--> UP        UP --not sent or not heard for missed_max--> DOWN
 *     every slave whose device is up probes
 *
 *   active-backup:
 *     inspect   not UP --heard within 1--> UP     BACK, not heard --> FAIL
 *               active --not sent or not heard for missed_max--> DOWN      backup --not heard for missed_max + 1--> DOWN
 *               (for two intervals after it came up a slave is left alone; backups, too, while another one is searched for)
 *     commit    proposals hold; another slave becomes the active one
 *     probe     the active slave probes; if there is none, one after the other is tried: BACK, in use, for one interval
 *
 * All intervals have half a one of grace. What counts as heard: arp_rcv.ts. Probes: arp_probe.ts. Process context.
 * Answers to bond_loadbalance_arp_mon, bond_activebackup_arp_mon.
 */
import { bondTimeInInterval } from './arp_interval.ts';
import { bondSendValidate } from './arp_probe.ts';
import {
  BOND_LINK_BACK,
  BOND_LINK_DOWN,
  BOND_LINK_FAIL,
  BOND_LINK_NOCHANGE,
  BOND_LINK_UP,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_XOR,
  type Bonding,
  bondIsActiveSlave,
  bondSlaveIsUp,
  type Slave,
  slaveLastRxNs,
} from './bond.ts';
import { bondSetCarrier } from './carrier.ts';
import { bondNotifyPeers, bondShouldNotifyPeers } from './peer_notify.ts';
import { bondSelectActiveSlave } from './select_active.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import {
  bondProposeLinkState,
  bondSetActiveSlave,
  bondSetBackupSlave,
  bondSetSlaveActiveFlags,
  bondSetSlaveInactiveFlags,
  bondSetSlaveLinkState,
  slaveInfo,
} from './slave_state.ts';

export { bondArpRcv } from './arp_rcv.ts';

/** One tick; the work that calls it arms itself again. (`bond_arp_monitor`) */
export function bondArpMonitor(bond: Bonding): void {
  if (bond.slaves.length === 0) return;
  if (bond.params.mode === BOND_MODE_ACTIVEBACKUP) activebackupArpMon(bond);
  else loadbalanceArpMon(bond);
}

function loadbalanceArpMon(bond: Bonding): void {
  const { missedMax, mode } = bond.params;
  const active = bond.currActiveSlave;
  let changed = false;
  let failover = false;
  for (const slave of bond.slaves) {
    bondProposeLinkState(slave, BOND_LINK_NOCHANGE);
    if (slave.link !== BOND_LINK_UP) {
      if (alive(bond, slave, 1)) {
        bondProposeLinkState(slave, BOND_LINK_UP);
        changed = true;
        failover ||= active === null;
        slaveInfo(slave, active === null ? 'link status definitely up' : 'interface is now up');
      }
    } else if (!alive(bond, slave, missedMax)) {
      bondProposeLinkState(slave, BOND_LINK_DOWN);
      changed = true;
      failover ||= slave === active;
      slave.linkFailureCount++;
      slaveInfo(slave, 'interface is now down');
    }
    // By every link, for each must hear something; behind a switch that balances by addresses all answers may come by one.
    if (bondSlaveIsUp(slave)) bondSendValidate(bond, slave);
  }
  if (!changed) return;
  for (const slave of bond.slaves) {
    if (slave.newLink !== BOND_LINK_NOCHANGE) slave.link = slave.newLink;
    if (slave.link === BOND_LINK_UP) bondSetActiveSlave(slave);
    else if (slave.link === BOND_LINK_DOWN) bondSetBackupSlave(slave);
  }
  if (mode === BOND_MODE_XOR) bondUpdateSlaveArr(bond);
  if (failover) selectActive(bond);
  bondSetCarrier(bond);
}

/** Something was sent and heard within so many intervals. */
function alive(bond: Bonding, slave: Slave, intervals: number): boolean {
  return bondTimeInInterval(bond, slave.lastTxNs, intervals) && bondTimeInInterval(bond, slave.lastRxNs, intervals);
}

function activebackupArpMon(bond: Bonding): void {
  const due = bondShouldNotifyPeers(bond);
  if (bondAbArpInspect(bond)) bondAbArpCommit(bond);
  bondAbArpProbe(bond);
  if (!due || bond.sendPeerNotif === 0) return;
  bond.sendPeerNotif--;
  bondNotifyPeers(bond);
}

/** Proposes; true if there is anything to commit. (`bond_ab_arp_inspect`) */
export function bondAbArpInspect(bond: Bonding): boolean {
  const { missedMax } = bond.params;
  let commit = false;
  for (const slave of bond.slaves) {
    const next = inspected(bond, slave, missedMax);
    bondProposeLinkState(slave, next);
    if (next !== BOND_LINK_NOCHANGE) commit = true;
  }
  return commit;
}

function inspected(bond: Bonding, slave: Slave, missedMax: number): number {
  const lastRxNs = slaveLastRxNs(bond, slave);
  if (slave.link !== BOND_LINK_UP) {
    if (bondTimeInInterval(bond, lastRxNs, 1)) return BOND_LINK_UP;
    return slave.link === BOND_LINK_BACK ? BOND_LINK_FAIL : BOND_LINK_NOCHANGE;
  }
  // Answers need a whole cycle to come in.
  if (bondTimeInInterval(bond, slave.lastLinkUpNs, 2)) return BOND_LINK_NOCHANGE;
  if (!bondIsActiveSlave(slave)) {
    const missed = bond.currentArpSlave === null && !bondTimeInInterval(bond, lastRxNs, missedMax + 1);
    return missed ? BOND_LINK_DOWN : BOND_LINK_NOCHANGE;
  }
  const fine = bondTimeInInterval(bond, slave.lastTxNs, missedMax) && bondTimeInInterval(bond, lastRxNs, missedMax);
  return fine ? BOND_LINK_NOCHANGE : BOND_LINK_DOWN;
}

/** What was proposed holds from now on. (`bond_ab_arp_commit`) */
export function bondAbArpCommit(bond: Bonding): void {
  let failover = false;
  for (const slave of bond.slaves) {
    if (slave.newLink === BOND_LINK_UP) failover = commitUp(bond, slave) || failover;
    else if (slave.newLink === BOND_LINK_DOWN) failover = commitDown(bond, slave) || failover;
    else if (slave.newLink === BOND_LINK_FAIL) commitFail(bond, slave);
  }
  if (failover) selectActive(bond);
  bondSetCarrier(bond);
}

/** True: the active slave is to be chosen anew. */
function commitUp(bond: Bonding, slave: Slave): boolean {
  const active = bond.currActiveSlave;
  if (active === slave) return false;
  bondSetSlaveLinkState(slave, BOND_LINK_UP);
  if (bond.currentArpSlave !== null) {
    bondSetSlaveInactiveFlags(bond.currentArpSlave);
    bond.currentArpSlave = null;
  }
  slaveInfo(slave, 'link status definitely up');
  return active === null || slave === bond.primarySlave || slave.prio > active.prio;
}

function commitDown(bond: Bonding, slave: Slave): boolean {
  slave.linkFailureCount++;
  bondSetSlaveLinkState(slave, BOND_LINK_DOWN);
  bondSetSlaveInactiveFlags(slave);
  slaveInfo(slave, 'link status definitely down, disabling slave');
  if (slave !== bond.currActiveSlave) return false;
  bond.currentArpSlave = null;
  return true;
}

/** The slave that was tried has not heard anything: the next one's turn. */
function commitFail(bond: Bonding, slave: Slave): void {
  bondSetSlaveLinkState(slave, BOND_LINK_FAIL);
  bondSetSlaveInactiveFlags(slave);
  if (bond.currActiveSlave !== null) bond.currentArpSlave = null;
}

/** (`bond_ab_arp_probe`) */
export function bondAbArpProbe(bond: Bonding): void {
  if (bond.currActiveSlave !== null) {
    bondSendValidate(bond, bond.currActiveSlave);
    return;
  }
  const { slaves } = bond;
  const after = slaves.indexOf(bond.currentArpSlave ?? slaves[0]!);
  for (const slave of slaves) {
    // Its device went down before the monitor has missed anything.
    if (bondSlaveIsUp(slave) || slave.link !== BOND_LINK_UP) continue;
    bondSetSlaveLinkState(slave, BOND_LINK_DOWN);
    slave.linkFailureCount++;
    bondSetSlaveInactiveFlags(slave);
    slaveInfo(slave, 'backup interface is now down');
  }
  for (let i = 1; i <= slaves.length; i++) {
    const slave = slaves[(after + i) % slaves.length]!;
    if (!bondSlaveIsUp(slave)) continue;
    bondSetSlaveLinkState(slave, BOND_LINK_BACK);
    bondSetSlaveActiveFlags(slave);
    bondSendValidate(bond, slave);
    slave.lastLinkUpNs = bond.net.machine.executive.now();
    bond.currentArpSlave = slave;
    return;
  }
}

function selectActive(bond: Bonding): void {
  bond.blockNetpollTx++;
  bondSelectActiveSlave(bond);
  bond.blockNetpollTx--;
}
