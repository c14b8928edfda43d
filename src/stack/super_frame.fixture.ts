/** Super-frames for tests: bytes of any length laid out over head buffer, fragments and chain, and frames back to bytes. */
import { Arena } from '../skb/arena.ts';
import { CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { skbAddFrag, skbAddFragList, skbWalk } from '../skb/frags.ts';
import type { SkbPool } from '../skb/pool.ts';
import { SKB_GSO_DODGY, SKB_GSO_TCP_ECN, SKB_GSO_TCPV4, SKB_GSO_TCPV6, SKB_GSO_UDP_L4 } from '../skb/shared_info.ts';
import { type SkBuff, skbPut, skbReserve } from '../skb/sk_buff.ts';

/** Where the payload behind the first `linear` bytes lies. */
export type Layout = 'linear' | 'frags' | 'chain';

/** Fields of virtio-net's header, as TAP devices take it. */
export interface VnetHeader {
  readonly flags: number;
  readonly gso_type: number;
  readonly gso_size: number;
  readonly csum_start: number;
  readonly csum_offset: number;
  readonly hdr_len: number;
}

/** Memory for super-frames: a slot takes a whole one. */
export function superFrameArena(slots = 600): Arena {
  const slotSize = 70_000;
  return new Arena(new ArrayBuffer(slots * slotSize), { slots, slotSize });
}

/** A frame of `bytes`: the first `linear` of them in the head buffer, the rest as the layout says, in pieces of `piece`. */
export function frameOf(
  pool: SkbPool,
  bytes: Uint8Array,
  layout: Layout = 'linear',
  linear = 128,
  piece = 4096,
): SkBuff {
  const first = layout === 'linear' ? bytes.length : Math.min(linear, bytes.length);
  const skb = plain(pool, bytes, 0, first);
  for (let at = first; at < bytes.length; at += piece) {
    const part = plain(pool, bytes, at, Math.min(piece, bytes.length - at));
    if (layout === 'chain') {
      skbAddFragList(skb, part);
      continue;
    }
    pool.arena.get(part.buf);
    if (!skbAddFrag(skb, part.buf, part.data, part.len)) throw new Error('too many fragments');
    pool.consume(part);
  }
  return skb;
}

function plain(pool: SkbPool, bytes: Uint8Array, from: number, len: number): SkBuff {
  const skb = pool.alloc(64 + len);
  if (skb === null) throw new Error('no memory for a test frame');
  skb.next = null;
  skbReserve(skb, 64);
  pool.arena.bytes.set(bytes.subarray(from, from + len), skbPut(skb, len));
  return skb;
}

/** The frame's bytes, wherever they lie. */
export function bytesOf(skb: SkBuff): Uint8Array {
  const bytes = new Uint8Array(skb.len);
  skbWalk(skb, 0, skb.len, (offset, n, at) => bytes.set(skb.arena.bytes.subarray(offset, offset + n), at));
  return bytes;
}

const NEEDS_CSUM = 1;
const GSO_ECN = 0x80;

/**
 * Takes a virtio-net header over into the frame, as a TAP device does for what is written to it: false is -EINVAL. A frame that is not
 * longer than a segment is none. (`virtio_net_hdr_to_skb`)
 */
export function takeVnetHeader(skb: SkBuff, vnet: VnetHeader): boolean {
  const { view } = skb.arena;
  const { info } = skb.pool;
  skb.protocol = view.getUint16(skb.data + 12);
  let types = 0;
  let transportLen = 0;
  if (vnet.gso_type !== 0) {
    const kind = vnet.gso_type & ~GSO_ECN;
    types = kind === 1 ? SKB_GSO_TCPV4 : kind === 4 ? SKB_GSO_TCPV6 : kind === 5 ? SKB_GSO_UDP_L4 : 0;
    transportLen = kind === 5 ? 8 : 20;
    if (types === 0 || vnet.gso_size === 0) return false;
    if ((vnet.gso_type & GSO_ECN) !== 0) types |= SKB_GSO_TCP_ECN;
  }
  const least = (types & SKB_GSO_TCPV6) !== 0 ? 40 : 20;
  let headers = least + transportLen;
  if ((vnet.flags & NEEDS_CSUM) !== 0) {
    if (vnet.csum_start + Math.max(transportLen, vnet.csum_offset + 2) > skb.len || vnet.csum_start < least)
      return false;
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = skb.data + vnet.csum_start;
    skb.csumOffset = vnet.csum_offset;
    headers = vnet.csum_start + transportLen;
  }
  if (types !== 0 && (skb.ipSummed === CHECKSUM_PARTIAL || transportLen === 8)) {
    if (skb.csumOffset !== (transportLen === 8 ? 6 : 16)) return false;
  }
  if (types !== 0 && skb.len - headers > vnet.gso_size) {
    info.gsoSize[skb.shinfo] = vnet.gso_size;
    info.gsoType[skb.shinfo] = types | SKB_GSO_DODGY;
  }
  return true;
}
