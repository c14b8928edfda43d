/**
 * The tables without netlink: what /proc/net, /sys/class/net and Node itself tell.
 *
 *     /proc/net/route       Iface Destination Gateway Flags RefCnt Use Metric Mask ...      hex in the machine's order
 *     /proc/net/ipv6_route  dest plen source plen nexthop metric refcnt use flags iface      hex
 *     /proc/net/arp         IP, type, flags (2 complete, 4 permanent), MAC, mask, device
 *
 * Less than netlink knows: only the main table, no metrics of interfaces, no states of neighbours, none of IPv6. Lines that
 * cannot be read are left out; nothing throws.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { basename } from 'node:path';
import { type IpAddress, parseIp, parseIpv4, parseMac } from '../../wire/address.ts';
import type { NetTables } from './net_tables.ts';
import type { Link, LinkAddress, NeighbourEntry, Route } from './rtnetlink.ts';

const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;
const RTF_LOCAL = 0x80000000;
const ATF_COM = 0x2;
const ATF_PERM = 0x4;
const IFF_UP = 0x1;

/** Where the tables are read from; a test has another place. */
export interface ProcSource {
  readonly proc: string;
  readonly sys: string;
  addresses(): LinkAddress[];
}

const HERE: ProcSource = { proc: '/proc', sys: '/sys', addresses: addressesOfNode };

/** `because`: why netlink was not to be had. */
export function procTables(because: string, from: ProcSource = HERE): NetTables {
  return {
    source: '/proc',
    because,
    links: () => links(from),
    addresses: () => from.addresses().map((each) => ({ ...each, ifindex: each.ifindex || 0 })),
    neighbours: (family) => (family === 4 ? parseProcArp(read(`${from.proc}/net/arp`), links(from)) : null),
    route: (dest, oif) => route(from, dest, oif),
    close: () => {},
  };
}

interface ProcRoute {
  readonly dev: string;
  readonly dest: IpAddress;
  readonly prefixLen: number;
  readonly gateway: IpAddress | null;
  readonly flags: number;
  readonly metric: number;
}

function route(from: ProcSource, dest: IpAddress, oif: number): Route | string {
  const all = links(from);
  const own = from.addresses().find(({ ip }) => sameAddress(ip, dest));
  if (own !== undefined) return { type: 'local', oif: own.ifindex, gateway: null, prefsrc: dest, mtu: null };
  const known =
    dest.family === 4
      ? parseProcRoute(read(`${from.proc}/net/route`))
      : parseProcIpv6Route(read(`${from.proc}/net/ipv6_route`));
  const indexOf = (name: string) => all.find((link) => link.name === name)?.ifindex ?? 0;
  const best = known
    .filter((each) => (each.flags & RTF_UP) !== 0 && covers(each, dest) && (oif === 0 || indexOf(each.dev) === oif))
    .sort((a, b) => b.prefixLen - a.prefixLen || a.metric - b.metric)[0];
  if (best === undefined) return 'ENETUNREACH';
  const type = (best.flags & RTF_REJECT) !== 0 ? 'unreachable' : 'unicast';
  return { type, oif: indexOf(best.dev), gateway: best.gateway, prefsrc: null, mtu: null };
}

export function parseProcRoute(text: string): ProcRoute[] {
  const found: ProcRoute[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [dev, dest, gateway, flags, , , metric, mask] = line.trim().split(/\s+/);
    if (mask === undefined || ![dest, gateway, flags, mask].every((each) => /^[0-9A-Fa-f]{1,8}$/.test(each!))) continue;
    const bits = Number.parseInt(flags!, 16);
    found.push({
      dev: dev!,
      dest: { family: 4, v4: swapped(dest!) },
      prefixLen: [...swapped(mask).toString(2)].filter((bit) => bit === '1').length,
      gateway: (bits & RTF_GATEWAY) !== 0 ? { family: 4, v4: swapped(gateway!) } : null,
      flags: bits,
      metric: Number(metric) || 0,
    });
  }
  return found;
}

export function parseProcIpv6Route(text: string): ProcRoute[] {
  const found: ProcRoute[] = [];
  for (const line of text.split('\n')) {
    const match =
      /^([0-9a-f]{32}) ([0-9a-f]{2}) [0-9a-f]{32} [0-9a-f]{2} ([0-9a-f]{32}) ([0-9a-f]{8}) \S+ \S+ ([0-9a-f]{8})\s+(\S+)/.exec(
        line,
      );
    if (match === null) continue;
    const [, dest, plen, gateway, metric, flags, dev] = match;
    const bits = Number.parseInt(flags!, 16);
    // Own addresses are found among the addresses.
    if ((bits & RTF_LOCAL) !== 0) continue;
    found.push({
      dev: dev!,
      dest: { family: 6, v6: fromHex(dest!) },
      prefixLen: Number.parseInt(plen!, 16),
      gateway: (bits & RTF_GATEWAY) !== 0 ? { family: 6, v6: fromHex(gateway!) } : null,
      flags: bits,
      metric: Number.parseInt(metric!, 16),
    });
  }
  return found;
}

export function parseProcArp(text: string, all: readonly Pick<Link, 'name' | 'ifindex'>[]): NeighbourEntry[] {
  const found: NeighbourEntry[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [address, , flagsText, macText, , dev] = line.trim().split(/\s+/);
    const v4 = address === undefined ? null : parseIpv4(address);
    if (v4 === null || dev === undefined) continue;
    const flags = Number(flagsText);
    const mac = parseMac(macText!);
    const known = (flags & ATF_COM) !== 0 && mac !== null;
    found.push({
      ifindex: all.find((link) => link.name === dev)?.ifindex ?? 0,
      ip: { family: 4, v4 },
      mac: known ? mac : null,
      state: known ? ((flags & ATF_PERM) !== 0 ? 'PERMANENT' : 'STALE') : 'INCOMPLETE',
    });
  }
  return found;
}

function links(from: ProcSource): Link[] {
  const names = read(`${from.proc}/net/dev`)
    .split('\n')
    .slice(2)
    .flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
  return names.map((name) => linkOf(from, name));
}

function linkOf(from: ProcSource, name: string): Link {
  const folder = `${from.sys}/class/net/${name}`;
  const number = (file: string) => Number(read(`${folder}/${file}`).trim()) || 0;
  const devtype = /^DEVTYPE=(.*)$/m.exec(read(`${folder}/uevent`))?.[1] ?? null;
  const files = list(folder);
  const kind = devtype ?? (files.includes('tun_flags') ? 'tun' : files.includes('bonding') ? 'bond' : null);
  const operstate = read(`${folder}/operstate`).trim();
  const carrier = read(`${folder}/carrier`).trim();
  const master = linkName(`${folder}/master`);
  return {
    ifindex: number('ifindex'),
    name,
    hardware: number('type'),
    flags: number('flags') || (operstate === 'up' ? IFF_UP : 0),
    mac: parseMac(read(`${folder}/address`).trim()),
    mtu: number('mtu'),
    master: master === null ? 0 : Number(read(`${from.sys}/class/net/${master}/ifindex`).trim()) || 0,
    slaveKind: null,
    lower: number('iflink') === number('ifindex') ? 0 : number('iflink'),
    kind,
    operstate: operstate === 'up' ? 6 : operstate === 'down' ? 2 : 0,
    carrier: carrier === '' ? null : carrier === '1',
  };
}

function addressesOfNode(): LinkAddress[] {
  const found: LinkAddress[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const ifindex = Number(read(`/sys/class/net/${name}/ifindex`).trim()) || 0;
    for (const { address, cidr } of addresses ?? []) {
      const ip = parseIp(address);
      if (ip === null) continue;
      const linkLocal = ip.family === 6 && ip.v6[0] === 0xfe && (ip.v6[1]! & 0xc0) === 0x80;
      const prefixLen = Number(cidr?.split('/')[1]) || 0;
      found.push({ ifindex, ip, prefixLen, scope: linkLocal ? 253 : 0, usable: true });
    }
  }
  return found;
}

function covers(each: ProcRoute, dest: IpAddress): boolean {
  if (each.dest.family === 4 && dest.family === 4) {
    const mask = each.prefixLen === 0 ? 0 : (~0 << (32 - each.prefixLen)) >>> 0;
    return ((each.dest.v4 ^ dest.v4) & mask) === 0;
  }
  if (each.dest.family !== 6 || dest.family !== 6) return false;
  for (let bit = 0; bit < each.prefixLen; bit++) {
    const mask = 0x80 >>> (bit & 7);
    if (((each.dest.v6[bit >> 3]! ^ dest.v6[bit >> 3]!) & mask) !== 0) return false;
  }
  return true;
}

function sameAddress(a: IpAddress, b: IpAddress): boolean {
  if (a.family === 4) return b.family === 4 && a.v4 === b.v4;
  return b.family === 6 && a.v6.every((byte, i) => byte === b.v6[i]);
}

/** Hex of a number in the machine's order, as the network has it. */
function swapped(hex: string): number {
  const value = Number.parseInt(hex, 16);
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | ((value >>> 24) & 0xff)) >>> 0;
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}
