/**
 * Devices that stand on devices: a bond on its slaves, a bridge on its ports, a VLAN device on its real one.
 *
 *     bond0.5 --lower--> bond0 --lower--> eth0, eth1            eth0.upper = [bond0]   eth0.master = bond0
 *                          (master)                              bond0.lower = [eth0, eth1] in the order of linking
 *
 * A device has one master at most, who owns all its frames through the rx handler, and any number of other uppers, who share
 * it. No device stands on itself, over however many others. Process context; 0 or a negative errno.
 *
 * Answers to netdev_master_upper_dev_link, netdev_upper_dev_link, netdev_upper_dev_unlink, netdev_rx_handler_register.
 */
import { Errno } from '../base/status.ts';
import { IFF_LOOPBACK, type NetDevice, type RxHandler } from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';

/** Devices on top of each other, counted from the one that is linked. (`MAX_NEST_DEV`) */
const MAX_NEST_DEV = 8;

/** `master` takes `dev` as its own. -EBUSY: it has a master. -EEXIST: linked already. -EBUSY: a loop. -EMLINK: too deep. */
export function netdevMasterUpperDevLink(dev: NetDevice, master: NetDevice): number {
  return link(dev, master, true);
}

/** `upper` stands on `dev`, as others may. (`netdev_upper_dev_link`) */
export function netdevUpperDevLink(dev: NetDevice, upper: NetDevice): number {
  return link(dev, upper, false);
}

function link(dev: NetDevice, upper: NetDevice, master: boolean): number {
  if (dev === upper || netdevHasUpperDevAllRcu(upper, dev)) return -Errno.EBUSY;
  if (height(upper) + depth(dev) > MAX_NEST_DEV) return -Errno.EMLINK;
  if (dev.upper.includes(upper)) return -Errno.EEXIST;
  if (master && dev.master !== null) return -Errno.EBUSY;
  const { net } = dev;
  const veto = net.notify(NetdevEvent.PRECHANGEUPPER, dev);
  if (veto < 0) return veto;
  dev.upper.push(upper);
  upper.lower.push(dev);
  if (master) dev.master = upper;
  const verdict = net.notify(NetdevEvent.CHANGEUPPER, dev);
  if (verdict < 0) unlink(dev, upper);
  return Math.min(verdict, 0);
}

/** `upper` stands on `dev` no longer; nothing if it never did. */
export function netdevUpperDevUnlink(dev: NetDevice, upper: NetDevice): void {
  if (!dev.upper.includes(upper)) return;
  dev.net.notify(NetdevEvent.PRECHANGEUPPER, dev);
  unlink(dev, upper);
  dev.net.notify(NetdevEvent.CHANGEUPPER, dev);
}

function unlink(dev: NetDevice, upper: NetDevice): void {
  dev.upper.splice(dev.upper.indexOf(upper), 1);
  upper.lower.splice(upper.lower.indexOf(dev), 1);
  if (dev.master === upper) dev.master = null;
}

/** `upper` stands on `dev`, over however many others. (`netdev_has_upper_dev_all_rcu`) */
export function netdevHasUpperDevAllRcu(dev: NetDevice, upper: NetDevice): boolean {
  return dev.upper.some((each) => each === upper || netdevHasUpperDevAllRcu(each, upper));
}

/** Calls `visit` for everything that stands on `dev`, near ones first. (`netdev_walk_all_upper_dev_rcu`) */
export function netdevWalkAllUpperDev(dev: NetDevice, visit: (upper: NetDevice) => void): void {
  for (const upper of dev.upper) {
    visit(upper);
    netdevWalkAllUpperDev(upper, visit);
  }
}

/** Levels from `dev` up, itself included; and down. */
function height(dev: NetDevice): number {
  return 1 + Math.max(0, ...dev.upper.map(height));
}

function depth(dev: NetDevice): number {
  return 1 + Math.max(0, ...dev.lower.map(depth));
}

/** From here on `handler` sees every frame of `dev` first. -EBUSY: somebody does already. -EINVAL: not on loopback. */
export function netdevRxHandlerRegister(dev: NetDevice, handler: RxHandler): number {
  if (dev.rxHandler !== null) return -Errno.EBUSY;
  if ((dev.flags & IFF_LOOPBACK) !== 0) return -Errno.EINVAL;
  dev.rxHandler = handler;
  return 0;
}

export function netdevRxHandlerUnregister(dev: NetDevice): void {
  dev.rxHandler = null;
}
