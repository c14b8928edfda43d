// hot
/**
 * GSO of UDP: every datagram gets a header with its own length and checksum. (`__udp_gso_segment`, `SKB_GSO_UDP_L4`)
 *
 * The checksum field of the super-frame holds the pseudo-header's sum with the length of the whole; a segment's is that with the
 * lengths exchanged, and is left so for the device, or header and payload are summed up. A computed zero is sent as 0xffff.
 */
import { Errno } from '../base/status.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { pskbPull } from '../skb/frags.ts';
import { SKB_GSO_FRAGLIST, SKB_GSO_UDP_L4 } from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { fold } from '../wire/checksum.ts';
import { UDP_HLEN } from '../wire/udp.ts';
import { gsoFraglistIntact, skbSegmentList } from './gso_list.ts';
import { gsoOk } from './gso_ok.ts';
import { skbSegment } from './gso_segment.ts';
import { transportSum } from './gso_tcp.ts';

const LEN = 4;
const CHECK = 6;

/** `skb` has its data at the UDP header. Segments, null (the device cuts it), or a negative errno. */
export function udpGsoSegment(skb: SkBuff, features: number, addressLen: number): SkBuff | null | number {
  const { info } = skb.pool;
  const { view } = skb.arena;
  const type = info.gsoType[skb.shinfo]!;
  let mss = info.gsoSize[skb.shinfo]!;
  if ((type & SKB_GSO_UDP_L4) === 0 || !pskbPull(skb, UDP_HLEN) || skb.len <= UDP_HLEN + mss) return -Errno.EINVAL;
  const fraglist = (type & SKB_GSO_FRAGLIST) !== 0;
  if (!fraglist && (skb.ipSummed !== CHECKSUM_PARTIAL || skb.csumStart !== skb.transportHeader)) return -Errno.EINVAL;
  if (gsoOk(skb, features, true)) {
    info.gsoSegs[skb.shinfo] = Math.ceil((skb.len - UDP_HLEN) / mss);
    return null;
  }
  if (fraglist) {
    if (!gsoFraglistIntact(skb, UDP_HLEN)) return -Errno.EINVAL;
    view.setUint16(skb.transportHeader + LEN, UDP_HLEN + mss);
    return skbSegmentList(skb, UDP_HLEN, CHECK, addressLen);
  }
  skb.data += UDP_HLEN;
  skb.len -= UDP_HLEN;
  const first = skbSegment(skb, features);
  if (typeof first === 'number') return first;
  if (info.gsoSize[first.shinfo] !== 0) mss *= info.gsoSegs[first.shinfo]!;
  const field = view.getUint16(first.transportHeader + CHECK);
  const whole = view.getUint16(first.transportHeader + LEN);
  for (let each: SkBuff | null = first; each !== null; each = each.next) {
    const uh = each.transportHeader;
    const len = each.next !== null ? UDP_HLEN + mss : each.len - (uh - each.data);
    view.setUint16(uh + LEN, len);
    view.setUint16(uh + CHECK, ~fold(field + (~whole & 0xffff) + len) & 0xffff);
    if (each.ipSummed !== CHECKSUM_PARTIAL) {
      each.ipSummed = CHECKSUM_NONE;
      view.setUint16(uh + CHECK, fold(transportSum(each, len)) || 0xffff);
    }
  }
  return first;
}
