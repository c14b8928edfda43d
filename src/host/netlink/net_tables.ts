/**
 * The kernel's tables as this process sees them: links, addresses, neighbours, the route to an address.
 *
 *     netlinkTables()   koffi, no privileges: everything, and the kernel itself looks the route up
 *     procTables()      /proc/net and /sys (proc_tables.ts): no policy routing, no states of neighbours, no IPv6 neighbours
 *
 * openNetTables() takes the first and falls back to the second; `source` says which it is.
 */
import { SetupError } from '../../base/status.ts';
import type { IpAddress } from '../../wire/address.ts';
import { errnoName } from '../sys/errno.ts';
import { procTables } from './proc_tables.ts';
import {
  addressesRequest,
  type Link,
  type LinkAddress,
  linksRequest,
  type NeighbourEntry,
  neighboursRequest,
  parseAddress,
  parseLink,
  parseNeighbour,
  parseRoute,
  type Route,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  routeRequest,
} from './rtnetlink.ts';
import { RtnetlinkSocket } from './rtnetlink_socket.ts';

export interface NetTables {
  readonly source: 'netlink' | '/proc';
  /** Why it is not netlink; empty if it is. */
  readonly because: string;
  links(): Link[];
  addresses(): LinkAddress[];
  /** Null: this source does not show the neighbours of that family. */
  neighbours(family: 4 | 6): NeighbourEntry[] | null;
  /** The route to `dest`, through interface `oif` if that is not 0; text says why there is none (`ENETUNREACH`). */
  route(dest: IpAddress, oif: number): Route | string;
  close(): void;
}

/** Netlink if koffi is there, else /proc. Never throws for want of koffi. */
export function openNetTables(): NetTables {
  try {
    return netlinkTables();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return procTables(error.message);
  }
}

/** Throws SetupError: no koffi, no netlink. */
export function netlinkTables(): NetTables {
  const socket = new RtnetlinkSocket();
  const all = <T>(make: (seq: number) => Uint8Array, type: number, parse: (payload: Uint8Array) => T | null): T[] => {
    const found: T[] = [];
    for (const message of socket.ask(make).messages) {
      const parsed = message.type === type ? parse(message.payload) : null;
      if (parsed !== null) found.push(parsed);
    }
    return found;
  };
  return {
    source: 'netlink',
    because: '',
    links: () => all(linksRequest, RTM_NEWLINK, parseLink),
    addresses: () => all(addressesRequest, RTM_NEWADDR, parseAddress),
    neighbours: (family) => all((seq) => neighboursRequest(seq, family), RTM_NEWNEIGH, parseNeighbour),
    route(dest, oif) {
      const { messages, errno } = socket.ask((seq) => routeRequest(seq, dest, oif));
      if (errno !== 0) return errnoName(errno);
      const message = messages.find(({ type }) => type === RTM_NEWROUTE);
      return (message === undefined ? null : parseRoute(message.payload)) ?? 'no answer';
    },
    close: () => socket.close(),
  };
}
