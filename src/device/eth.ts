// hot
/**
 * Ethernet devices: their defaults, and what a driver does with a frame that has come in.
 */

import { PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST, type SkBuff, skbPull, skbPush } from '../skb/sk_buff.ts';
import {
  ETH_ALEN,
  ETH_DATA_LEN,
  ETH_HLEN,
  ETH_MIN_MTU,
  ETH_P_802_2,
  ETH_P_802_3,
  ETH_P_802_3_MIN,
  ethType,
  isMulticastMac,
  macEquals,
} from '../wire/eth.ts';
import type { Net } from './net.ts';
import {
  type AllocNetdevOptions,
  ARPHRD_ETHER,
  allocNetdev,
  type HeaderOps,
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_MULTICAST,
  IFF_NOARP,
  type NetDevice,
} from './net_device.ts';

/** Ethernet's header. (`eth_header_ops`) */
export const ETH_HEADER_OPS: HeaderOps = {
  /** 14 bytes in front of the data; without a destination its place is left as it is, unless the device needs none. */
  create(skb, dev, type, dest, source) {
    const at = skbPush(skb, ETH_HLEN);
    const { bytes, view } = skb.arena;
    view.setUint16(at + 12, type === ETH_P_802_3 || type === ETH_P_802_2 ? skb.len - ETH_HLEN : type);
    bytes.set(source ?? dev.devAddr, at + 6);
    if (dest !== null) {
      bytes.set(dest, at);
      return ETH_HLEN;
    }
    if ((dev.flags & (IFF_LOOPBACK | IFF_NOARP)) === 0) return -ETH_HLEN;
    bytes.fill(0, at, at + ETH_ALEN);
    return ETH_HLEN;
  },
  parse(skb, out) {
    for (let i = 0; i < ETH_ALEN; i++) out[i] = skb.arena.bytes[skb.macHeader + ETH_ALEN + i]!;
    return ETH_ALEN;
  },
  /** A length in the place of a type differs from packet to packet. (`eth_header_cache`) */
  cache(dev, type, dest, hh) {
    if (type === ETH_P_802_3 || type === ETH_P_802_2) return false;
    hh.data.set(dest);
    hh.data.set(dev.devAddr, ETH_ALEN);
    hh.data[12] = type >>> 8;
    hh.data[13] = type & 0xff;
    hh.len = ETH_HLEN;
    return true;
  },
  /** (`eth_header_cache_update`) */
  cacheUpdate(hh, dest) {
    hh.data.set(dest);
  },
};

/** Pushes the link layer's header; 0 where the device has none. (`dev_hard_header`) */
export function devHardHeader(
  skb: SkBuff,
  dev: NetDevice,
  type: number,
  dest: Uint8Array | null,
  source: Uint8Array | null = null,
): number {
  return dev.headerOps === null ? 0 : dev.headerOps.create(skb, dev, type, dest, source);
}

/** The sender's link layer address, copied to `out`; its length, 0 where the device has no header. (`dev_parse_header`) */
export function devParseHeader(skb: SkBuff, dev: NetDevice, out: Uint8Array): number {
  return dev.headerOps === null ? 0 : dev.headerOps.parse(skb, out);
}

/** Defaults of an Ethernet device. (`ether_setup`) */
export function etherSetup(dev: NetDevice): void {
  dev.type = ARPHRD_ETHER;
  dev.headerOps = ETH_HEADER_OPS;
  dev.hardHeaderLen = ETH_HLEN;
  dev.mtu = ETH_DATA_LEN;
  dev.minMtu = ETH_MIN_MTU;
  dev.maxMtu = ETH_DATA_LEN;
  dev.txQueueLen = 1000;
  dev.flags |= IFF_BROADCAST | IFF_MULTICAST;
  dev.broadcast.fill(0xff);
}

/** An Ethernet device that nobody sees yet; named `eth%d` unless told otherwise. (`alloc_etherdev_mqs`) */
export function allocEtherdev(
  net: Net,
  options: Omit<AllocNetdevOptions, 'setup' | 'name'> & { name?: string },
): NetDevice {
  return allocNetdev(net, Object.assign({ name: 'eth%d', setup: etherSetup }, options));
}

/**
 * Reads the Ethernet header at `skb.data`: sets dev, macHeader and pktType, pulls the header off (a frame shorter than the
 * header stays as it is) and returns the protocol, which the driver stores. (`eth_type_trans`)
 */
export function ethTypeTrans(skb: SkBuff, dev: NetDevice): number {
  const arena = skb.arena;
  const at = skb.data;
  skb.dev = dev;
  skb.macHeader = at;
  skbPull(skb, ETH_HLEN);
  if (!macEquals(arena.bytes, at, dev.devAddr)) {
    if (!isMulticastMac(arena.bytes, at)) skb.pktType = PACKET_OTHERHOST;
    else skb.pktType = macEquals(arena.bytes, at, dev.broadcast) ? PACKET_BROADCAST : PACKET_MULTICAST;
  }
  const type = ethType(arena.view, at);
  if (type >= ETH_P_802_3_MIN) return type;
  return skb.len >= 2 && arena.view.getUint16(skb.data) === 0xffff ? ETH_P_802_3 : ETH_P_802_2;
}
