/**
 * Registration: a device becomes visible, and goes away.
 *
 *     UNINITIALIZED --registerNetdevice--> REGISTERED --unregisterNetdevice--> UNREGISTERING -> UNREGISTERED --free--> RELEASED
 *
 *     register:    name -> driver's init -> ifindex, features -> POST_INIT (veto) -> listed -> REGISTER (veto)
 *     unregister:  close (GOING_DOWN, DOWN) -> unlisted -> its frames off the backlogs -> UNREGISTER -> PRE_UNINIT -> driver's uninit
 *
 * The device can be opened by somebody else the moment it is listed, so the driver has set up everything before.
 */
import { assert } from '../base/assert.ts';
import { Errno } from '../base/status.ts';

import { operstatePolicy } from './linkwatch.ts';
import { netifNapiDel } from './napi_struct.ts';
import type { Net } from './net.ts';
import {
  LINK_STATE_PRESENT,
  NET_ADDR_PERM,
  NETREG_DUMMY,
  NETREG_REGISTERED,
  NETREG_RELEASED,
  NETREG_UNINITIALIZED,
  NETREG_UNREGISTERED,
  NETREG_UNREGISTERING,
  type NetDevice,
  netifCarrierOk,
} from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';
import { devClose } from './open.ts';
import { devAddrFlush } from './rx_mode.ts';
import { NETIF_F_SOFT_FEATURES, NETIF_F_SOFT_FEATURES_OFF, updateFeatures } from './update_features.ts';

const NAMES_MAX = 32768;

/** Lists the device under its name; `%d` in the name becomes the lowest free number. 0, or a negative errno. */
export function registerNetdevice(dev: NetDevice): number {
  assert(dev.regState === NETREG_UNINITIALIZED, 'a device is registered once');
  const { net } = dev;
  const name = resolveName(net, dev.name);
  if (typeof name === 'number') return name;
  const template = dev.name;
  dev.name = name;
  const inited = dev.ops.init?.(dev) ?? 0;
  if (inited !== 0) {
    dev.name = template;
    return inited > 0 ? -Errno.EIO : inited;
  }
  dev.ifindex = net.nextIfindex++;
  dev.hwFeatures |= NETIF_F_SOFT_FEATURES | NETIF_F_SOFT_FEATURES_OFF;
  dev.features |= NETIF_F_SOFT_FEATURES;
  dev.wantedFeatures = dev.features & dev.hwFeatures;
  const veto = net.notify(NetdevEvent.POST_INIT, dev);
  if (veto < 0) {
    dev.ops.uninit?.(dev);
    dev.name = template;
    return veto;
  }
  dev.regState = NETREG_REGISTERED;
  updateFeatures(dev);
  dev.state |= LINK_STATE_PRESENT;
  if (!netifCarrierOk(dev)) operstatePolicy(dev);
  net.devices.push(dev);
  if (dev.addrAssignType === NET_ADDR_PERM) dev.permAddr.set(dev.devAddr);
  const verdict = net.notify(NetdevEvent.REGISTER, dev);
  if (verdict < 0) unregisterNetdevice(dev);
  return Math.min(verdict, 0);
}

/** Closes the device if it is up, unlists it, tells everybody. */
export function unregisterNetdevice(dev: NetDevice): void {
  assert(dev.regState === NETREG_REGISTERED, 'only a registered device is unregistered');
  const { net } = dev;
  devClose(dev);
  net.devices.splice(net.devices.indexOf(dev), 1);
  dev.regState = NETREG_UNREGISTERING;
  net.linkwatch.forget(dev);
  net.flushBacklogs(dev);
  net.notify(NetdevEvent.UNREGISTER, dev);
  devAddrFlush(dev);
  net.notify(NetdevEvent.PRE_UNINIT, dev);
  dev.ops.uninit?.(dev);
  dev.regState = NETREG_UNREGISTERED;
}

/** The device is nobody's any more: what napi instances it still has are deleted. (`free_netdev`) */
export function freeNetdev(dev: NetDevice): void {
  const { regState } = dev;
  assert(
    regState === NETREG_UNINITIALIZED || regState === NETREG_DUMMY || regState === NETREG_UNREGISTERED,
    'a device is unregistered before it is freed',
  );
  for (const napi of [...dev.napiList]) netifNapiDel(napi);
  dev.regState = NETREG_RELEASED;
}

/** The name that `template` stands for: -EINVAL not valid, -EEXIST taken, -ENFILE no number is free. */
export function resolveName(net: Net, template: string): string | number {
  if (!devValidName(template)) return -Errno.EINVAL;
  if (!template.includes('%')) return net.byName(template) === undefined ? template : -Errno.EEXIST;
  if (!/^[^%]*%d[^%]*$/.test(template)) return -Errno.EINVAL;
  for (let number = 0; number < NAMES_MAX; number++) {
    const name = template.replace('%d', String(number));
    if (net.byName(name) === undefined) return name.length < 16 ? name : -Errno.EINVAL;
  }
  return -Errno.ENFILE;
}

/** 1 to 15 characters, not `.` or `..`, no slash, colon or white space. (`dev_valid_name`) */
export function devValidName(name: string): boolean {
  return name.length > 0 && name.length < 16 && name !== '.' && name !== '..' && !/[/:\s]/.test(name);
}
