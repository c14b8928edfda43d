// hot
/**
 * The words of a hand-over (handover.ts): of a pair's control, and of an entry.
 */
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkbPool } from '../../skb/pool.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { RING_ENTRIES, TICKETS } from './cpu_table.ts';

export const TAIL = 0;
export const HEAD = 16;
/** Entries that the reader has begun with: it may have died in the middle of one. */
export const TAKEN = 17;
export const RETURNED = 32;
export const FREED = 48;

/** To be handed up, as from a backlog; to be sent by the device that this CPU has the queues of. */
export const HANDOVER_RECEIVE = 1;
export const HANDOVER_XMIT = 2;
export const FRAGMENT = 3;

/** The words of an entry. A fragment has KIND, TICKET, and its place and length in DATA and LEN. */
export const KIND = 0;
export const TICKET = 1;
export const FRAME_HEAD = 2;
export const DATA = 3;
export const LEN = 4;
export const END = 5;
export const MAC_HEADER = 6;
export const FACTS = 7;
export const HASH = 8;
export const VLAN_TCI = 9;
export const DEVICE = 10;
export const CSUM = 11;
export const CSUM_START = 12;
export const CSUM_OFFSET = 13;
export const GSO_TYPE = 14;
export const GSO_SIZE = 15;

export const RING_MASK = RING_ENTRIES - 1;
export const TICKET_MASK = TICKETS - 1;

/** An sk_buff of `pool` around the frame in the entry at word `at`; the reference to `buf` is the frame's. Null: no memory, and it is dropped. */
export function readFrame(e: Int32Array, at: number, tstampUs: number, pool: SkbPool, buf: number): SkBuff | null {
  const skb = pool.build(buf, e[at + FRAME_HEAD]!, e[at + END]!);
  if (skb === null) {
    pool.drops.add(DropReason.NOMEM);
    pool.arena.release(buf);
    return null;
  }
  const facts = e[at + FACTS]!;
  const data = e[at + DATA]!;
  skb.data = data;
  skb.len = e[at + LEN]!;
  skb.tail = data + skb.len;
  skb.macHeader = e[at + MAC_HEADER]!;
  skb.protocol = facts & 0xffff;
  skb.pktType = (facts >>> 16) & 7;
  skb.ipSummed = (facts >>> 19) & 3;
  skb.csumLevel = (facts >>> 21) & 3;
  skb.l4Hash = (facts & (1 << 23)) !== 0;
  skb.netpollSeen = (facts & (1 << 24)) !== 0;
  skb.hash = e[at + HASH]! >>> 0;
  skb.vlanTci = e[at + VLAN_TCI]!;
  skb.queueMapping = e[at + DEVICE]! >>> 16;
  skb.csum = e[at + CSUM]! >>> 0;
  skb.csumStart = e[at + CSUM_START]!;
  skb.csumOffset = e[at + CSUM_OFFSET]!;
  skb.tstampUs = tstampUs;
  const { info } = pool;
  info.gsoType[skb.shinfo] = e[at + GSO_TYPE]!;
  info.gsoSize[skb.shinfo] = e[at + GSO_SIZE]! & 0xffff;
  info.gsoSegs[skb.shinfo] = e[at + GSO_SIZE]! >>> 16;
  return skb;
}
