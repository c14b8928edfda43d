// hot
/** A received frame is made ready to leave by another device: what a bridge and a cable of ours have in common. */
import type { NetDevice } from '../device/net_device.ts';
import { skbForwardable } from '../drivers/forward.ts';
import { CHECKSUM_COMPLETE, CHECKSUM_NONE } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { type SkBuff, skbPush } from '../skb/sk_buff.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { skbChecksumSetup } from './checksum_setup.ts';

/**
 * `skb.data` is behind the Ethernet header, which is put in front again for `to`. True: the frame is still the caller's, who sends it. False: it was
 * too long for `to` and is freed. (the front of `br_dev_queue_push_xmit`)
 */
export function skbForwardTo(to: NetDevice, skb: SkBuff): boolean {
  // What the hardware summed on the way in covers other bytes on the way out.
  if (skb.ipSummed === CHECKSUM_COMPLETE) skb.ipSummed = CHECKSUM_NONE;
  skbChecksumSetup(skb);
  skb.dev = to;
  skbPush(skb, ETH_HLEN);
  if (skbForwardable(to, skb)) return true;
  skb.pool.kfree(skb, DropReason.PKT_TOO_BIG);
  return false;
}
