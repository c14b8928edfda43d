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
import { deleteLinkRequest, type LinkChange, type NewLink, newLinkRequest, setLinkRequest } from './link_change.ts';
import { RtnetlinkSocket } from './rtnetlink_socket.ts';

export interface NetConfig {
  /** The interface's number. Throws SetupError `ERR_NETPOLL_NO_INTERFACE`. */
  indexOf(name: string): number;
  setLink(name: string, change: LinkChange): void;
  addLink(link: NewLink & { readonly name: string }): void;
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
    addLink: (link) => change(`make ${link.kind} ${link.name}`, (seq) => newLinkRequest(seq, link)),
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

/** The kernel's word, its sentence if it has one, and what to do if that is known. */
function refusal(what: string, errno: number, reason: string): SetupError {
  const name = errnoName(errno);
  const says = reason === '' ? name : `${name}: ${reason}`;
  const hint = errno === EPERM ? '; it needs CAP_NET_ADMIN: run it as root' : '';
  return new SetupError(`ERR_NETPOLL_${name}`, `cannot ${what} (${says})${hint}`);
}
