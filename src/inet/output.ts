/**
 * The way down: a datagram becomes one packet, or the fragments that the link's mtu asks for, and goes to the neighbour.
 *
 *     ipSend  1 route: device, next hop, our address          no route: counted, -ENETUNREACH
 *             2 pieces: IP header, payload copied and summed   no memory: all are freed, -ENOBUFS
 *             3 the transport's checksum into the first piece
 *             4 each piece to the neighbour's hardware address
 *
 * The payload (a caller's array, or a frame) is copied and stays the caller's. Negative errno, or 0.
 * (`ip_append_data`, `ip_push_pending_frames`, `ip_output`, `ip6_output`)
 */
import { Errno } from '../base/status.ts';
import { hhInit, hhOutput } from '../device/hh_cache.ts';
import { IFF_LOOPBACK, IFF_NOARP, type NetDevice } from '../device/net_device.ts';
import { skbWalk } from '../skb/frags.ts';
import { NET_SKB_PAD } from '../skb/pool.ts';
import { type SkBuff, skbPush, skbPut, skbReserve } from '../skb/sk_buff.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import type { IpAddress } from '../wire/address.ts';
import { checksum, fold, sum32 } from '../wire/checksum.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import { IPPROTO_ICMPV6 } from '../wire/icmpv6.ts';
import { IPPROTO_ICMP, IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../wire/ipv4.ts';
import { IPV6_HLEN, writeIpv6 } from '../wire/ipv6.ts';
import { ipv4MulticastMac, ipv6MulticastMac } from '../wire/ndisc.ts';
import type { Inet } from './inet.ts';
import type { Neighbour } from './neighbour.ts';
import { isGroup, type Route } from './route.ts';
import { Snmp } from './snmp.ts';

/** A transport header has 8 bytes: UDP's, ICMP's, ICMPv6's. */
const TRANSPORT_HLEN = 8;
const FRAGMENT_HLEN = 8;
const IPPROTO_FRAGMENT = 44;
const MORE_FRAGMENTS = 0x2000;
const NO_MAC = new Uint8Array(6);
const DEFAULT_TTL = 64;

/** One datagram to be sent. */
export interface Datagram {
  readonly to: IpAddress;
  /** null: the address that the route has. */
  readonly from: IpAddress | null;
  /** UDP, ICMP or ICMPv6; says where the checksum lies and what it covers. */
  readonly protocol: number;
  /** The transport header as two words; its checksum field is 0. */
  readonly word0: number;
  readonly word1: number;
  /** Bytes [start, start + len) of it follow. */
  readonly payload: Uint8Array | SkBuff;
  readonly start: number;
  readonly len: number;
  readonly hopLimit?: number;
  /** The device that it must leave by. */
  readonly dev?: NetDevice | null;
}

export function ipSend(inet: Inet, datagram: Datagram): number {
  const { to } = datagram;
  const six = to.family === 6;
  inet.snmp.add(six ? Snmp.Ip6OutRequests : Snmp.IpOutRequests);
  const route = inet.routes.lookup(to, datagram.dev ?? null);
  if (route === null || (datagram.from ?? route.source).family !== to.family) {
    inet.snmp.add(six ? Snmp.Ip6OutNoRoutes : Snmp.IpOutNoRoutes);
    return -Errno.ENETUNREACH;
  }
  const total = TRANSPORT_HLEN + datagram.len;
  if (total > 0xffff - (six ? 0 : IPV4_HLEN)) return -Errno.EMSGSIZE;
  const pieces = cut(inet, route, datagram, total);
  if (pieces === null) {
    inet.snmp.add(six ? Snmp.Ip6OutDiscards : Snmp.IpOutDiscards);
    return -Errno.ENOBUFS;
  }
  for (const skb of pieces) ipFinishOutput(inet, route, to, skb);
  return 0;
}

/** The packets of a datagram, each with `data` at its IP header, in order. Null: no memory, nothing is left. */
function cut(inet: Inet, route: Route, datagram: Datagram, total: number): SkBuff[] | null {
  const six = datagram.to.family === 6;
  const { skbs: pool, arena } = inet.machine;
  const hlen = six ? IPV6_HLEN : IPV4_HLEN;
  // A packet lies in one slot, so a link like lo, whose mtu is larger, carries pieces too.
  const mtu = Math.min(route.dev.mtu, arena.slotSize - NET_SKB_PAD);
  const whole = hlen + total <= mtu;
  const extra = six && !whole ? FRAGMENT_HLEN : 0;
  const step = whole ? total : (mtu - hlen - extra) & ~7;
  const id = whole ? nextId(inet) : nextId(inet) || nextId(inet);
  const pieces: SkBuff[] = [];
  let sum = 0;
  for (let at = 0; step > 0 && at < total; at += step) {
    const len = Math.min(step, total - at);
    const skb = pool.alloc(NET_SKB_PAD + hlen + extra + len);
    if (skb === null) break;
    pieces.push(skb);
    skbReserve(skb, NET_SKB_PAD);
    skb.networkHeader = skbPut(skb, hlen + extra);
    skb.transportHeader = skbPut(skb, len);
    const head = at === 0 ? TRANSPORT_HLEN : 0;
    copyPayload(datagram, at + head - TRANSPORT_HLEN, skb, skb.transportHeader + head, len - head);
    if (at === 0) {
      arena.view.setUint32(skb.transportHeader, datagram.word0);
      arena.view.setUint32(skb.transportHeader + 4, datagram.word1);
    }
    sum += sum32(arena.view, skb.transportHeader, len);
    writeIp(skb, route, datagram, len + extra, id);
    if (!whole) writeFragment(skb, six, datagram.protocol, at, at + len < total, id);
  }
  const made = pieces.reduce((bytes, skb) => bytes + skb.len - hlen - extra, 0);
  if (made < total) {
    inet.snmp.add(six ? Snmp.Ip6FragFails : Snmp.IpFragFails, whole ? 0 : 1);
    for (const skb of pieces) pool.consume(skb);
    return null;
  }
  writeTransportSum(pieces[0]!, datagram, total, sum);
  if (!whole) {
    inet.snmp.add(six ? Snmp.Ip6FragOKs : Snmp.IpFragOKs);
    inet.snmp.add(six ? Snmp.Ip6FragCreates : Snmp.IpFragCreates, pieces.length);
  }
  return pieces;
}

/** Payload bytes [at, at + len), counted from the payload's first, to arena position `to`. */
function copyPayload(datagram: Datagram, at: number, skb: SkBuff, to: number, len: number): void {
  const { payload, start } = datagram;
  const { bytes } = skb.arena;
  if (payload instanceof Uint8Array) {
    bytes.set(payload.subarray(start + at, start + at + len), to);
    return;
  }
  skbWalk(payload, start + at, len, (offset, n, where) => {
    bytes.copyWithin(to + where - start - at, offset, offset + n);
  });
}

function writeIp(skb: SkBuff, route: Route, datagram: Datagram, payloadLen: number, id: number): void {
  const { view } = skb.arena;
  const { to, protocol } = datagram;
  const from = datagram.from ?? route.source;
  const ip = skb.networkHeader;
  const hopLimit = datagram.hopLimit ?? DEFAULT_TTL;
  if (to.family === 6 && from.family === 6) {
    writeIpv6(view, ip, protocol, hopLimit, from.v6, to.v6, payloadLen);
    skb.protocol = ETH_P_IPV6;
  } else if (to.family === 4 && from.family === 4) {
    writeIpv4(view, ip, id & 0xffff, protocol, from.v4, to.v4, payloadLen);
    view.setUint8(ip + 8, hopLimit);
    writeIpv4Sum(skb);
    skb.protocol = ETH_P_IP;
  }
}

/** Makes the packet a fragment: bits of the IPv4 header, or the fragment header behind the IPv6 one. */
function writeFragment(skb: SkBuff, six: boolean, protocol: number, at: number, more: boolean, id: number): void {
  const { view } = skb.arena;
  const ip = skb.networkHeader;
  if (!six) {
    view.setUint16(ip + 6, (at >>> 3) | (more ? MORE_FRAGMENTS : 0));
    writeIpv4Sum(skb);
    return;
  }
  view.setUint8(ip + 6, IPPROTO_FRAGMENT);
  view.setUint16(ip + IPV6_HLEN, protocol << 8);
  view.setUint16(ip + IPV6_HLEN + 2, at | (more ? 1 : 0));
  view.setUint32(ip + IPV6_HLEN + 4, id);
}

function writeIpv4Sum(skb: SkBuff): void {
  const { view } = skb.arena;
  view.setUint16(skb.networkHeader + 10, 0);
  view.setUint16(skb.networkHeader + 10, checksum(view, skb.networkHeader, IPV4_HLEN));
}

/** `sum` covers the transport header, with a checksum of 0, and all of the payload. */
function writeTransportSum(first: SkBuff, datagram: Datagram, total: number, sum: number): void {
  const { view } = first.arena;
  const { protocol } = datagram;
  const ip = first.networkHeader;
  const pseudo = datagram.to.family === 6 ? sum32(view, ip + 8, 32) : sum32(view, ip + 12, 8);
  if (protocol === IPPROTO_UDP) {
    view.setUint16(first.transportHeader + 6, fold(sum + pseudo + protocol + total) || 0xffff);
  } else if (protocol === IPPROTO_ICMPV6) {
    view.setUint16(first.transportHeader + 2, fold(sum + pseudo + protocol + total));
  } else if (protocol === IPPROTO_ICMP) {
    view.setUint16(first.transportHeader + 2, fold(sum));
  }
}

function nextId(inet: Inet): number {
  inet.ipId = (inet.ipId + 1) >>> 0;
  return inet.ipId;
}

/** To the link: consumes the packet. (`ip_finish_output2`) */
function ipFinishOutput(inet: Inet, route: Route, to: IpAddress, skb: SkBuff): void {
  const { dev } = route;
  skb.dev = dev;
  if ((dev.flags & (IFF_LOOPBACK | IFF_NOARP)) !== 0) {
    linkOutput(skb, dev, (dev.flags & IFF_LOOPBACK) !== 0 ? NO_MAC : dev.broadcast);
  } else if (to.family === 4 && (inet.routes.isBroadcast4(to.v4) || isGroup(to))) {
    linkOutput(skb, dev, isGroup(to) && to.v4 !== 0xffffffff ? ipv4MulticastMac(to.v4, inet.groupMac) : dev.broadcast);
  } else if (to.family === 6 && isGroup(to)) {
    linkOutput(skb, dev, ipv6MulticastMac(to.v6, inet.groupMac));
  } else {
    const hop = route.gateway ?? to;
    (hop.family === 4 ? inet.arp : inet.nd).output(dev, hop, skb);
  }
}

/** To a neighbour whose address is known, with the header that is kept for it; consumes the packet. (`neigh_output`) */
export function neighOutput(skb: SkBuff, to: Neighbour): void {
  const { dev, hh } = to;
  if (hh.len === 0 && !hhInit(hh, dev, skb.protocol, to.lladdr)) {
    linkOutput(skb, dev, to.lladdr);
    return;
  }
  skb.dev = dev;
  hhOutput(hh, skb);
  skb.macHeader = skb.data;
  devQueueXmit(skb);
}

/** Puts the link header in front and sends; consumes the packet. */
export function linkOutput(skb: SkBuff, dev: NetDevice, dest: Uint8Array): void {
  skb.dev = dev;
  writeEth(skb.arena.view, skbPush(skb, ETH_HLEN), dest, dev.devAddr, skb.protocol);
  skb.macHeader = skb.data;
  devQueueXmit(skb);
}
