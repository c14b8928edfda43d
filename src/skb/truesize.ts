/**
 * What a frame costs the machine (`skb->truesize`): the buffers that it holds and its two records, whatever they are filled
 * with. A short datagram in a slot of its own costs as much as a long one; limits on memory count this, not `len`.
 *
 *     SKB_TRUESIZE(X) = X + sk_buff + skb_shared_info          X: the head buffer; each fragment adds the buffer that it is in
 */
import type { SkBuff } from './sk_buff.ts';

/** sk_buff and skb_shared_info, as large as the kernel has them (256 and 320 bytes). */
const SKB_OVERHEAD = 576;

/** Bytes that a frame with a head buffer of `size` bytes costs. (`SKB_TRUESIZE`) */
export function skbTruesize(size: number): number {
  return size + SKB_OVERHEAD;
}

/** Bytes that this frame costs, its fragments and its chain included. Bound: the chain. (`skb->truesize`) */
export function truesize(skb: SkBuff): number {
  const { info, arena } = skb.pool;
  let sum = skbTruesize(arena.slotSize * (1 + info.nrFrags[skb.shinfo]!));
  for (let each = info.fragList(skb.shinfo); each !== null; each = each.next) sum += truesize(each);
  return sum;
}
