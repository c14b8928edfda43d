// hot
/**
 * The checksum that a device would have filled in, filled in here. (`skb_checksum_help`)
 *
 *     | headers | csumStart ......... field ........................ end |
 *                 \______________ summed up, the field included _______/    the field holds the pseudo-header's sum before
 */
import { Errno } from '../base/status.ts';
import { NETIF_F_HW_CSUM, NETIF_F_IP_CSUM, NETIF_F_IPV6_CSUM } from '../device/features.ts';
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { skbCow } from '../skb/copy.ts';
import { pskbPull, skbSum } from '../skb/frags.ts';
import { HEADER_UNSET, type SkBuff, skbCloned, skbIsGso } from '../skb/sk_buff.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import { ETH_P_IPV6 } from '../wire/eth.ts';
import { IPV6_HLEN } from '../wire/ipv6.ts';

const TCP_CHECK_OFFSET = 16;
const UDP_CHECK_OFFSET = 6;

/**
 * Fills the checksum of a CHECKSUM_PARTIAL frame in, and makes it CHECKSUM_NONE. 0, -EINVAL (a super-frame, or the field is not in the
 * frame), or -ENOMEM. The frame stays the caller's. A sum of 0 is written as 0xffff.
 */
export function skbChecksumHelp(skb: SkBuff): number {
  if (skb.ipSummed === CHECKSUM_COMPLETE) {
    skb.ipSummed = CHECKSUM_NONE;
    return 0;
  }
  if (skbIsGso(skb)) return -Errno.EINVAL;
  const start = skb.csumStart - skb.data;
  const field = start + skb.csumOffset;
  if (start < 0 || start >= skb.len - skb.dataLen || field + 2 > skb.len) return -Errno.EINVAL;
  if (!pskbPull(skb, field + 2) || (skbCloned(skb) && !skbCow(skb, 0))) return -Errno.ENOMEM;
  const { view } = skb.arena;
  const len = skb.len - start;
  const sum = skb.dataLen === 0 ? sum32(view, skb.data + start, len) : skbSum(skb, start, len);
  view.setUint16(skb.data + field, fold(sum) || 0xffff);
  skb.ipSummed = CHECKSUM_NONE;
  return 0;
}

/** As skbChecksumHelp, unless a device with `features` fills this frame's checksum in. (`skb_csum_hwoffload_help`) */
export function skbCsumHwoffloadHelp(skb: SkBuff, features: number): number {
  if (skb.ipSummed !== CHECKSUM_PARTIAL || (features & NETIF_F_HW_CSUM) !== 0) return 0;
  if ((features & (NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM)) !== 0) {
    const known = skb.csumOffset === TCP_CHECK_OFFSET || skb.csumOffset === UDP_CHECK_OFFSET;
    // Such devices find the transport header themselves, right behind the fixed header.
    const plain =
      skb.protocol !== ETH_P_IPV6 ||
      skb.networkHeader === HEADER_UNSET ||
      skb.csumStart - skb.networkHeader === IPV6_HLEN;
    if (known && plain) return 0;
  }
  return skbChecksumHelp(skb);
}
