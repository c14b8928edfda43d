// hot
/**
 * Bytes from behind the head buffer into it, whatever that takes: a new head buffer where the old one has no room or somebody else
 * reads it. (pskbPull in frags.ts is the cheap half, which refuses then.)
 */
import { pskbExpandHead } from './copy.ts';
import { pskbPull } from './frags.ts';
import { type SkBuff, skbCloned, skbPull, skbShared } from './sk_buff.ts';

/** Room that a new head buffer has beyond what was asked for, so that the next header fits too. */
const SLACK = 128;

/**
 * Moves `n` bytes from behind the head buffer to its end. False: there are not so many, somebody else holds the frame, or there is no
 * memory; the frame is unchanged in what it says, and the caller's. (`__pskb_pull_tail`)
 */
export function pskbPullTail(skb: SkBuff, n: number): boolean {
  if (n > skb.dataLen) return false;
  const headlen = skb.len - skb.dataLen;
  if (pskbPull(skb, headlen + n)) return true;
  const missing = skb.tail + n - skb.end;
  if (skbShared(skb) || (missing <= 0 && !skbCloned(skb))) return false;
  const room = Math.max(missing, 0);
  // A slot has no more than it has: without the slack, if it must be.
  if (!pskbExpandHead(skb, 0, room === 0 ? 0 : room + SLACK) && !pskbExpandHead(skb, 0, room)) return false;
  return pskbPull(skb, headlen + n);
}

/** The whole frame in the head buffer; nobody else's; false as pskbPullTail. (`skb_linearize_cow`) */
export function skbLinearizeCow(skb: SkBuff): boolean {
  return skb.dataLen === 0 ? !skbCloned(skb) || pskbExpandHead(skb, 0, 0) : pskbPullTail(skb, skb.dataLen);
}

/** Takes `n` bytes off the start; returns where they were, or -1 (and changes nothing) if the frame is shorter. (`skb_pull_data`) */
export function skbPullData(skb: SkBuff, n: number): number {
  const at = skb.data;
  return skbPull(skb, n) < 0 ? -1 : at;
}
