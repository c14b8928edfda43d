// hot
/**
 * Ethernet devices: their defaults, and what a driver does with a frame that has come in.
 */

import { PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST, type SkBuff, skbPull } from '../skb/sk_buff.ts';
import {
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
  IFF_BROADCAST,
  IFF_MULTICAST,
  type NetDevice,
} from './net_device.ts';

/** Defaults of an Ethernet device. (`ether_setup`) */
export function etherSetup(dev: NetDevice): void {
  dev.type = ARPHRD_ETHER;
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
