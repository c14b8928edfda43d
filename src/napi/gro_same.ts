// hot
/**
 * May a segment follow a held one, by what their network headers say? Everything must be the same but lengths and checksums,
 * and the IPv4 identification must go on as it began.
 */
import type { SkBuff } from '../skb/sk_buff.ts';
import type { GroCb } from './gro_cb.ts';

/** Traffic class in the first word of IPv6. */
const IPV6_CLASS = 0x0ff00000;
const IP_DF = 0x4000;

/** True: a network header of `skb` ends the aggregation of `p`. (`gro_receive_network_flush`) */
export function groNetworkFlush(cb: GroCb, p: SkBuff, skb: SkBuff): boolean {
  const outer = networkDiffers(cb, p, skb, cb.network[p.id]!, 1);
  if (cb.encapMark[p.id] === 0) return outer;
  return networkDiffers(cb, p, skb, cb.innerNetwork[p.id]!, 2) || outer;
}

/** Compares the headers at `at` from skb.data; `bit` is the header's bit in fixedId. */
function networkDiffers(cb: GroCb, p: SkBuff, skb: SkBuff, at: number, bit: number): boolean {
  const { view } = skb.arena;
  const a = p.data + at;
  const b = skb.data + at;
  if (view.getUint8(b) >>> 4 === 6) {
    // Traffic class, or hop limit.
    return ((view.getInt32(a) ^ view.getInt32(b)) & IPV6_CLASS) !== 0 || view.getUint8(a + 7) !== view.getUint8(b + 7);
  }
  // Time to live, type of service (with ECN), or don't fragment.
  if (view.getUint8(a + 8) !== view.getUint8(b + 8) || view.getUint8(a + 1) !== view.getUint8(b + 1)) return true;
  if (((view.getUint16(a + 6) ^ view.getUint16(b + 6)) & IP_DF) !== 0) return true;
  const step = (view.getUint16(b + 4) - view.getUint16(a + 4)) & 0xffff;
  const count = cb.count[p.id]!;
  // The second segment decides: the same identification for all, or one more for each.
  if (count === 1 && step === 0) cb.fixedId[p.id]! |= bit;
  return step !== ((cb.fixedId[p.id]! & bit) !== 0 ? 0 : count & 0xffff);
}
