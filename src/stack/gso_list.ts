// hot
/**
 * GSO of a frame that GRO made by chaining whole frames (SKB_GSO_FRAGLIST): the chain is taken apart again.
 *
 *     head: mac | ip | udp | payload  -->  frame: (mac | ip | udp) payload  -->  frame: (mac | ip | udp) payload
 *
 * Each frame of the chain has its own headers still, in front of its data. It gets them back; the Ethernet header is the head's,
 * and so are addresses and ports, should somebody (NAT) have changed those of the head since.
 */
import { Errno } from '../base/status.ts';
import { skbCow } from '../skb/copy.ts';
import { type SkBuff, skbCloned, skbShared } from '../skb/sk_buff.ts';
import { fold } from '../wire/checksum.ts';
import { freeSegments } from './gso_segment.ts';

/** What GRO put together lies as it did: the head has exactly one segment's payload. */
export function gsoFraglistIntact(skb: SkBuff, headerLen: number): boolean {
  const { info } = skb.pool;
  let chained = 0;
  for (let each = info.fragList(skb.shinfo); each !== null; each = each.next) chained += each.len;
  return chained > 0 && skb.len - chained - headerLen === info.gsoSize[skb.shinfo];
}

/**
 * Takes the chain off `skb`, whose data is at the transport header, which has `headerLen` bytes and its checksum at `check`. Gives
 * `skb` itself with one reference more, as the first of the segments, or -ENOMEM. (`skb_segment_list`)
 */
export function skbSegmentList(skb: SkBuff, headerLen: number, check: number, addressLen: number): SkBuff | number {
  const { pool } = skb;
  const { info } = pool;
  if (skbCloned(skb) && !skbCow(skb, 0)) return -Errno.ENOMEM;
  const macLen = skb.networkHeader - skb.macHeader;
  const pushed = skb.data - skb.macHeader;
  let next = info.fragList(skb.shinfo);
  info.setFragList(skb.shinfo, null);
  skb.data -= pushed;
  skb.len += pushed;
  let last = skb;
  while (next !== null) {
    let each = next;
    next = each.next;
    skb.len -= each.len;
    skb.dataLen -= each.len;
    if (skbShared(each)) {
      const own = pool.clone(each);
      pool.consume(each);
      if (own === null) return undone(skb, next);
      each = own;
    }
    each.next = null;
    last.next = each;
    last = each;
    if (skbCloned(each) && !skbCow(each, 0)) return undone(skb, next);
    takeHeaders(each, skb, macLen, headerLen, check, addressLen);
  }
  info.gsoSize[skb.shinfo] = 0;
  info.gsoSegs[skb.shinfo] = 0;
  info.gsoType[skb.shinfo] = 0;
  skb.prev = last;
  return pool.get(skb);
}

/** No memory in the middle: frees what was taken off and what is left of the chain. `skb` stays the caller's. */
function undone(skb: SkBuff, rest: SkBuff | null): number {
  freeSegments(skb.next);
  skb.next = null;
  freeSegments(rest);
  return -Errno.ENOMEM;
}

/** Gives a frame of the chain its headers back, with the head's addresses. Its data is at its payload. */
function takeHeaders(
  frame: SkBuff,
  head: SkBuff,
  macLen: number,
  headerLen: number,
  check: number,
  addressLen: number,
): void {
  const transport = frame.data - headerLen;
  const network = frame.networkHeader;
  frame.pool.copyHeader(frame, head);
  frame.networkHeader = network;
  frame.transportHeader = transport;
  frame.macHeader = network - macLen;
  frame.len += frame.data - frame.macHeader;
  frame.data = frame.macHeader;
  frame.arena.bytes.copyWithin(frame.data, head.macHeader, head.networkHeader);
  const first = addressLen === 4 ? 12 : 8;
  for (let i = 0; i < 2 * addressLen; i += 2) {
    replace(frame, network + first + i, head.networkHeader + first + i, transport + check);
  }
  replace(frame, transport, head.transportHeader, transport + check);
  replace(frame, transport + 2, head.transportHeader + 2, transport + check);
}

/** Copies the 16 bits at `from` to `to` and keeps the checksum at `check` right; a UDP checksum that is absent stays so. */
function replace(frame: SkBuff, to: number, from: number, check: number): void {
  const { view } = frame.arena;
  const was = view.getUint16(to);
  const is = view.getUint16(from);
  if (was === is) return;
  view.setUint16(to, is);
  const sum = view.getUint16(check);
  if (sum !== 0) view.setUint16(check, fold((~sum & 0xffff) + (~was & 0xffff) + is));
}
