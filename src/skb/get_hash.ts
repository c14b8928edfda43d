// hot
/**
 * The hash of a frame's flow: what the device gave, or what the headers say. Steering, queue choice and GRO go by it.
 *
 * `hash` 0 means that nobody has looked yet. A frame keeps its hash when it is copied.
 */
import { FLOW_STOP_AT_LABEL } from '../wire/flow_dissect.ts';
import type { SkBuff } from './sk_buff.ts';

/** The frame's hash, computed on first use; unsigned, not 0. Reads headers in the head buffer only. (`skb_get_hash`) */
export function skbGetHash(skb: SkBuff): number {
  if (skb.hash !== 0) return skb.hash;
  const { flow } = skb.pool;
  const { view } = skb.arena;
  const network = Math.max(skb.networkHeader, skb.data);
  flow.dissect(view, network, skb.tail, skb.protocol, skb.vlanTci, FLOW_STOP_AT_LABEL);
  skb.hash = flow.hash(view);
  skb.l4Hash = flow.portsOffset >= 0;
  return skb.hash;
}

/** The device has computed a hash, over the ports too or not; 0 counts as none. (`skb_set_hash`) */
export function skbSetHash(skb: SkBuff, hash: number, l4: boolean): void {
  skb.hash = hash >>> 0;
  skb.l4Hash = l4;
}
