// hot
/**
 * Two frames become one: the payload of a segment is appended to a held frame, without copying a byte.
 *
 *     fragments   p: | headers, payload | -> (buf, offset, len) -> (buf, offset, len) ...   the segment's object is free again
 *     chain       p: | headers, payload | -> frame -> frame                                 when 17 fragments are used up; the
 *                                            `- its own fragments                           last frame of the chain takes them
 *     list        p: | headers, payload | -> frame with its headers -> ...                  fraglist mode: segments stay whole
 */
import { skbAddFrag } from '../skb/frags.ts';
import { MAX_SKB_FRAGS } from '../skb/shared_info.ts';
import { type SkBuff, skbHeaderRelease, skbPull } from '../skb/sk_buff.ts';
import { GRO_MAX_SIZE, type GroCb } from './gro_cb.ts';

/** Appends the rest of `skb` to `p`. False: refused, nothing has changed. (`skb_gro_receive`) */
export function skbGroReceive(cb: GroCb, p: SkBuff, skb: SkBuff): boolean {
  const offset = cb.offset[skb.id]!;
  const len = skb.len - offset;
  // An IP packet cannot say that it is longer.
  if (p.len + len >= GRO_MAX_SIZE || cb.flush[skb.id] !== 0) return false;
  const last = cb.last[p.id]!;
  let grown = p;
  if (moveToFrags(last, skb, offset)) {
    cb.free[skb.id] = 1;
    grown = last;
  } else {
    dropHeaders(skb, offset);
    appendChain(cb, p, skb);
    p.len += len;
    p.dataLen += len;
  }
  if (grown !== p) {
    p.len += len;
    p.dataLen += len;
  }
  cb.count[p.id]! += cb.count[skb.id]!;
  cb.sameFlow[skb.id] = 1;
  return true;
}

/** Chains the whole of `skb`, its headers in front of its data, to `p`. False: refused. (`skb_gro_receive_list`) */
export function skbGroReceiveList(cb: GroCb, p: SkBuff, skb: SkBuff): boolean {
  const offset = cb.offset[skb.id]!;
  // The limit counts the segment with its headers.
  if (p.len + skb.len >= GRO_MAX_SIZE) return false;
  // Whoever takes the list apart finds the headers in front of the data.
  skb.networkHeader = skb.data + cb.innermost(skb.id);
  if (skbPull(skb, offset) < 0) return false;
  appendChain(cb, p, skb);
  cb.count[p.id]!++;
  p.len += skb.len;
  p.dataLen += skb.len;
  cb.sameFlow[skb.id] = 1;
  return true;
}

/** The bytes of `skb` from `offset` on become fragments of `to`. False: there is no room for all of them. */
function moveToFrags(to: SkBuff, skb: SkBuff, offset: number): boolean {
  const { info } = skb.pool;
  const { arena } = skb;
  const headlen = skb.len - skb.dataLen;
  const frags = info.nrFrags[skb.shinfo]!;
  const head = headlen > offset ? 1 : 0;
  if (info.nrFrags[to.shinfo]! + head + frags > MAX_SKB_FRAGS || info.fragList(to.shinfo) !== null) return false;
  if (head === 1) {
    arena.get(skb.buf);
    skbAddFrag(to, skb.buf, skb.data + offset, headlen - offset);
  }
  let skip = head === 1 ? 0 : offset - headlen;
  for (let i = skb.shinfo * MAX_SKB_FRAGS; i < skb.shinfo * MAX_SKB_FRAGS + frags; i++) {
    const piece = info.fragLen[i]!;
    if (skip >= piece) {
      skip -= piece;
      continue;
    }
    arena.get(info.fragBuf[i]!);
    skbAddFrag(to, info.fragBuf[i]!, info.fragOffset[i]! + skip, piece - skip);
    skip = 0;
  }
  return true;
}

/** Takes the headers off a frame that is chained. They lie in its head buffer, for they were read. */
function dropHeaders(skb: SkBuff, offset: number): void {
  skbPull(skb, offset);
  skbHeaderRelease(skb);
}

/** `skb` is p's, and the last of its chain, from here on. */
function appendChain(cb: GroCb, p: SkBuff, skb: SkBuff): void {
  const last = cb.last[p.id]!;
  skb.next = null;
  if (last === p) p.pool.info.setFragList(p.shinfo, skb);
  else last.next = skb;
  cb.last[p.id] = skb;
}
