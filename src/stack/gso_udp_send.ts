/**
 * What a UDP sender may ask GSO for (the UDP_SEGMENT option). (`udp_send_skb`, `ip_append_data`)
 *
 *     payload <= segment          sent as it is
 *     segment + headers > MTU     refused: a segment would have to be fragmented
 *     too many segments           refused
 */
import { Errno } from '../base/status.ts';
import { IPV4_HLEN } from '../wire/ipv4.ts';
import { UDP_HLEN } from '../wire/udp.ts';

/** Segments of one send. (`UDP_MAX_SEGMENTS`) */
export const UDP_MAX_SEGMENTS = 128;
/** Longest IP packet; IPv6 counts the payload alone. */
const IP_MAX = 65535;

/**
 * May `len` bytes be sent with segments of `gsoSize` (0: without GSO, and without fragments) over an IP header of `networkLen` bytes on
 * a link of `mtu`? Gives the number of datagrams, or -EMSGSIZE (longer than a packet can be, or a segment than the MTU), or -EINVAL
 * (nothing to send, or too many segments).
 */
export function udpGsoSendSegments(len: number, gsoSize: number, networkLen: number, mtu: number): number {
  const longest = networkLen === IPV4_HLEN ? IP_MAX - IPV4_HLEN - UDP_HLEN : IP_MAX - UDP_HLEN - (networkLen - 40);
  if (len > longest) return -Errno.EMSGSIZE;
  if (gsoSize === 0 || len <= gsoSize) {
    return len + UDP_HLEN + networkLen > mtu ? -Errno.EMSGSIZE : 1;
  }
  if (gsoSize + UDP_HLEN + networkLen > mtu) return -Errno.EMSGSIZE;
  if (len > gsoSize * UDP_MAX_SEGMENTS) return -Errno.EINVAL;
  return Math.ceil(len / gsoSize);
}
