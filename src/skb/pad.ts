// hot
/**
 * Frames that are too short for their link: zeros behind the data, so that no old byte of the memory leaves the machine.
 *
 *     skbPad, skbPadto          zeros behind the data, which stays as long as it was: for who tells the hardware a length
 *     skbPutPadto, ethSkbPad    the zeros belong to the data
 *
 * A frame whose bytes are shared, or whose buffer has no room, gets a new buffer. False: there was no memory, and the frame is
 * gone (with `freeOnError` false it is still the caller's).
 */
import { pskbExpandHead } from './copy.ts';
import { DropReason } from './drop_reason.ts';
import { pskbPullTail } from './pull_tail.ts';
import { type SkBuff, skbCloned } from './sk_buff.ts';

/** The shortest Ethernet frame, without the checksum at its end. (`ETH_ZLEN`) */
export const ETH_ZLEN = 60;

/** `n` zero bytes behind the data. (`skb_pad`) */
export function skbPad(skb: SkBuff, n: number, freeOnError = true): boolean {
  if (ready(skb, n)) {
    skb.arena.bytes.fill(0, skb.tail, skb.tail + n);
    return true;
  }
  if (freeOnError) skb.pool.kfree(skb, DropReason.NOMEM);
  return false;
}

/** The frame is in one piece, its bytes are its own, and `n` more fit behind them. */
function ready(skb: SkBuff, n: number): boolean {
  if (skb.dataLen !== 0 && !pskbPullTail(skb, skb.dataLen)) return false;
  const missing = n - (skb.end - skb.tail);
  return (missing <= 0 && !skbCloned(skb)) || pskbExpandHead(skb, 0, Math.max(missing, 0));
}

/** Zeros up to byte `len` of the frame. (`skb_padto`) */
export function skbPadto(skb: SkBuff, len: number): boolean {
  return skb.len >= len || skbPad(skb, len - skb.len);
}

/** The frame has at least `len` bytes, what was missing is zeros. (`skb_put_padto`) */
export function skbPutPadto(skb: SkBuff, len: number, freeOnError = true): boolean {
  const missing = len - skb.len;
  if (missing <= 0) return true;
  if (!skbPad(skb, missing, freeOnError)) return false;
  skb.tail += missing;
  skb.len += missing;
  return true;
}

/** As long as Ethernet's shortest frame. (`eth_skb_pad`) */
export function ethSkbPad(skb: SkBuff): boolean {
  return skbPutPadto(skb, ETH_ZLEN);
}
