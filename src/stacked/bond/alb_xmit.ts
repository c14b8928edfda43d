// hot
/**
 * balance-alb, transmit: as balance-tlb, but an entry of the table is a destination address, since replies come back to the slave
 * whose address the client was told (rlb.ts), and one client should not see two of them.
 *
 *     IPv4          XOR of the destination's bytes; not broadcast, not IGMP
 *     IPv6          likewise; not to all nodes, not neighbour discovery, not from the unspecified address (a duplicate would
 *                   seem to answer itself)
 *     ARP           rlb.ts chooses, and writes the slave's address into replies
 *     else          the active slave
 *
 * Answers to bond_alb_xmit.
 */
import { type SkBuff, skbHeadlen } from '../../skb/sk_buff.ts';
import { ETH_ALEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, isBroadcastMac } from '../../wire/eth.ts';
import { IPPROTO_IGMP, IPV4_HLEN, ipv4Dest, ipv4Protocol } from '../../wire/ipv4.ts';
import { IPV6_HLEN } from '../../wire/ipv6.ts';
import { simpleHash } from './alb_info.ts';
import type { Bonding, Slave } from './bond.ts';
import { networkAt } from './flow_ip.ts';
import { rlbArpXmit } from './rlb.ts';
import { bondDoAlbXmit, tlbChooseChannel, tlbUsableSlave } from './tlb.ts';
import { isNeighbourDiscovery } from './xmit_hash.ts';

const SOURCE_AT = 8;
const DEST_AT = 24;
const BROADCAST = 0xffffffff;

/** Consumes the frame; a transmit status. */
export function bondAlbXmit(bond: Bonding, skb: SkBuff): number {
  return bondDoAlbXmit(bond, skb, bondXmitAlbSlaveGet(bond, skb));
}

/** Null: not to be balanced, or nobody can send. */
export function bondXmitAlbSlaveGet(bond: Bonding, skb: SkBuff): Slave | null {
  if (skb.protocol === ETH_P_ARP) return bond.alb !== null && bond.alb.rx !== null ? rlbArpXmit(bond, skb) : null;
  let index = -1;
  if (skb.protocol === ETH_P_IP) index = ipv4Index(skb);
  else if (skb.protocol === ETH_P_IPV6) index = ipv6Index(skb);
  if (index < 0) return null;
  return bond.params.tlbDynamicLb ? tlbChooseChannel(bond, index, skb.len) : tlbUsableSlave(bond, skb);
}

/** Entry of an IPv4 packet, or -1: not to be balanced. */
function ipv4Index(skb: SkBuff): number {
  const { view, bytes } = skb.arena;
  const ip = networkAt(skb);
  if (isBroadcastMac(bytes, skb.data) || ip + IPV4_HLEN > skb.data + skbHeadlen(skb)) return -1;
  const dest = ipv4Dest(view, ip);
  return dest === BROADCAST || ipv4Protocol(view, ip) === IPPROTO_IGMP ? -1 : simpleHash(dest);
}

function ipv6Index(skb: SkBuff): number {
  const { view, bytes } = skb.arena;
  const ip = networkAt(skb);
  if (isBroadcastMac(bytes, skb.data) || isAllNodesMac(bytes, skb.data)) return -1;
  if (ip + IPV6_HLEN > skb.data + skbHeadlen(skb) || isNeighbourDiscovery(skb)) return -1;
  let source = 0;
  for (let i = 0; i < 16; i += 4) source |= view.getInt32(ip + SOURCE_AT + i);
  if (source === 0) return -1;
  let words = 0;
  for (let i = 0; i < 16; i += 4) words ^= view.getInt32(ip + DEST_AT + i);
  return simpleHash(words);
}

/** 33:33:00:00:00:01 */
function isAllNodesMac(bytes: Uint8Array, o: number): boolean {
  if (bytes[o] !== 0x33 || bytes[o + 1] !== 0x33 || bytes[o + ETH_ALEN - 1] !== 1) return false;
  return bytes[o + 2] === 0 && bytes[o + 3] === 0 && bytes[o + 4] === 0;
}
