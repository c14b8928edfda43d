/**
 * Requests that add and delete addresses, routes and neighbours, as iproute2 puts them.
 *
 *     RTM_NEWADDR   ifaddrmsg | IFA_LOCAL | IFA_ADDRESS |            ip addr add 10.0.0.1/24 dev eth0
 *     RTM_NEWROUTE  rtmsg | RTA_DST | RTA_GATEWAY | RTA_OIF |        ip route add 10.0.0.0/8 via 10.0.0.9 dev eth0
 *     RTM_NEWNEIGH  ndmsg | NDA_DST | NDA_LLADDR |                   ip neigh replace 10.0.0.9 lladdr ... dev eth0 nud permanent
 *
 * Answers to linux/rtnetlink.h, if_addr.h, neighbour.h.
 */
import type { IpAddress } from '../../wire/address.ts';
import {
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  type NlAttribute,
  nlMessage,
  nlU32Bytes,
  viewOf,
} from './nlmsg.ts';
import {
  bytesOf,
  familyOf,
  RTM_DELADDR,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
} from './rtnetlink.ts';

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTN_UNICAST = 1;
const NUD_PERMANENT = 0x80;
/** No duplicate address detection: the address can be used at once. */
const IFA_F_NODAD = 0x02;
const REQUEST = NLM_F_REQUEST | NLM_F_ACK;
const MAKE = REQUEST | NLM_F_CREATE | NLM_F_EXCL;

export interface InterfaceAddress {
  readonly ifindex: number;
  readonly ip: IpAddress;
  readonly prefixLen: number;
  /** IPv6: usable at once. */
  readonly nodad?: boolean;
}

/** Of the main table; a next hop, an interface, or both. */
export interface RouteEntry {
  readonly dest: IpAddress;
  readonly prefixLen: number;
  readonly gateway?: IpAddress;
  readonly ifindex?: number;
}

export interface StaticNeighbour {
  readonly ifindex: number;
  readonly ip: IpAddress;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

export function newAddressRequest(seq: number, address: InterfaceAddress): Uint8Array {
  return nlMessage(RTM_NEWADDR, MAKE, seq, ifaddr(address), localAndAddress(address));
}

export function deleteAddressRequest(seq: number, address: InterfaceAddress): Uint8Array {
  return nlMessage(RTM_DELADDR, REQUEST, seq, ifaddr(address), localAndAddress(address));
}

export function newRouteRequest(seq: number, route: RouteEntry): Uint8Array {
  const scope = route.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  return nlMessage(RTM_NEWROUTE, MAKE, seq, rtmsg(route, RTPROT_BOOT, scope, RTN_UNICAST), routeAttributes(route));
}

export function deleteRouteRequest(seq: number, route: RouteEntry): Uint8Array {
  return nlMessage(RTM_DELROUTE, REQUEST, seq, rtmsg(route, 0, RT_SCOPE_NOWHERE, 0), routeAttributes(route));
}

/** Permanent; takes the place of what there was. */
export function newNeighbourRequest(seq: number, neighbour: StaticNeighbour): Uint8Array {
  return nlMessage(RTM_NEWNEIGH, REQUEST | NLM_F_CREATE | NLM_F_REPLACE, seq, ndmsg(neighbour), [
    [NDA_DST, bytesOf(neighbour.ip)],
    [NDA_LLADDR, neighbour.mac],
  ]);
}

export function deleteNeighbourRequest(seq: number, neighbour: Omit<StaticNeighbour, 'mac'>): Uint8Array {
  return nlMessage(RTM_DELNEIGH, REQUEST, seq, ndmsg(neighbour), [[NDA_DST, bytesOf(neighbour.ip)]]);
}

function ifaddr({ ifindex, ip, prefixLen, nodad }: InterfaceAddress): Uint8Array {
  const fixed = Uint8Array.of(familyOf(ip), prefixLen, nodad === true ? IFA_F_NODAD : 0, 0, 0, 0, 0, 0);
  viewOf(fixed).setUint32(4, ifindex, true);
  return fixed;
}

function localAndAddress({ ip }: InterfaceAddress): NlAttribute[] {
  return [
    [IFA_LOCAL, bytesOf(ip)],
    [IFA_ADDRESS, bytesOf(ip)],
  ];
}

function rtmsg({ dest, prefixLen }: RouteEntry, protocol: number, scope: number, type: number): Uint8Array {
  return Uint8Array.of(familyOf(dest), prefixLen, 0, 0, RT_TABLE_MAIN, protocol, scope, type, 0, 0, 0, 0);
}

function routeAttributes({ dest, gateway, ifindex }: RouteEntry): NlAttribute[] {
  const attributes: NlAttribute[] = [[RTA_DST, bytesOf(dest)]];
  if (gateway !== undefined) attributes.push([RTA_GATEWAY, bytesOf(gateway)]);
  if (ifindex !== undefined) attributes.push([RTA_OIF, nlU32Bytes(ifindex)]);
  return attributes;
}

function ndmsg({ ip, ifindex }: Omit<StaticNeighbour, 'mac'>): Uint8Array {
  const fixed = new Uint8Array(12);
  const view = viewOf(fixed);
  fixed[0] = familyOf(ip);
  view.setInt32(4, ifindex, true);
  view.setUint16(8, NUD_PERMANENT, true);
  return fixed;
}
