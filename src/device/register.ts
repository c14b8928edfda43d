/**
 * Registration: a device becomes visible, and goes away.
 *
 *     UNINITIALIZED --registerNetdevice--> REGISTERED --unregisterNetdevice--> UNREGISTERED
 *
 * The device can be opened by somebody else the moment it is listed, so the driver has set up everything before.
 */
import { assert } from '../base/assert.ts';
import { Errno } from '../base/status.ts';
import { NetdevEvent } from './net.ts';
import { NETREG_REGISTERED, NETREG_UNINITIALIZED, NETREG_UNREGISTERED, type NetDevice } from './net_device.ts';
import { devClose } from './open.ts';

const NAMES_MAX = 32768;

/** Lists the device under its name; `%d` in the name becomes the lowest free number. 0, or a negative errno. */
export function registerNetdevice(dev: NetDevice): number {
  assert(dev.regState === NETREG_UNINITIALIZED, 'a device is registered once');
  const name = resolveName(dev);
  if (typeof name === 'number') return name;
  dev.name = name;
  dev.ifindex = dev.net.nextIfindex++;
  dev.regState = NETREG_REGISTERED;
  dev.net.devices.push(dev);
  const verdict = dev.net.notify(NetdevEvent.REGISTER, dev);
  if (verdict < 0) unregisterNetdevice(dev);
  return Math.min(verdict, 0);
}

/** Closes the device if it is up, unlists it, tells everybody. */
export function unregisterNetdevice(dev: NetDevice): void {
  assert(dev.regState === NETREG_REGISTERED, 'only a registered device is unregistered');
  devClose(dev);
  dev.net.devices.splice(dev.net.devices.indexOf(dev), 1);
  dev.regState = NETREG_UNREGISTERED;
  dev.net.notify(NetdevEvent.UNREGISTER, dev);
}

function resolveName(dev: NetDevice): string | number {
  const template = dev.name;
  if (!devValidName(template)) return -Errno.EINVAL;
  if (!template.includes('%')) return dev.net.byName(template) === undefined ? template : -Errno.EEXIST;
  if (!/^[^%]*%d[^%]*$/.test(template)) return -Errno.EINVAL;
  for (let number = 0; number < NAMES_MAX; number++) {
    const name = template.replace('%d', String(number));
    if (dev.net.byName(name) === undefined) return name;
  }
  return -Errno.ENFILE;
}

/** 1 to 15 characters, not `.` or `..`, no slash, colon or white space. (`dev_valid_name`) */
export function devValidName(name: string): boolean {
  return name.length > 0 && name.length < 16 && name !== '.' && name !== '..' && !/[/:\s]/.test(name);
}
