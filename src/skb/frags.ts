// hot
/**
 * Frames that do not lie in one piece: fragments and a chain behind the head buffer.
 *
 *     head buffer | frag 0 | frag 1 | ... | frag_list: frame -> frame -> ...
 *     <- headlen ->
 *     <------------------------------- len ------------------------------->     len - headlen = dataLen
 *
 * Every byte has one place in that order. skbCopyBits and skbWalk go along it; pskbPull brings bytes from behind into the head
 * buffer, so that a protocol can read its header there.
 */
import { assert } from '../base/assert.ts';
import { sum32 } from '../wire/checksum.ts';
import { MAX_SKB_FRAGS } from './shared_info.ts';
import type { SkBuff } from './sk_buff.ts';

/** Sees bytes[offset, offset + len) of the arena; `at` is where they stand in the frame. */
export type PieceVisitor = (offset: number, len: number, at: number) => void;

/** Adds `len` bytes at arena position `offset` of `buf` as the last fragment; takes the caller's reference. False: 17 are there. */
export function skbAddFrag(skb: SkBuff, buf: number, offset: number, len: number): boolean {
  const { info } = skb.pool;
  const s = skb.shinfo;
  const n = info.nrFrags[s]!;
  if (n === MAX_SKB_FRAGS) return false;
  assert(info.fragList(s) === null, 'fragments stand before the chain');
  const at = s * MAX_SKB_FRAGS + n;
  info.fragBuf[at] = buf;
  info.fragOffset[at] = offset;
  info.fragLen[at] = len;
  info.nrFrags[s] = n + 1;
  skb.len += len;
  skb.dataLen += len;
  return true;
}

/** Appends `next` to the chain; it belongs to `skb` from here on. */
export function skbAddFragList(skb: SkBuff, next: SkBuff): void {
  const { info } = skb.pool;
  let last = info.fragList(skb.shinfo);
  if (last === null) {
    info.setFragList(skb.shinfo, next);
  } else {
    while (last.next !== null) last = last.next;
    last.next = next;
  }
  next.next = null;
  skb.len += next.len;
  skb.dataLen += next.len;
}

/** Visits bytes [from, from + len) of the frame in order, piece by piece. The range must be in the frame. */
export function skbWalk(skb: SkBuff, from: number, len: number, visit: PieceVisitor, base = 0): void {
  const { info } = skb.pool;
  const s = skb.shinfo;
  const end = from + len;
  let at = skb.len - skb.dataLen;
  if (from < at && len > 0) visit(skb.data + from, Math.min(end, at) - from, base + from);
  const frags = info.nrFrags[s]!;
  for (let i = 0; i < frags && at < end; i++) {
    const piece = info.fragLen[s * MAX_SKB_FRAGS + i]!;
    const first = Math.max(from, at);
    const last = Math.min(end, at + piece);
    if (first < last) visit(info.fragOffset[s * MAX_SKB_FRAGS + i]! + first - at, last - first, base + first);
    at += piece;
  }
  for (let each = info.fragList(s); each !== null && at < end; each = each.next) {
    const first = Math.max(from, at);
    const last = Math.min(end, at + each.len);
    if (first < last) skbWalk(each, first - at, last - first, visit, base + at);
    at += each.len;
  }
}

/** Copies bytes [from, from + len) of the frame to arena position `to`. False, and nothing copied: they are not all there. */
export function skbCopyBits(skb: SkBuff, from: number, to: number, len: number): boolean {
  if (from < 0 || from + len > skb.len) return false;
  copyRange(skb, from, from + len, to);
  return true;
}

function copyRange(skb: SkBuff, from: number, end: number, to: number): void {
  const { bytes } = skb.arena;
  const { info } = skb.pool;
  const base = skb.shinfo * MAX_SKB_FRAGS;
  const frags = info.nrFrags[skb.shinfo]!;
  let at = skb.len - skb.dataLen;
  if (from < at) bytes.copyWithin(to, skb.data + from, skb.data + Math.min(end, at));
  for (let i = 0; i < frags && at < end; i++) {
    const offset = info.fragOffset[base + i]! - at;
    const first = Math.max(from, at);
    at += info.fragLen[base + i]!;
    if (first < at) bytes.copyWithin(to + first - from, offset + first, offset + Math.min(end, at));
  }
  for (let each = info.fragList(skb.shinfo); each !== null && at < end; each = each.next) {
    const first = Math.max(from, at);
    if (first < at + each.len) copyRange(each, first - at, Math.min(end - at, each.len), to + first - from);
    at += each.len;
  }
}

/**
 * Ones-complement sum over bytes [from, from + len), to be closed by fold(). A piece that starts at an odd place of the range
 * counts with its bytes exchanged. (`skb_checksum`)
 */
export function skbSum(skb: SkBuff, from: number, len: number): number {
  return sumRange(skb, from, from + len, from);
}

/** `start` is where the whole range began, as a place in this frame. */
function sumRange(skb: SkBuff, from: number, end: number, start: number): number {
  const { view } = skb.arena;
  const { info } = skb.pool;
  const base = skb.shinfo * MAX_SKB_FRAGS;
  const frags = info.nrFrags[skb.shinfo]!;
  let at = skb.len - skb.dataLen;
  let sum = from < at ? placed(sum32(view, skb.data + from, Math.min(end, at) - from), from - start) : 0;
  for (let i = 0; i < frags && at < end; i++) {
    const offset = info.fragOffset[base + i]! - at;
    const first = Math.max(from, at);
    at += info.fragLen[base + i]!;
    if (first < at) sum += placed(sum32(view, offset + first, Math.min(end, at) - first), first - start);
  }
  for (let each = info.fragList(skb.shinfo); each !== null && at < end; each = each.next) {
    const first = Math.max(from, at);
    if (first < at + each.len) sum += sumRange(each, first - at, Math.min(end - at, each.len), start - at);
    at += each.len;
  }
  return sum;
}

/** A piece's sum in 16 bits, as it counts at `place` bytes from the start. */
function placed(sum: number, place: number): number {
  let part = sum;
  while (part > 0xffff) part = (part & 0xffff) + (part >>> 16);
  return (place & 1) === 0 ? part : ((part & 0xff) << 8) | (part >>> 8);
}

/**
 * Makes the first `n` bytes readable in the head buffer, by moving what is missing there from behind. False: the frame is
 * shorter, its bytes are shared, or the head buffer has no room; nothing has changed then. (`pskb_may_pull`)
 */
export function pskbPull(skb: SkBuff, n: number): boolean {
  const missing = n - (skb.len - skb.dataLen);
  if (missing <= 0) return true;
  if (n > skb.len || piecesShared(skb) || skb.tail + missing > skb.end) return false;
  skbCopyBits(skb, skb.len - skb.dataLen, skb.tail, missing);
  dropFront(skb, missing);
  skb.tail += missing;
  skb.dataLen -= missing;
  return true;
}

/** Somebody else has a record of these pieces: they may not be moved or cut. */
function piecesShared(skb: SkBuff): boolean {
  const { info } = skb.pool;
  if (skb.cloned && info.dataref[skb.shinfo] !== 1) return true;
  for (let each = info.fragList(skb.shinfo); each !== null; each = each.next) {
    if (each.dataLen !== 0 && piecesShared(each)) return true;
  }
  return false;
}

/** Everything into the head buffer. False as pskbPull. (`skb_linearize`) */
export function skbLinearize(skb: SkBuff): boolean {
  return pskbPull(skb, skb.len);
}

/** Takes `n` bytes off the front of what is behind the head buffer. */
function dropFront(skb: SkBuff, n: number): void {
  const { info, arena } = skb.pool;
  const s = skb.shinfo;
  const base = s * MAX_SKB_FRAGS;
  let left = n;
  let gone = 0;
  const frags = info.nrFrags[s]!;
  while (gone < frags && left >= info.fragLen[base + gone]!) {
    left -= info.fragLen[base + gone]!;
    arena.release(info.fragBuf[base + gone]!);
    gone++;
  }
  for (let i = gone; i < frags; i++) {
    info.fragBuf[base + i - gone] = info.fragBuf[base + i]!;
    info.fragOffset[base + i - gone] = info.fragOffset[base + i]!;
    info.fragLen[base + i - gone] = info.fragLen[base + i]!;
  }
  info.nrFrags[s] = frags - gone;
  if (frags > gone) {
    info.fragOffset[base] = info.fragOffset[base]! + left;
    info.fragLen[base] = info.fragLen[base]! - left;
    return;
  }
  let first = info.fragList(s);
  while (first !== null && left >= first.len) {
    const next: SkBuff | null = first.next;
    left -= first.len;
    first.next = null;
    skb.pool.consume(first);
    first = next;
  }
  info.setFragList(s, first);
  if (first !== null && left > 0) trimFront(first, left);
}

/** Takes `n` bytes, fewer than it has, off the front of a frame of a chain. */
function trimFront(skb: SkBuff, n: number): void {
  const linear = Math.min(n, skb.len - skb.dataLen);
  skb.data += linear;
  skb.len -= n;
  if (n > linear) {
    dropFront(skb, n - linear);
    skb.dataLen -= n - linear;
  }
}

/** Cuts the frame to `n` bytes, wherever they lie. False: its bytes are shared. Longer than it is: no change. (`pskb_trim`) */
export function pskbTrim(skb: SkBuff, n: number): boolean {
  if (n >= skb.len) return true;
  const { info, arena } = skb.pool;
  const s = skb.shinfo;
  if (skb.dataLen !== 0 && piecesShared(skb)) return false;
  const base = s * MAX_SKB_FRAGS;
  const headlen = skb.len - skb.dataLen;
  let at = headlen;
  const frags = info.nrFrags[s]!;
  let kept = 0;
  for (let i = 0; i < frags; i++) {
    const piece = info.fragLen[base + i]!;
    if (at >= n) {
      arena.release(info.fragBuf[base + i]!);
    } else {
      info.fragLen[base + i] = Math.min(piece, n - at);
      kept++;
    }
    at += piece;
  }
  info.nrFrags[s] = kept;
  let before: SkBuff | null = null;
  for (let each = info.fragList(s); each !== null; ) {
    const next: SkBuff | null = each.next;
    const piece = each.len;
    if (at >= n) {
      if (before === null) info.setFragList(s, null);
      else before.next = null;
      each.next = null;
      skb.pool.consume(each);
    } else {
      if (at + piece > n) pskbTrim(each, n - at);
      before = each;
    }
    at += piece;
    each = next;
  }
  skb.len = n;
  if (n <= headlen) {
    skb.dataLen = 0;
    skb.tail = skb.data + n;
  } else {
    skb.dataLen = n - headlen;
  }
  return true;
}
