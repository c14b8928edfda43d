/**
 * Frames for netpoll when memory is out.
 *
 *     fresh allocation --fails--> the reserve, 32 frames --empty--> poll the device (it may free some), again, 10 times
 *
 * The reserve is filled when the first client of a machine is set up, and after each message that could allocate.
 */
import { zapCompletionQueue } from '../device/kfree_skb.ts';
import type { Net } from '../device/net.ts';
import { NET_SKB_PAD } from '../skb/pool.ts';
import { type SkBuff, skbReserve } from '../skb/sk_buff.ts';
import type { NetpollInfo } from './npinfo.ts';
import { netpollPollDev } from './poll.ts';

/** Largest UDP payload that netpoll sends (`MAX_UDP_CHUNK`). */
export const MAX_UDP_CHUNK = 1460;
/** Room for Ethernet, IPv6 and UDP headers, the most that is pushed in front of a payload; rounded up, so that that is aligned. */
export const HEADERS_MAX = 64;

const TRIES = 10;

/** Fills the reserve as far as memory goes. (`refill_skbs`) */
export function refillReserve(net: Net): void {
  const reserve = net.netpollReserve;
  while (reserve.length < reserve.limit) {
    const skb = net.machine.skbs.alloc(NET_SKB_PAD + HEADERS_MAX + MAX_UDP_CHUNK);
    if (skb === null) return;
    reserve.queueTail(skb);
  }
}

/** An empty frame with room for `len` bytes and headroom for all headers; null after ten tries. (`find_skb`) */
export function findSkb(info: NetpollInfo, len: number): SkBuff | null {
  const { net } = info.dev;
  const room = NET_SKB_PAD + HEADERS_MAX + len;
  for (let tries = 0; tries < TRIES; tries++) {
    let skb = net.machine.skbs.alloc(room);
    if (skb === null) skb = net.netpollReserve.dequeue();
    else refillReserve(net);
    if (skb !== null) {
      skbReserve(skb, NET_SKB_PAD + HEADERS_MAX);
      return skb;
    }
    if (!zapCompletionQueue(net)) netpollPollDev(info.dev);
  }
  return null;
}
