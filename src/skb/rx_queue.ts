// hot
/**
 * Which receive queue a frame came in on. It stands in `queueMapping` as its number plus one, so that 0 says that nobody knows; on
 * the way down the same field is the transmit queue itself.
 */
import type { SkBuff } from './sk_buff.ts';

/** The driver says where the frame came in. (`skb_record_rx_queue`) */
export function skbRecordRxQueue(skb: SkBuff, queue: number): void {
  skb.queueMapping = queue + 1;
}

/** (`skb_rx_queue_recorded`) */
export function skbRxQueueRecorded(skb: SkBuff): boolean {
  return skb.queueMapping !== 0;
}

/** The receive queue; only where one is recorded. (`skb_get_rx_queue`) */
export function skbGetRxQueue(skb: SkBuff): number {
  return skb.queueMapping - 1;
}
