// hot
/**
 * Checksums of frames that may be merged. A segment is merged only if its checksum is right; what was verified here is not
 * verified again above: the frame becomes CHECKSUM_UNNECESSARY.
 */

import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import { skbSum } from '../skb/frags.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import type { GroCb } from './gro_cb.ts';

/** Levels of UNNECESSARY that a frame can count. (`SKB_MAX_CSUM_LEVEL`) */
const MAX_CSUM_LEVEL = 3;

/** Reads what the device says about the checksum. */
export function groCsumStart(cb: GroCb, skb: SkBuff): void {
  if (skb.ipSummed === CHECKSUM_COMPLETE) {
    cb.csum[skb.id] = ~fold(skb.csum) & 0xffff;
    cb.csumValid[skb.id] = 1;
  } else if (skb.ipSummed === CHECKSUM_UNNECESSARY) {
    cb.csumCnt[skb.id] = skb.csumLevel + 1;
  }
}

/** Headers of `len` bytes, an even number, at arena position `at` were read: they leave the sum. (`skb_gro_postpull_rcsum`) */
export function groCsumPull(cb: GroCb, skb: SkBuff, at: number, len: number): void {
  if (cb.csumValid[skb.id] === 0) return;
  // Subtracting is adding the complement, and fold() complements.
  cb.csum[skb.id] = ~fold(cb.csum[skb.id]! + fold(sum32(skb.arena.view, at, len))) & 0xffff;
}

/** The sum over addresses, protocol and length that TCP and UDP checksums include; unfolded. */
export function pseudoSum(view: DataView, ip: number, proto: number, len: number): number {
  const v6 = view.getUint8(ip) >>> 4 === 6;
  return sum32(view, v6 ? ip + 8 : ip + 12, v6 ? 32 : 8) + proto + len;
}

/**
 * True if the rest of the frame has a right checksum, given what `pseudo` adds to it. `absent`: the field is zero and may be.
 * (`skb_gro_checksum_validate`)
 */
export function groCsumValidate(cb: GroCb, skb: SkBuff, pseudo: number, absent: boolean): boolean {
  const { id } = skb;
  const trusted = skb.ipSummed === CHECKSUM_PARTIAL && skb.csumStart >= skb.data + cb.offset[id]!;
  if (!trusted && cb.csumCnt[id] === 0 && !absent) {
    if (cb.csumValid[id] === 0 || fold(pseudo + cb.csum[id]!) !== 0) {
      const sum = groSum(skb, cb.offset[id]!);
      cb.csum[id] = ~fold(sum) & 0xffff;
      cb.csumValid[id] = 1;
      if (fold(sum + pseudo) !== 0) return false;
    }
  }
  if (cb.csumCnt[id]! > 0) {
    cb.csumCnt[id]!--;
  } else if (skb.ipSummed === CHECKSUM_UNNECESSARY) {
    skb.csumLevel = Math.min(skb.csumLevel + 1, MAX_CSUM_LEVEL);
  } else if (skb.ipSummed === CHECKSUM_NONE) {
    skb.ipSummed = CHECKSUM_UNNECESSARY;
    skb.csumLevel = 0;
  }
  return true;
}

function groSum(skb: SkBuff, from: number): number {
  if (skb.dataLen === 0) return sum32(skb.arena.view, skb.data + from, skb.len - from);
  return skbSum(skb, from, skb.len - from);
}
