/**
 * Neighbour discovery: ARP's work for IPv6, as ICMPv6 messages with hop limit 255. (`net/ipv6/ndisc.c`)
 *
 *     solicitation for us -> learn the asker (STALE), advertise to him (to all nodes if he has no address yet)
 *     advertisement       -> an entry that there is becomes REACHABLE if it answers us, else STALE
 *
 * Called by ICMPv6 with the checksum verified and `skb.data` at the ICMPv6 header; the frame stays the caller's.
 */
import { devOf, type NetDevice } from '../device/net_device.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import { IPPROTO_ICMPV6 } from '../wire/icmpv6.ts';
import { ipv6HopLimit } from '../wire/ipv6.ts';
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
  solicitedNode,
  writeLinkLayerOption,
} from '../wire/ndisc.ts';
import type { Inet } from './inet.ts';
import { type Neighbour, NUD_REACHABLE, NUD_STALE } from './neighbour.ts';
import { ipSend } from './output.ts';
import { ALL_NODES, sameBytes } from './route.ts';
import { Snmp } from './snmp.ts';

const UNSPECIFIED = new Uint8Array(16);
const OPTION_LEN = 8;
const SOURCE_AT = 8;
const DEST_AT = 24;

/** False: the message breaks a rule of RFC 4861 (7.1) and is dropped by the caller. */
export function ndiscRcv(inet: Inet, skb: SkBuff, type: number): boolean {
  const { view, bytes } = skb.arena;
  const o = skb.data;
  const ip = skb.networkHeader;
  if (ipv6HopLimit(view, ip) !== NDISC_HOP_LIMIT || skb.len - skb.dataLen < NDISC_LEN) return false;
  if (view.getUint8(o + 1) !== 0 || bytes[o + NDISC_TARGET] === 0xff) return false;
  const end = o + skb.len - skb.dataLen;
  const wanted = type === NDISC_NEIGHBOUR_SOLICITATION ? ND_OPT_SOURCE_LL_ADDR : ND_OPT_TARGET_LL_ADDR;
  const option = ndiscOption(view, o + NDISC_LEN, end, wanted);
  if (option === -2) return false;
  // An address option of another length is not Ethernet's.
  const mac = option >= 0 && view.getUint8(option + 1) === 1 ? option + 2 : -1;
  return type === NDISC_NEIGHBOUR_SOLICITATION ? solicited(inet, skb, mac) : advertised(inet, skb, mac);
}

function solicited(inet: Inet, skb: SkBuff, mac: number): boolean {
  inet.snmp.add(Snmp.Icmp6InNeighborSolicits);
  const dev = devOf(skb);
  const { bytes } = skb.arena;
  const ip = skb.networkHeader;
  const target = bytes.slice(skb.data + NDISC_TARGET, skb.data + NDISC_LEN);
  const nameless = sameBytes(bytes, ip + SOURCE_AT, UNSPECIFIED);
  if (nameless && (mac >= 0 || !sameBytes(bytes, ip + DEST_AT, solicitedNode(target, 0, inet.group6)))) return false;
  if (!inet.routes.isLocal6(target, 0)) return true;
  const asker: IpAddress = { family: 6, v6: bytes.slice(ip + SOURCE_AT, ip + DEST_AT) };
  if (!nameless && mac >= 0) {
    const neighbour = inet.nd.create(dev, asker);
    if (neighbour !== null) inet.nd.update(neighbour, bytes, mac, NUD_STALE, true);
  }
  ndiscSendNa(inet, dev, nameless ? { family: 6, v6: ALL_NODES } : asker, target, !nameless);
  return true;
}

function advertised(inet: Inet, skb: SkBuff, mac: number): boolean {
  inet.snmp.add(Snmp.Icmp6InNeighborAdvertisements);
  const { view, bytes } = skb.arena;
  const flags = view.getUint32(skb.data + 4);
  const toGroup = bytes[skb.networkHeader + DEST_AT] === 0xff;
  if (toGroup && (flags & NA_SOLICITED) !== 0) return false;
  const target: IpAddress = { family: 6, v6: bytes.slice(skb.data + NDISC_TARGET, skb.data + NDISC_LEN) };
  if (inet.routes.isLocal(target)) return true;
  const known = inet.nd.lookup(devOf(skb), target);
  if (known === null || mac < 0) return true;
  const state = (flags & NA_SOLICITED) !== 0 ? NUD_REACHABLE : NUD_STALE;
  inet.nd.update(known, bytes, mac, state, (flags & NA_OVERRIDE) !== 0);
  return true;
}

/** Asks the group of the neighbour's address, or the neighbour himself. (`ndisc_solicit`) */
export function ndiscSolicit(inet: Inet, neighbour: Neighbour, unicast: boolean): void {
  const { dev, ip } = neighbour;
  // From the address that the neighbour will see in our packets, so that he learns the one he needs.
  const from = inet.routes.lookup(ip, dev)?.source;
  if (ip.family !== 6 || from?.family !== 6) return;
  const to: IpAddress = unicast ? ip : { family: 6, v6: solicitedNode(ip.v6, 0, new Uint8Array(16)) };
  inet.snmp.add(Snmp.Icmp6OutNeighborSolicits);
  ndiscSend(inet, dev, NDISC_NEIGHBOUR_SOLICITATION, 0, from, to, ip.v6, ND_OPT_SOURCE_LL_ADDR);
}

/** Tells everybody on the link our address, so that they correct what they know. */
export function ndiscAnnounce(inet: Inet, dev: NetDevice, v6: Uint8Array): void {
  ndiscSendNa(inet, dev, { family: 6, v6: ALL_NODES }, v6, false);
}

function ndiscSendNa(inet: Inet, dev: NetDevice, to: IpAddress, target: Uint8Array, solicited: boolean): void {
  inet.snmp.add(Snmp.Icmp6OutNeighborAdvertisements);
  const flags = (solicited ? NA_SOLICITED : 0) | NA_OVERRIDE;
  const from: IpAddress = { family: 6, v6: target };
  ndiscSend(inet, dev, NDISC_NEIGHBOUR_ADVERTISEMENT, flags, from, to, target, ND_OPT_TARGET_LL_ADDR);
}

function ndiscSend(
  inet: Inet,
  dev: NetDevice,
  type: number,
  flags: number,
  from: IpAddress,
  to: IpAddress,
  target: Uint8Array,
  option: number,
): void {
  const payload = new Uint8Array(16 + OPTION_LEN);
  payload.set(target);
  writeLinkLayerOption(payload, 16, option, dev.devAddr);
  inet.snmp.add(Snmp.Icmp6OutMsgs);
  ipSend(inet, {
    to,
    from,
    dev,
    protocol: IPPROTO_ICMPV6,
    word0: type << 24,
    word1: flags >>> 0,
    payload,
    start: 0,
    len: payload.length,
    hopLimit: NDISC_HOP_LIMIT,
  });
}
