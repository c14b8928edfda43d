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
 * Describes `skb` as entry 0 of `tx`, with its pool id as the tag. The frame stays the caller's until the Port takes it. False: it is in
 * more pieces than the batch can describe.
 */
export function txFrame(tx: FrameBatch, skb: SkBuff): boolean {
  const { info } = skb.pool;
  tx.buf[0] = skb.buf;
  tx.offset[0] = skb.data;
  tx.len[0] = skb.len;
  tx.end[0] = skb.end;
  tx.cookie[0] = skb.id;
  tx.csum[0] = skb.ipSummed;
  tx.vlanTci[0] = skb.vlanTci;
  tx.gsoSize[0] = info.gsoSize[skb.shinfo]!;
  tx.gsoType[0] = info.gsoType[skb.shinfo]!;
  if (skb.ipSummed === CHECKSUM_PARTIAL) {
    tx.csumStart[0] = skb.csumStart - skb.data;
    tx.csumOffset[0] = skb.csumOffset;
  }
  tx.pieces[0] = 0;
  return skb.dataLen === 0 || txPieces(tx, skb);
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
