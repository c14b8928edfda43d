// hot
/**
 * Two frames become one without a protocol: the bytes of `from` go behind those of `to`.
 *
 *     from fits into to's tailroom    copied
 *     else                            from's head buffer and fragments become fragments of `to`, which takes references
 *
 * Refused where `to` is shared, either has a chain, or 17 fragments would not do; nothing has changed then.
 */
import { skbAddFrag, skbCopyBits } from './frags.ts';
import { MAX_SKB_FRAGS } from './shared_info.ts';
import { type SkBuff, skbCloned, skbPut, skbTailroom } from './sk_buff.ts';

/** True: `to` has the bytes; `from` is still the caller's, to be freed. (`skb_try_coalesce`) */
export function skbTryCoalesce(to: SkBuff, from: SkBuff): boolean {
  if (skbCloned(to)) return false;
  if (from.len <= skbTailroom(to)) {
    skbCopyBits(from, 0, skbPut(to, from.len), from.len);
    return true;
  }
  const { info } = to.pool;
  const { arena } = to;
  if (info.fragList(to.shinfo) !== null || info.fragList(from.shinfo) !== null) return false;
  const headlen = from.len - from.dataLen;
  const frags = info.nrFrags[from.shinfo]!;
  // Who shares a head buffer may still write its headers there.
  if (headlen > 0 && skbCloned(from)) return false;
  if (info.nrFrags[to.shinfo]! + frags + (headlen > 0 ? 1 : 0) > MAX_SKB_FRAGS) return false;
  if (headlen > 0) {
    arena.get(from.buf);
    skbAddFrag(to, from.buf, from.data, headlen);
  }
  for (let i = from.shinfo * MAX_SKB_FRAGS; i < from.shinfo * MAX_SKB_FRAGS + frags; i++) {
    arena.get(info.fragBuf[i]!);
    skbAddFrag(to, info.fragBuf[i]!, info.fragOffset[i]!, info.fragLen[i]!);
  }
  return true;
}
