/**
 * Where a datagram to `target` leaves this host, and to whose hardware address: what a netconsole option string has to say.
 *
 *  1. the route: interface, source address, gateway
 *  2. the next hop is the gateway, or the target itself if it is on the link
 *  3. its neighbour entry; multicast and broadcast addresses have their hardware address by rule
 *  4. not there: a datagram is sent the ordinary way, so that the kernel asks, and the table is looked at again
 */
import { BROADCAST_MAC } from '../../netpoll/options.ts';
import type { IpAddress } from '../../wire/address.ts';
import { ipv4MulticastMac, ipv6MulticastMac } from '../../wire/ndisc.ts';
import { ARPHRD_ETHER } from '../sys/interface.ts';
import type { NetTables } from './net_tables.ts';
import type { Link, LinkAddress, NeighbourState, Route } from './rtnetlink.ts';

export interface NextHop {
  readonly target: IpAddress;
  readonly route: Route;
  readonly link: Link;
  /** Address to send from; null: the interface has none of the target's family. */
  readonly source: IpAddress | null;
  /** Gateway, or the target. */
  readonly hop: IpAddress;
  readonly mac: Uint8Array | null;
  /** Of the neighbour; 'RULE': the hardware address follows from the address. */
  readonly state: NeighbourState | 'RULE' | 'UNSEEN';
}

/** Why there is no next hop: a sentence, and the kernel's word if it gave one. */
export interface NoRoute {
  readonly reason: string;
}

/** Looks once. `dev`: through this interface, whatever the routes prefer. */
export function lookUpNextHop(tables: NetTables, target: IpAddress, dev?: string): NextHop | NoRoute {
  const links = tables.links();
  const wanted = dev === undefined ? undefined : links.find((link) => link.name === dev);
  if (dev !== undefined && wanted === undefined) {
    return { reason: `there is no interface "${dev}"; there are: ${links.map((link) => link.name).join(', ')}` };
  }
  const route = tables.route(target, wanted?.ifindex ?? 0);
  if (typeof route === 'string') return { reason: `the kernel has no route (${route})` };
  const link = wanted ?? links.find((each) => each.ifindex === route.oif);
  if (link === undefined) return { reason: 'the route names no interface' };
  const hop = route.gateway ?? target;
  const byRule = macByRule(route, target);
  const entry =
    byRule === null
      ? (tables.neighbours(hop.family)?.find((each) => each.ifindex === link.ifindex && same(each.ip, hop)) ?? null)
      : null;
  const seen = tables.neighbours(hop.family) !== null;
  return {
    target,
    route,
    link,
    source: sourceOf(tables.addresses(), route, link, target),
    hop,
    mac: byRule ?? entry?.mac ?? null,
    state: byRule !== null ? 'RULE' : (entry?.state ?? (seen ? 'NONE' : 'UNSEEN')),
  };
}

/** How often the table is looked at again, and for how long: a kernel asks three times, a second apart. */
const LOOK_EVERY_MS = 50;
export const PROBE_MS = 3_500;

/**
 * Looks, and where the hardware address is not known has `probe` send a datagram to the target and looks until it is, or the kernel
 * has given up, or `waitMs` are over.
 */
export async function resolveNextHop(
  tables: NetTables,
  target: IpAddress,
  options: { dev?: string; probe?: (target: IpAddress, link: Link) => Promise<void>; waitMs?: number } = {},
): Promise<NextHop | NoRoute> {
  const first = lookUpNextHop(tables, target, options.dev);
  if ('reason' in first || options.probe === undefined || !canBeAsked(first)) return first;
  await options.probe(target, first.link);
  let now = first;
  for (let waited = 0; waited < (options.waitMs ?? PROBE_MS); waited += LOOK_EVERY_MS) {
    await new Promise((resolved) => setTimeout(resolved, LOOK_EVERY_MS));
    const again = lookUpNextHop(tables, target, options.dev);
    if ('reason' in again) return again;
    now = again;
    // FAILED may be old news: the kernel has just been told to ask again.
    if (now.mac !== null || (now.state === 'FAILED' && waited > 1000)) break;
  }
  return now;
}

/** A hardware address is missing, there can be one, and it would be seen. */
function canBeAsked({ mac, state, route, link }: NextHop): boolean {
  return mac === null && state !== 'UNSEEN' && route.type === 'unicast' && link.hardware === ARPHRD_ETHER;
}

/** Multicast and broadcast are not asked for. */
function macByRule(route: Route, target: IpAddress): Uint8Array | null {
  if (route.gateway === null && route.type === 'broadcast') return BROADCAST_MAC;
  if (target.family === 6) {
    return target.v6[0] === 0xff ? ipv6MulticastMac(target.v6, new Uint8Array(6)) : null;
  }
  if (target.v4 === 0xffffffff) return BROADCAST_MAC;
  return target.v4 >>> 28 === 0xe ? ipv4MulticastMac(target.v4, new Uint8Array(6)) : null;
}

/** The route's own choice; else the first of the interface that fits, link-local exactly if the target is. */
function sourceOf(all: LinkAddress[], route: Route, link: Link, target: IpAddress): IpAddress | null {
  if (route.prefsrc !== null && route.prefsrc.family === target.family) return route.prefsrc;
  const own = all.filter((each) => each.ifindex === link.ifindex && each.ip.family === target.family && each.usable);
  const fits = own.find((each) => target.family === 4 || isLinkLocal(each.ip) === isLinkLocal(target));
  return fits?.ip ?? null;
}

/** fe80::/10, or multicast that stays on the link. */
export function isLinkLocal(address: IpAddress): boolean {
  if (address.family !== 6) return false;
  const [first = 0, second = 0] = address.v6;
  return first === 0xff ? (second & 0x0f) === 2 : first === 0xfe && (second & 0xc0) === 0x80;
}

function same(a: IpAddress, b: IpAddress): boolean {
  if (a.family === 4) return b.family === 4 && a.v4 === b.v4;
  return b.family === 6 && a.v6.every((byte, i) => byte === b.v6[i]);
}
