/** Feature bits of a device (`netdev_features_t`), as far as this machine has a use for them. */
export const NETIF_F_SG = 1 << 0;
export const NETIF_F_IP_CSUM = 1 << 1;
export const NETIF_F_HW_CSUM = 1 << 3;
export const NETIF_F_RXCSUM = 1 << 4;
export const NETIF_F_HW_VLAN_CTAG_RX = 1 << 5;
export const NETIF_F_LOOPBACK = 1 << 6;
export const NETIF_F_IPV6_CSUM = 1 << 7;
export const NETIF_F_HW_VLAN_CTAG_TX = 1 << 8;
/** Sends a frame with a chain of frames behind it. */
export const NETIF_F_FRAGLIST = 1 << 9;
export const NETIF_F_CSUM_MASK = NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM | NETIF_F_HW_CSUM;

/** Cuts super-frames itself: of the kinds SKB_GSO_*, in the same order. */
export const NETIF_F_TSO = 1 << 16;
/** Checks the headers of super-frames from an untrusted source. */
export const NETIF_F_GSO_ROBUST = 1 << 17;
export const NETIF_F_TSO_ECN = 1 << 18;
/** May leave the IPv4 identification of all segments alike. */
export const NETIF_F_TSO_MANGLEID = 1 << 19;
export const NETIF_F_TSO6 = 1 << 20;
/** Cuts a super-frame that the stack has brought to a multiple of the segment size. */
export const NETIF_F_GSO_PARTIAL = 1 << 21;
export const NETIF_F_GSO_UDP_L4 = 1 << 22;
export const NETIF_F_GSO_FRAGLIST = 1 << 23;
export const NETIF_F_GSO_MASK = 0xff << 16;

/** Segments of a flow go up as one frame (napi/gro.ts). */
export const NETIF_F_GRO = 1 << 10;
/** As a list of whole segments, UDP datagrams too: for who forwards them. */
export const NETIF_F_GRO_FRAGLIST = 1 << 11;
/** UDP datagrams too, though no socket has asked for them: for who forwards them. */
export const NETIF_F_GRO_UDP_FWD = 1 << 12;

/** Offers super-frames to the qdisc; cut in software where the device cannot (stack/gso.ts). */
export const NETIF_F_GSO = 1 << 13;
export const NETIF_F_LRO = 1 << 2;
/** The hardware says a frame's hash. */
export const NETIF_F_RXHASH = 1 << 14;
export const NETIF_F_HIGHDMA = 1 << 15;
/** Steers flows to queues by filters. */
export const NETIF_F_NTUPLE = 1 << 24;
/** Leaves the checksum at a frame's end. */
export const NETIF_F_RXFCS = 1 << 25;
export const NETIF_F_GRO_HW = 1 << 26;
export const NETIF_F_HW_VLAN_CTAG_FILTER = 1 << 27;
/** As CTAG_TX, for tags that 802.1ad announces. */
export const NETIF_F_HW_VLAN_STAG_TX = 1 << 28;
export const NETIF_F_ALL_TSO = NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN | NETIF_F_TSO_MANGLEID;
