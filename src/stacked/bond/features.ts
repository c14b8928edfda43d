/**
 * What a bond can do, of what its slaves can: for most features one slave that has them is enough, because a frame that its
 * own slave cannot take as it is will be made fit on that slave's way down. Checksums are left to the slaves altogether.
 */
import {
  NETIF_F_ALL_TSO,
  NETIF_F_CSUM_MASK,
  NETIF_F_FRAGLIST,
  NETIF_F_GSO_ROBUST,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HIGHDMA,
  NETIF_F_HW_CSUM,
  NETIF_F_HW_VLAN_CTAG_RX,
  NETIF_F_HW_VLAN_CTAG_TX,
  NETIF_F_HW_VLAN_STAG_TX,
  NETIF_F_SG,
} from '../../device/features.ts';
import { netdevUpdateFeatures } from '../../device/update_features.ts';
import type { Bonding } from './bond.ts';

/** What a bond offers. (`BOND_VLAN_FEATURES`) */
export const BOND_FEATURES =
  NETIF_F_HW_CSUM |
  NETIF_F_SG |
  NETIF_F_FRAGLIST |
  NETIF_F_ALL_TSO |
  NETIF_F_GSO_UDP_L4 |
  NETIF_F_HIGHDMA |
  // A tag stays beside the frame as far as the slave, so that hash and mode see what is behind it.
  NETIF_F_HW_VLAN_CTAG_TX |
  NETIF_F_HW_VLAN_STAG_TX |
  NETIF_F_HW_VLAN_CTAG_RX;
/** One slave is enough. (`NETIF_F_ONE_FOR_ALL`) */
const ONE_FOR_ALL =
  NETIF_F_ALL_TSO | NETIF_F_GSO_UDP_L4 | NETIF_F_GSO_ROBUST | NETIF_F_SG | NETIF_F_HIGHDMA | NETIF_F_FRAGLIST;

/** Of `features`, what the slaves back. (`bond_fix_features`) */
export function bondFixFeatures(bond: Bonding, features: number): number {
  let all = features & ~ONE_FOR_ALL;
  for (const { dev } of bond.slaves) all |= dev.features & (ONE_FOR_ALL | NETIF_F_CSUM_MASK) & features;
  if ((all & NETIF_F_HW_CSUM) !== 0) all &= ~(NETIF_F_CSUM_MASK & ~NETIF_F_HW_CSUM);
  // Whatever a slave cannot do is done in software behind the bond.
  return all | (features & NETIF_F_ALL_TSO);
}

/** After slaves came, went or changed. (`bond_compute_features`) */
export function bondComputeFeatures(bond: Bonding): void {
  const { dev, slaves } = bond;
  dev.hardHeaderLen = Math.max(14, ...slaves.map((slave) => slave.dev.hardHeaderLen));
  let vlan = 0;
  for (const slave of slaves) vlan |= slave.dev.vlanFeatures & BOND_FEATURES;
  dev.vlanFeatures = vlan;
  netdevUpdateFeatures(dev);
}
