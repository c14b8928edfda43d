/**
 * The hardware address of a device: made up, set by a driver, set by a user.
 *
 *     devSetMacAddress: may it? -> PRE_CHANGEADDR (may be vetoed) -> the driver's setMacAddress -> CHANGEADDR
 */
import type { Prng } from '../base/prng.ts';
import { Errno } from '../base/status.ts';
import { isValidMac } from '../wire/eth.ts';
import { NET_ADDR_RANDOM, NET_ADDR_SET, type NetDevice, netifDevicePresent, netifRunning } from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';

/** Fills `mac` with an address of nobody's: not multicast, locally administered. (`eth_random_addr`) */
export function ethRandomAddr(mac: Uint8Array, prng: Prng): void {
  for (let i = 0; i < 6; i++) mac[i] = prng.below(256);
  mac[0] = (mac[0]! & 0xfe) | 0x02;
}

/** Gives the device such an address. (`eth_hw_addr_random`) */
export function ethHwAddrRandom(dev: NetDevice, prng: Prng): void {
  ethRandomAddr(dev.devAddr, prng);
  dev.addrAssignType = NET_ADDR_RANDOM;
}

/** The driver says what its hardware's address is. (`eth_hw_addr_set`) */
export function ethHwAddrSet(dev: NetDevice, mac: Uint8Array): void {
  dev.devAddr.set(mac.length === 6 ? mac : mac.slice(0, 6));
}

/** A driver's setMacAddress that only stores it: not while the device is up, unless that may be. (`eth_mac_addr`) */
export function ethMacAddr(dev: NetDevice, mac: Uint8Array): number {
  if (netifRunning(dev) && !dev.liveAddrChange) return -Errno.EBUSY;
  if (!isValidMac(mac)) return -Errno.EADDRNOTAVAIL;
  ethHwAddrSet(dev, mac);
  return 0;
}

/** The device can be opened with its address. (`eth_validate_addr`) */
export function ethValidateAddr(dev: NetDevice): number {
  return isValidMac(dev.devAddr) ? 0 : -Errno.EADDRNOTAVAIL;
}

/** Another address; `type` is the hardware type that it is of. 0, or a negative errno. (`dev_set_mac_address`) */
export function devSetMacAddress(dev: NetDevice, mac: Uint8Array, type: number = dev.type): number {
  if (dev.ops.setMacAddress === undefined) return -Errno.EOPNOTSUPP;
  if (type !== dev.type || mac.length !== 6) return -Errno.EINVAL;
  if (!netifDevicePresent(dev)) return -Errno.ENODEV;
  const verdict = dev.net.notify(NetdevEvent.PRE_CHANGEADDR, dev);
  if (verdict < 0) return verdict;
  if (!mac.every((byte, i) => byte === dev.devAddr[i])) {
    const error = dev.ops.setMacAddress(dev, mac);
    if (error < 0) return error;
  }
  dev.addrAssignType = NET_ADDR_SET;
  dev.net.notify(NetdevEvent.CHANGEADDR, dev);
  return 0;
}
