// hot
/**
 * Between virtio-net headers and what a batch says about a frame.
 *
 *     received:  header --takeVnet--> csum, csumStart, csumOffset, gsoSize, gsoType       false: it contradicts the frame
 *     sent:      the same columns --putVnet--> header
 *
 * A header is believed no further than the frame's own bytes go. Super-frames are marked SKB_GSO_DODGY: who cuts them looks at their
 * headers. Answers to virtio_net_hdr_to_skb and virtio_net_hdr_from_skb.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import { SKB_GSO_DODGY, SKB_GSO_TCP_ECN, SKB_GSO_TCPV4, SKB_GSO_TCPV6, SKB_GSO_UDP_L4 } from '../../skb/shared_info.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import {
  VNET_F_DATA_VALID,
  VNET_F_NEEDS_CSUM,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  vnetCsumOffset,
  vnetCsumStart,
  vnetFlags,
  vnetGsoSize,
  vnetGsoType,
  writeVnetCsum,
  writeVnetGso,
  writeVnetPlain,
} from '../../wire/virtio_net.ts';

const TCP_HLEN = 20;
const UDP_HLEN = 8;
const TCP_CHECK = 16;
const UDP_CHECK = 6;
/** Byte with the header length in a TCP header, in words in its upper half. */
const TCP_OFFSET = 12;
const IPV4_HLEN = 20;
const IPV6_HLEN = 40;

/**
 * Fills the offload columns of entry `i`, whose offset and len are there already, from the header at `o`. False: the header asks for
 * something that this frame cannot be; the columns are of no meaning then.
 */
export function takeVnet(view: DataView, o: number, out: FrameBatch, i: number): boolean {
  const flags = vnetFlags(view, o);
  const kind = vnetGsoType(view, o);
  const len = out.len[i]!;
  out.csum[i] = (flags & VNET_F_DATA_VALID) !== 0 ? CHECKSUM_UNNECESSARY : CHECKSUM_NONE;
  out.gsoSize[i] = 0;
  const start = vnetCsumStart(view, o);
  const field = vnetCsumOffset(view, o);
  const partial = (flags & VNET_F_NEEDS_CSUM) !== 0;
  if (partial) {
    if (start < ETH_HLEN || start + field + 2 > len) return false;
    out.csum[i] = CHECKSUM_PARTIAL;
    out.csumStart[i] = start;
    out.csumOffset[i] = field;
  }
  if (kind === VNET_GSO_NONE) return true;
  const type = gsoTypeOf(kind);
  const size = vnetGsoSize(view, o);
  if (type === 0 || size === 0) return false;
  const datagrams = (type & SKB_GSO_UDP_L4) !== 0;
  const network = (type & SKB_GSO_TCPV6) !== 0 ? IPV6_HLEN : IPV4_HLEN;
  const transport = datagrams ? UDP_HLEN : TCP_HLEN;
  if (partial && (field !== (datagrams ? UDP_CHECK : TCP_CHECK) || start < ETH_HLEN + network)) return false;
  const headers = partial ? start + transport : ETH_HLEN + network + transport;
  if (headers > len) return false;
  // Not longer than a segment: an ordinary frame after all.
  if (len - headers <= size) return true;
  out.gsoSize[i] = size;
  out.gsoType[i] = type | SKB_GSO_DODGY;
  return true;
}

/** SKB_GSO_* of a header's gso_type; 0: no kind that there is here. */
function gsoTypeOf(kind: number): number {
  const ecn = (kind & VNET_GSO_ECN) !== 0 ? SKB_GSO_TCP_ECN : 0;
  switch (kind & ~VNET_GSO_ECN) {
    case VNET_GSO_TCPV4:
      return SKB_GSO_TCPV4 | ecn;
    case VNET_GSO_TCPV6:
      return SKB_GSO_TCPV6 | ecn;
    case VNET_GSO_UDP_L4:
      return SKB_GSO_UDP_L4 | ecn;
    default:
      return 0;
  }
}

/**
 * Writes the header of entry `i` to `to` at `o`. `memory` holds the frame, and `tag` is how many bytes of VLAN tag go in front of its
 * EtherType on the way.
 */
export function putVnet(to: DataView, o: number, memory: DataView, batch: FrameBatch, i: number, tag: number): void {
  const partial = batch.csum[i] === CHECKSUM_PARTIAL;
  const start = batch.csumStart[i]!;
  if (partial) writeVnetCsum(to, o, start + tag, batch.csumOffset[i]!);
  else writeVnetPlain(to, o, batch.csum[i] === CHECKSUM_UNNECESSARY ? VNET_F_DATA_VALID : 0);
  const size = batch.gsoSize[i]!;
  if (size === 0) return;
  const type = batch.gsoType[i]!;
  const ecn = (type & SKB_GSO_TCP_ECN) !== 0 ? VNET_GSO_ECN : 0;
  if ((type & SKB_GSO_UDP_L4) !== 0) {
    writeVnetGso(to, o, VNET_GSO_UDP_L4, size, partial ? start + UDP_HLEN + tag : 0);
    return;
  }
  const kind = (type & SKB_GSO_TCPV6) !== 0 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
  // The length is a hint, how much to lay out in one piece; a frame that contradicts itself gets one that is not refused.
  const at = batch.offset[i]! + start + TCP_OFFSET;
  const hdrLen = partial ? Math.min(start + (memory.getUint8(at) >>> 4) * 4, batch.len[i]!) + tag : 0;
  writeVnetGso(to, o, kind | ecn, size, hdrLen);
}
