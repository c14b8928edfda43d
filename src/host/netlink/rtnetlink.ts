/**
 * What the kernel says about routes, neighbours, links and addresses, typed.
 *
 *     rtmsg      | family | dst_len | src_len | tos | table | protocol | scope | type | flags u32 |               12 bytes
 *     ndmsg      | family | 3 pad | ifindex s32 | state u16 | flags u8 | type u8 |                                12 bytes
 *     ifinfomsg  | family | pad | type u16 | ifindex s32 | flags u32 | change u32 |                               16 bytes
 *     ifaddrmsg  | family | prefixlen | flags | scope | ifindex u32 |                                              8 bytes
 *
 * Each reader takes the payload of a message of its type and gives null for one that is too short or lacks what it must have.
 * None throws. Answers to linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h.
 */
import type { IpAddress } from '../../wire/address.ts';
import {
  NLM_F_DUMP,
  NLM_F_REQUEST,
  nlAttributes,
  nlMessage,
  nlString,
  nlU8,
  nlU32,
  nlU32Bytes,
  viewOf,
} from './nlmsg.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;

const AF_INET = 2;
const AF_INET6 = 10;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_VIA = 18;
const RTAX_MTU = 2;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_CARRIER = 33;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_SLAVE_KIND = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;

/** Kinds of route, and what `ip route` calls them. */
export const ROUTE_TYPES = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
] as const;
export type RouteType = (typeof ROUTE_TYPES)[number];

/** States of a neighbour (`NUD_*`), by bit. */
export const NEIGHBOUR_STATES: readonly (readonly [bit: number, name: NeighbourState])[] = [
  [0x80, 'PERMANENT'],
  [0x40, 'NOARP'],
  [0x02, 'REACHABLE'],
  [0x10, 'PROBE'],
  [0x08, 'DELAY'],
  [0x04, 'STALE'],
  [0x20, 'FAILED'],
  [0x01, 'INCOMPLETE'],
];
export type NeighbourState =
  | 'PERMANENT'
  | 'NOARP'
  | 'REACHABLE'
  | 'PROBE'
  | 'DELAY'
  | 'STALE'
  | 'FAILED'
  | 'INCOMPLETE'
  | 'NONE';

export interface Route {
  readonly type: RouteType;
  /** Interface by number; 0: none. */
  readonly oif: number;
  /** Next hop; null: the target itself is on the link. May be of another family than the target. */
  readonly gateway: IpAddress | null;
  /** Address that the kernel would send from. */
  readonly prefsrc: IpAddress | null;
  /** MTU of the route, where it has one of its own. */
  readonly mtu: number | null;
}

export interface NeighbourEntry {
  readonly ifindex: number;
  readonly ip: IpAddress;
  /** 6 bytes; null while it is not known. */
  readonly mac: Uint8Array | null;
  readonly state: NeighbourState;
}

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** ARPHRD_* of the hardware. */
  readonly hardware: number;
  /** IFF_*. */
  readonly flags: number;
  readonly mac: Uint8Array | null;
  readonly mtu: number;
  /** The device on top of it by number, and what it is to that one (`bond`, `bridge`, ...). */
  readonly master: number;
  readonly slaveKind: string | null;
  /** The device below it (a VLAN's), by number. */
  readonly lower: number;
  /** `veth`, `bond`, `vlan`, ...; null: no virtual device. */
  readonly kind: string | null;
  /** RFC 2863 state; 6 is up, 0 unknown. */
  readonly operstate: number;
  readonly carrier: boolean | null;
}

export interface LinkAddress {
  readonly ifindex: number;
  readonly ip: IpAddress;
  readonly prefixLen: number;
  /** 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** IPv6: not usable yet (tentative) or any more (deprecated, dadfailed). */
  readonly usable: boolean;
}

/** Asks for the route to `dest`; through the interface `oif` if that is not 0. */
export function routeRequest(seq: number, dest: IpAddress, oif: number): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = familyOf(dest);
  fixed[1] = dest.family === 4 ? 32 : 128;
  const attributes: [number, Uint8Array][] = [[RTA_DST, bytesOf(dest)]];
  if (oif !== 0) attributes.push([RTA_OIF, nlU32Bytes(oif)]);
  return nlMessage(RTM_GETROUTE, NLM_F_REQUEST, seq, fixed, attributes);
}

/** Asks for all neighbours of a family. */
export function neighboursRequest(seq: number, family: 4 | 6): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = family === 4 ? AF_INET : AF_INET6;
  return nlMessage(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, seq, fixed);
}

export function linksRequest(seq: number): Uint8Array {
  return nlMessage(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, seq, new Uint8Array(16));
}

export function addressesRequest(seq: number): Uint8Array {
  return nlMessage(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, seq, new Uint8Array(8));
}

export function parseRoute(payload: Uint8Array): Route | null {
  if (payload.length < 12) return null;
  const family = payload[0]!;
  const attributes = nlAttributes(payload, 12);
  const metrics = attributes.get(RTA_METRICS);
  return {
    type: ROUTE_TYPES[payload[7]!] ?? 'unspec',
    oif: nlU32(attributes.get(RTA_OIF)) ?? 0,
    gateway: addressFrom(family, attributes.get(RTA_GATEWAY)) ?? via(attributes.get(RTA_VIA)),
    prefsrc: addressFrom(family, attributes.get(RTA_PREFSRC)),
    mtu: metrics === undefined ? null : nlU32(nlAttributes(metrics, 0).get(RTAX_MTU)),
  };
}

/** A next hop of another family: its family, then its address. */
function via(value: Uint8Array | undefined): IpAddress | null {
  return value === undefined || value.length < 2 ? null : addressFrom(value[0]! | (value[1]! << 8), value.subarray(2));
}

export function parseNeighbour(payload: Uint8Array): NeighbourEntry | null {
  if (payload.length < 12) return null;
  const view = viewOf(payload);
  const attributes = nlAttributes(payload, 12);
  const ip = addressFrom(payload[0]!, attributes.get(NDA_DST));
  if (ip === null) return null;
  const bits = view.getUint16(8, true);
  const mac = attributes.get(NDA_LLADDR);
  return {
    ifindex: view.getInt32(4, true),
    ip,
    mac: mac !== undefined && mac.length === 6 ? mac : null,
    state: NEIGHBOUR_STATES.find(([bit]) => (bits & bit) !== 0)?.[1] ?? 'NONE',
  };
}

export function parseLink(payload: Uint8Array): Link | null {
  if (payload.length < 16) return null;
  const view = viewOf(payload);
  const attributes = nlAttributes(payload, 16);
  const name = nlString(attributes.get(IFLA_IFNAME));
  if (name === null || name === '') return null;
  const mac = attributes.get(IFLA_ADDRESS);
  const info = attributes.get(IFLA_LINKINFO);
  const about = info === undefined ? new Map<number, Uint8Array>() : nlAttributes(info, 0);
  const carrier = nlU8(attributes.get(IFLA_CARRIER));
  return {
    ifindex: view.getInt32(4, true),
    name,
    hardware: view.getUint16(2, true),
    flags: view.getUint32(8, true),
    mac: mac !== undefined && mac.length === 6 ? mac : null,
    mtu: nlU32(attributes.get(IFLA_MTU)) ?? 0,
    master: nlU32(attributes.get(IFLA_MASTER)) ?? 0,
    slaveKind: nlString(about.get(IFLA_INFO_SLAVE_KIND)),
    lower: nlU32(attributes.get(IFLA_LINK)) ?? 0,
    kind: nlString(about.get(IFLA_INFO_KIND)),
    operstate: nlU8(attributes.get(IFLA_OPERSTATE)) ?? 0,
    carrier: carrier === null ? null : carrier === 1,
  };
}

/** Flags of an address that cannot be sent from: DADFAILED, DEPRECATED, TENTATIVE. */
const IFA_UNUSABLE = 0x08 | 0x20 | 0x40;

export function parseAddress(payload: Uint8Array): LinkAddress | null {
  if (payload.length < 8) return null;
  const attributes = nlAttributes(payload, 8);
  const ip = addressFrom(payload[0]!, attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS));
  if (ip === null) return null;
  const flags = nlU32(attributes.get(IFA_FLAGS)) ?? payload[2]!;
  return {
    ifindex: viewOf(payload).getUint32(4, true),
    ip,
    prefixLen: payload[1]!,
    scope: payload[3]!,
    usable: (flags & IFA_UNUSABLE) === 0,
  };
}

/** AF_INET or AF_INET6. */
export function familyOf(address: IpAddress): number {
  return address.family === 4 ? AF_INET : AF_INET6;
}

function addressFrom(family: number, value: Uint8Array | undefined): IpAddress | null {
  if (value === undefined) return null;
  if (family === AF_INET && value.length === 4) return { family: 4, v4: viewOf(value).getUint32(0) };
  return family === AF_INET6 && value.length === 16 ? { family: 6, v6: value.slice() } : null;
}

/** 4 or 16 bytes, as on the wire. */
export function bytesOf(address: IpAddress): Uint8Array {
  if (address.family === 6) return address.v6;
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, address.v4);
  return bytes;
}
