// hot
/**
 * A device's sum over the whole frame (CHECKSUM_COMPLETE) stays right while headers are pulled, pushed, and tails cut off: what
 * leaves the frame leaves the sum.
 *
 *     sum of [ header | rest ]  -  sum of header  =  sum of rest
 *
 * A piece that starts at an odd place of the frame counts with its bytes exchanged.
 */
import { fold, sum32 } from '../wire/checksum.ts';
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_PARTIAL } from './checksum_state.ts';
import { pskbTrim, skbSum } from './frags.ts';
import { type SkBuff, skbPull, skbPush } from './sk_buff.ts';

/** `len` bytes at arena position `at`, which were the frame's first, are gone. (`skb_postpull_rcsum`) */
export function skbPostpullRcsum(skb: SkBuff, at: number, len: number): void {
  if (skb.ipSummed === CHECKSUM_COMPLETE) {
    skb.csum = subtract(skb.csum, sum32(skb.arena.view, at, len));
    // What follows an odd number of bytes changes places.
    if ((len & 1) !== 0) skb.csum = exchanged(skb.csum);
  } else if (skb.ipSummed === CHECKSUM_PARTIAL && skb.csumStart < skb.data) {
    skb.ipSummed = CHECKSUM_NONE;
  }
}

/** `len` bytes at arena position `at` are the frame's first from here on. (`skb_postpush_rcsum`) */
export function skbPostpushRcsum(skb: SkBuff, at: number, len: number): void {
  if (skb.ipSummed !== CHECKSUM_COMPLETE) return;
  const rest = (len & 1) !== 0 ? exchanged(skb.csum) : skb.csum;
  skb.csum = rest + sum32(skb.arena.view, at, len);
}

/** skbPull and skbPostpullRcsum. -1, and nothing has changed: the frame is shorter. (`skb_pull_rcsum`) */
export function skbPullRcsum(skb: SkBuff, len: number): number {
  const at = skb.data;
  if (skbPull(skb, len) < 0) return -1;
  skbPostpullRcsum(skb, at, len);
  return skb.data;
}

/** skbPush and skbPostpushRcsum; the bytes are there already. (`skb_push_rcsum`) */
export function skbPushRcsum(skb: SkBuff, len: number): number {
  skbPostpushRcsum(skb, skbPush(skb, len), len);
  return skb.data;
}

/** pskbTrim that keeps the sum right. False: no memory, or the place of a checksum that is not filled in yet would go. (`pskb_trim_rcsum`) */
export function pskbTrimRcsum(skb: SkBuff, len: number): boolean {
  if (len >= skb.len) return true;
  if (skb.ipSummed === CHECKSUM_PARTIAL && skb.csumStart + skb.csumOffset + 2 > skb.data + len) return false;
  const gone = skb.ipSummed === CHECKSUM_COMPLETE ? ~fold(skbSum(skb, len, skb.len - len)) & 0xffff : 0;
  if (!pskbTrim(skb, len)) return false;
  if (skb.ipSummed === CHECKSUM_COMPLETE) skb.csum = subtract(skb.csum, (len & 1) !== 0 ? exchanged(gone) : gone);
  return true;
}

/** Ones-complement difference, in 16 bits. */
function subtract(sum: number, part: number): number {
  return ~fold((~fold(sum) & 0xffff) + fold(part)) & 0xffff;
}

/** In 16 bits, with its two bytes exchanged. */
function exchanged(sum: number): number {
  const s = ~fold(sum) & 0xffff;
  return ((s & 0xff) << 8) | (s >>> 8);
}
