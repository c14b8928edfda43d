// hot
/**
 * A link header that is written once for a neighbour and copied in front of every packet for it (`struct hh_cache`).
 *
 *     first packet --headerOps.cache--> [ dest | source | type ]      every packet: push, copy
 *     neighbour has moved --headerOps.cacheUpdate--> the new dest
 *
 * Who owns the neighbour owns the header; it is good for one device and one type of packets, and is forgotten (`len` 0) when the
 * device has another address of its own.
 */
import { type SkBuff, skbPush } from '../skb/sk_buff.ts';
import type { NetDevice } from './net_device.ts';

/** As long as the longest header that is kept. */
const HH_DATA_MAX = 32;

export class HhCache {
  readonly data = new Uint8Array(HH_DATA_MAX);
  /** Bytes of the header; 0: none is kept. */
  len = 0;
}

/** Keeps the header of packets of `type` to `dest`. False: the link layer cannot, or not for this type. (`neigh_hh_init`) */
export function hhInit(hh: HhCache, dev: NetDevice, type: number, dest: Uint8Array): boolean {
  const { headerOps } = dev;
  return headerOps?.cache?.(dev, type, dest, hh) === true;
}

/** Puts the kept header in front of the packet. (`neigh_hh_output`) */
export function hhOutput(hh: HhCache, skb: SkBuff): void {
  const at = skbPush(skb, hh.len);
  const { bytes } = skb.arena;
  for (let i = 0; i < hh.len; i++) bytes[at + i] = hh.data[i]!;
}
