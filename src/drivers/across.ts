/**
 * A frame goes from one machine's memory into another's: the bytes are copied, because arenas have nothing in common.
 *
 *     head buffer (a slot, with headroom) | frag: a slot | frag: a slot | ...
 */
import { skbAddFrag, skbWalk } from '../skb/frags.ts';
import { NET_SKB_PAD, type SkbPool } from '../skb/pool.ts';
import { type SkBuff, skbPut, skbReserve } from '../skb/sk_buff.ts';

/** A copy of the frame in `pool`'s memory; the original stays the caller's. Null: no memory there, or too long for it. */
export function skbCopyAcross(skb: SkBuff, pool: SkbPool): SkBuff | null {
  const { arena } = pool;
  const copy = pool.alloc(arena.slotSize);
  if (copy === null) return null;
  skbReserve(copy, NET_SKB_PAD);
  const head = Math.min(skb.len, arena.slotSize - NET_SKB_PAD);
  copyBits(skb, 0, pool, skbPut(copy, head), head);
  for (let at = head; at < skb.len; ) {
    const len = Math.min(skb.len - at, arena.slotSize);
    const buf = arena.alloc();
    if (buf >= 0 && skbAddFrag(copy, buf, arena.start(buf), len)) {
      copyBits(skb, at, pool, arena.start(buf), len);
      at += len;
      continue;
    }
    if (buf >= 0) arena.release(buf);
    pool.consume(copy);
    return null;
  }
  copyMarks(copy, skb);
  return copy;
}

function copyBits(skb: SkBuff, from: number, pool: SkbPool, to: number, len: number): void {
  skbWalk(skb, from, len, (offset, n, at) => {
    pool.arena.bytes.set(skb.arena.bytes.subarray(offset, offset + n), to + at - from);
  });
}

function copyMarks(copy: SkBuff, skb: SkBuff): void {
  const from = skb.pool.info;
  const to = copy.pool.info;
  copy.protocol = skb.protocol;
  copy.ipSummed = skb.ipSummed;
  copy.csum = skb.csum;
  copy.csumStart = skb.csumStart - skb.data + copy.data;
  copy.csumOffset = skb.csumOffset;
  copy.csumLevel = skb.csumLevel;
  copy.vlanTci = skb.vlanTci;
  copy.hash = skb.hash;
  to.gsoSize[copy.shinfo] = from.gsoSize[skb.shinfo]!;
  to.gsoSegs[copy.shinfo] = from.gsoSegs[skb.shinfo]!;
  to.gsoType[copy.shinfo] = from.gsoType[skb.shinfo]!;
}
