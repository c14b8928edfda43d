/**
 * What happens to the interfaces that a netconsole of this host sends through, told to its machine as events of its devices.
 *
 *     /sys/class/net, four times a second --> gone: unregisterNetdevice      joins a master: JOIN
 *                                             renamed: devChangeName, and opened anew under the new name
 *     a target waits, and its interface is there --> openDevice --> REGISTER --> netconsole resumes
 *
 * Down and up are the port's own affair: it drops while the interface is down, and goes on at once when it is up. Where sysfs does
 * not show an interface when it is opened (a foreign namespace), it is not watched.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Netconsole } from '../clients/netconsole/netconsole.ts';
import { STATE_DEACTIVATED } from '../clients/netconsole/target.ts';
import { devChangeName } from '../device/change.ts';
import { IFF_UP, type NetDevice } from '../device/net_device.ts';
import { NetdevEvent } from '../device/netdev_event.ts';
import { freeNetdev, unregisterNetdevice } from '../device/register.ts';
import type { Netpoll } from '../netpoll/netpoll.ts';
import { printMac } from '../wire/address.ts';

const PERIOD_MS = 250;
const CLASS_NET = '/sys/class/net';

interface Link {
  readonly ifindex: number;
  readonly up: boolean;
  /** Name of the bond or bridge that it belongs to. */
  readonly master: string | null;
}

interface Watched {
  readonly dev: NetDevice;
  /** The interface's name on this host. */
  readonly name: string;
  readonly ifindex: number;
  master: string | null;
}

export class LinkWatch {
  readonly #watched: Watched[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** Follows the interface `name` for `dev`, if sysfs shows it. */
  add(dev: NetDevice, name: string): void {
    const link = readLink(name);
    if (link !== null) this.#watched.push({ dev, name, ifindex: link.ifindex, master: link.master });
  }

  /** From here on looks; `open` makes the device of a target that waits for its interface. */
  start(netconsole: Netconsole, open: (np: Netpoll) => void): void {
    this.#timer = setInterval(() => this.look(netconsole, open), PERIOD_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** One look at all of them. Nothing throws: what cannot be opened now is tried again. */
  look(netconsole: Netconsole, open: (np: Netpoll) => void): void {
    for (const each of this.#watched.slice()) this.#lookAt(each);
    for (const target of netconsole.targets) {
      const { np } = target;
      if (target.state !== STATE_DEACTIVATED || !isThere(np)) continue;
      try {
        open(np);
      } catch {
        // Gone again, or down again: the next look sees.
      }
    }
  }

  #lookAt(each: Watched): void {
    const { dev } = each;
    const link = readLink(each.name);
    if (link === null || link.ifindex !== each.ifindex) {
      // A port is bound to its interface by name: under another name the interface is opened anew, and the targets resume there.
      const name = nameOfIfindex(each.ifindex);
      if (name !== null) devChangeName(dev, name);
      this.#watched.splice(this.#watched.indexOf(each), 1);
      unregisterNetdevice(dev);
      freeNetdev(dev);
      return;
    }
    if (link.master !== null && link.master !== each.master) dev.net.notify(NetdevEvent.JOIN, dev);
    each.master = link.master;
  }
}

/** Its interface is there and up: a target makes one attempt only. */
function isThere({ devName, devMac }: Netpoll): boolean {
  const name = devName !== '' ? devName : devMac === null ? null : interfaceWithMac(printMac(devMac));
  return name !== null && readLink(name)?.up === true;
}

function readLink(name: string): Link | null {
  const folder = join(CLASS_NET, name);
  const ifindex = Number(readText(join(folder, 'ifindex')));
  const flags = Number(readText(join(folder, 'flags')));
  if (!(ifindex > 0)) return null;
  return { ifindex, up: (flags & IFF_UP) !== 0, master: readMaster(folder) };
}

function nameOfIfindex(ifindex: number): string | null {
  try {
    const names = readdirSync(CLASS_NET);
    return names.find((name) => Number(readText(join(CLASS_NET, name, 'ifindex'))) === ifindex) ?? null;
  } catch {
    return null;
  }
}

function readMaster(folder: string): string | null {
  try {
    return basename(readlinkSync(join(folder, 'master')));
  } catch {
    return null;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}

/** The interface of this host that has this hardware address, up or not. */
export function interfaceWithMac(mac: string): string | null {
  try {
    return readdirSync(CLASS_NET).find((name) => readText(join(CLASS_NET, name, 'address')) === mac) ?? null;
  } catch {
    return null;
  }
}
