// hot
/**
 * TCP header (RFC 9293), as far as somebody looks into segments without being an end of them.
 *
 *     0          2          4     8     12             14       16      18     20
 *     | src port | dst port | seq | ack | doff, flags  | window | check | urg  | options
 *
 * Sequence numbers are modulo 2^32: compare differences, `(a - b) | 0`.
 */
export const TCP_HLEN = 20;

export const TCP_FLAG_FIN = 0x01;
export const TCP_FLAG_SYN = 0x02;
export const TCP_FLAG_RST = 0x04;
export const TCP_FLAG_PSH = 0x08;
export const TCP_FLAG_ACK = 0x10;
export const TCP_FLAG_URG = 0x20;
export const TCP_FLAG_ECE = 0x40;
export const TCP_FLAG_CWR = 0x80;

/** Where the checksum lies in the header. */
export const TCP_CHECK_OFFSET = 16;

export function tcpSourcePort(view: DataView, o: number): number {
  return view.getUint16(o);
}

export function tcpDestPort(view: DataView, o: number): number {
  return view.getUint16(o + 2);
}

/** Both ports as one word, to compare. */
export function tcpPorts(view: DataView, o: number): number {
  return view.getUint32(o);
}

export function tcpSeq(view: DataView, o: number): number {
  return view.getUint32(o + 4);
}

export function tcpAckSeq(view: DataView, o: number): number {
  return view.getUint32(o + 8);
}

/** Header length in bytes as the header states it; below 20 it is malformed. */
export function tcpHeaderLen(view: DataView, o: number): number {
  return (view.getUint8(o + 12) >>> 4) * 4;
}

/** The eight flags of byte 13. */
export function tcpFlags(view: DataView, o: number): number {
  return view.getUint8(o + 13);
}

/** Header length, all flags and the window as one word, to compare. (`tcp_flag_word`) */
export function tcpFlagWord(view: DataView, o: number): number {
  return view.getUint32(o + 12);
}

/** Sets flags beside those that are set. */
export function tcpAddFlags(view: DataView, o: number, flags: number): void {
  view.setUint8(o + 13, view.getUint8(o + 13) | flags);
}

export function setTcpChecksum(view: DataView, o: number, check: number): void {
  view.setUint16(o + TCP_CHECK_OFFSET, check);
}
