/**
 * A UDP socket with a receive queue: datagrams wait in it until somebody reads them, bounded by the bytes that they cost.
 *
 *     udpRcv --> rmem + truesize <= rcvBuf? --> queue --> onReadable() ... receive(into) --> bytes, and from whom
 *                       no: SOCKET_RCVBUFF, UdpRcvbufErrors
 *
 * The queue owns what is in it. One datagram is taken even by a socket whose buffer is smaller, if nothing waits. (`net/ipv4/udp.c`)
 */
import { Errno, SetupError } from '../base/status.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { skbWalk } from '../skb/frags.ts';
import { SkbQueue } from '../skb/queue.ts';
import { PACKET_HOST, type SkBuff } from '../skb/sk_buff.ts';
import { truesize } from '../skb/truesize.ts';
import type { IpAddress } from '../wire/address.ts';
import { IPPROTO_UDP, ipv4Source } from '../wire/ipv4.ts';
import { UDP_HLEN, udpSourcePort } from '../wire/udp.ts';
import type { Inet } from './inet.ts';
import { ownBytes } from './ipv4.ts';
import { ipSend } from './output.ts';
import { Snmp } from './snmp.ts';
import { udpBindLow, udpUnbind } from './udp.ts';

/** (`net.core.rmem_default`) */
const RCVBUF_DEFAULT = 212992;
/** Ports that a socket without a wish gets. (`net.ipv4.ip_local_port_range`) */
const EPHEMERAL_FIRST = 32768;
const EPHEMERAL_LAST = 60999;

export interface UdpSockOptions {
  /** 0 or absent: a free one. */
  readonly port?: number;
  /** Bytes that waiting datagrams may cost. (`SO_RCVBUF`, already doubled) */
  readonly rcvBuf?: number;
  /** Called in softirq context when a datagram was queued. */
  readonly onReadable?: (socket: UdpSock) => void;
}

/** One received datagram. */
export interface UdpMessage {
  readonly from: IpAddress;
  readonly port: number;
  /** Bytes of the datagram; more than the caller's array holds means that the rest is lost (MSG_TRUNC). */
  readonly len: number;
}

export class UdpSock {
  readonly port: number;
  readonly rcvBuf: number;
  /** What waits costs so many bytes. (`sk_rmem_alloc`) */
  rmem = 0;
  /** Datagrams that found the buffer full. (`sk_drops`) */
  drops = 0;
  readonly #inet: Inet;
  readonly #queue = new SkbQueue(Number.POSITIVE_INFINITY);
  readonly #onReadable: ((socket: UdpSock) => void) | null;
  #closed = false;

  /** Throws SetupError `ERR_NETPOLL_PORT_IN_USE`. */
  constructor(inet: Inet, options: UdpSockOptions = {}) {
    this.#inet = inet;
    this.rcvBuf = options.rcvBuf ?? RCVBUF_DEFAULT;
    this.#onReadable = options.onReadable ?? null;
    this.port = options.port || freePort(inet);
    udpBindLow(inet, this.port, { receive: (skb) => this.#enqueue(skb), scattered: true });
  }

  /** Datagrams that wait. */
  get length(): number {
    return this.#queue.length;
  }

  /** (`__udp_enqueue_schedule_skb`) */
  #enqueue(skb: SkBuff): number {
    const size = truesize(skb);
    if (this.rmem !== 0 && this.rmem + size > this.rcvBuf) {
      this.drops++;
      return DropReason.SOCKET_RCVBUFF;
    }
    const kept = keep(skb);
    if (kept === null) return DropReason.NOMEM;
    this.rmem += size;
    this.#queue.queueTail(kept);
    this.#onReadable?.(this);
    return 0;
  }

  /** Copies the first datagram that waits into `into`, as far as it fits; null: none waits. (`udp_recvmsg`) */
  receive(into: Uint8Array): UdpMessage | null {
    const skb = this.#queue.dequeue();
    if (skb === null) return null;
    const { view, bytes } = skb.arena;
    this.rmem -= truesize(skb);
    // From here on the flow's frames come to this CPU (RFS).
    this.#inet.rps.recordSockFlow(skb.hash);
    skbWalk(skb, 0, Math.min(skb.len, into.length), (offset, n, at) => {
      into.set(bytes.subarray(offset, offset + n), at);
    });
    const ip = skb.networkHeader;
    const six = view.getUint8(ip) >>> 4 === 6;
    const from: IpAddress = six
      ? { family: 6, v6: bytes.slice(ip + 8, ip + 24) }
      : { family: 4, v4: ipv4Source(view, ip) };
    const message = { from, port: udpSourcePort(view, skb.transportHeader), len: skb.len };
    skb.pool.consume(skb);
    return message;
  }

  /** 0, or a negative errno: nowhere to send it, too long, no memory. The bytes stay the caller's. (`udp_sendmsg`) */
  sendTo(to: IpAddress, port: number, payload: Uint8Array): number {
    const { snmp } = this.#inet;
    if (this.#closed || port < 1 || port > 0xffff) return -Errno.EINVAL;
    const len = UDP_HLEN + payload.length;
    if (len > 0xffff) return -Errno.EMSGSIZE;
    const error = ipSend(this.#inet, {
      to,
      from: null,
      protocol: IPPROTO_UDP,
      word0: ((this.port << 16) | port) >>> 0,
      word1: (len << 16) >>> 0,
      payload,
      start: 0,
      len: payload.length,
    });
    if (error === 0) snmp.add(Snmp.UdpOutDatagrams);
    else if (error === -Errno.ENOBUFS) snmp.add(Snmp.UdpSndbufErrors);
    return error;
  }

  /** Drops what waits, frees the port. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    udpUnbind(this.#inet, this.port);
    this.#queue.purge(DropReason.QUEUE_PURGE);
    this.rmem = 0;
  }
}

/** The frame to be kept, with a reference of its own; the caller's stays with him. Null: no memory. */
function keep(skb: SkBuff): SkBuff | null {
  const { pool } = skb;
  // A frame of a port's ring must not wait in a queue: it is copied, and its headers with it.
  if (skb.buf < skb.arena.slots || skb.dataLen !== 0) return pool.get(skb);
  const headers = skb.data - skb.networkHeader;
  skb.data -= headers;
  skb.len += headers;
  pool.get(skb);
  const copy = ownBytes(skb);
  if (copy === null) {
    pool.consume(skb);
    skb.data += headers;
    skb.len -= headers;
    return null;
  }
  skb.data += headers;
  skb.len -= headers;
  // Longer than a slot: it waits where it lies.
  if (copy === skb) return skb;
  copy.data += headers;
  copy.len -= headers;
  copy.pktType = PACKET_HOST;
  return copy;
}

function freePort(inet: Inet): number {
  for (let port = EPHEMERAL_FIRST; port <= EPHEMERAL_LAST; port++) if (inet.udpTable.get(port) === null) return port;
  throw new SetupError('ERR_NETPOLL_PORT_IN_USE', 'no UDP port is free');
}
