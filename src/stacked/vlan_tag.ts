// hot
/**
 * VLAN tags in frames: put in, taken out. The frame's Ethernet header is at `data`.
 *
 *     insert   dest source type payload  ->  dest source 0x8100 tci type payload      the 12 bytes move 4 to the left
 *     extract  the other way round, after the header was pulled: what is left at macHeader is an untagged frame
 *
 * Answers to vlan_insert_tag_set_proto, skb_vlan_untag, skb_reorder_vlan_header.
 */
import { pskbExpandHead } from '../skb/copy.ts';
import {
  HEADER_UNSET,
  type SkBuff,
  skbHeaderCloned,
  skbHeadlen,
  skbHeadroom,
  skbPull,
  skbPush,
} from '../skb/sk_buff.ts';
import { ETH_ALEN, ETH_HLEN, ETH_P_802_2, ETH_P_802_3, ETH_P_802_3_MIN } from '../wire/eth.ts';
import { VLAN_HLEN, vlanProtocol, vlanTci } from '../wire/vlan.ts';

const ADDRESSES_LEN = 2 * ETH_ALEN;

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
  skb.vlanTci = tci;
  skb.networkHeader = skb.data;
  if (type >= ETH_P_802_3_MIN) skb.protocol = type;
  else skb.protocol = skb.len >= 2 && view.getUint16(skb.data) === 0xffff ? ETH_P_802_3 : ETH_P_802_2;
  return true;
}
