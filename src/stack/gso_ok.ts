// hot
/**
 * May a device be given a super-frame as it is?
 *
 *     gsoType bit   TCPV4  DODGY       TCP_ECN  TCP_FIXEDID   TCPV6  UDP_L4      FRAGLIST      PARTIAL
 *     feature       TSO    GSO_ROBUST  TSO_ECN  TSO_MANGLEID  TSO6   GSO_UDP_L4  GSO_FRAGLIST  GSO_PARTIAL
 *
 * Other kinds (tunnels, accurate ECN) no device here cuts.
 */
import { NETIF_F_FRAGLIST, NETIF_F_GSO_ROBUST } from '../device/features.ts';
import {
  SKB_GSO_DODGY,
  SKB_GSO_FRAGLIST,
  SKB_GSO_PARTIAL,
  SKB_GSO_TCP_ECN,
  SKB_GSO_TCP_FIXEDID,
  SKB_GSO_TCPV4,
  SKB_GSO_TCPV6,
  SKB_GSO_UDP_L4,
} from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';

/** What devices may know. */
const KNOWN =
  SKB_GSO_TCPV4 |
  SKB_GSO_DODGY |
  SKB_GSO_TCP_ECN |
  SKB_GSO_TCP_FIXEDID |
  SKB_GSO_TCPV6 |
  SKB_GSO_PARTIAL |
  SKB_GSO_UDP_L4 |
  SKB_GSO_FRAGLIST;

/** The features that a device must have to cut a frame of `gsoType` itself. */
export function gsoTypeFeatures(gsoType: number): number {
  // The first five kinds are bits 0 to 4, then PARTIAL 13, UDP_L4 17, FRAGLIST 18; features have them side by side from 16 on.
  return ((gsoType & 0x1f) << 16) | (((gsoType >>> 13) & 1) << 21) | (((gsoType >>> 17) & 3) << 22);
}

/** True: a device with `features` cuts the frame itself; `checked`: its headers were looked at, as for a robust device. (`skb_gso_ok`) */
export function gsoOk(skb: SkBuff, features: number, checked: boolean): boolean {
  const { info } = skb.pool;
  const type = info.gsoType[skb.shinfo]!;
  if ((type & ~KNOWN) !== 0) return false;
  const needed = gsoTypeFeatures(type);
  const has = checked ? features | NETIF_F_GSO_ROBUST : features;
  if ((needed & ~has) !== 0) return false;
  return info.fragList(skb.shinfo) === null || (features & NETIF_F_FRAGLIST) !== 0;
}
