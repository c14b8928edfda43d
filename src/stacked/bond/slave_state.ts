/**
 * What a slave is at the moment: active or backup, receiving or not, its link as the monitor sees it; and what is said of it.
 *
 *     backup    BOND_STATE_ACTIVE: transmit may choose it
 *     inactive  frames that come in on it are for nobody but who asks for this device (unless all_slaves_active)
 */
import { NetdevEvent } from '../../device/netdev_event.ts';
import { Loglevel } from '../../machine/printk.ts';
import {
  BOND_LINK_NOCHANGE,
  BOND_STATE_ACTIVE,
  BOND_STATE_BACKUP,
  type Bonding,
  bondIsLb,
  type Slave,
} from './bond.ts';

/** In use. (`bond_set_active_slave`) */
export function bondSetActiveSlave(slave: Slave): void {
  setState(slave, BOND_STATE_ACTIVE);
}

/** In reserve. (`bond_set_backup_slave`) */
export function bondSetBackupSlave(slave: Slave): void {
  setState(slave, BOND_STATE_BACKUP);
}

function setState(slave: Slave, state: number): void {
  if (slave.backup === state) return;
  slave.backup = state;
  tell(slave);
}

/** Sends and receives. (`bond_set_slave_active_flags`) */
export function bondSetSlaveActiveFlags(slave: Slave): void {
  bondSetActiveSlave(slave);
  slave.inactive = false;
}

/** Does neither; in balance-tlb and -alb it goes on sending. (`bond_set_slave_inactive_flags`) */
export function bondSetSlaveInactiveFlags(slave: Slave): void {
  if (!bondIsLb(slave.bond)) bondSetBackupSlave(slave);
  if (!slave.bond.params.allSlavesActive) slave.inactive = true;
}

/** The link is `state` from now on. (`bond_set_slave_link_state`) */
export function bondSetSlaveLinkState(slave: Slave, state: number): void {
  if (slave.link === state) return;
  slave.link = state;
  tell(slave);
}

/** The link will be `state` when the monitor commits. (`bond_propose_link_state`) */
export function bondProposeLinkState(slave: Slave, state: number): void {
  slave.newLink = state;
}

/** What was proposed holds. (`bond_commit_link_state`) */
export function bondCommitLinkState(slave: Slave): void {
  if (slave.newLink !== BOND_LINK_NOCHANGE) bondSetSlaveLinkState(slave, slave.newLink);
}

function tell(slave: Slave): void {
  slave.dev.net.notify(NetdevEvent.CHANGELOWERSTATE, slave.dev);
}

/** A line about a slave, or about a device that would be one. (`slave_info`, `slave_err`) */
export function slavePrintk(bond: Bonding, dev: { readonly name: string }, level: number, text: string): void {
  bond.net.machine.printk.printk(level, `${bond.dev.name}: (slave ${dev.name}): ${text}`);
}

export function slaveInfo(slave: Slave, text: string): void {
  slavePrintk(slave.bond, slave.dev, Loglevel.INFO, text);
}

/** A line about the bond. (`netdev_info`) */
export function bondPrintk(bond: Bonding, level: number, text: string): void {
  bond.net.machine.printk.printk(level, `${bond.dev.name}: ${text}`);
}
