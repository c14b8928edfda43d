// hot
/**
 * Frames of one's own: copies, and what makes a shared frame writable.
 *
 *     skbCopy       everything copied, in one piece
 *     pskbCopy      head buffer copied, fragments shared
 *     skbCow        headroom, and bytes that nobody else reads: copies only if it has to
 *
 * Null or false means that there was no memory; the frame that was given is then unchanged, and still the caller's.
 */
import { assert } from '../base/assert.ts';
import { CHECKSUM_PARTIAL } from './checksum_state.ts';
import { skbCopyBits } from './frags.ts';
import { NET_SKB_PAD } from './pool.ts';
import { MAX_SKB_FRAGS } from './shared_info.ts';
import {
  HEADER_UNSET,
  type SkBuff,
  skbCloned,
  skbHeaderCloned,
  skbHeadroom,
  skbPut,
  skbReserve,
  skbShared,
} from './sk_buff.ts';

/** A private copy in one piece, with the same headroom; the original stays the caller's. Null: no memory, or longer than a slot. (`skb_copy`) */
export function skbCopy(skb: SkBuff): SkBuff | null {
  return skbCopyExpand(skb, skbHeadroom(skb), Math.max(skb.end - skb.tail, 0));
}

/** As skbCopy, with `headroom` bytes in front and room for `tailroom` behind. (`skb_copy_expand`) */
export function skbCopyExpand(skb: SkBuff, headroom: number, tailroom: number): SkBuff | null {
  const { pool } = skb;
  const wanted = headroom + skb.len + tailroom;
  const copy = pool.alloc(Math.min(wanted, Math.max(headroom + skb.len, skb.arena.slotSize)));
  if (copy === null) return null;
  skbReserve(copy, headroom);
  skbCopyBits(skb, 0, skbPut(copy, skb.len), skb.len);
  pool.copyHeader(copy, skb);
  shiftHeaders(copy, copy.data - skb.data);
  copyGso(copy, skb);
  return copy;
}

/** A copy of the head buffer over the same fragments and chain. (`pskb_copy`) */
export function pskbCopy(skb: SkBuff): SkBuff | null {
  const { pool, arena } = skb;
  const headlen = skb.len - skb.dataLen;
  const headroom = skbHeadroom(skb);
  const copy = pool.alloc(headroom + headlen);
  if (copy === null) return null;
  skbReserve(copy, headroom);
  arena.bytes.copyWithin(skbPut(copy, headlen), skb.data, skb.data + headlen);
  pool.copyHeader(copy, skb);
  shiftHeaders(copy, copy.data - skb.data);
  copyGso(copy, skb);
  if (shareFrags(copy, skb)) return copy;
  pool.consume(copy);
  return null;
}

/**
 * A frame with at least `headroom` bytes in front and headers that nobody else reads, over the same fragments; the original stays the
 * caller's. Null: no memory. (`skb_realloc_headroom`)
 */
export function skbReallocHeadroom(skb: SkBuff, headroom: number): SkBuff | null {
  const more = headroom - skbHeadroom(skb);
  if (more <= 0) return pskbCopy(skb);
  const copy = skb.pool.clone(skb);
  if (copy === null || pskbExpandHead(copy, Math.ceil(more / NET_SKB_PAD) * NET_SKB_PAD, 0)) return copy;
  skb.pool.consume(copy);
  return null;
}

/** Gives every user of the bytes its own: a clone becomes a copy. The frame that was given is gone if a copy comes back. (`skb_unshare`) */
export function skbUnshare(skb: SkBuff): SkBuff | null {
  if (!skbCloned(skb)) return skb;
  const copy = skbCopy(skb);
  if (copy !== null) skb.pool.consume(skb);
  return copy;
}

/** A frame that only the caller holds: itself, or a clone of it. Null: no memory, and the frame is gone. (`skb_share_check`) */
export function skbShareCheck(skb: SkBuff): SkBuff | null {
  if (!skbShared(skb)) return skb;
  const copy = skb.pool.clone(skb);
  skb.pool.consume(skb);
  return copy;
}

/** At least `headroom` bytes in front, and bytes that nobody else has. (`skb_cow`) */
export function skbCow(skb: SkBuff, headroom: number): boolean {
  return cow(skb, headroom, skbCloned(skb));
}

/** At least `headroom` bytes in front, and headers that nobody else reads. (`skb_cow_head`) */
export function skbCowHead(skb: SkBuff, headroom: number): boolean {
  return cow(skb, headroom, skbHeaderCloned(skb));
}

function cow(skb: SkBuff, headroom: number, cloned: boolean): boolean {
  const delta = Math.max(headroom - skbHeadroom(skb), 0);
  if (delta === 0 && !cloned) return true;
  return pskbExpandHead(skb, Math.ceil(delta / NET_SKB_PAD) * NET_SKB_PAD, 0);
}

/**
 * Moves the frame into a new head buffer with `more` bytes of headroom and `moreTail` of tailroom added; fragments are shared, the
 * frame stops being a clone. Panics on a frame that somebody else holds. (`pskb_expand_head`)
 */
export function pskbExpandHead(skb: SkBuff, more: number, moreTail: number): boolean {
  assert(more >= 0 && !skbShared(skb), 'a head buffer is expanded by the only holder of the frame');
  const { pool, arena } = skb;
  const used = skb.tail - skb.head;
  if (used + more + moreTail > arena.slotSize) return false;
  const fresh = pool.alloc(used + more + moreTail);
  if (fresh === null) return false;
  arena.bytes.copyWithin(fresh.head + more, skb.head, skb.tail);
  copyGso(fresh, skb);
  if (!shareFrags(fresh, skb)) {
    pool.consume(fresh);
    return false;
  }
  const shift = fresh.head + more - skb.head;
  // The two objects exchange their memory; what is left in `fresh` is the old one, and goes.
  exchangeMemory(skb, fresh);
  skb.data += shift;
  skb.tail += shift;
  shiftHeaders(skb, shift);
  skb.cloned = false;
  skb.nohdr = false;
  pool.consume(fresh);
  return true;
}

function exchangeMemory(a: SkBuff, b: SkBuff): void {
  const { buf, head, end, shinfo, nohdr } = a;
  a.buf = b.buf;
  a.head = b.head;
  a.end = b.end;
  a.shinfo = b.shinfo;
  b.buf = buf;
  b.head = head;
  b.end = end;
  b.shinfo = shinfo;
  b.nohdr = nohdr;
}

/** Header positions are places in the arena: they move with the bytes. */
function shiftHeaders(skb: SkBuff, by: number): void {
  if (skb.macHeader !== HEADER_UNSET) skb.macHeader += by;
  if (skb.networkHeader !== HEADER_UNSET) skb.networkHeader += by;
  if (skb.transportHeader !== HEADER_UNSET) skb.transportHeader += by;
  if (skb.ipSummed === CHECKSUM_PARTIAL) skb.csumStart += by;
}

function copyGso(to: SkBuff, from: SkBuff): void {
  const { info } = from.pool;
  info.gsoSize[to.shinfo] = info.gsoSize[from.shinfo]!;
  info.gsoSegs[to.shinfo] = info.gsoSegs[from.shinfo]!;
  info.gsoType[to.shinfo] = info.gsoType[from.shinfo]!;
}

/** `to` gets references to the fragments, and clones of the chain's frames. False: no memory for these. */
function shareFrags(to: SkBuff, from: SkBuff): boolean {
  const { pool, arena } = from;
  const { info } = pool;
  const count = info.nrFrags[from.shinfo]!;
  for (let i = 0; i < count; i++) {
    const a = from.shinfo * MAX_SKB_FRAGS + i;
    const b = to.shinfo * MAX_SKB_FRAGS + i;
    info.fragBuf[b] = info.fragBuf[a]!;
    info.fragOffset[b] = info.fragOffset[a]!;
    info.fragLen[b] = info.fragLen[a]!;
    arena.get(info.fragBuf[a]!);
  }
  info.nrFrags[to.shinfo] = count;
  to.len += from.dataLen;
  to.dataLen = from.dataLen;
  let last: SkBuff | null = null;
  for (let each = info.fragList(from.shinfo); each !== null; each = each.next) {
    const clone = pool.clone(each);
    if (clone === null) return false;
    if (last === null) info.setFragList(to.shinfo, clone);
    else last.next = clone;
    last = clone;
  }
  return true;
}
