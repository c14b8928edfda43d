/**
 * Who wants every frame of the bond (PROMISC, ALLMULTI) wants it of the slaves: of the active one where there is one, of all
 * otherwise. Every slave remembers what it was given, so this may be called whenever something has changed.
 */
import { devSetAllmulti, devSetPromiscuity } from '../../device/change.ts';
import { IFF_ALLMULTI, IFF_PROMISC } from '../../device/net_device.ts';
import { type Bonding, bondUsesPrimary, type Slave } from './bond.ts';

/** (`bond_set_promiscuity`, `bond_set_allmulti`, `bond_hw_addr_swap`) */
export function bondSyncRxMode(bond: Bonding): void {
  const { flags } = bond.dev;
  for (const slave of bond.slaves) {
    const concerned = !bondUsesPrimary(bond) || slave === bond.currActiveSlave;
    give(slave, concerned && (flags & IFF_PROMISC) !== 0, concerned && (flags & IFF_ALLMULTI) !== 0);
  }
}

/** A slave that leaves is as it was. */
export function bondForgetRxMode(slave: Slave): void {
  give(slave, false, false);
}

function give(slave: Slave, promisc: boolean, allmulti: boolean): void {
  if (slave.promisc !== promisc && devSetPromiscuity(slave.dev, promisc ? 1 : -1) === 0) slave.promisc = promisc;
  if (slave.allmulti !== allmulti && devSetAllmulti(slave.dev, allmulti ? 1 : -1) === 0) slave.allmulti = allmulti;
}
