// hot
/**
 * skb_segment: one frame becomes many, each with a copy of the headers and at most gsoSize bytes of payload.
 *
 *     mac       data = end of headers
 *      | headers | payload ............................................ |      head buffer, fragments, chain
 *      | headers | gsoSize |   | headers | gsoSize |   | headers | rest |
 *
 * With SG the payload that lies in fragments or in the chain stays where it is, and the segments refer to it; else it is copied.
 * GSO_BY_FRAGS cuts where the frames of the chain end. With GSO_PARTIAL there are two pieces at most: a super-frame whose payload is a
 * multiple of gsoSize, which the device cuts, and what is left over.
 *
 * Segments are linked by `next`; `prev` of the first is the last. The frame that was given stays the caller's.
 */
import { Errno } from '../base/status.ts';
import {
  NETIF_F_CSUM_MASK,
  NETIF_F_GSO_PARTIAL,
  NETIF_F_HW_CSUM,
  NETIF_F_IP_CSUM,
  NETIF_F_IPV6_CSUM,
  NETIF_F_SG,
} from '../device/features.ts';
import { CHECKSUM_NONE } from '../skb/checksum_state.ts';
import { skbAddFrag, skbCopyBits } from '../skb/frags.ts';
import { GSO_BY_FRAGS, MAX_SKB_FRAGS, SKB_GSO_DODGY, SKB_GSO_PARTIAL } from '../skb/shared_info.ts';
import { HEADER_UNSET, type SkBuff } from '../skb/sk_buff.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';

/** True if a device with `features` sums up frames of the EtherType `protocol`. (`can_checksum_protocol`) */
export function canChecksumProtocol(features: number, protocol: number): boolean {
  if ((features & NETIF_F_HW_CSUM) !== 0) return true;
  if (protocol === ETH_P_IP) return (features & NETIF_F_IP_CSUM) !== 0;
  return protocol === ETH_P_IPV6 && (features & NETIF_F_IPV6_CSUM) !== 0;
}

/** What is left of `features` for a device that sums nothing up: then nothing is sent in pieces either. */
export function withoutChecksum(features: number): number {
  return features & ~(NETIF_F_CSUM_MASK | NETIF_F_SG | NETIF_F_GSO_PARTIAL);
}

/**
 * Cuts `head`, whose data starts at the payload; its macHeader says where the headers start. `features` are the device's for this
 * frame. Gives the first segment, or -EINVAL (a segment would have more than 17 fragments), or -ENOMEM; nothing is left over then.
 */
export function skbSegment(head: SkBuff, features: number): SkBuff | number {
  const { info } = head.pool;
  const sg = (features & NETIF_F_SG) !== 0 && canChecksumProtocol(features, head.protocol);
  const gsoSize = info.gsoSize[head.shinfo]!;
  const byFrags = gsoSize === GSO_BY_FRAGS;
  let mss = gsoSize;
  let partialSegs = 0;
  if (sg && !byFrags && (features & NETIF_F_GSO_PARTIAL) !== 0) {
    partialSegs = Math.floor(head.len / mss);
    if (partialSegs > 1) mss *= partialSegs;
    else partialSegs = 0;
  }
  let first: SkBuff | null = null;
  let last: SkBuff | null = null;
  let offset = byFrags ? head.len - chainLen(head) : 0;
  let each = info.fragList(head.shinfo);
  do {
    let len = Math.min(head.len - offset, mss);
    if (byFrags && each !== null) {
      len = each.len;
      each = each.next;
    }
    const segment = cut(head, offset, len, sg);
    if (typeof segment === 'number') {
      freeSegments(first);
      return segment;
    }
    if (!canChecksumProtocol(features, head.protocol)) segment.ipSummed = CHECKSUM_NONE;
    if (first === null) first = segment;
    if (last !== null) last.next = segment;
    last = segment;
    offset += len;
  } while (offset < head.len);
  first.prev = last;
  if (partialSegs > 0) markPartial(head, first, gsoSize, partialSegs);
  return first;
}

/** Frees a row of segments. */
export function freeSegments(first: SkBuff | null): void {
  for (let each = first; each !== null; ) {
    const next: SkBuff | null = each.next;
    each.next = null;
    each.prev = null;
    each.pool.consume(each);
    each = next;
  }
}

function chainLen(head: SkBuff): number {
  let len = 0;
  for (let each = head.pool.info.fragList(head.shinfo); each !== null; each = each.next) len += each.len;
  return len;
}

/** The first piece is a super-frame of `segs` segments; a last one of several gets a share of its own, if it has one. */
function markPartial(head: SkBuff, first: SkBuff, gsoSize: number, segs: number): void {
  const { info } = head.pool;
  info.gsoSize[first.shinfo] = gsoSize;
  info.gsoSegs[first.shinfo] = segs;
  info.gsoType[first.shinfo] = (info.gsoType[head.shinfo]! | SKB_GSO_PARTIAL) & ~SKB_GSO_DODGY;
}

/** One segment: the headers, and bytes [offset, offset + len) of the payload. */
function cut(head: SkBuff, offset: number, len: number, sg: boolean): SkBuff | number {
  const { pool, arena } = head;
  const headers = head.data - head.macHeader;
  const linear = sg ? Math.max(Math.min(head.len - head.dataLen - offset, len), 0) : len;
  const room = arena.slotSize - headers - linear;
  const headroom = Math.min(head.macHeader - head.head, Math.max(room, 0));
  const segment = pool.alloc(headroom + headers + linear);
  if (segment === null) return -Errno.ENOMEM;
  pool.copyHeader(segment, head);
  segment.next = null;
  segment.prev = null;
  segment.data += headroom;
  segment.tail = segment.data + headers + linear;
  segment.len = headers + linear;
  const shift = segment.data - head.macHeader;
  segment.macHeader = segment.data;
  segment.networkHeader = head.networkHeader + shift;
  if (head.transportHeader !== HEADER_UNSET) segment.transportHeader = head.transportHeader + shift;
  segment.csumStart = head.csumStart + shift;
  arena.bytes.copyWithin(segment.data, head.macHeader, head.data);
  skbCopyBits(head, offset, segment.data + headers, linear);
  if (linear < len && !refer(segment, head, offset + linear, len - linear)) {
    pool.consume(segment);
    return -Errno.EINVAL;
  }
  return segment;
}

/** Adds bytes [from, from + len) of `head`, which lie behind its head buffer, as fragments. False: they would be too many. */
function refer(segment: SkBuff, head: SkBuff, from: number, len: number): boolean {
  const { info, arena } = head.pool;
  const end = from + len;
  const frags = info.nrFrags[head.shinfo]!;
  let at = head.len - head.dataLen;
  for (let i = 0; i < frags && at < end; i++) {
    const f = head.shinfo * MAX_SKB_FRAGS + i;
    const piece = info.fragLen[f]!;
    const start = Math.max(from, at);
    const stop = Math.min(end, at + piece);
    if (start < stop) {
      arena.get(info.fragBuf[f]!);
      if (!skbAddFrag(segment, info.fragBuf[f]!, info.fragOffset[f]! + start - at, stop - start)) {
        arena.release(info.fragBuf[f]!);
        return false;
      }
    }
    at += piece;
  }
  for (let each = info.fragList(head.shinfo); each !== null && at < end; each = each.next) {
    const start = Math.max(from, at);
    const stop = Math.min(end, at + each.len);
    if (start < stop && !referFrame(segment, each, start - at, stop - start)) return false;
    at += each.len;
  }
  return true;
}

/** As refer, for a frame of the chain: its head buffer becomes a fragment too. */
function referFrame(segment: SkBuff, frame: SkBuff, from: number, len: number): boolean {
  const linear = Math.max(Math.min(frame.len - frame.dataLen - from, len), 0);
  if (linear > 0) {
    frame.arena.get(frame.buf);
    if (!skbAddFrag(segment, frame.buf, frame.data + from, linear)) {
      frame.arena.release(frame.buf);
      return false;
    }
  }
  return linear === len || refer(segment, frame, from + linear, len - linear);
}
