// hot
/**
 * Frames for drivers to receive into: with headroom for whoever forwards them, and of a device already.
 *
 *     | call                   | headroom                   | from where                                     |
 *     |------------------------|----------------------------|------------------------------------------------|
 *     | devAllocSkb            | NET_SKB_PAD                | anywhere; of no device yet                     |
 *     | netdevAllocSkb         | NET_SKB_PAD                | anywhere, an interrupt too                     |
 *     | netdevAllocSkbIpAlign  | NET_SKB_PAD + NET_IP_ALIGN | anywhere                                       |
 *     | napiAllocSkb           | NET_SKB_PAD + NET_IP_ALIGN | a poll                                         |
 *     | napiGetFrags           | NET_SKB_PAD + NET_IP_ALIGN | a poll; for a driver whose frames are fragments |
 *
 * All give null when there is no memory: the driver counts rx_dropped and leaves its buffer in the ring.
 *
 * napiGetFrags keeps its frame in the instance until napiGroFrags takes it, so a driver that found nothing to put in asks again and
 * has the same one. The frame starts empty: the driver adds fragments, the Ethernet header is in the first of them.
 */
import { assert } from '../base/assert.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull } from '../skb/frags.ts';
import type { SkbPool } from '../skb/pool.ts';
import { type SkBuff, skbReserve } from '../skb/sk_buff.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { ethTypeTrans } from './eth.ts';
import { STAT_RX_ERRORS } from './link_stats.ts';
import type { NapiStruct } from './napi_struct.ts';
import type { NetDevice } from './net_device.ts';

/** Bytes that put the IP header on a multiple of four behind an Ethernet header; none, as on x86 and arm64: no access has to be aligned. */
export const NET_IP_ALIGN = 0;
/** Room for headers in the head buffer of a frame of fragments: the deepest stack of link layers, and 128 bytes. (`GRO_MAX_HEAD`) */
export const GRO_MAX_HEAD = 256;

/** Room for `len` bytes, of no device. (`dev_alloc_skb`) */
export function devAllocSkb(pool: SkbPool, len: number): SkBuff | null {
  return pool.allocForDevice(null, len);
}

/** Room for `len` bytes. (`netdev_alloc_skb`) */
export function netdevAllocSkb(dev: NetDevice, len: number): SkBuff | null {
  return dev.net.machine.skbs.allocForDevice(dev, len);
}

/** (`netdev_alloc_skb_ip_align`) */
export function netdevAllocSkbIpAlign(dev: NetDevice, len: number): SkBuff | null {
  const skb = netdevAllocSkb(dev, len + NET_IP_ALIGN);
  if (skb !== null) skbReserve(skb, NET_IP_ALIGN);
  return skb;
}

/** As netdevAllocSkbIpAlign, for the instance's device, from its poll. (`napi_alloc_skb`) */
export function napiAllocSkb(napi: NapiStruct, len: number): SkBuff | null {
  const { cpu } = napi.dev.net.machine;
  assert(cpu.inSoftirq || cpu.irqsDisabled, 'napiAllocSkb is called from a poll');
  const skb = netdevAllocSkbIpAlign(napi.dev, len);
  if (skb !== null) skb.napiId = napi.id;
  return skb;
}

/** The instance's empty frame of fragments; it stays the instance's until napiGroFrags. (`napi_get_frags`) */
export function napiGetFrags(napi: NapiStruct): SkBuff | null {
  return (napi.skb ??= napiAllocSkb(napi, GRO_MAX_HEAD));
}

/**
 * The frame that napiGetFrags gave is filled: it goes up, and is no longer the driver's. False: it has no whole Ethernet header
 * and was dropped (rx_errors). (`napi_gro_frags`)
 */
export function napiGroFrags(napi: NapiStruct): boolean {
  const { skb } = napi;
  assert(skb !== null, 'napiGroFrags follows napiGetFrags');
  napi.skb = null;
  if (!pskbPull(skb, ETH_HLEN)) {
    napi.dev.stats.add(STAT_RX_ERRORS);
    skb.pool.kfree(skb, DropReason.HDR_TRUNC);
    return false;
  }
  skb.protocol = ethTypeTrans(skb, napi.dev);
  napi.receive(skb);
  return true;
}
