/**
 * Devices over real interfaces follow what becomes of those: one follower for each machine of the host world.
 *
 *     LinkMonitor --> follower --> carrier, MTU, hardware address, IP addresses of our device
 *
 *     the interface is      our device                                            it is back
 *     set down, unplugged   loses its carrier                                     carrier
 *     renamed               goes on                                               -
 *     deleted, moved away   packet:, xdp:  goes down, and waits for the name      comes up again
 *                           tap:           goes down and is unregistered          -
 *
 * The MTU and the hardware address are followed as long as the device has the interface's own; one that a user has set stays. Each
 * change is a line in the machine's log (subsystem `net`) that says what happened, and where something is to be done, what.
 * While a device waits for its interface the process stays alive.
 */
import { SetupError } from '../../base/status.ts';
import { devSetMtu } from '../../device/change.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import type { Net } from '../../device/net.ts';
import { IFF_UP, NETREG_REGISTERED, type NetDevice } from '../../device/net_device.ts';
import { NetdevEvent, type Notifier } from '../../device/netdev_event.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { unregisterNetdevice } from '../../device/register.ts';
import { Loglevel } from '../../machine/printk.ts';
import type { IpAddress } from '../../wire/address.ts';
import type { HostExecutive } from '../executive.ts';
import type { InterfacePort } from './interface_port.ts';
import { LinkMonitor } from './link_monitor.ts';
import { type NetTables, netlinkTables } from './net_tables.ts';
import type { Link } from './rtnetlink.ts';

/** What becomes of a device whose interface is deleted. */
export type WhenDeleted = 'wait' | 'unregister';

/** How long after a device could not be opened over its interface that is back. */
const RETRY_MS = 1000;

interface Followed {
  readonly dev: NetDevice;
  readonly port: InterfacePort;
  readonly whenDeleted: WhenDeleted;
  /** Null while there is none. */
  link: Link | null;
  /** Where there is no interface: the device is to be brought up when it is back. */
  reopens: boolean;
  /** Why it could not be, to be said once. */
  refused: string;
}

export class InterfaceFollower {
  readonly #net: Net;
  readonly #executive: HostExecutive;
  readonly #followed: Followed[] = [];
  /** Devices over sockets: only their IP addresses change. */
  readonly #hosted: NetDevice[] = [];
  readonly #onEvent: Notifier;
  #monitor: LinkMonitor | null = null;
  #tables: NetTables | null = null;
  #retry: NodeJS.Timeout | undefined;

  constructor(net: Net, executive: HostExecutive) {
    this.#net = net;
    this.#executive = executive;
    this.#onEvent = (event, dev) => {
      if (event === NetdevEvent.UNREGISTER) this.#forget(dev);
      return 0;
    };
    net.registerNotifier(this.#onEvent);
  }

  /** From now on `dev` follows the interface of its port; where there is no netlink it does not, and the log says so. */
  follow(dev: NetDevice, port: InterfacePort, whenDeleted: WhenDeleted): void {
    if (!this.#listen()) return;
    const one: Followed = { dev, port, whenDeleted, link: null, reopens: false, refused: '' };
    this.#followed.push(one);
    // It may have changed since the port looked.
    for (const link of this.#tables!.links()) if (link.name === port.interfaceName) this.#changed(one, link);
  }

  /** From now on `dev.addresses` are all addresses of this host, of one family or of both; loopback's come last. */
  followAddresses(dev: NetDevice): void {
    if (!this.#listen()) return;
    this.#hosted.push(dev);
  }

  close(): void {
    this.#net.unregisterNotifier(this.#onEvent);
    clearTimeout(this.#retry);
    this.#monitor?.close();
    this.#tables?.close();
    this.#monitor = null;
    this.#tables = null;
    this.#followed.length = this.#hosted.length = 0;
  }

  /** False: it cannot. */
  #listen(): boolean {
    if (this.#monitor !== null) return true;
    try {
      this.#tables ??= netlinkTables();
      this.#monitor = new LinkMonitor(this.#executive, {
        link: (link) => this.#link(link),
        gone: (link) => this.#gone(link.ifindex),
        addresses: (ifindex) => this.#addresses(ifindex),
        lost: () => this.#lookAgain(),
      });
      return true;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      this.#net.machine.printk.notice(`interfaces that change are not followed: ${error.message}`);
      return false;
    }
  }

  #link(link: Link): void {
    for (const one of this.#followed.slice()) {
      if (one.link?.ifindex === link.ifindex) this.#changed(one, link);
      else if (one.link === null && one.port.interfaceName === link.name) this.#back(one, link);
    }
  }

  /** The first link that is seen of a device is what the port has opened, or nearly. */
  #changed(one: Followed, link: Link): void {
    const before = one.link;
    this.#adopt(one, link);
    if (before !== null) this.#sayCarrier(one, before, link);
    if ((one.dev.flags & IFF_UP) !== 0) one.dev.ops.link?.(one.dev);
  }

  /** Port and device take over what the interface is now. */
  #adopt(one: Followed, link: Link): void {
    const { dev, port } = one;
    const { mtu, mac } = port.caps;
    const name = one.link?.name ?? port.interfaceName;
    const ownMac = sameBytes(dev.devAddr, mac);
    const ownMtu = dev.mtu === mtu;
    one.link = link;
    port.interfaceChanged({ index: link.ifindex, name: link.name, mtu: link.mtu, mac: link.mac ?? mac });
    if (link.name !== name) this.#say(one, Loglevel.NOTICE, `${name} is called ${link.name} now; it goes on`);
    if (link.mtu !== mtu) this.#mtu(one, mtu, ownMtu);
    if (ownMac && !sameBytes(dev.devAddr, port.caps.mac)) devSetMacAddress(dev, port.caps.mac);
  }

  #sayCarrier(one: Followed, before: Link, { name, flags, carrier }: Link): void {
    const isUp = (flags & IFF_UP) !== 0;
    if (up(before) && !isUp) {
      this.#say(one, Loglevel.WARNING, `${name} was set down; nothing moves until: ip link set ${name} up`);
    } else if (!up(before) && isUp) {
      this.#say(one, Loglevel.NOTICE, `${name} is up again`);
    } else if (isUp && before.carrier !== carrier) {
      if (carrier === true) this.#say(one, Loglevel.NOTICE, `${name} has its carrier back`);
      else this.#say(one, Loglevel.WARNING, `${name} lost its carrier: see the cable, or the other end`);
    }
  }

  #mtu(one: Followed, before: number, own: boolean): void {
    const { dev, port } = one;
    const { mtu } = port.caps;
    const name = one.link!.name;
    dev.maxMtu = Math.max(dev.maxMtu, mtu);
    if (!own && dev.mtu <= mtu) return;
    const error = devSetMtu(dev, mtu);
    if (error === 0) this.#say(one, Loglevel.NOTICE, `${name} has an MTU of ${mtu} now (${before} before)`);
    else
      this.#say(
        one,
        Loglevel.WARNING,
        `${name} has an MTU of ${mtu} now, which ${dev.name} does not take; longer frames are lost`,
      );
  }

  #gone(ifindex: number): void {
    for (const one of this.#followed.slice()) {
      if (one.link?.ifindex !== ifindex) continue;
      const { dev, port } = one;
      const { name } = one.link;
      if (port.attached === true) {
        // A TAP device that was moved to a namespace of its own is still ours.
        this.#say(one, Loglevel.NOTICE, `${name} moved to another network namespace; it goes on`);
        this.#followed.splice(this.#followed.indexOf(one), 1);
        continue;
      }
      one.link = null;
      one.reopens = (dev.flags & IFF_UP) !== 0;
      const what = `${name} was deleted, or moved to another network namespace`;
      if (one.whenDeleted === 'unregister') {
        this.#say(one, Loglevel.ERR, `${what}; ${dev.name} is unregistered: open ${port.name} again`);
        unregisterNetdevice(dev);
        continue;
      }
      const next = one.reopens ? `waiting for an interface ${name}, which is taken as soon as it is up` : 'it is down';
      this.#say(one, Loglevel.ERR, `${what}; ${next}`);
      devClose(dev);
    }
    this.#keepAlive();
  }

  /** An interface of the name that a device waits for. */
  #back(one: Followed, link: Link): void {
    const { dev } = one;
    if (!one.reopens) {
      this.#changed(one, link);
      return;
    }
    if (!up(link)) {
      this.#refuse(one, `${link.name} is back, and down: ip link set ${link.name} up`);
      return;
    }
    this.#adopt(one, link);
    const error = this.#open(one);
    if (error !== '') {
      one.link = null;
      this.#retryLater();
      this.#refuse(one, `${link.name} is back, and ${error}`);
      return;
    }
    one.refused = '';
    this.#say(one, Loglevel.NOTICE, `${link.name} is back; ${dev.name} is up`);
    dev.ops.link?.(dev);
    this.#addresses(link.ifindex);
    this.#keepAlive();
  }

  /** Why it does not come up; empty: it has. */
  #open({ dev }: Followed): string {
    try {
      const error = devOpen(dev);
      return error < 0 ? `${dev.name} does not come up (error ${-error})` : '';
    } catch (error) {
      if (error instanceof SetupError) return `cannot be opened: ${error.message}`;
      throw error;
    }
  }

  /** The kernel takes some things apart a moment after they are gone (a program, a queue): it is tried again. */
  #retryLater(): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#lookAgain();
    }, RETRY_MS).unref();
  }

  #refuse(one: Followed, why: string): void {
    if (one.refused === why) return;
    one.refused = why;
    this.#say(one, Loglevel.WARNING, why);
  }

  #addresses(ifindex: number): void {
    if (this.#tables === null) return;
    const all = this.#tables.addresses().filter(({ usable }) => usable);
    for (const { dev, link, port } of this.#followed) {
      // A TAP device's interface has the kernel's addresses; ours are our own.
      if (link?.ifindex !== ifindex || port.attached !== undefined) continue;
      replace(
        dev.addresses,
        all.filter((each) => each.ifindex === ifindex).map(({ ip }) => ip),
      );
    }
    for (const dev of this.#hosted) {
      const four = dev.addresses.every(({ family }) => family === 4);
      const known = new Set(this.#tables.links().flatMap((link) => (isLoopback(link) ? [link.ifindex] : [])));
      const wanted = all.filter(({ ip }) => !four || ip.family === 4);
      wanted.sort((a, b) => Number(known.has(a.ifindex)) - Number(known.has(b.ifindex)));
      replace(
        dev.addresses,
        wanted.map(({ ip }) => ip),
      );
    }
  }

  /** After a loss: as if everything had been told anew. */
  #lookAgain(): void {
    const links = this.#tables?.links() ?? [];
    for (const one of this.#followed.slice()) {
      const { link } = one;
      if (link !== null && !links.some(({ ifindex }) => ifindex === link.ifindex)) this.#gone(link.ifindex);
    }
    for (const link of links) this.#link(link);
    for (const { link } of this.#followed) if (link !== null) this.#addresses(link.ifindex);
  }

  #forget(dev: NetDevice): void {
    const at = this.#followed.findIndex((one) => one.dev === dev);
    if (at >= 0) this.#followed.splice(at, 1);
    if (this.#hosted.includes(dev)) this.#hosted.splice(this.#hosted.indexOf(dev), 1);
    this.#keepAlive();
  }

  #keepAlive(): void {
    this.#monitor?.keepAlive(this.#followed.some(({ link, reopens }) => link === null && reopens));
  }

  #say({ dev, port }: Followed, level: number, text: string): void {
    if (dev.regState !== NETREG_REGISTERED) return;
    this.#net.machine.printk.printk(level, `${port.name}: ${text}`, {
      dict: { subsystem: 'net', device: `+net:${dev.name}` },
    });
  }
}

const IFF_LOOPBACK = 0x8;

function up(link: Link): boolean {
  return (link.flags & IFF_UP) !== 0;
}

function isLoopback(link: Link): boolean {
  return (link.flags & IFF_LOOPBACK) !== 0;
}

function replace(list: IpAddress[], by: readonly IpAddress[]): void {
  list.splice(0, list.length, ...by);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
