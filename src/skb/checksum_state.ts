/**
 * What is known about a frame's checksum (`skb->ip_summed`).
 *
 * | state       | received: set by the driver                       | sent: set by the stack                     |
 * |-------------|---------------------------------------------------|--------------------------------------------|
 * | NONE        | nothing was verified                              | the checksum is in the frame, or not needed |
 * | UNNECESSARY | the device verified it                            | as NONE                                    |
 * | COMPLETE    | `csum` is the sum over everything from `data` on  | as NONE                                    |
 * | PARTIAL     | from a virtual peer: trusted, not yet filled in   | fill in at csumStart + csumOffset          |
 */
export const CHECKSUM_NONE = 0;
export const CHECKSUM_UNNECESSARY = 1;
export const CHECKSUM_COMPLETE = 2;
export const CHECKSUM_PARTIAL = 3;

/** True if a received frame's checksum needs no look: a device has verified it, or a virtual peer has not made it yet. */
export function csumUnnecessary(ipSummed: number): boolean {
  return ipSummed === CHECKSUM_UNNECESSARY || ipSummed === CHECKSUM_PARTIAL;
}
