/**
 * Addresses of this machine, and where packets for others go: on-link prefixes and gateways, the longest prefix first.
 *
 *     10.0.0.1/24 on eth0   -->  local: 10.0.0.1        route: 10.0.0.0/24 on eth0, from 10.0.0.1
 *     gateway 10.0.0.254    -->                         route: 0.0.0.0/0 by 10.0.0.254 on eth0
 *
 * Set-up allocates; a look-up does not.
 */
import { SetupError } from '../base/status.ts';
import { devJoinIpGroups } from '../device/ip_groups.ts';
import type { Net } from '../device/net.ts';
import { IFF_LOOPBACK, IFF_UP, type NetDevice } from '../device/net_device.ts';
import { type IpAddress, printIp } from '../wire/address.ts';
import { solicitedNode } from '../wire/ndisc.ts';

export interface Route {
  readonly dev: NetDevice;
  readonly prefix: IpAddress;
  readonly prefixLen: number;
  /** Whom the frame is given to; null: the destination itself. */
  readonly gateway: IpAddress | null;
  readonly source: IpAddress;
}

export interface LocalAddress {
  readonly dev: NetDevice;
  readonly ip: IpAddress;
  readonly prefixLen: number;
  /** IPv4: the subnet's broadcast address. */
  readonly broadcast: number;
  /** IPv6: the group in which neighbours ask for this address. */
  readonly group: Uint8Array | null;
}

/** More than anybody gives a machine; keeps look-ups short. */
const ROUTES_MAX = 256;

export class Routes {
  readonly addresses: LocalAddress[] = [];
  readonly routes: Route[] = [];
  readonly #net: Net;

  constructor(net: Net) {
    this.#net = net;
  }

  /** Gives `dev` an address and the route to its neighbours. Throws SetupError `ERR_NETPOLL_ADDRESS`. (`ip address add`) */
  addAddress(dev: NetDevice, ip: IpAddress, prefixLen: number): void {
    const bits = ip.family === 4 ? 32 : 128;
    if (!Number.isInteger(prefixLen) || prefixLen < 0 || prefixLen > bits) {
      throw new SetupError('ERR_NETPOLL_ADDRESS', `${printIp(ip)}/${prefixLen}: a prefix has 0 to ${bits} bits`);
    }
    if (this.addresses.length >= ROUTES_MAX || this.routes.length >= ROUTES_MAX) {
      throw new SetupError('ERR_NETPOLL_ADDRESS', `a machine has at most ${ROUTES_MAX} addresses and routes`);
    }
    const broadcast = ip.family === 4 && prefixLen < 31 ? (ip.v4 | (0xffffffff >>> prefixLen)) >>> 0 : 0xffffffff;
    const group = ip.family === 6 ? solicitedNode(ip.v6, 0, new Uint8Array(16)) : null;
    this.addresses.push({ dev, ip, prefixLen, broadcast, group });
    devJoinIpGroups(dev, ip);
    if (!dev.addresses.some((each) => sameIp(each, ip))) dev.addresses.push(ip);
    this.#add({ dev, prefix: ip, prefixLen, gateway: null, source: ip });
  }

  /**
   * Everything in prefix/prefixLen goes to `gateway`, which must be on link. Throws SetupError `ERR_NETPOLL_ADDRESS`. (`ip route
   * add PREFIX via GATEWAY`)
   */
  addGateway(gateway: IpAddress, prefix: IpAddress = anyOf(gateway), prefixLen = 0): void {
    const via = this.lookup(gateway);
    if (via === null || via.gateway !== null || this.routes.length >= ROUTES_MAX || prefix.family !== gateway.family) {
      throw new SetupError('ERR_NETPOLL_ADDRESS', `gateway ${printIp(gateway)} is not on a link of this machine`);
    }
    this.#add({ dev: via.dev, prefix, prefixLen, gateway, source: via.source });
  }

  #add(route: Route): void {
    this.routes.push(route);
    this.routes.sort((a, b) => b.prefixLen - a.prefixLen);
  }

  /** Where a packet for `to` goes, out of `dev` if that is given; null: nowhere. (`ip_route_output_key`) */
  lookup(to: IpAddress, dev: NetDevice | null = null): Route | null {
    if (dev === null && this.isLocal(to)) return this.#loopback(to);
    for (let i = 0; i < this.routes.length; i++) {
      const route = this.routes[i]!;
      if (dev !== null && route.dev !== dev) continue;
      if ((route.dev.flags & IFF_UP) !== 0 && inPrefix(to, route.prefix, route.prefixLen)) return route;
    }
    // Groups and the limited broadcast are on every link, and who names the link knows that the neighbour is on it; any route
    // of the device says which address is ours there.
    if (dev === null && !isGroup(to)) return null;
    for (let i = 0; i < this.routes.length; i++) {
      const route = this.routes[i]!;
      const here = dev === null ? (route.dev.flags & IFF_LOOPBACK) === 0 : route.dev === dev;
      if (here && route.gateway === null && route.source.family === to.family) return route;
    }
    return null;
  }

  isLocal(ip: IpAddress): boolean {
    return ip.family === 4 ? this.isLocal4(ip.v4) : this.isLocal6(ip.v6, 0);
  }

  isLocal4(v4: number): boolean {
    for (let i = 0; i < this.addresses.length; i++) {
      const { ip } = this.addresses[i]!;
      if (ip.family === 4 && ip.v4 === v4) return true;
    }
    return v4 >>> 24 === 127;
  }

  /** The 16 bytes at `o`. */
  isLocal6(bytes: Uint8Array, o: number): boolean {
    for (let i = 0; i < this.addresses.length; i++) {
      const { ip } = this.addresses[i]!;
      if (ip.family === 6 && sameBytes(bytes, o, ip.v6)) return true;
    }
    return false;
  }

  /** A broadcast address of one of our subnets, or of every one. */
  isBroadcast4(v4: number): boolean {
    if (v4 === 0xffffffff) return true;
    for (let i = 0; i < this.addresses.length; i++) if (this.addresses[i]!.broadcast === v4) return true;
    return false;
  }

  /** All nodes of the link, or the group of one of our addresses. */
  isOurGroup6(bytes: Uint8Array, o: number): boolean {
    if (bytes[o] !== 0xff) return false;
    if (sameBytes(bytes, o, ALL_NODES)) return true;
    for (let i = 0; i < this.addresses.length; i++) {
      const { group } = this.addresses[i]!;
      if (group !== null && sameBytes(bytes, o, group)) return true;
    }
    return false;
  }

  /** Packets for ourselves go over `lo`, if there is one that is up. */
  #loopback(to: IpAddress): Route | null {
    const dev = this.#net.devices.find((each) => (each.flags & IFF_LOOPBACK) !== 0 && (each.flags & IFF_UP) !== 0);
    return dev === undefined ? null : { dev, prefix: to, prefixLen: 32, gateway: null, source: to };
  }
}

/** ff02::1 */
export const ALL_NODES: Uint8Array = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** Multicast, or the limited broadcast. */
export function isGroup(ip: IpAddress): boolean {
  return ip.family === 4 ? ip.v4 >>> 28 === 0xe || ip.v4 === 0xffffffff : ip.v6[0] === 0xff;
}

export function sameBytes(bytes: Uint8Array, o: number, other: Uint8Array): boolean {
  for (let i = 0; i < other.length; i++) if (bytes[o + i] !== other[i]) return false;
  return true;
}

export function sameIp(a: IpAddress, b: IpAddress): boolean {
  if (a.family === 4) return b.family === 4 && a.v4 === b.v4;
  return b.family === 6 && sameBytes(a.v6, 0, b.v6);
}

function anyOf(ip: IpAddress): IpAddress {
  return ip.family === 4 ? { family: 4, v4: 0 } : { family: 6, v6: new Uint8Array(16) };
}

function inPrefix(ip: IpAddress, prefix: IpAddress, bits: number): boolean {
  if (ip.family === 4) return prefix.family === 4 && (bits === 0 || (ip.v4 ^ prefix.v4) >>> (32 - bits) === 0);
  if (prefix.family !== 6) return false;
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) if (ip.v6[i] !== prefix.v6[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (ip.v6[whole]! ^ prefix.v6[whole]!) >>> (8 - rest) === 0;
}
