// hot
/**
 * Between a frame in a Port's batch and an sk_buff: the two steps that every driver over a Port takes.
 */

import { ethTypeTrans } from '../../device/eth.ts';
import {
  type NetDevice,
  STAT_RX_BYTES,
  STAT_RX_DROPPED,
  STAT_RX_ERRORS,
  STAT_RX_PACKETS,
} from '../../device/net_device.ts';
import { CHECKSUM_PARTIAL } from '../../skb/checksum_state.ts';
import { MAX_SKB_FRAGS } from '../../skb/shared_info.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { FrameBatch } from './port.ts';

/**
 * Wraps received entry `i` of `rx` into an sk_buff without copying, counts it and reads its Ethernet header. The frame is
 * the caller's. Null: it was too short, or there is no sk_buff; counted, and its buffer released.
 */
export function rxFrame(dev: NetDevice, rx: FrameBatch, i: number, headroom: number): SkBuff | null {
  const machine = dev.net.machine;
  const buf = rx.buf[i]!;
  const offset = rx.offset[i]!;
  const len = rx.len[i]!;
  const skb = len < ETH_HLEN ? null : machine.skbs.build(buf, offset - headroom, rx.end[i]!);
  if (skb === null) {
    dev.stats.add(len < ETH_HLEN ? STAT_RX_ERRORS : STAT_RX_DROPPED);
    machine.arena.release(buf);
    return null;
  }
  skb.data = offset;
  skb.tail = offset;
  skbPut(skb, len);
  skb.ipSummed = rx.csum[i]!;
  if (skb.ipSummed === CHECKSUM_PARTIAL && rx.csumStart[i] !== 0) {
    skb.csumStart = offset + rx.csumStart[i]!;
    skb.csumOffset = rx.csumOffset[i]!;
  }
  if (rx.gsoSize[i] !== 0) {
    const { info } = machine.skbs;
    info.gsoSize[skb.shinfo] = rx.gsoSize[i]!;
    info.gsoType[skb.shinfo] = rx.gsoType[i]!;
  }
  skb.vlanTci = rx.vlanTci[i]!;
  skb.tstampUs = rx.tstampUs[i]!;
  const { values } = dev.stats;
  values[STAT_RX_PACKETS]!++;
  values[STAT_RX_BYTES]! += len;
  skb.protocol = ethTypeTrans(skb, dev);
  return skb;
}

/**
 * Describes `skb` as entry `i` of `tx`, with its pool id as the tag. The frame stays the caller's until the Port takes it. A frame in pieces
 * is entry 0 and alone. False: it is in more pieces than the batch can describe.
 */
export function txFrame(tx: FrameBatch, i: number, skb: SkBuff): boolean {
  const { info } = skb.pool;
  const s = skb.shinfo;
  tx.buf[i] = skb.buf;
  tx.offset[i] = skb.data;
  tx.len[i] = skb.len;
  tx.end[i] = skb.end;
  tx.cookie[i] = skb.id;
  tx.csum[i] = skb.ipSummed;
  tx.vlanTci[i] = skb.vlanTci;
  tx.gsoSize[i] = info.gsoSize[s]!;
  tx.gsoType[i] = info.gsoType[s]!;
  if (skb.ipSummed === CHECKSUM_PARTIAL) {
    tx.csumStart[i] = skb.csumStart - skb.data;
    tx.csumOffset[i] = skb.csumOffset;
  }
  tx.pieces[i] = 0;
  return skb.dataLen === 0 || txPieces(tx, skb);
}

/**
 * The same for a Port that wants nothing but whole frames with their checksums in place: of the other columns it is told nothing, and they
 * stay as they were made.
 */
export function txPlainFrame(tx: FrameBatch, i: number, skb: SkBuff): void {
  tx.buf[i] = skb.buf;
  tx.offset[i] = skb.data;
  tx.len[i] = skb.len;
  tx.end[i] = skb.end;
  tx.cookie[i] = skb.id;
  tx.vlanTci[i] = skb.vlanTci;
}

/** Moves entries [from, to), each in one piece, to the front of `tx`. Bound: the size of the batch; for the rare ring that was not emptied. */
export function txShift(tx: FrameBatch, from: number, to: number): void {
  tx.buf.copyWithin(0, from, to);
  tx.offset.copyWithin(0, from, to);
  tx.len.copyWithin(0, from, to);
  tx.end.copyWithin(0, from, to);
  tx.cookie.copyWithin(0, from, to);
  tx.csum.copyWithin(0, from, to);
  tx.csumStart.copyWithin(0, from, to);
  tx.csumOffset.copyWithin(0, from, to);
  tx.vlanTci.copyWithin(0, from, to);
  tx.gsoSize.copyWithin(0, from, to);
  tx.gsoType.copyWithin(0, from, to);
  tx.pieces.copyWithin(0, from, to);
}

/** Adds what is behind the head buffer. Bound: the room in the batch. */
function txPieces(tx: FrameBatch, skb: SkBuff): boolean {
  const { info } = skb.pool;
  const base = skb.shinfo * MAX_SKB_FRAGS;
  const frags = info.nrFrags[skb.shinfo]!;
  for (let i = 0; i < frags; i++) if (!txPiece(tx, info.fragOffset[base + i]!, info.fragLen[base + i]!)) return false;
  for (let each = info.fragList(skb.shinfo); each !== null; each = each.next) {
    const headlen = each.len - each.dataLen;
    if (headlen > 0 && !txPiece(tx, each.data, headlen)) return false;
    if (each.dataLen > 0 && !txPieces(tx, each)) return false;
  }
  return true;
}

function txPiece(tx: FrameBatch, offset: number, len: number): boolean {
  const n = tx.pieces[0]!;
  if (n === tx.pieceOffset.length) return false;
  tx.pieceOffset[n] = offset;
  tx.pieceLen[n] = len;
  tx.pieces[0] = n + 1;
  return true;
}
