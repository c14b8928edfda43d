// hot
/**
 * The last look at a frame before its driver gets it: what the device cannot do is done here. (`validate_xmit_skb`)
 *
 *     VLAN tag that the device does not put in  --> put into the frame
 *     super-frame that the device does not cut      --> segments
 *     checksum that the device does not fill in     --> filled in
 *     pieces, and a device that wants one piece     --> one piece
 *     failed: dropped, counted as tx_dropped
 */
import {
  NETIF_F_CSUM_MASK,
  NETIF_F_FRAGLIST,
  NETIF_F_GSO_MASK,
  NETIF_F_HW_VLAN_CTAG_TX,
  NETIF_F_HW_VLAN_STAG_TX,
  NETIF_F_SG,
  NETIF_F_TSO_MANGLEID,
} from '../device/features.ts';
import { devOf, type NetDevice, STAT_TX_DROPPED } from '../device/net_device.ts';
import { vlanHwOffloadCapable } from '../device/vlan_offload.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPullTail } from '../skb/pull_tail.ts';
import type { SkbQueue } from '../skb/queue.ts';
import { SKB_GSO_TCP_FIXEDID } from '../skb/shared_info.ts';
import { type SkBuff, skbIsGso } from '../skb/sk_buff.ts';
import { vlanPushInside } from '../skb/vlan_tag.ts';
import { ETH_HLEN, ETH_P_8021Q, ETH_P_IP } from '../wire/eth.ts';
import { skbCsumHwoffloadHelp } from './checksum_help.ts';
import { skbGsoSegment } from './gso.ts';
import { gsoOk } from './gso_ok.ts';
import { canChecksumProtocol, withoutChecksum } from './gso_segment.ts';

/** A super-frame for a device has at most so many segments and bytes. (`GSO_MAX_SEGS`, `GSO_LEGACY_MAX_SIZE`) */
export const GSO_MAX_SEGS = 65535;
export const GSO_MAX_SIZE = 65536;
const ETH_P_8021AD = 0x88a8;
const IP_DF = 0x4000;

/** What the device does for this very frame. (`netif_skb_features`) */
export function netifSkbFeatures(skb: SkBuff): number {
  const { info } = skb.pool;
  const s = skb.shinfo;
  let { features } = devOf(skb);
  if (skbIsGso(skb)) {
    const kind = info.gsoType[s]!;
    if (info.gsoSegs[s]! > GSO_MAX_SEGS || skb.len >= GSO_MAX_SIZE || kind === 0) features &= ~NETIF_F_GSO_MASK;
    // Identifications that do not count up need the bit that says nobody will reassemble.
    if ((kind & SKB_GSO_TCP_FIXEDID) !== 0 && !dontFragment(skb)) features &= ~NETIF_F_TSO_MANGLEID;
  }
  if (skb.vlanTci >= 0 || skb.protocol === ETH_P_8021Q || skb.protocol === ETH_P_8021AD) {
    features &= devOf(skb).vlanFeatures | NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_STAG_TX;
  }
  if (skb.ipSummed !== CHECKSUM_NONE && !canChecksumProtocol(features, networkProtocol(skb))) {
    features &= ~(NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK);
  }
  return (features & NETIF_F_CSUM_MASK) === 0 ? withoutChecksum(features) : features;
}

/** True: the frame is cut before a device with `features` gets it. (`netif_needs_gso`) */
export function netifNeedsGso(skb: SkBuff, features: number): boolean {
  if (!skbIsGso(skb)) return false;
  return !gsoOk(skb, features, false) || (skb.ipSummed !== CHECKSUM_PARTIAL && skb.ipSummed !== CHECKSUM_UNNECESSARY);
}

/**
 * Makes `skb` (data at its Ethernet header) what its device takes: the frame itself, or the first of a row of segments, linked by
 * `next`. Null: dropped. The frame that was given is gone, what comes back is the caller's.
 */
export function validateXmitSkb(skb: SkBuff): SkBuff | null {
  const features = netifSkbFeatures(skb);
  // The tag goes into the frame where the device does not put it in. (`validate_xmit_vlan`)
  if (skb.vlanTci >= 0 && !vlanHwOffloadCapable(features, skb.vlanTci) && !vlanPushInside(skb)) return dropped(skb);
  if (netifNeedsGso(skb, features)) {
    const segments = skbGsoSegment(skb, features);
    if (typeof segments === 'number') return dropped(skb);
    if (segments === null) return skb;
    skb.pool.consume(skb);
    return segments;
  }
  skb.next = null;
  if (skb.dataLen !== 0 && needsLinearize(skb, features) && !pskbPullTail(skb, skb.dataLen)) return dropped(skb);
  if (skb.ipSummed === CHECKSUM_PARTIAL) {
    skb.transportHeader = skb.csumStart;
    if (skbCsumHwoffloadHelp(skb, features) !== 0) return dropped(skb);
  }
  return skb;
}

/** As validateXmitSkb for `dev_queue_xmit`: what the device takes is put on `out`, in order. */
export function validateXmit(skb: SkBuff, _dev: NetDevice, out: SkbQueue): void {
  let each = validateXmitSkb(skb);
  while (each !== null) {
    const next: SkBuff | null = each.next;
    each.next = null;
    each.prev = null;
    if (!out.queueTail(each)) dropped(each);
    each = next;
  }
}

function dropped(skb: SkBuff): null {
  devOf(skb).stats.add(STAT_TX_DROPPED);
  skb.pool.kfree(skb, DropReason.TX_ERROR);
  return null;
}

function needsLinearize(skb: SkBuff, features: number): boolean {
  const { info } = skb.pool;
  if (info.fragList(skb.shinfo) !== null && (features & NETIF_F_FRAGLIST) === 0) return true;
  return info.nrFrags[skb.shinfo] !== 0 && (features & NETIF_F_SG) === 0;
}

/** EtherType behind the VLAN tags. */
function networkProtocol(skb: SkBuff): number {
  let { protocol } = skb;
  const end = skb.tail - 4;
  for (let at = skb.data + ETH_HLEN; protocol === ETH_P_8021Q || protocol === ETH_P_8021AD; at += 4) {
    if (at > end) break;
    protocol = skb.arena.view.getUint16(at + 2);
  }
  return protocol;
}

function dontFragment(skb: SkBuff): boolean {
  if (networkProtocol(skb) !== ETH_P_IP) return true;
  return skb.networkHeader >= skb.data && (skb.arena.view.getUint16(skb.networkHeader + 6) & IP_DF) !== 0;
}
