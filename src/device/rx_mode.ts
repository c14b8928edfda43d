/**
 * Which frames a device takes: its address lists and the flags PROMISC and ALLMULTI, and how the driver learns of a change.
 *
 *     devUcAdd, devMcAdd, devSetPromiscuity ... --> devSetRxMode --> driver's setRxMode
 *                                                      ` no filter for further addresses: PROMISC while there are any
 *
 * The driver is told only while the device is up and present. Answers to net/core/dev_addr_lists.c and __dev_set_rx_mode.
 */
import { Errno } from '../base/status.ts';
import { Loglevel } from '../machine/printk.ts';
import { type HwAddrList, hwAddrSync, hwAddrUnsync } from './dev_addr_lists.ts';
import { IFF_ALLMULTI, IFF_PROMISC, IFF_UP, type NetDevice, netifDevicePresent } from './net_device.ts';

/** A counter that would pass this has been lost. */
const COUNT_MAX = 0xffffffff;

/** The driver is told that flags or address lists have changed. (`dev_set_rx_mode`) */
export function devSetRxMode(dev: NetDevice): void {
  if ((dev.flags & IFF_UP) === 0 || !netifDevicePresent(dev)) return;
  if (!dev.unicastFilter) {
    const wanted = dev.uc.count > 0;
    if (wanted !== dev.ucPromisc) {
      countPromiscuity(dev, wanted ? 1 : -1);
      dev.ucPromisc = wanted;
    }
  }
  dev.ops.setRxMode?.(dev);
}

/** One more (`by` 1), or one fewer (-1), wants every frame on the wire. (`dev_set_promiscuity`) */
export function devSetPromiscuity(dev: NetDevice, by: number): number {
  const old = dev.flags;
  const error = countPromiscuity(dev, by);
  if (error === 0 && dev.flags !== old) devSetRxMode(dev);
  return error;
}

function countPromiscuity(dev: NetDevice, by: number): number {
  const count = dev.promiscuity + by;
  const { printk } = dev.net.machine;
  if (count > COUNT_MAX || count < 0) {
    printk.warn(
      `${dev.name}: promiscuity touches roof, set promiscuity failed. promiscuity feature of device might be broken.`,
    );
    return -Errno.EOVERFLOW;
  }
  dev.promiscuity = count;
  const old = dev.flags;
  dev.flags = count > 0 ? dev.flags | IFF_PROMISC : dev.flags & ~IFF_PROMISC;
  if (dev.flags !== old) {
    printk.printk(Loglevel.INFO, `${dev.name}: ${count > 0 ? 'entered' : 'left'} promiscuous mode`);
  }
  return 0;
}

/** The same for every multicast frame. (`dev_set_allmulti`) */
export function devSetAllmulti(dev: NetDevice, by: number): number {
  const count = dev.allmulti + by;
  if (count > COUNT_MAX || count < 0) return -Errno.EOVERFLOW;
  dev.allmulti = count;
  const old = dev.flags;
  dev.flags = count > 0 ? dev.flags | IFF_ALLMULTI : dev.flags & ~IFF_ALLMULTI;
  if (dev.flags !== old) devSetRxMode(dev);
  return 0;
}

/** One more address of the device's own; the main one is there already. (`dev_addr_add`) */
export function devAddrAdd(dev: NetDevice, addr: Uint8Array): number {
  return dev.devAddrs.add(addr);
}

/** -ENOENT for the main address, which is the device's and nobody has added. (`dev_addr_del`) */
export function devAddrDel(dev: NetDevice, addr: Uint8Array): number {
  return dev.devAddrs.isMain(addr) ? -Errno.ENOENT : dev.devAddrs.del(addr);
}

/** A further unicast address. (`dev_uc_add`) */
export function devUcAdd(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.uc.add(addr));
}

/** -EEXIST where it is there. (`dev_uc_add_excl`) */
export function devUcAddExcl(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.uc.add(addr, { exclusive: true }));
}

/** (`dev_uc_del`) */
export function devUcDel(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.uc.del(addr));
}

/** `to`, which `from` stands on, takes frames for `from`'s further addresses too. (`dev_uc_sync`) */
export function devUcSync(to: NetDevice, from: NetDevice): number {
  return told(to, hwAddrSync(to.uc, from.uc));
}

/** (`dev_uc_unsync`) */
export function devUcUnsync(to: NetDevice, from: NetDevice): void {
  hwAddrUnsync(to.uc, from.uc);
  devSetRxMode(to);
}

/** A multicast group. (`dev_mc_add`) */
export function devMcAdd(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.mc.add(addr));
}

/** -EEXIST where it is there. (`dev_mc_add_excl`) */
export function devMcAddExcl(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.mc.add(addr, { exclusive: true }));
}

/** A user's: added again it stays one. (`dev_mc_add_global`) */
export function devMcAddGlobal(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.mc.add(addr, { global: true }));
}

/** (`dev_mc_del`) */
export function devMcDel(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.mc.del(addr));
}

/** (`dev_mc_del_global`) */
export function devMcDelGlobal(dev: NetDevice, addr: Uint8Array): number {
  return told(dev, dev.mc.del(addr, { global: true }));
}

/** (`dev_mc_sync`) */
export function devMcSync(to: NetDevice, from: NetDevice): number {
  return told(to, hwAddrSync(to.mc, from.mc));
}

/** (`dev_mc_unsync`) */
export function devMcUnsync(to: NetDevice, from: NetDevice): void {
  hwAddrUnsync(to.mc, from.mc);
  devSetRxMode(to);
}

/** The device goes away: its lists are emptied. (`dev_uc_flush`, `dev_mc_flush`) */
export function devAddrFlush(dev: NetDevice): void {
  dev.uc.flush();
  dev.mc.flush();
}

function told(dev: NetDevice, status: number): number {
  if (status === 0) devSetRxMode(dev);
  return status;
}

/** The addresses of a list as a driver writes them into a filter. */
export function listedAddrs(list: HwAddrList): Uint8Array[] {
  return Array.from(list, ({ addr }) => addr);
}
