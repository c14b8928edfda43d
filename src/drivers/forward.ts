// hot
/**
 * A frame that was sent by one device is received by another one of this process: what has to be forgotten and checked on the
 * way. (`skb_orphan`, `skb_scrub_packet`, `is_skb_forwardable`)
 */
import { IFF_UP, type NetDevice } from '../device/net_device.ts';
import { HEADER_UNSET, PACKET_HOST, type SkBuff, skbIsGso } from '../skb/sk_buff.ts';

/** A VLAN tag may come on top of the longest frame. */
const VLAN_HLEN = 4;

/** Who accounted for the frame's memory is told that it is no longer his. (`skb_orphan`) */
export function skbOrphan(skb: SkBuff): void {
  const destructor = skb.destructor;
  skb.destructor = null;
  if (destructor !== null) destructor(skb);
}

/** True if `dev` is up and the frame fits: its payload, the link layer's header and a VLAN tag; a super-frame always fits. */
export function skbForwardable(dev: NetDevice, skb: SkBuff): boolean {
  if ((dev.flags & IFF_UP) === 0) return false;
  return skb.len <= dev.mtu + dev.hardHeaderLen + VLAN_HLEN || skbIsGso(skb);
}

/** What the sending side knew about the frame is forgotten; its bytes and checksum state stay. (`skb_scrub_packet`) */
export function skbScrub(skb: SkBuff): void {
  skbOrphan(skb);
  skb.pktType = PACKET_HOST;
  skb.skbIif = 0;
  skb.tstampUs = 0;
  skb.priority = 0;
  skb.napiId = 0;
  skb.queueMapping = 0;
  skb.netpollSeen = false;
  skb.networkHeader = HEADER_UNSET;
  skb.transportHeader = HEADER_UNSET;
}
