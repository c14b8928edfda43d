/**
 * What the capture formats share: numbers, the packet as readers give it, and the errors of set-up.
 */

export const LINKTYPE_ETHERNET = 1;
export const PCAP_HEADER_LEN = 24;
export const PCAP_RECORD_LEN = 16;
/** No packet is believed to be longer: a larger length means that the file is broken. */
export const PACKET_MAX = 262144;

export const PCAP_MAGIC_US = 0xa1b2c3d4;
export const PCAP_MAGIC_NS = 0xa1b23c4d;

/** Names of link types that people's captures have, for the refusal's text. */
const LINK_NAMES: Readonly<Record<number, string>> = {
  0: 'NULL (BSD loopback)',
  9: 'PPP',
  12: 'RAW (old number)',
  101: 'RAW (bare IP)',
  105: 'IEEE802_11 (Wi-Fi)',
  113: 'LINUX_SLL (tcpdump -i any)',
  127: 'IEEE802_11_RADIOTAP (Wi-Fi)',
  228: 'IPV4',
  229: 'IPV6',
  276: 'LINUX_SLL2 (tcpdump -i any)',
};

/** A capture file that cannot be read; `code` is stable. */
export class PcapError extends Error {
  readonly code: 'PCAP_NOT_A_CAPTURE' | 'PCAP_LINK_TYPE' | 'PCAP_BROKEN';
  constructor(code: PcapError['code'], message: string) {
    super(message);
    this.name = 'PcapError';
    this.code = code;
  }
}

/** One captured packet. The reader reuses this object: copy what must outlive the next call. */
export interface CapturedPacket {
  /** Memory that holds the packet. */
  bytes: Uint8Array;
  /** First byte (the Ethernet header) in `bytes`. */
  start: number;
  /** Bytes captured. */
  length: number;
  /** Bytes on the wire; more than `length` when the capture cut the packet. */
  wireLength: number;
  /** Microseconds since 1970, whole. */
  tsUs: number;
  /** Nanoseconds beyond `tsUs`, 0..999. */
  tsNs: number;
}

/** Throws PcapError unless the link type is Ethernet. */
export function requireEthernet(linkType: number): void {
  if (linkType === LINKTYPE_ETHERNET) return;
  const name = LINK_NAMES[linkType];
  throw new PcapError(
    'PCAP_LINK_TYPE',
    `link type ${linkType}${name === undefined ? '' : ` ${name}`} is not read: capture on one interface (Ethernet, link type 1)`,
  );
}
