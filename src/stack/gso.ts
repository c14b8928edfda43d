// hot
/**
 * Generic segmentation offload: what is too big for the device is cut here, at the last moment.
 *
 *     super-frame --skbGsoSegment--> Ethernet, VLAN tags -> IPv4 | IPv6 and extension headers -> TCP | UDP -> skb_segment
 *
 *  1. Each layer steps over its own header and calls the next one.
 *  2. The last one cuts; every segment has a copy of all headers.
 *  3. On the way back each layer corrects its header in all segments: TCP sequence numbers and flags, UDP and IP lengths, the IPv4
 *     identification (counting up, unless SKB_GSO_TCP_FIXEDID), checksums.
 *
 * A tunnel (IP in IP, GRE) is another such layer; one, not one in another.
 *
 * (`__skb_gso_segment`, `inet_gso_segment`, `ipv6_gso_segment`)
 */
import { Errno } from '../base/status.ts';
import { skbCowHead } from '../skb/copy.ts';
import { pskbPull, skbSum } from '../skb/frags.ts';
import { SKB_GSO_TCP_FIXEDID, SKB_GSO_TCP_FIXEDID_INNER } from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { checksum, fold } from '../wire/checksum.ts';
import { ETH_HLEN, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN } from '../wire/ipv4.ts';
import { IPV6_HLEN } from '../wire/ipv6.ts';
import { withoutChecksum } from './gso_segment.ts';
import { tcpGsoSegment } from './gso_tcp.ts';
import { udpGsoSegment } from './gso_udp.ts';

const ETH_P_8021AD = 0x88a8;
const IPPROTO_IPIP = 4;
const IPPROTO_IPV6 = 41;
const IPPROTO_GRE = 47;
const GRE_CSUM = 0x8000;
const GRE_KEY = 0x2000;
const IPPROTO_HOPOPTS = 0;
const IPPROTO_ROUTING = 43;
const IPPROTO_DSTOPTS = 60;
/** VLAN tags at most. (`VLAN_MAX_DEPTH`) */
const MAX_TAGS = 8;

/**
 * Cuts `skb`, whose data is at its Ethernet header, for a device with `features`. Gives the first segment (linked by `next`,
 * `prev` of the first is the last), null if the device cuts it after all, or a negative errno. The frame stays the caller's, and
 * as it was but for its headers' checksums; segments of a chained frame include it, with one reference more.
 */
export function skbGsoSegment(skb: SkBuff, features: number): SkBuff | null | number {
  const { len, protocol } = skb;
  const { view } = skb.arena;
  if (!pskbPull(skb, ETH_HLEN) || !skbCowHead(skb, 0)) return -Errno.ENOMEM;
  // The headers may have moved.
  const start = skb.data;
  skb.macHeader = start;
  let at = start + ETH_HLEN;
  let type = view.getUint16(at - 2);
  for (let tags = 0; type === ETH_P_8021Q || type === ETH_P_8021AD; tags++) {
    if (tags === MAX_TAGS || !pskbPull(skb, at + 4 - start)) return -Errno.EINVAL;
    type = view.getUint16(at + 2);
    at += 4;
  }
  skb.data = at;
  skb.len -= at - start;
  skb.protocol = type;
  let segments: SkBuff | null | number = -Errno.EPROTONOSUPPORT;
  if (type === ETH_P_IP) segments = ipv4GsoSegment(skb, features, false);
  else if (type === ETH_P_IPV6) segments = ipv6GsoSegment(skb, features, false);
  skb.protocol = protocol;
  if (segments !== null && typeof segments !== 'number') {
    for (let each: SkBuff | null = segments; each !== null; each = each.next) each.protocol = protocol;
  }
  if (segments !== skb) {
    skb.networkHeader = at;
    skb.data = start;
    skb.len = len;
  }
  return segments;
}

function ipv4GsoSegment(skb: SkBuff, features: number, inner: boolean): SkBuff | null | number {
  const { info } = skb.pool;
  const { view } = skb.arena;
  const network = skb.data;
  const nhoff = network - skb.macHeader;
  skb.networkHeader = network;
  if (!pskbPull(skb, IPV4_HLEN)) return -Errno.EINVAL;
  const headerLen = (view.getUint8(network) & 0x0f) * 4;
  if (headerLen < IPV4_HLEN || !pskbPull(skb, headerLen)) return -Errno.EINVAL;
  let id = view.getUint16(network + 4);
  const fixed = (info.gsoType[skb.shinfo]! & (inner ? SKB_GSO_TCP_FIXEDID_INNER : SKB_GSO_TCP_FIXEDID)) !== 0;
  const segments = transport(skb, features, view.getUint8(network + 9), headerLen, 4, inner);
  if (segments === null || typeof segments === 'number') return segments;
  for (let each: SkBuff | null = segments; each !== null; each = each.next) {
    const at = each.data + nhoff;
    each.networkHeader = at;
    // A piece that the device cuts on has the length of one of its segments.
    const size = info.gsoSize[each.shinfo]!;
    if (!fixed) {
      view.setUint16(at + 4, id);
      id = (id + (size !== 0 ? info.gsoSegs[each.shinfo]! : 1)) & 0xffff;
    }
    view.setUint16(at + 2, size !== 0 ? size + (skb.data - network) : each.len - nhoff);
    view.setUint16(at + 10, 0);
    view.setUint16(at + 10, checksum(view, at, headerLen));
  }
  return segments;
}

function ipv6GsoSegment(skb: SkBuff, features: number, inner: boolean): SkBuff | null | number {
  const { info } = skb.pool;
  const { view } = skb.arena;
  const network = skb.data;
  const nhoff = network - skb.macHeader;
  skb.networkHeader = network;
  if (!pskbPull(skb, IPV6_HLEN)) return -Errno.EINVAL;
  let next = view.getUint8(network + 6);
  let headerLen = IPV6_HLEN;
  while (next === IPPROTO_HOPOPTS || next === IPPROTO_ROUTING || next === IPPROTO_DSTOPTS) {
    if (!pskbPull(skb, headerLen + 8)) return -Errno.EINVAL;
    next = view.getUint8(network + headerLen);
    headerLen += 8 + 8 * view.getUint8(network + headerLen + 1);
    if (!pskbPull(skb, headerLen)) return -Errno.EINVAL;
  }
  const segments = transport(skb, features, next, headerLen, 16, inner);
  if (segments === null || typeof segments === 'number') return segments;
  for (let each: SkBuff | null = segments; each !== null; each = each.next) {
    const size = info.gsoSize[each.shinfo]!;
    const payload = size !== 0 ? size + (skb.data - network) : each.len - nhoff;
    each.networkHeader = each.data + nhoff;
    view.setUint16(each.networkHeader + 4, payload - IPV6_HLEN);
  }
  return segments;
}

/** Steps over the IP headers and cuts. */
function transport(
  skb: SkBuff,
  features: number,
  protocol: number,
  headerLen: number,
  addressLen: number,
  inner: boolean,
): SkBuff | null | number {
  skb.data += headerLen;
  skb.len -= headerLen;
  skb.transportHeader = skb.data;
  if (protocol === IPPROTO_TCP) return tcpGsoSegment(skb, features, addressLen);
  if (protocol === IPPROTO_UDP) return udpGsoSegment(skb, features, addressLen);
  if (inner) return -Errno.EPROTONOSUPPORT;
  // What is in a tunnel the device neither sums up nor cuts.
  const plain = withoutChecksum(features);
  if (protocol === IPPROTO_IPIP) return ipv4GsoSegment(skb, plain, true);
  if (protocol === IPPROTO_IPV6) return ipv6GsoSegment(skb, plain, true);
  if (protocol === IPPROTO_GRE) return greGsoSegment(skb, plain);
  return -Errno.EPROTONOSUPPORT;
}

/** A tunnel with a header of its own; its checksum, if it has one, covers all behind it. (`gre_gso_segment`) */
function greGsoSegment(skb: SkBuff, features: number): SkBuff | null | number {
  const { view } = skb.arena;
  const start = skb.data - skb.macHeader;
  if (!pskbPull(skb, 4)) return -Errno.EINVAL;
  const flags = view.getUint16(skb.data);
  const type = view.getUint16(skb.data + 2);
  const summed = (flags & GRE_CSUM) !== 0;
  const headerLen = 4 + (summed ? 4 : 0) + ((flags & GRE_KEY) !== 0 ? 4 : 0);
  if ((flags & ~(GRE_CSUM | GRE_KEY)) !== 0 || !pskbPull(skb, headerLen)) return -Errno.EINVAL;
  skb.data += headerLen;
  skb.len -= headerLen;
  let segments: SkBuff | null | number = -Errno.EPROTONOSUPPORT;
  if (type === ETH_P_IP) segments = ipv4GsoSegment(skb, features, true);
  else if (type === ETH_P_IPV6) segments = ipv6GsoSegment(skb, features, true);
  if (!summed || segments === null || typeof segments === 'number') return segments;
  for (let each: SkBuff | null = segments; each !== null; each = each.next) {
    view.setUint16(each.data + start + 4, 0);
    view.setUint16(each.data + start + 4, fold(skbSum(each, start, each.len - start)));
  }
  return segments;
}
