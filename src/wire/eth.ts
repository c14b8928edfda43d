// hot
/**
 * Ethernet II header (IEEE 802.3, RFC 894).
 *
 *     0          6          12     14
 *     | dest MAC | src MAC  | type | payload
 *
 * The contract of all files in wire/: readers may be called once the caller has checked that the header's bytes are there;
 * they never throw then. Offsets `o` are positions in the view.
 */
export const ETH_ALEN = 6;
export const ETH_HLEN = 14;
/** Shortest frame without its check sequence; senders pad to it. */
export const ETH_ZLEN = 60;
export const ETH_DATA_LEN = 1500;
export const ETH_MIN_MTU = 68;

export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_ALL = 0x0003;
/** Values of the type field below this are lengths. */
export const ETH_P_802_3_MIN = 0x0600;
export const ETH_P_802_3 = 0x0001;
export const ETH_P_802_2 = 0x0004;

export function ethType(view: DataView, o: number): number {
  return view.getUint16(o + 12);
}

/** True for multicast and broadcast addresses; `o` is where the address starts. */
export function isMulticastMac(bytes: Uint8Array, o: number): boolean {
  return (bytes[o]! & 1) !== 0;
}

export function isBroadcastMac(bytes: Uint8Array, o: number): boolean {
  for (let i = 0; i < ETH_ALEN; i++) if (bytes[o + i] !== 0xff) return false;
  return true;
}

export function macEquals(bytes: Uint8Array, o: number, mac: Uint8Array): boolean {
  return (
    bytes[o] === mac[0] &&
    bytes[o + 1] === mac[1] &&
    bytes[o + 2] === mac[2] &&
    bytes[o + 3] === mac[3] &&
    bytes[o + 4] === mac[4] &&
    bytes[o + 5] === mac[5]
  );
}

/** A unicast address that is not all zero (`is_valid_ether_addr`). */
export function isValidMac(mac: Uint8Array): boolean {
  if (mac.length !== ETH_ALEN || (mac[0]! & 1) !== 0) return false;
  for (let i = 0; i < ETH_ALEN; i++) if (mac[i] !== 0) return true;
  return false;
}

/** Writes the 14 bytes of the header at `o`. */
export function writeEth(view: DataView, o: number, dest: Uint8Array, source: Uint8Array, type: number): void {
  view.setInt32(o, (dest[0]! << 24) | (dest[1]! << 16) | (dest[2]! << 8) | dest[3]!);
  view.setInt32(o + 4, (dest[4]! << 24) | (dest[5]! << 16) | (source[0]! << 8) | source[1]!);
  view.setInt32(o + 8, (source[2]! << 24) | (source[3]! << 16) | (source[4]! << 8) | source[5]!);
  view.setUint16(o + 12, type);
}
