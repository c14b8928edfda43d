/**
 * Headers in front of a payload: UDP, then IP, then Ethernet, each computed over what is behind it.
 *
 *     headroom                       data
 *     | ........ | eth | ip | udp | payload |
 *                 <-------- pushed
 *
 * As today's kernels send it: IPv4 with a rising identification, ttl 64, never fragmented; IPv6 with hop limit 32; the UDP
 * checksum always computed. (netpoll_udp_checksum, push_ipv4, push_ipv6, push_eth)
 */
import type { NetDevice } from '../device/net_device.ts';
import { type SkBuff, skbPush } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../wire/ipv4.ts';
import { IPV6_HLEN, writeIpv6 } from '../wire/ipv6.ts';
import { UDP_HLEN, writeUdp } from '../wire/udp.ts';
import type { Netpoll, NetpollPeer } from './netpoll.ts';

const HOP_LIMIT = 32;

/** `skb` holds the payload only, and has the headroom. `from` and `to.remoteIp` are of one family. */
export function pushHeaders(skb: SkBuff, np: Netpoll, dev: NetDevice, from: IpAddress, to: NetpollPeer): void {
  const { view } = skb.arena;
  const payloadLen = skb.len;
  const udp = skbPush(skb, UDP_HLEN);
  skb.transportHeader = udp;
  let type = ETH_P_IP;
  if (from.family === 4 && to.remoteIp.family === 4) {
    const ip = skbPush(skb, IPV4_HLEN);
    dev.net.ipId = (dev.net.ipId + 1) & 0xffff;
    writeIpv4(view, ip, dev.net.ipId, IPPROTO_UDP, from.v4, to.remoteIp.v4, UDP_HLEN + payloadLen);
    writeUdp(view, ip, 4, udp, np.localPort, to.remotePort, payloadLen);
    skb.networkHeader = ip;
  } else if (from.family === 6 && to.remoteIp.family === 6) {
    const ip = skbPush(skb, IPV6_HLEN);
    writeIpv6(view, ip, IPPROTO_UDP, HOP_LIMIT, from.v6, to.remoteIp.v6, UDP_HLEN + payloadLen);
    writeUdp(view, ip, 16, udp, np.localPort, to.remotePort, payloadLen);
    skb.networkHeader = ip;
    type = ETH_P_IPV6;
  }
  skb.macHeader = skbPush(skb, ETH_HLEN);
  writeEth(view, skb.macHeader, to.remoteMac, np.localMac ?? dev.devAddr, type);
  skb.protocol = type;
}
