/**
 * ARP and neighbour solicitations that a bond makes itself and sends by a slave of its choice: probes of the ARP monitor, and what
 * balance-alb tells its clients.
 */
import type { NetDevice } from '../../device/net_device.ts';
import { type SkBuff, skbPush, skbPut, skbReserve } from '../../skb/sk_buff.ts';
import { ARP_LEN, writeArp } from '../../wire/arp.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { ETH_HLEN, ETH_P_ARP, ETH_P_IPV6, writeEth } from '../../wire/eth.ts';
import { IPPROTO_ICMPV6 } from '../../wire/icmpv6.ts';
import { IPV6_HLEN, writeIpv6 } from '../../wire/ipv6.ts';
import {
  ipv6MulticastMac,
  ND_OPT_SOURCE_LL_ADDR,
  NDISC_HOP_LIMIT,
  NDISC_LEN,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_TARGET,
  solicitedNode,
  writeLinkLayerOption,
} from '../../wire/ndisc.ts';

const NO_MAC = new Uint8Array(6);
const OPTION_LEN = 8;

export interface ArpFields {
  readonly op: number;
  readonly sourceIp: number;
  /** In the ARP and in the Ethernet header. */
  readonly sourceMac: Uint8Array;
  readonly destIp: number;
  /** In the ARP; null: not known, all zero. */
  readonly targetMac: Uint8Array | null;
  /** Ethernet destination; null: everybody. */
  readonly destMac: Uint8Array | null;
}

/** An ARP frame to be sent by `dev`, with its Ethernet header; the caller's. Null: no memory. (`arp_create`) */
export function arpCreate(dev: NetDevice, arp: ArpFields): SkBuff | null {
  const skb = empty(dev, ARP_LEN);
  if (skb === null) return null;
  const at = skbPut(skb, ARP_LEN);
  writeArp(skb.arena.view, at, arp.op, arp.sourceMac, arp.sourceIp, arp.targetMac ?? NO_MAC, arp.destIp);
  return finish(skb, arp.destMac ?? dev.broadcast, arp.sourceMac, ETH_P_ARP);
}

/** Asks for `target` (16 bytes) from `source`; all zero: without an address of our own, and without our MAC. (`ndisc_ns_create`) */
export function ndiscNsCreate(dev: NetDevice, target: Uint8Array, source: Uint8Array): SkBuff | null {
  const named = source.some((byte) => byte !== 0);
  const len = NDISC_LEN + (named ? OPTION_LEN : 0);
  const skb = empty(dev, IPV6_HLEN + len);
  if (skb === null) return null;
  const { view, bytes } = skb.arena;
  const ip = skbPut(skb, IPV6_HLEN + len);
  const icmp = ip + IPV6_HLEN;
  const group = solicitedNode(target, 0, new Uint8Array(16));
  writeIpv6(view, ip, IPPROTO_ICMPV6, NDISC_HOP_LIMIT, source, group, len);
  view.setUint32(icmp, NDISC_NEIGHBOUR_SOLICITATION << 24);
  view.setUint32(icmp + 4, 0);
  bytes.set(target, icmp + NDISC_TARGET);
  if (named) writeLinkLayerOption(bytes, icmp + NDISC_LEN, ND_OPT_SOURCE_LL_ADDR, dev.devAddr);
  view.setUint16(icmp + 2, fold(sum32(view, ip + 8, 32) + IPPROTO_ICMPV6 + len + sum32(view, icmp, len)));
  return finish(skb, ipv6MulticastMac(group, new Uint8Array(6)), dev.devAddr, ETH_P_IPV6);
}

function empty(dev: NetDevice, len: number): SkBuff | null {
  const skb = dev.net.machine.skbs.allocForDevice(dev, ETH_HLEN + len);
  if (skb !== null) skbReserve(skb, ETH_HLEN);
  return skb;
}

function finish(skb: SkBuff, dest: Uint8Array, source: Uint8Array, type: number): SkBuff {
  skb.networkHeader = skb.data;
  writeEth(skb.arena.view, skbPush(skb, ETH_HLEN), dest, source, type);
  skb.macHeader = skb.data;
  skb.protocol = type;
  return skb;
}
