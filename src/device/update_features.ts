/**
 * Which features of a device are on: what is wanted, less what does not go together, less what the driver cannot.
 *
 *     wanted --driver's fixFeatures--> --the rules below--> differs from now? driver's setFeatures -> FEAT_CHANGE
 *
 * Answers to __netdev_update_features and netdev_fix_features.
 */
import {
  NETIF_F_ALL_TSO,
  NETIF_F_GRO,
  NETIF_F_GRO_FRAGLIST,
  NETIF_F_GRO_HW,
  NETIF_F_GRO_UDP_FWD,
  NETIF_F_GSO,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HW_CSUM,
  NETIF_F_IP_CSUM,
  NETIF_F_IPV6_CSUM,
  NETIF_F_LRO,
  NETIF_F_RXCSUM,
  NETIF_F_RXFCS,
  NETIF_F_SG,
  NETIF_F_TSO,
  NETIF_F_TSO_ECN,
  NETIF_F_TSO_MANGLEID,
  NETIF_F_TSO6,
} from './features.ts';
import type { NetDevice } from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';

/** Done in software: every device has these, on; and these, off. */
export const NETIF_F_SOFT_FEATURES = NETIF_F_GSO | NETIF_F_GRO;
export const NETIF_F_SOFT_FEATURES_OFF = NETIF_F_GRO_FRAGLIST | NETIF_F_GRO_UDP_FWD;

/** Brings `dev.features` to what is wanted, as far as it goes; tells everybody if that changed anything. */
export function netdevUpdateFeatures(dev: NetDevice): void {
  if (updateFeatures(dev)) dev.net.notify(NetdevEvent.FEAT_CHANGE, dev);
}

/** The same without a word, for a device that is being registered; true if it changed anything. (`__netdev_update_features`) */
export function updateFeatures(dev: NetDevice): boolean {
  let features = (dev.features & ~dev.hwFeatures) | dev.wantedFeatures;
  if (dev.ops.fixFeatures !== undefined) features = dev.ops.fixFeatures(dev, features);
  features = netdevFixFeatures(features);
  if (features === dev.features) return false;
  const error = dev.ops.setFeatures?.(dev, features) ?? 0;
  if (error < 0) {
    dev.net.machine.printk.err(
      `${dev.name}: set_features() failed (${error}); wanted 0x${(features >>> 0).toString(16)}, left 0x${(dev.features >>> 0).toString(16)}`,
    );
    return false;
  }
  // A driver that returns a positive number has stored what it made of it.
  if (error === 0) dev.features = features;
  return true;
}

/** A user wants `on` and does not want `off`; bits that are not in hwFeatures stay. (`ethtool -K`) */
export function devSetWantedFeatures(dev: NetDevice, on: number, off: number): void {
  dev.wantedFeatures = ((dev.wantedFeatures | on) & ~off & dev.hwFeatures) | (dev.wantedFeatures & ~dev.hwFeatures);
  netdevUpdateFeatures(dev);
}

/** What goes together. (`netdev_fix_features`) */
export function netdevFixFeatures(features: number): number {
  const has = (bits: number): boolean => (features & bits) !== 0;
  const drop = (bits: number): void => {
    features &= ~bits;
  };
  if (has(NETIF_F_HW_CSUM)) drop(NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM);
  if (!has(NETIF_F_SG)) drop(NETIF_F_ALL_TSO);
  if (!has(NETIF_F_HW_CSUM | NETIF_F_IP_CSUM)) drop(NETIF_F_TSO | NETIF_F_TSO_ECN);
  if (!has(NETIF_F_HW_CSUM | NETIF_F_IPV6_CSUM)) drop(NETIF_F_TSO6);
  if (!has(NETIF_F_TSO)) drop(NETIF_F_TSO_MANGLEID);
  // ECN says how TSO is done; alone it says nothing.
  if ((features & NETIF_F_ALL_TSO) === NETIF_F_TSO_ECN) drop(NETIF_F_TSO_ECN);
  if (!has(NETIF_F_SG)) drop(NETIF_F_GSO);
  const bothIp = (features & (NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM)) === (NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM);
  if (!has(NETIF_F_HW_CSUM) && !bothIp) drop(NETIF_F_GSO_UDP_L4);
  if (!has(NETIF_F_RXCSUM)) drop(NETIF_F_GRO_HW);
  if (has(NETIF_F_RXFCS)) drop(NETIF_F_LRO | NETIF_F_GRO_HW);
  if (has(NETIF_F_GRO_HW)) drop(NETIF_F_LRO);
  return features;
}
