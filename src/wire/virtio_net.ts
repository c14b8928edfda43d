// hot
/**
 * virtio-net's header: what stands in front of a frame between a machine and its host, and says what is left to do on it.
 *
 *     | flags u8 | gso_type u8 | hdr_len u16 | gso_size u16 | csum_start u16 | csum_offset u16 |      10 bytes, little-endian
 *
 *     NEEDS_CSUM      from csum_start (counted from the Ethernet header on) to the end is to be summed up, and the sum goes to
 *                     csum_start + csum_offset
 *     gso_type        the frame is to be cut into segments of gso_size bytes behind headers of about hdr_len
 *
 * Answers to: Virtual I/O Device (VIRTIO) 1.2, 5.1.6; include/uapi/linux/virtio_net.h.
 */
export const VNET_HLEN = 10;

export const VNET_F_NEEDS_CSUM = 1;
export const VNET_F_DATA_VALID = 2;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
/** Or'ed to a kind: the CWR bit belongs to the first segment alone. */
export const VNET_GSO_ECN = 0x80;

export function vnetFlags(view: DataView, o: number): number {
  return view.getUint8(o);
}

export function vnetGsoType(view: DataView, o: number): number {
  return view.getUint8(o + 1);
}

export function vnetHdrLen(view: DataView, o: number): number {
  return view.getUint16(o + 2, true);
}

export function vnetGsoSize(view: DataView, o: number): number {
  return view.getUint16(o + 4, true);
}

export function vnetCsumStart(view: DataView, o: number): number {
  return view.getUint16(o + 6, true);
}

export function vnetCsumOffset(view: DataView, o: number): number {
  return view.getUint16(o + 8, true);
}

/** A frame with nothing left to do, or with a flag only. */
export function writeVnetPlain(view: DataView, o: number, flags: number): void {
  view.setUint16(o, flags, true);
  view.setUint32(o + 2, 0);
  view.setUint32(o + 6, 0);
}

/** The checksum is left to do. */
export function writeVnetCsum(view: DataView, o: number, csumStart: number, csumOffset: number): void {
  view.setUint16(o, VNET_F_NEEDS_CSUM, true);
  view.setUint32(o + 2, 0);
  view.setUint16(o + 6, csumStart, true);
  view.setUint16(o + 8, csumOffset, true);
}

/** Over what writeVnetPlain or writeVnetCsum wrote: the frame is to be cut, too. */
export function writeVnetGso(view: DataView, o: number, gsoType: number, gsoSize: number, hdrLen: number): void {
  view.setUint8(o + 1, gsoType);
  view.setUint16(o + 2, hdrLen, true);
  view.setUint16(o + 4, gsoSize, true);
}
