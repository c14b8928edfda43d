// hot
/**
 * VLAN tags in frames: put in, taken out. The frame's Ethernet header is at `data`.
 *
 *     insert   dest source type payload  ->  dest source 0x8100 tci type payload      the 12 bytes move 4 to the left
 *     extract  the other way round, after the header was pulled: what is left at macHeader is an untagged frame
 *
 * Beside the frame a tag is `vlanTci`, -1 for none; bit 16 says that ETH_P_8021AD announces it instead of ETH_P_8021Q.
 * Answers to vlan_insert_tag_set_proto, skb_vlan_untag, skb_reorder_vlan_header, __vlan_hwaccel_push_inside.
 */

import { ETH_ALEN, ETH_HLEN, ETH_P_802_2, ETH_P_802_3, ETH_P_802_3_MIN, ETH_P_8021Q } from '../wire/eth.ts';
import { ETH_P_8021AD, VLAN_HLEN, vlanProtocol, vlanTci } from '../wire/vlan.ts';
import { pskbExpandHead } from './copy.ts';
import { HEADER_UNSET, type SkBuff, skbHeaderCloned, skbHeadlen, skbHeadroom, skbPull, skbPush } from './sk_buff.ts';

const ADDRESSES_LEN = 2 * ETH_ALEN;
/** In `vlanTci`: a provider's tag, the outer one of two. */
export const VLAN_TCI_8021AD = 1 << 16;

/** EtherType that announces the tag beside the frame. (`skb->vlan_proto`) */
export function vlanTciProtocol(vlanTci: number): number {
  return (vlanTci & VLAN_TCI_8021AD) !== 0 ? ETH_P_8021AD : ETH_P_8021Q;
}

/** Puts a tag into the frame. False: no memory for it, the frame is as it was and the caller's. */
export function vlanInsertTag(skb: SkBuff, protocol: number, tci: number): boolean {
  const shared = skbHeaderCloned(skb);
  if ((shared || skbHeadroom(skb) < VLAN_HLEN) && !pskbExpandHead(skb, VLAN_HLEN, 0)) return false;
  const at = skbPush(skb, VLAN_HLEN);
  const { bytes, view } = skb.arena;
  bytes.copyWithin(at, at + VLAN_HLEN, at + VLAN_HLEN + ADDRESSES_LEN);
  view.setUint16(at + ADDRESSES_LEN, protocol);
  view.setUint16(at + ADDRESSES_LEN + 2, tci);
  skb.protocol = protocol;
  if (skb.macHeader !== HEADER_UNSET) skb.macHeader = at;
  return true;
}

/**
 * A received frame whose `protocol` says that `data` is at a tag: takes it out into `vlanTci`, moves the addresses up to what it
 * announced, and sets `protocol` to that. False: it is cut off or there is no memory; the frame is the caller's.
 */
export function skbVlanUntag(skb: SkBuff): boolean {
  // The outer one of two is beside the frame already; the inner one is looked at when somebody has taken that.
  if (skb.vlanTci >= 0) return true;
  if (skbHeadlen(skb) < VLAN_HLEN) return false;
  if (skbHeaderCloned(skb) && !pskbExpandHead(skb, 0, 0)) return false;
  const { bytes, view } = skb.arena;
  const at = skb.data;
  const tci = vlanTci(view, at);
  const type = vlanProtocol(view, at);
  skbPull(skb, VLAN_HLEN);
  if (skb.macHeader !== HEADER_UNSET) {
    bytes.copyWithin(skb.macHeader + VLAN_HLEN, skb.macHeader, skb.macHeader + ADDRESSES_LEN);
    skb.macHeader = skb.data - ETH_HLEN;
  }
  skb.vlanTci = skb.protocol === ETH_P_8021AD ? tci | VLAN_TCI_8021AD : tci;
  skb.networkHeader = skb.data;
  if (type >= ETH_P_802_3_MIN) skb.protocol = type;
  else skb.protocol = skb.len >= 2 && view.getUint16(skb.data) === 0xffff ? ETH_P_802_3 : ETH_P_802_2;
  return true;
}

/** The tag beside the frame, which there must be, goes into it. False: no memory, the frame is as it was. (`__vlan_hwaccel_push_inside`) */
export function vlanPushInside(skb: SkBuff): boolean {
  const { vlanTci: tci } = skb;
  if (!vlanInsertTag(skb, vlanTciProtocol(tci), tci & 0xffff)) return false;
  skb.vlanTci = -1;
  return true;
}
