// hot
/**
 * What the kernel says beside a datagram, and what it is told beside one: control messages.
 *
 *     received:  IP_PKTINFO or IPV6_PKTINFO   the local address it was sent to        sockets bound to "any"
 *                SO_TIMESTAMP                 when it arrived
 *                SO_RXQ_OVFL                  drops of this socket until it was queued (comes once there are any)
 *                UDP_GRO                      several in one: the size of each
 *     sent:      UDP_SEGMENT                  cut this into datagrams of so many bytes
 */
import { CMSG_DATA, IP_PKTINFO, IPV6_PKTINFO, SO_TIMESTAMP, SOL_IP, SOL_IPV6, SOL_SOCKET } from '../sys/socket.ts';

export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
export const SO_RXQ_OVFL = 40;

/** Room for all of the received ones together. */
export const CONTROL_SIZE = 128;
/** Bytes of the sent one: its length, and with padding. */
export const SEGMENT_LEN = CMSG_DATA + 2;
export const SEGMENT_SIZE = CMSG_DATA + 8;
/** in_pktinfo { int ifindex @0; spec_dst @4; addr @8 }; in6_pktinfo { addr[16] @0; u32 ifindex @16 } */
const PKTINFO_ADDR = 8;
/** Each with its header and padding. */
const STAMP_SPACE = CMSG_DATA + 16;
const INFO_SPACE = CMSG_DATA + 16;
const TWO_32 = 2 ** 32;

/** The control messages of one datagram, as far as we read them. */
export class ReceivedControl {
  /** Position of the destination address; -1: none came. */
  dest = -1;
  /** Microseconds since 1970; 0: none came. */
  timeUs = 0;
  /** Bytes of each datagram but the last; 0: it is a single one. */
  segment = 0;
  /** The last drop count that came with any datagram, modulo 2^32. */
  drops = 0;

  /** Reads `len` bytes at `begin`. */
  read(view: DataView, begin: number, len: number): void {
    const end = begin + len;
    this.dest = -1;
    this.timeUs = 0;
    this.segment = 0;
    for (let at = begin; at + CMSG_DATA <= end; ) {
      const size = view.getUint32(at, true);
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      const data = at + CMSG_DATA;
      if (level === SOL_SOCKET) {
        if (type === SO_TIMESTAMP) this.timeUs = timevalUs(view, data);
        else if (type === SO_RXQ_OVFL) this.drops = view.getUint32(data, true);
      } else if (level === SOL_IP && type === IP_PKTINFO) this.dest = data + PKTINFO_ADDR;
      else if (level === SOL_IPV6 && type === IPV6_PKTINFO) this.dest = data;
      else if (level === SOL_UDP && type === UDP_GRO) this.segment = view.getUint16(data, true);
      if (size < CMSG_DATA) break;
      at += (size + 7) & ~7;
    }
  }
}

/** What comes beside each datagram that came alone over IPv4, where it was asked for: positions in words, -1: it does not come. */
export class ControlLayout {
  /** Bytes of all. */
  readonly len: number;
  readonly stamp: number;
  readonly info: number;

  constructor(stamps: boolean, info: boolean) {
    this.stamp = stamps ? 0 : -1;
    this.info = info ? (stamps ? STAMP_SPACE >>> 2 : 0) : -1;
    this.len = (stamps ? STAMP_SPACE : 0) + (info ? INFO_SPACE : 0);
  }
}

/** Whether the message at word `o` is a SO_TIMESTAMP: seconds are word 4, microseconds word 6. */
export function isStamp(words: Int32Array, o: number): boolean {
  return words[o] === CMSG_DATA + 16 && words[o + 2] === SOL_SOCKET && words[o + 3] === SO_TIMESTAMP;
}

/** Whether the message at word `o` is an IP_PKTINFO: the address is word 6. */
export function isPacketInfo(words: Int32Array, o: number): boolean {
  return words[o] === CMSG_DATA + 12 && words[o + 2] === SOL_IP && words[o + 3] === IP_PKTINFO;
}

/** Writes the UDP_SEGMENT message at `o`. */
export function writeSegmentControl(view: DataView, o: number, size: number): void {
  view.setUint32(o, SEGMENT_LEN, true);
  view.setUint32(o + 4, 0);
  view.setInt32(o + 8, SOL_UDP, true);
  view.setInt32(o + 12, UDP_SEGMENT, true);
  view.setUint16(o + CMSG_DATA, size, true);
}

/** struct timeval { i64 sec @0; i64 usec @8 } */
function timevalUs(view: DataView, o: number): number {
  return (view.getUint32(o, true) + view.getUint32(o + 4, true) * TWO_32) * 1e6 + view.getUint32(o + 8, true);
}
