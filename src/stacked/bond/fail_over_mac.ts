/**
 * Who has which hardware address.
 *
 *     fail_over_mac   bond                       slaves
 *     none 0          its own, for good          all have the bond's; their own again when they leave
 *     active 1        the active slave's         keep their own
 *     follow 2        the first slave's          the active one has the bond's; two swap when they take turns
 *
 * balance-tlb and -alb have rules of their own (alb.ts).
 */
import { Errno } from '../../base/status.ts';
import { devSetMacAddress, ethHwAddrSet } from '../../device/dev_addr.ts';
import { NET_ADDR_STOLEN, type NetDevice } from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { Loglevel } from '../../machine/printk.ts';
import { isValidMac, macEquals } from '../../wire/eth.ts';
import {
  BOND_FOM_ACTIVE,
  BOND_FOM_FOLLOW,
  BOND_FOM_NONE,
  BOND_MODE_ACTIVEBACKUP,
  type Bonding,
  type Slave,
} from './bond.ts';
import { slavePrintk } from './slave_state.ts';

/** The bond takes a slave's address. 0, or the errno of who objects. (`bond_set_dev_addr`) */
export function bondSetDevAddr(bond: Bonding, from: NetDevice): number {
  const { dev } = bond;
  const verdict = dev.net.notify(NetdevEvent.PRE_CHANGEADDR, dev);
  if (verdict < 0) return verdict;
  ethHwAddrSet(dev, from.devAddr);
  dev.addrAssignType = NET_ADDR_STOLEN;
  dev.net.notify(NetdevEvent.CHANGEADDR, dev);
  return 0;
}

/** Addresses after the active slave has changed; either may be null. (`bond_do_fail_over_mac`) */
export function bondDoFailOverMac(bond: Bonding, newActive: Slave | null, oldActive: Slave | null): void {
  if (newActive === null) return;
  if (bond.params.failOverMac === BOND_FOM_ACTIVE) {
    const error = bondSetDevAddr(bond, newActive.dev);
    if (error < 0) slavePrintk(bond, bond.dev, Loglevel.ERR, `Error ${error} setting bond MAC from slave`);
  } else if (bond.params.failOverMac === BOND_FOM_FOLLOW) {
    swap(bond, newActive, oldActive ?? bondGetOldActive(bond, newActive));
  }
}

/** The new active slave gets the bond's address, the old one what the new one had. */
function swap(bond: Bonding, newActive: Slave, oldActive: Slave | null): void {
  const spare = newActive.dev.devAddr.slice();
  const error = devSetMacAddress(newActive.dev, (oldActive?.dev ?? bond.dev).devAddr.slice());
  if (error < 0) {
    slavePrintk(bond, newActive.dev, Loglevel.ERR, `Error ${error} setting MAC of new active slave`);
    return;
  }
  if (oldActive === null) return;
  const undone = devSetMacAddress(oldActive.dev, spare);
  if (undone < 0) slavePrintk(bond, oldActive.dev, Loglevel.ERR, `Error ${undone} setting MAC of old active slave`);
}

/** A slave that still has the bond's address from when it was the active one. (`bond_get_old_active`) */
function bondGetOldActive(bond: Bonding, newActive: Slave): Slave | null {
  return bond.slaves.find((slave) => slave !== newActive && macEquals(slave.dev.devAddr, 0, bond.dev.devAddr)) ?? null;
}

/** A user sets the bond's address: all slaves get it, or none. Not for balance-tlb and -alb. (`bond_set_mac_address`) */
export function bondSetMacAddress(bond: Bonding, mac: Uint8Array): number {
  const { dev, slaves, params } = bond;
  // The active slave says which address the bond has; the kernel takes the order and does nothing.
  if (params.failOverMac !== BOND_FOM_NONE && params.mode === BOND_MODE_ACTIVEBACKUP) return 0;
  if (!isValidMac(mac)) return -Errno.EADDRNOTAVAIL;
  for (let i = 0; i < slaves.length; i++) {
    const error = devSetMacAddress(slaves[i]!.dev, mac);
    if (error >= 0) continue;
    for (let done = 0; done < i; done++) devSetMacAddress(slaves[done]!.dev, dev.devAddr.slice());
    return error;
  }
  ethHwAddrSet(dev, mac);
  return 0;
}

/** A slave's address when it joins; 0 or a negative errno. */
export function bondGiveAddress(bond: Bonding, slave: Slave): number {
  const { params, dev } = bond;
  const own = params.failOverMac !== BOND_FOM_NONE && params.mode === BOND_MODE_ACTIVEBACKUP;
  if (!own) return devSetMacAddress(slave.dev, dev.devAddr.slice());
  const clash = bond.slaves.length > 0 && macEquals(slave.dev.devAddr, 0, dev.devAddr);
  if (params.failOverMac !== BOND_FOM_FOLLOW || !clash) return 0;
  return devSetMacAddress(slave.dev, bond.prng.macAddress());
}

/** And when it leaves: what it had, unless it kept that all the time. */
export function bondRestoreAddress(bond: Bonding, slave: Slave): void {
  const { params } = bond;
  if (params.failOverMac === BOND_FOM_ACTIVE && params.mode === BOND_MODE_ACTIVEBACKUP) return;
  devSetMacAddress(slave.dev, slave.permHwaddr.slice());
}
