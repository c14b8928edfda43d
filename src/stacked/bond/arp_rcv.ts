// hot
/**
 * What a slave receives, as the ARP monitor sees it: when was it last alive?
 *
 *     arp_validate off for the slave   any frame counts; with a filter option ARP and IPv6 only
 *     on                               ARP, NS and NA about a target of ours, and only these
 *
 * Whom is a frame about a target believed?
 *     (a) the slave is active: sent by the target to us
 *     (b) a backup, while the active slave has heard a target since it came up: our own request, which the switch spreads, so
 *         sender and target stand in each other's place
 *     (c) no slave is active and one probes: an answer may come in on any, for the switch may not have learned yet
 * Else a broken network that sends our requests back would look like a working one.
 *
 * The frame stays the caller's; `data` is behind the Ethernet header. Answers to bond_rcv_validate, bond_arp_rcv, bond_na_rcv.
 */
import type { NetDevice } from '../../device/net_device.ts';
import { PACKET_LOOPBACK, PACKET_OTHERHOST, type SkBuff, skbHeadlen } from '../../skb/sk_buff.ts';
import { ARP_LEN, ARPOP_REPLY, arpIsEthernetIpv4, arpOp, arpSenderIp, arpTargetIp } from '../../wire/arp.ts';
import { ETH_P_ARP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_ICMPV6 } from '../../wire/icmpv6.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../../wire/ipv6.ts';
import { NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION } from '../../wire/ndisc.ts';
import { bondTimeInInterval } from './arp_interval.ts';
import {
  type Bonding,
  bondIsActiveSlave,
  type Slave,
  slaveDoArpValidate,
  slaveDoArpValidateOnly,
  slaveLastRxNs,
} from './bond.ts';

const SOURCE_AT = 8;
const DEST_AT = 24;
const ICMP_HLEN = 8;

/** What a frame is believed as. */
const NOTHING = 0;
const ANSWER = 1;
const OWN_REQUEST = 2;

/** The bond's RecvProbe while it monitors by ARP. Never takes the frame: false. */
export function bondArpRcv(bond: Bonding, slave: Slave, skb: SkBuff): boolean {
  const isArp = skb.protocol === ETH_P_ARP;
  const isIpv6 = skb.protocol === ETH_P_IPV6;
  if (!slaveDoArpValidate(bond, slave)) {
    if (isArp || isIpv6 || !slaveDoArpValidateOnly(bond)) slave.lastRxNs = bond.net.machine.executive.now();
  } else if (skb.pktType !== PACKET_OTHERHOST && skb.pktType !== PACKET_LOOPBACK) {
    if (isArp) arpRcv(bond, slave, skb);
    else if (isIpv6) naRcv(bond, slave, skb);
  }
  return false;
}

function arpRcv(bond: Bonding, slave: Slave, skb: SkBuff): void {
  const { view } = skb.arena;
  const at = skb.data;
  if (skbHeadlen(skb) < ARP_LEN || !arpIsEthernetIpv4(view, at)) return;
  const sender = arpSenderIp(view, at);
  const target = arpTargetIp(view, at);
  const as = believed(bond, slave, arpOp(view, at) === ARPOP_REPLY);
  if (as === ANSWER) validateArp(bond, slave, sender, target);
  else if (as === OWN_REQUEST) validateArp(bond, slave, target, sender);
}

function naRcv(bond: Bonding, slave: Slave, skb: SkBuff): void {
  const { view, bytes } = skb.arena;
  const at = skb.data;
  if (skbHeadlen(skb) < IPV6_HLEN + ICMP_HLEN || ipv6NextHeader(view, at) !== IPPROTO_ICMPV6) return;
  const type = view.getUint8(at + IPV6_HLEN);
  if (type !== NDISC_NEIGHBOUR_SOLICITATION && type !== NDISC_NEIGHBOUR_ADVERTISEMENT) return;
  const as = believed(bond, slave, true);
  if (as === ANSWER) validateNa(bond, slave, bytes, at + SOURCE_AT, at + DEST_AT);
  else if (as === OWN_REQUEST) validateNa(bond, slave, bytes, at + DEST_AT, at + SOURCE_AT);
}

function believed(bond: Bonding, slave: Slave, answer: boolean): number {
  if (bondIsActiveSlave(slave)) return ANSWER;
  const active = bond.currActiveSlave;
  if (active !== null && slaveLastRxNs(bond, active) > active.lastLinkUpNs) return OWN_REQUEST;
  const probing = bond.currentArpSlave;
  return probing !== null && answer && bondTimeInInterval(bond, probing.lastTxNs, 1) ? ANSWER : NOTHING;
}

/** The slave has heard a target, if `from` is one and `to` is us. (`bond_validate_arp`) */
function validateArp(bond: Bonding, slave: Slave, from: number, to: number): void {
  if (from === 0 || !bondHasThisIp(bond.dev, to)) return;
  const target = bond.params.arpTargets.indexOf(from);
  if (target >= 0) heard(bond, slave, target);
}

/** Positions of the two addresses in `bytes`. (`bond_validate_na`) */
function validateNa(bond: Bonding, slave: Slave, bytes: Uint8Array, from: number, to: number): void {
  if (isUnspecified(bytes, from) || (!isAllNodes(bytes, to) && !bondHasThisIp6(bond.dev, bytes, to))) return;
  const { nsTargets, arpTargets } = bond.params;
  for (let i = 0; i < nsTargets.length; i++) {
    if (!isTargetOrItsGroup(bytes, from, nsTargets[i]!)) continue;
    heard(bond, slave, arpTargets.length + i);
    return;
  }
}

function heard(bond: Bonding, slave: Slave, target: number): void {
  const now = bond.net.machine.executive.now();
  slave.lastRxNs = now;
  slave.targetLastArpRxNs[target] = now;
}

/** An address of the device, or of one that stands on it. (`bond_has_this_ip`) */
function bondHasThisIp(dev: NetDevice, v4: number): boolean {
  const { addresses, upper } = dev;
  for (let i = 0; i < addresses.length; i++) {
    const each = addresses[i]!;
    if (each.family === 4 && each.v4 === v4) return true;
  }
  for (let i = 0; i < upper.length; i++) if (bondHasThisIp(upper[i]!, v4)) return true;
  return false;
}

function bondHasThisIp6(dev: NetDevice, bytes: Uint8Array, o: number): boolean {
  const { addresses, upper } = dev;
  for (let i = 0; i < addresses.length; i++) {
    const each = addresses[i]!;
    if (each.family === 6 && sameBytes(bytes, o, each.v6, 0)) return true;
  }
  for (let i = 0; i < upper.length; i++) if (bondHasThisIp6(upper[i]!, bytes, o)) return true;
  return false;
}

/** From byte `first` on the 16 bytes at `o` are those of `address`. */
function sameBytes(bytes: Uint8Array, o: number, address: Uint8Array, first: number): boolean {
  for (let i = first; i < 16; i++) if (bytes[o + i] !== address[i]) return false;
  return true;
}

function isUnspecified(bytes: Uint8Array, o: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[o + i] !== 0) return false;
  return true;
}

/** ff02::1 */
function isAllNodes(bytes: Uint8Array, o: number): boolean {
  if (bytes[o] !== 0xff || bytes[o + 1] !== 2 || bytes[o + 15] !== 1) return false;
  for (let i = 2; i < 15; i++) if (bytes[o + i] !== 0) return false;
  return true;
}

/** The target, or the group in which it is asked for, the solicited-node group of its last three bytes. */
function isTargetOrItsGroup(bytes: Uint8Array, o: number, target: Uint8Array): boolean {
  if (sameBytes(bytes, o, target, 0)) return true;
  if (bytes[o] !== 0xff || bytes[o + 1] !== 2 || bytes[o + 11] !== 1 || bytes[o + 12] !== 0xff) return false;
  for (let i = 2; i < 11; i++) if (bytes[o + i] !== 0) return false;
  return sameBytes(bytes, o, target, 13);
}
