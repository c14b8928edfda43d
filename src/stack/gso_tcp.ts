// hot
/**
 * GSO of TCP (RFC 9293): sequence numbers go on, flags and checksums are each segment's own.
 *
 *     FIN, PSH    on the last segment only          CWR    on the first only (with accurate ECN on all)
 *     checksum    of the super-frame: the pseudo-header's sum, not complemented. A segment's differs in the length that the
 *                 pseudo-header has; then it stays so for the device (CHECKSUM_PARTIAL), or header and payload are summed up
 *
 * (`tcp_gso_segment`)
 */
import { Errno } from '../base/status.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { pskbPull, skbSum } from '../skb/frags.ts';
import {
  SKB_GSO_DODGY,
  SKB_GSO_FRAGLIST,
  SKB_GSO_TCP_ACCECN,
  SKB_GSO_TCPV4,
  SKB_GSO_TCPV6,
} from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import { IPPROTO_TCP } from '../wire/ipv4.ts';
import { gsoFraglistIntact, skbSegmentList } from './gso_list.ts';
import { gsoOk } from './gso_ok.ts';
import { skbSegment } from './gso_segment.ts';

const MIN_HLEN = 20;
const SEQ = 4;
const DATA_OFFSET = 12;
const FLAGS = 13;
const FLAG_FIN = 0x01;
const FLAG_PSH = 0x08;
const FLAG_CWR = 0x80;
export const TCP_CHECK = 16;

/**
 * `skb` has its data at the TCP header. Segments, null (the device cuts it: only the number of segments was computed), or a
 * negative errno: -EINVAL for headers that are not what gsoType says.
 */
export function tcpGsoSegment(skb: SkBuff, features: number, addressLen: number): SkBuff | null | number {
  const { info } = skb.pool;
  const { view } = skb.arena;
  const kind = addressLen === 4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
  if ((info.gsoType[skb.shinfo]! & kind) === 0 || !pskbPull(skb, MIN_HLEN)) return -Errno.EINVAL;
  const headerLen = (view.getUint8(skb.data + DATA_OFFSET) >>> 4) * 4;
  const type = info.gsoType[skb.shinfo]!;
  if ((type & SKB_GSO_FRAGLIST) !== 0) {
    if ((type & SKB_GSO_DODGY) === 0 && gsoFraglistIntact(skb, headerLen)) {
      return skbSegmentList(skb, headerLen, TCP_CHECK, addressLen);
    }
    skb.ipSummed = CHECKSUM_NONE;
  }
  if (skb.ipSummed !== CHECKSUM_PARTIAL) partialChecksum(skb, addressLen);
  if (headerLen < MIN_HLEN || skb.csumStart !== skb.transportHeader || !pskbPull(skb, headerLen)) return -Errno.EINVAL;
  const total = skb.len;
  let mss = info.gsoSize[skb.shinfo]!;
  if (total - headerLen <= mss) return -Errno.EINVAL;
  if (gsoOk(skb, features, true)) {
    info.gsoSegs[skb.shinfo] = Math.ceil((total - headerLen) / mss);
    return null;
  }
  skb.data += headerLen;
  skb.len -= headerLen;
  const first = skbSegment(skb, features);
  if (typeof first === 'number') return first;
  if (info.gsoSize[first.shinfo] !== 0) mss *= info.gsoSegs[first.shinfo]!;
  const field = view.getUint16(first.transportHeader + TCP_CHECK);
  const check = lengthChanged(field, total, headerLen + mss);
  let seq = view.getUint32(first.transportHeader + SEQ);
  for (let each: SkBuff | null = first; each !== null; each = each.next) {
    const th = each.transportHeader;
    view.setUint32(th + SEQ, seq);
    seq = (seq + mss) >>> 0;
    let flags = view.getUint8(th + FLAGS);
    if (each.next !== null) flags &= ~(FLAG_FIN | FLAG_PSH);
    if (each !== first && (type & SKB_GSO_TCP_ACCECN) === 0) flags &= ~FLAG_CWR;
    view.setUint8(th + FLAGS, flags);
    const len = each.len - (th - each.data);
    // The field is the pseudo-header's share of the sum while header and payload are summed up.
    view.setUint16(th + TCP_CHECK, each.next !== null ? check : lengthChanged(field, total, len));
    if (each.ipSummed !== CHECKSUM_PARTIAL) view.setUint16(th + TCP_CHECK, fold(transportSum(each, len)));
  }
  return first;
}

/** Sum over transport header and payload of a segment. */
export function transportSum(segment: SkBuff, len: number): number {
  const th = segment.transportHeader;
  return segment.dataLen === 0 ? sum32(segment.arena.view, th, len) : skbSum(segment, th - segment.data, len);
}

/** A pseudo-header's sum with its length changed: `to` instead of `from`. Ones-complement addition of the difference. */
function lengthChanged(sum: number, from: number, to: number): number {
  const difference = (~from + to) >>> 0;
  return ~fold(sum + (difference >>> 16) + (difference & 0xffff)) & 0xffff;
}

/** Makes the frame one whose checksum is still to be computed, as its sender should have done. (`__tcp_v4_send_check`) */
function partialChecksum(skb: SkBuff, addressLen: number): void {
  const { view } = skb.arena;
  const addresses = skb.networkHeader + (addressLen === 4 ? 12 : 8);
  const sum = sum32(view, addresses, 2 * addressLen) + IPPROTO_TCP + skb.len;
  view.setUint16(skb.data + TCP_CHECK, ~fold(sum) & 0xffff);
  skb.ipSummed = CHECKSUM_PARTIAL;
  skb.csumStart = skb.transportHeader;
  skb.csumOffset = TCP_CHECK;
}
