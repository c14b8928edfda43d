// hot
/**
 * TCP segments of a stream become one (tcp_gro_receive).
 *
 *  1. checksum right, header whole; else the segment is not touched
 *  2. the held frame with these ports
 *  3. same flags (but FIN and PSH), window, header length, acknowledgement, options and network headers; the next bytes; not
 *     longer than the first: merged
 *  4. a shorter segment, FIN, PSH, URG, RST and SYN end the aggregation, merged or not; so does everything that was refused
 */
import { NETIF_F_GRO_FRAGLIST } from '../device/features.ts';
import { devOf } from '../device/net_device.ts';
import { pskbPull } from '../skb/frags.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { IPPROTO_TCP } from '../wire/ipv4.ts';
import {
  TCP_FLAG_FIN,
  TCP_FLAG_PSH,
  TCP_FLAG_RST,
  TCP_FLAG_SYN,
  TCP_FLAG_URG,
  TCP_HLEN,
  tcpAckSeq,
  tcpAddFlags,
  tcpFlags,
  tcpFlagWord,
  tcpHeaderLen,
  tcpPorts,
  tcpSeq,
} from '../wire/tcp.ts';
import type { GroBucket, GroCb } from './gro_cb.ts';
import { groCsumValidate, pseudoSum } from './gro_checksum.ts';
import { skbGroReceive, skbGroReceiveList } from './gro_merge.ts';
import { groNetworkFlush } from './gro_same.ts';

/** FIN and PSH in tcpFlagWord. */
const END_FLAGS = (TCP_FLAG_FIN | TCP_FLAG_PSH) << 16;
const FINAL_FLAGS = TCP_FLAG_URG | TCP_FLAG_PSH | TCP_FLAG_RST | TCP_FLAG_SYN | TCP_FLAG_FIN;
/** Segments in a list. */
const LIST_SEGMENTS_MAX = 64;

/** `skb` is read up to its TCP header. Returns the held frame that is to be completed, or null. */
export function tcpGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff): SkBuff | null {
  const { id } = skb;
  const { view } = skb.arena;
  const ip = skb.data + cb.innermost(id);
  if (cb.flush[id] === 0) {
    const pseudo = pseudoSum(view, ip, IPPROTO_TCP, skb.len - cb.offset[id]!);
    // A wrong checksum: the segment goes on at once, and past those that are held.
    if (!groCsumValidate(cb, skb, pseudo, false)) return refuse(cb, id);
  }
  const off = cb.offset[id]!;
  if (!pskbPull(skb, off + TCP_HLEN)) return refuse(cb, id);
  const th = skb.data + off;
  const thlen = tcpHeaderLen(view, th);
  // A header that is shorter than a header, or longer than the frame.
  if (thlen < TCP_HLEN || !pskbPull(skb, off + thlen)) return refuse(cb, id);
  cb.offset[id] = off + thlen;
  const p = lookup(cb, bucket, skb, tcpPorts(view, th));
  if ((devOf(skb).features & NETIF_F_GRO_FRAGLIST) !== 0) cb.isFlist[id] = p === null ? 1 : cb.isFlist[p.id]!;
  return receive(cb, p, skb, th, thlen);
}

function refuse(cb: GroCb, id: number): null {
  cb.flush[id] = 1;
  return null;
}

/** The newest held frame of the flow with these ports. */
function lookup(cb: GroCb, bucket: GroBucket, skb: SkBuff, ports: number): SkBuff | null {
  for (let i = bucket.count - 1; i >= 0; i--) {
    const p = bucket.held[i]!;
    if (cb.sameFlow[p.id] === 0) continue;
    if (tcpPorts(skb.arena.view, p.transportHeader) === ports) return p;
    cb.sameFlow[p.id] = 0;
  }
  return null;
}

function receive(cb: GroCb, p: SkBuff | null, skb: SkBuff, th: number, thlen: number): SkBuff | null {
  const { id } = skb;
  const { info } = skb.pool;
  const { view } = skb.arena;
  const len = skb.len - cb.offset[id]!;
  const ownSize = info.gsoSize[skb.shinfo]!;
  const flags = tcpFlags(view, th);
  let mss = 1;
  if (p !== null) {
    mss = info.gsoSize[p.shinfo]!;
    if (segmentFollows(cb, p, skb, th, thlen, len, mss) && append(cb, p, skb)) {
      // Segments of a list keep their own headers.
      if (cb.isFlist[p.id] === 0) tcpAddFlags(view, p.transportHeader, flags & (TCP_FLAG_FIN | TCP_FLAG_PSH));
    } else {
      mss = 1;
    }
  }
  const short = ownSize !== 0 ? len !== cb.count[id]! * ownSize : len < mss;
  const final = short || (flags & FINAL_FLAGS) !== 0;
  if (final) cb.flush[id] = 1;
  return p !== null && (cb.sameFlow[id] === 0 || final) ? p : null;
}

function segmentFollows(
  cb: GroCb,
  p: SkBuff,
  skb: SkBuff,
  th: number,
  thlen: number,
  len: number,
  mss: number,
): boolean {
  const { view } = skb.arena;
  const { info } = skb.pool;
  const held = p.transportHeader;
  const changed = tcpFlagWord(view, th) ^ tcpFlagWord(view, held);
  // First, because the second segment decides here how identifications go on, whatever becomes of it.
  const networkFlush = groNetworkFlush(cb, p, skb);
  // Flags that mean something to one segment only (CWR, URG ...), another window or header length.
  if ((changed & ~END_FLAGS) !== 0) return false;
  if (tcpAckSeq(view, th) !== tcpAckSeq(view, held)) return false;
  for (let i = TCP_HLEN; i < thlen; i += 4) if (view.getInt32(th + i) !== view.getInt32(held + i)) return false;
  if (networkFlush) return false;
  const ownSize = info.gsoSize[skb.shinfo]!;
  // Nothing in it, or more than the first one had; an aggregate must be made of equal pieces.
  if (ownSize !== 0 ? ownSize !== mss : len === 0 || len > mss) return false;
  // Not the next bytes.
  if (((tcpSeq(view, held) + p.len - cb.offset[p.id]!) | 0) !== (tcpSeq(view, th) | 0)) return false;
  if (cb.isFlist[p.id] === 0) return true;
  // Cut again, a list gives the very same segments: not even FIN or PSH may differ.
  return (
    changed === 0 && skb.ipSummed === p.ipSummed && skb.csumLevel === p.csumLevel && cb.count[p.id]! < LIST_SEGMENTS_MAX
  );
}

function append(cb: GroCb, p: SkBuff, skb: SkBuff): boolean {
  return cb.isFlist[p.id] === 0 ? skbGroReceive(cb, p, skb) : skbGroReceiveList(cb, p, skb);
}
