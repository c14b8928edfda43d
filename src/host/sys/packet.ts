/**
 * AF_PACKET as a table of numbers: the structures of TPACKET_V3 and V2 receive rings and the socket's options. Multi-byte fields
 * are in the machine's order (little-endian here), except sll_protocol.
 *
 *     struct sockaddr_ll   { u16 family @0; be16 protocol @2; int ifindex @4; u16 hatype @8; u8 pkttype @10; u8 halen @11;
 *                            u8 addr[8] @12 }                                                                     20 bytes
 *     struct tpacket_req3  { u32 block_size @0, block_nr @4, frame_size @8, frame_nr @12, retire_blk_tov @16 (ms),
 *                            sizeof_priv @20, feature_req_word @24 }                                              28 bytes
 *     struct tpacket_req   { u32 block_size @0, block_nr @4, frame_size @8, frame_nr @12 }                       16 bytes
 *     struct tpacket_stats_v3 { u32 packets @0, drops @4, freeze_q_cnt @8 }    12 bytes; of V2 without the last: 8 bytes
 *     struct packet_mreq   { int ifindex @0; u16 type @4; u16 alen @6; u8 address[8] @8 }                          16 bytes
 *     struct sock_fprog    { u16 len @0; struct sock_filter *filter @8 }                                          16 bytes
 *
 *     block:  | version @0 | offset_to_priv @4 | block_status @8 | num_pkts @12 | offset_to_first_pkt @16 | ... | frames
 *     frame:  | next_offset @0 | sec @4 | nsec @8 | snaplen @12 | len @16 | status @20 | mac u16 @24 | net u16 @26 |
 *             | rxhash @28 | vlan_tci @32 | vlan_tpid u16 @36 | ... @48 sockaddr_ll | room | Ethernet header at `mac`
 *     slot:   | status @0 | len @4 | snaplen @8 | mac u16 @12 | net u16 @14 | sec @16 | nsec @20 | vlan_tci u16 @24 | vlan_tpid u16 @26 |
 *     (V2)    | ... @32 sockaddr_ll | room | Ethernet header at `mac`
 *
 * Answers to: Documentation/networking/packet_mmap.rst, include/uapi/linux/if_packet.h.
 */
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_VERSION = 10;
export const PACKET_RESERVE = 12;
export const PACKET_FANOUT = 18;
/** Beside the mode: the kernel looks for a group that is free. Since Linux 4.12. */
export const PACKET_FANOUT_FLAG_UNIQUEID = 0x2000;
export const PACKET_FANOUT_FLAG_IGNORE_OUTGOING = 0x4000;
export const PACKET_QDISC_BYPASS = 20;
export const PACKET_IGNORE_OUTGOING = 23;
export const PACKET_MR_PROMISC = 1;
export const TPACKET_V2 = 1;
export const TPACKET_V3 = 2;
/** sll_pkttype of a frame that this host sends. */
export const PACKET_OUTGOING = 4;

export const BLOCK_STATUS = 8;
export const BLOCK_NUM_PKTS = 12;
export const BLOCK_FIRST = 16;

export const FRAME_NEXT = 0;
export const FRAME_SEC = 4;
export const FRAME_NSEC = 8;
export const FRAME_SNAPLEN = 12;
export const FRAME_LEN = 16;
export const FRAME_STATUS = 20;
export const FRAME_MAC = 24;
export const FRAME_VLAN_TCI = 32;
export const FRAME_VLAN_TPID = 36;
export const FRAME_PKTTYPE = 48 + 10;
export const SLOT_LEN = 4;
export const SLOT_SNAPLEN = 8;
export const SLOT_MAC = 12;
export const SLOT_SEC = 16;
export const SLOT_NSEC = 20;
export const SLOT_VLAN = 24;
export const SLOT_PKTTYPE = 32 + 10;
/** As FRAME_HEADROOM, of a slot: 66 in front of an Ethernet header. */
export const SLOT_HEADROOM = 52;
/**
 * Bytes in front of the link layer's header at least: tpacket3_hdr and sockaddr_ll, rounded up so that the network header behind it is
 * aligned to 16. 82 in front of an Ethernet header.
 */
export const FRAME_HEADROOM = 68;

export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1;
export const TP_STATUS_LOSING = 1 << 2;
export const TP_STATUS_CSUMNOTREADY = 1 << 3;
export const TP_STATUS_VLAN_VALID = 1 << 4;
export const TP_STATUS_VLAN_TPID_VALID = 1 << 6;
export const TP_STATUS_CSUM_VALID = 1 << 7;

/** A sockaddr_ll which binds to one interface; protocol 0 receives nothing. */
export function sockaddrLl(protocol: number, ifindex: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(17, 0);
  address.writeUInt16BE(protocol, 2);
  address.writeInt32LE(ifindex, 4);
  return address;
}

/** A tpacket_req: slots of `slotSize` bytes. */
export function tpacketReq(blockSize: number, blocks: number, slotSize: number): Buffer {
  const request = Buffer.alloc(16);
  [blockSize, blocks, slotSize, (blockSize / slotSize) * blocks].forEach((word, i) => {
    request.writeUInt32LE(word, 4 * i);
  });
  return request;
}

/** A tpacket_req3. The frame size is only a bound that the kernel wants kept: V3 packs frames by their length. */
export function tpacketReq3(blockSize: number, blocks: number, retireMs: number): Buffer {
  const frameSize = 2048;
  const words = [blockSize, blocks, frameSize, (blockSize / frameSize) * blocks, retireMs, 0, 0];
  const request = Buffer.alloc(28);
  words.forEach((word, i) => {
    request.writeUInt32LE(word, 4 * i);
  });
  return request;
}
