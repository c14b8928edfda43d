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
  skb.vlanTci = rx.vlanTci[i]!;
  skb.tstampUs = rx.tstampUs[i]!;
  const { values } = dev.stats;
  values[STAT_RX_PACKETS]!++;
  values[STAT_RX_BYTES]! += len;
  skb.protocol = ethTypeTrans(skb, dev);
  return skb;
}

/** Describes `skb` as entry 0 of `tx`, with its pool id as the tag. The frame stays the caller's until the Port takes it. */
export function txFrame(tx: FrameBatch, skb: SkBuff): void {
  tx.buf[0] = skb.buf;
  tx.offset[0] = skb.data;
  tx.len[0] = skb.len;
  tx.end[0] = skb.end;
  tx.cookie[0] = skb.id;
  tx.csum[0] = skb.ipSummed;
  tx.vlanTci[0] = skb.vlanTci;
}
