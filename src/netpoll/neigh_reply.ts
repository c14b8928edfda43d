// hot
/**
 * Who has this address? Asked while a device is trapped, nobody but netpoll can answer: ARP for IPv4, neighbour discovery
 * for IPv6. Only for an address of a client, and to whoever asked.
 *
 *     ARP request, target = a client's localIp          -> ARP reply
 *     neighbour solicitation (hop limit 255, right checksum), the same
 *         from an address                               -> neighbour advertisement to it: solicited, override
 *         from :: (is the address taken already?)       -> to all nodes: override
 *
 * True means that the question was for us and has been dealt with; the frame stays the caller's. Answers to arp_reply and
 * netpoll_neigh_reply.
 */
import { IFF_NOARP } from '../device/net_device.ts';
import { pskbPull } from '../skb/frags.ts';
import { type SkBuff, skbPush, skbPut } from '../skb/sk_buff.ts';
import {
  ARP_LEN,
  ARP_SENDER_MAC,
  ARPOP_REPLY,
  ARPOP_REQUEST,
  arpIsEthernetIpv4,
  arpOp,
  arpSenderIp,
  arpTargetIp,
  writeArp,
} from '../wire/arp.ts';
import { ETH_HLEN, ETH_P_ARP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import { ICMPV6_HLEN, IPPROTO_ICMPV6, icmpv6ChecksumOk, writeIcmpv6 } from '../wire/icmpv6.ts';
import { IPV6_HLEN, ipv6HopLimit, ipv6NextHeader, ipv6PayloadLen, ipv6Version, writeIpv6 } from '../wire/ipv6.ts';
import {
  NA_OVERRIDE,
  NA_SOLICITED,
  ND_OPT_SOURCE_LL_ADDR,
  ND_OPT_TARGET_LL_ADDR,
  NDISC_HOP_LIMIT,
  NDISC_LEN,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_TARGET,
  ndiscOption,
  writeLinkLayerOption,
} from '../wire/ndisc.ts';
import type { Netpoll } from './netpoll.ts';
import type { NetpollInfo } from './npinfo.ts';
import { findSkb } from './reserve.ts';
import { netpollSendSkb } from './send.ts';

const LINK_LAYER_OPTION_LEN = 8;
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

/** An ARP request; skb.data is behind the Ethernet header. */
export function arpReply(info: NetpollInfo, skb: SkBuff): boolean {
  const { dev } = info;
  if ((dev.flags & IFF_NOARP) !== 0) return false;
  const { view } = skb.arena;
  const o = skb.data;
  if (!pskbPull(skb, ARP_LEN) || !arpIsEthernetIpv4(view, o) || arpOp(view, o) !== ARPOP_REQUEST) return false;
  const asked = arpTargetIp(view, o);
  const np = ownerOfIpv4(info, asked);
  if (np === null) return false;
  const reply = findSkb(info, ARP_LEN);
  if (reply === null) {
    info.counters.count('no_memory');
    return true;
  }
  const asker = info.askerMac;
  copy(skb.arena.bytes, o + ARP_SENDER_MAC, asker);
  const own = np.localMac ?? dev.devAddr;
  writeArp(view, skbPut(reply, ARP_LEN), ARPOP_REPLY, own, asked, asker, arpSenderIp(view, o));
  writeEth(view, skbPush(reply, ETH_HLEN), asker, own, ETH_P_ARP);
  reply.dev = dev;
  reply.protocol = ETH_P_ARP;
  info.counters.count('arp_replies');
  netpollSendSkb(np, reply);
  return true;
}

/** An IPv6 packet that may be a neighbour solicitation. */
export function neighReply(info: NetpollInfo, skb: SkBuff): boolean {
  const { view, bytes } = skb.arena;
  const ip = skb.data;
  if (!pskbPull(skb, IPV6_HLEN + NDISC_LEN) || !isSolicitation(view, ip)) return false;
  const len = ipv6PayloadLen(view, ip);
  const o = ip + IPV6_HLEN;
  if (len < NDISC_LEN || !pskbPull(skb, IPV6_HLEN + len)) return false;
  const np = ownerOfIpv6(info, bytes, o + NDISC_TARGET);
  if (np === null || np.localIp?.family !== 6 || !icmpv6ChecksumOk(view, ip, o, len)) return false;
  const option = ndiscOption(view, o + NDISC_LEN, o + len, ND_OPT_SOURCE_LL_ADDR);
  const unspecified = isUnspecified(bytes, ip + 8);
  // Broken options, or an address in front of which there is nobody yet: not a question that may be answered.
  if (option === -2 || (unspecified && option >= 0)) return true;
  const reply = findSkb(info, NDISC_LEN + LINK_LAYER_OPTION_LEN);
  if (reply === null) {
    info.counters.count('no_memory');
    return true;
  }
  const asker = unspecified ? ALL_NODES : info.askerIp;
  const askerMac = unspecified ? ALL_NODES_MAC : info.askerMac;
  if (!unspecified) {
    copy(bytes, ip + 8, asker);
    // An address of another length is not Ethernet's.
    copy(bytes, option >= 0 && view.getUint8(option + 1) === 1 ? option + 2 : skb.macHeader + 6, askerMac);
  }
  const own = np.localMac ?? info.dev.devAddr;
  const target = skbPut(reply, NDISC_LEN - ICMPV6_HLEN + LINK_LAYER_OPTION_LEN);
  for (let i = 0; i < 16; i++) bytes[target + i] = np.localIp.v6[i]!;
  writeLinkLayerOption(bytes, target + 16, ND_OPT_TARGET_LL_ADDR, own);
  const dataLen = reply.len;
  const icmp = skbPush(reply, ICMPV6_HLEN);
  const header = skbPush(reply, IPV6_HLEN);
  writeIpv6(view, header, IPPROTO_ICMPV6, NDISC_HOP_LIMIT, np.localIp.v6, asker, ICMPV6_HLEN + dataLen);
  const flags = unspecified ? NA_OVERRIDE : NA_SOLICITED + NA_OVERRIDE;
  writeIcmpv6(view, header, icmp, NDISC_NEIGHBOUR_ADVERTISEMENT, 0, flags, dataLen);
  writeEth(view, skbPush(reply, ETH_HLEN), askerMac, own, ETH_P_IPV6);
  reply.dev = info.dev;
  reply.protocol = ETH_P_IPV6;
  info.counters.count('neigh_replies');
  netpollSendSkb(np, reply);
  return true;
}

/** Only a neighbour can have sent it: no router lets hop limit 255 through. */
function isSolicitation(view: DataView, ip: number): boolean {
  return (
    ipv6Version(view, ip) === 6 &&
    ipv6NextHeader(view, ip) === IPPROTO_ICMPV6 &&
    ipv6HopLimit(view, ip) === NDISC_HOP_LIMIT &&
    view.getUint8(ip + 8) !== 0xff &&
    view.getUint8(ip + IPV6_HLEN) === NDISC_NEIGHBOUR_SOLICITATION &&
    view.getUint8(ip + IPV6_HLEN + 1) === 0
  );
}

/** Any client: one that only sends has to be found, too. */
function ownerOfIpv4(info: NetpollInfo, address: number): Netpoll | null {
  for (let i = 0; i < info.clients.length; i++) {
    const np = info.clients[i]!;
    if (np.localIp !== null && np.localIp.family === 4 && np.localIp.v4 === address) return np;
  }
  return null;
}

function ownerOfIpv6(info: NetpollInfo, bytes: Uint8Array, o: number): Netpoll | null {
  for (let i = 0; i < info.clients.length; i++) {
    const np = info.clients[i]!;
    if (np.localIp !== null && np.localIp.family === 6 && startsAt(bytes, o, np.localIp.v6)) return np;
  }
  return null;
}

function startsAt(bytes: Uint8Array, o: number, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[o + i] !== what[i]) return false;
  return true;
}

function isUnspecified(bytes: Uint8Array, o: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[o + i] !== 0) return false;
  return true;
}

function copy(bytes: Uint8Array, o: number, to: Uint8Array): void {
  for (let i = 0; i < to.length; i++) to[i] = bytes[o + i]!;
}
