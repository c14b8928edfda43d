// hot
/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 *     0       2       4    5    6    8           14         18          24         28
 *     | htype | ptype |hln |pln | op | sender MAC| sender IP| target MAC| target IP|
 */
import { ETH_ALEN, ETH_P_IP } from './eth.ts';

export const ARP_LEN = 28;
export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;
const ARPHRD_ETHER = 1;
/** Offset of the sender's hardware address. */
export const ARP_SENDER_MAC = 8;

/** True for ARP that asks or answers about IPv4 over Ethernet; 28 bytes must be there. */
export function arpIsEthernetIpv4(view: DataView, o: number): boolean {
  return (
    view.getUint16(o) === ARPHRD_ETHER &&
    view.getUint16(o + 2) === ETH_P_IP &&
    view.getUint8(o + 4) === ETH_ALEN &&
    view.getUint8(o + 5) === 4
  );
}

export function arpOp(view: DataView, o: number): number {
  return view.getUint16(o + 6);
}

export function arpSenderIp(view: DataView, o: number): number {
  return view.getUint32(o + 14);
}

export function arpTargetIp(view: DataView, o: number): number {
  return view.getUint32(o + 24);
}

/** Writes 28 bytes at `o`. */
export function writeArp(
  view: DataView,
  o: number,
  op: number,
  senderMac: Uint8Array,
  senderIp: number,
  targetMac: Uint8Array,
  targetIp: number,
): void {
  view.setUint16(o, ARPHRD_ETHER);
  view.setUint16(o + 2, ETH_P_IP);
  view.setUint8(o + 4, ETH_ALEN);
  view.setUint8(o + 5, 4);
  view.setUint16(o + 6, op);
  for (let i = 0; i < ETH_ALEN; i++) {
    view.setUint8(o + 8 + i, senderMac[i]!);
    view.setUint8(o + 18 + i, targetMac[i]!);
  }
  view.setUint32(o + 14, senderIp);
  view.setUint32(o + 24, targetIp);
}
