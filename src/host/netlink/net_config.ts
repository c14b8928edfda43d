/**
 * Changing this namespace's interfaces, addresses, routes and neighbours: what `ip link set`, `ip addr add` and their like do.
 *
 *     using = openNetConfig(); using.setLink('eth0', { up: true, mtu: 9000 }); using.close();
 *
 * Each call is one request, done when it returns. The kernel's refusal is a SetupError with code `ERR_NETPOLL_` and its errno, and the
 * kernel's own sentence where it has one. Most need CAP_NET_ADMIN.
 */
import { SetupError } from '../../base/status.ts';
import { EPERM, errnoName } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR, openTap, setTunPersist } from '../sys/tun.ts';
import {
  deleteAddressRequest,
  deleteNeighbourRequest,
  deleteRouteRequest,
  type InterfaceAddress,
  newAddressRequest,
  newNeighbourRequest,
  newRouteRequest,
  type RouteEntry,
  type StaticNeighbour,
} from './address_change.ts';
import {
  deleteLinkRequest,
  type LinkChange,
  type NewLink,
  type NewTap,
  newLinkRequest,
  setLinkRequest,
} from './link_change.ts';
import { RtnetlinkSocket } from './rtnetlink_socket.ts';

export interface NetConfig {
  /** The interface's number. Throws SetupError `ERR_NETPOLL_NO_INTERFACE`. */
  indexOf(name: string): number;
  setLink(name: string, change: LinkChange): void;
  /** A tap persists; where its changes are refused it is not left behind. */
  addLink(link: (NewLink | NewTap) & { readonly name: string }): void;
  deleteLink(name: string): void;
  addAddress(address: InterfaceAddress): void;
  deleteAddress(address: InterfaceAddress): void;
  addRoute(route: RouteEntry): void;
  deleteRoute(route: RouteEntry): void;
  /** Permanent; takes the place of what there was. */
  setNeighbour(neighbour: StaticNeighbour): void;
  deleteNeighbour(neighbour: Omit<StaticNeighbour, 'mac'>): void;
  close(): void;
}

/** Throws SetupError: no koffi, no netlink. */
export function openNetConfig(): NetConfig {
  const socket = new RtnetlinkSocket();
  const change = (what: string, make: (seq: number) => Uint8Array): void => {
    const { errno, reason } = socket.ask(make);
    if (errno !== 0) throw refusal(what, errno, reason);
  };
  const indexOf = (name: string): number => {
    const index = name.length > 0 && name.length < 16 ? libc().ifNametoindex(name) : 0;
    if (index === 0) throw new SetupError('ERR_NETPOLL_NO_INTERFACE', `there is no interface "${name}"`);
    return index;
  };
  return {
    indexOf,
    setLink: (name, to) => {
      const index = indexOf(name);
      change(`change ${name}`, (seq) => setLinkRequest(seq, index, to));
    },
    addLink: (link) => {
      if (link.kind === 'tap')
        addTap(link, (index, to) => change(`set up ${link.name}`, (seq) => setLinkRequest(seq, index, to)));
      else change(`make ${link.kind} ${link.name}`, (seq) => newLinkRequest(seq, link));
    },
    deleteLink: (name) => {
      const index = indexOf(name);
      change(`delete ${name}`, (seq) => deleteLinkRequest(seq, index));
    },
    addAddress: (address) => change('add an address', (seq) => newAddressRequest(seq, address)),
    deleteAddress: (address) => change('delete an address', (seq) => deleteAddressRequest(seq, address)),
    addRoute: (route) => change('add a route', (seq) => newRouteRequest(seq, route)),
    deleteRoute: (route) => change('delete a route', (seq) => deleteRouteRequest(seq, route)),
    setNeighbour: (neighbour) => change('set a neighbour', (seq) => newNeighbourRequest(seq, neighbour)),
    deleteNeighbour: (neighbour) => change('delete a neighbour', (seq) => deleteNeighbourRequest(seq, neighbour)),
    close: () => socket.close(),
  };
}

function addTap(link: NewTap & { readonly name: string }, setLink: (index: number, to: LinkChange) => void): void {
  const { kind, multiQueue, vnetHeader, name, ...to } = link;
  if (libc().ifNametoindex(name) !== 0)
    throw new SetupError('ERR_NETPOLL_EEXIST', `cannot make ${kind} ${name} (EEXIST)`);
  const flags = IFF_NO_PI | (multiQueue === true ? IFF_MULTI_QUEUE : 0) | (vnetHeader === true ? IFF_VNET_HDR : 0);
  const fd = openTap(name, flags);
  try {
    if (Object.keys(to).length > 0) setLink(libc().ifNametoindex(name), to);
    setTunPersist(fd, true);
  } finally {
    libc().close(fd);
  }
}

/** The kernel's word, its sentence if it has one, and what to do if that is known. */
function refusal(what: string, errno: number, reason: string): SetupError {
  const name = errnoName(errno);
  const says = reason === '' ? name : `${name}: ${reason}`;
  const hint = errno === EPERM ? '; it needs CAP_NET_ADMIN: run it as root' : '';
  return new SetupError(`ERR_NETPOLL_${name}`, `cannot ${what} (${says})${hint}`);
}
