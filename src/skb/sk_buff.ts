// hot
/**
 * sk_buff: a frame on its way through the machine. This object is the metadata; the bytes lie in the arena.
 *
 *     head          data                 tail            end
 *      v             v                    v               v
 *      +-------------+--------------------+---------------+
 *      |  headroom   |  headers, payload  |   tailroom    |
 *      +-------------+--------------------+---------------+
 *                    <------- len ------->                       head <= data <= tail <= end
 *
 * Going down, each layer pushes its header into the headroom (data moves left). Coming up, each layer pulls its header off
 * (data moves right), and leaves behind where it was: macHeader, networkHeader, transportHeader.
 * All positions are byte offsets into the arena, so `skb.arena.view.getUint16(skb.data + 12)` reads an EtherType.
 *
 * Objects are pooled (pool.ts). Who holds a reference (`users`) must either pass it on or free it, exactly once.
 */
import { Bug } from '../base/assert.ts';
import type { Arena } from './arena.ts';
import { CHECKSUM_NONE } from './checksum_state.ts';
import type { SkbPool } from './pool.ts';

/** What the metadata knows of a device; the device layer knows the rest (`devOf` in device/net_device.ts). */
export interface SkbDevice {
  readonly name: string;
  readonly ifindex: number;
}

/** For whom a received frame is (`skb->pkt_type`). */
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;
export const PACKET_LOOPBACK = 5;

/** Position of a header that is not known (yet). */
export const HEADER_UNSET = -1;

export class SkBuff {
  readonly pool: SkbPool;
  readonly arena: Arena;
  /** Place in the pool; also the tag that drivers give to hardware. */
  readonly id: number;
  /** Arena handle of the head buffer, -1 while the object is in the pool. */
  buf = -1;
  /** Its shared record, an index into `pool.info`; in the pool: the one that waits for the object's next frame, or -1. */
  shinfo = -1;
  head = 0;
  data = 0;
  tail = 0;
  end = 0;
  /** All bytes: linear, fragments, fragment list. */
  len = 0;
  /** Bytes that are not in the head buffer. */
  dataLen = 0;
  dev: SkbDevice | null = null;
  /** EtherType in host order, set by ethTypeTrans or by the sender. */
  protocol = 0;
  pktType = PACKET_HOST;
  ipSummed = CHECKSUM_NONE;
  csum = 0;
  csumStart = 0;
  csumOffset = 0;
  /** UNNECESSARY: how many further checksums the device has verified. */
  csumLevel = 0;
  macHeader = HEADER_UNSET;
  networkHeader = HEADER_UNSET;
  transportHeader = HEADER_UNSET;
  /** Device that the frame came in on first. */
  skbIif = 0;
  queueMapping = 0;
  vlanTci = -1;
  priority = 0;
  hash = 0;
  /** The hash covers the ports: it tells connections apart. */
  l4Hash = false;
  napiId = 0;
  /** Wall-clock arrival in microseconds since 1970, 0 if unknown. A double from the start: V8 makes the objects over that find out later. */
  tstampUs = -0;
  /** References to this object. */
  users = 0;
  cloned = false;
  /** This user of the bytes promised to leave the headers alone. */
  nohdr = false;
  /** Netpoll has looked at this frame on its way to the backlog and left it: it is not asked again. */
  netpollSeen = false;
  /** Runs when the last reference goes; used to account for memory. */
  destructor: ((skb: SkBuff) => void) | null = null;
  next: SkBuff | null = null;
  prev: SkBuff | null = null;
  list: object | null = null;

  constructor(pool: SkbPool, arena: Arena, id: number) {
    this.pool = pool;
    this.arena = arena;
    this.id = id;
  }
}

/** The frame's geometry broke its invariant; what skb_over_panic and skb_under_panic print. */
export class SkbPanic extends Bug {
  constructor(op: 'over' | 'under' | 'nonlinear', skb: SkBuff, n: number) {
    const at = `len:${skb.len} put:${n} head:${skb.head} data:${skb.data} tail:${skb.tail}`;
    super(`skb_${op}_panic: ${at} end:${skb.end} dev:${skb.dev?.name ?? '<NULL>'}`);
    this.name = 'SkbPanic';
  }
}

/** Bytes in front of the data. */
export function skbHeadroom(skb: SkBuff): number {
  return skb.data - skb.head;
}

/** Bytes behind the data; 0 for a frame with fragments, even if there were room. */
export function skbTailroom(skb: SkBuff): number {
  return skb.dataLen !== 0 ? 0 : skb.end - skb.tail;
}

/** Bytes in the head buffer. */
export function skbHeadlen(skb: SkBuff): number {
  return skb.len - skb.dataLen;
}

/** Extends the data by `n` bytes at the end; returns where they start. Panics past `end` or on a frame with fragments. */
export function skbPut(skb: SkBuff, n: number): number {
  if (skb.dataLen !== 0) throw new SkbPanic('nonlinear', skb, n);
  const at = skb.tail;
  skb.tail += n;
  skb.len += n;
  if (skb.tail > skb.end) throw new SkbPanic('over', skb, n);
  return at;
}

/** Extends the data by `n` bytes at the start; returns the new start. Panics in front of `head`. */
export function skbPush(skb: SkBuff, n: number): number {
  skb.data -= n;
  skb.len += n;
  if (skb.data < skb.head) throw new SkbPanic('under', skb, n);
  return skb.data;
}

/** Takes `n` bytes off the start; returns the new start, or -1 (and changes nothing) if the frame is shorter. */
export function skbPull(skb: SkBuff, n: number): number {
  if (n > skb.len) return -1;
  if (skb.len - n < skb.dataLen) throw new SkbPanic('nonlinear', skb, -n);
  skb.len -= n;
  skb.data += n;
  return skb.data;
}

/** Moves the empty data area `n` bytes to the right, to leave headroom. Only for an empty frame; the kernel does not check. */
export function skbReserve(skb: SkBuff, n: number): void {
  skb.data += n;
  skb.tail += n;
}

/** Cuts the frame to `n` bytes; longer than it is: no change. Frames with fragments are left alone. */
export function skbTrim(skb: SkBuff, n: number): void {
  if (skb.len <= n || skb.dataLen !== 0) return;
  skb.len = n;
  skb.tail = skb.data + n;
}

/** True if the first `n` bytes can be read from the head buffer (`pskb_may_pull`). */
export function pskbMayPull(skb: SkBuff, n: number): boolean {
  return n <= skb.len - skb.dataLen;
}

export function skbResetMacHeader(skb: SkBuff): void {
  skb.macHeader = skb.data;
}

export function skbResetNetworkHeader(skb: SkBuff): void {
  skb.networkHeader = skb.data;
}

export function skbResetTransportHeader(skb: SkBuff): void {
  skb.transportHeader = skb.data;
}

/** More than one holder of this object. */
export function skbShared(skb: SkBuff): boolean {
  return skb.users !== 1;
}

/** The bytes are shared with another frame: they may be read, not written. */
export function skbCloned(skb: SkBuff): boolean {
  return skb.cloned && skb.pool.info.dataref[skb.shinfo] !== 1;
}

/** Another frame may read the headers too: they may not be written. (`skb_header_cloned`) */
export function skbHeaderCloned(skb: SkBuff): boolean {
  const { info } = skb.pool;
  return skb.cloned && info.dataref[skb.shinfo]! - info.payloadRefs[skb.shinfo]! !== 1;
}

/** From here on this frame's headers are left alone by who sends its payload. (`skb_header_release`) */
export function skbHeaderRelease(skb: SkBuff): void {
  skb.nohdr = true;
  skb.pool.info.payloadRefs[skb.shinfo]!++;
}

/** The frame stands for several: it is to be cut into pieces of gsoSize. */
export function skbIsGso(skb: SkBuff): boolean {
  return skb.pool.info.gsoSize[skb.shinfo] !== 0;
}
