/**
 * Receiving without the stack: the trap through which every frame of a device with receivers passes first.
 *
 *  1. ARP while the device is trapped: asked for a client's address, answered to whoever asked. Nobody else will.
 *  2. IPv4 or IPv6, for this host, whole, not a fragment, UDP with a right length and checksum: every client whose addresses
 *     and port match gets it. Several clients may listen on one device.
 *  3. Anything else goes on to the stack, unless the device is trapped: then it is freed and counted.
 *
 * True means that the frame was consumed. Malformed frames never throw; they are counted and left to the stack, which drops
 * them with its own reason. Answers to __netpoll_rx and arp_reply.
 */
import { devOf, IFF_NOARP, type NetDevice } from '../device/net_device.ts';
import { csumUnnecessary } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { PACKET_OTHERHOST, pskbMayPull, type SkBuff, skbPush, skbPut } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import {
  ARP_LEN,
  ARP_SENDER_MAC,
  ARPOP_REPLY,
  ARPOP_REQUEST,
  arpIsEthernetIpv4,
  arpOp,
  arpSenderIp,
  arpTargetIp,
  writeArp,
} from '../wire/arp.ts';
import { checksum } from '../wire/checksum.ts';
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import {
  IPPROTO_UDP,
  IPV4_HLEN,
  ipv4Dest,
  ipv4HeaderLen,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLen,
  ipv4Version,
} from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader, ipv6PayloadLen, ipv6Version } from '../wire/ipv6.ts';
import { UDP_HLEN, udpChecksum, udpChecksumOk, udpDestPort, udpLen, udpSourcePort } from '../wire/udp.ts';
import type { Netpoll, RxDatagram } from './netpoll.ts';
import { type NetpollInfo, npinfoOf } from './npinfo.ts';
import { findSkb } from './reserve.ts';
import { netpollSendSkb } from './send.ts';

/** The device's rxTrap while it has receivers or is trapped. */
export function netpollRx(skb: SkBuff): boolean {
  const info = npinfoOf(devOf(skb));
  if (info === null) return false;
  if (skb.protocol === ETH_P_ARP && info.trapped > 0 && arpReply(info, skb)) {
    skb.pool.consume(skb);
    return true;
  }
  if (skb.pktType !== PACKET_OTHERHOST && deliver(info, skb)) {
    skb.pool.consume(skb);
    return true;
  }
  if (info.trapped === 0) return false;
  info.counters.count('trapped_dropped');
  skb.pool.kfree(skb, DropReason.NETPOLL_TRAPPED);
  return true;
}

/** Where IP and UDP lie in a frame that may be for us. */
interface Parsed {
  readonly ip: number;
  readonly udp: number;
  readonly len: number;
  readonly source: IpAddress;
  readonly dest: IpAddress;
}

function deliver(info: NetpollInfo, skb: SkBuff): boolean {
  if (info.receivers.length === 0) return false;
  const frame =
    skb.protocol === ETH_P_IP ? parseIpv4Udp(info, skb) : skb.protocol === ETH_P_IPV6 ? parseIpv6Udp(info, skb) : null;
  if (frame === null) return false;
  const { view, bytes } = skb.arena;
  const port = udpDestPort(view, frame.udp);
  let datagram: RxDatagram | null = null;
  for (const np of info.receivers.slice()) {
    if (!matches(np, frame, port)) continue;
    if (datagram === null) {
      // Over IPv6 there is no datagram without a checksum, even if receive offload had nothing against it.
      const absent = frame.source.family === 6 && udpChecksum(view, frame.udp) === 0;
      const known = csumUnnecessary(skb.ipSummed);
      if (absent || (!known && !udpChecksumOk(view, frame.ip, addressLen(frame), frame.udp, frame.len))) {
        info.counters.count('bad_checksum');
        return false;
      }
      datagram = {
        remoteIp: frame.source,
        remotePort: udpSourcePort(view, frame.udp),
        remoteMac: bytes.slice(skb.macHeader + 6, skb.macHeader + 12),
        bytes,
        offset: frame.udp + UDP_HLEN,
        len: frame.len - UDP_HLEN,
      };
    }
    info.counters.count('received');
    np.rxHook?.(np, datagram);
  }
  return datagram !== null;
}

function addressLen(frame: Parsed): number {
  return frame.source.family === 4 ? 4 : 16;
}

/** Addresses and destination port; a field that the client leaves open matches everything. */
function matches(np: Netpoll, frame: Parsed, port: number): boolean {
  if (np.localPort !== 0 && np.localPort !== port) return false;
  if (np.localIp !== null && !sameIp(np.localIp, frame.dest)) return false;
  return np.anyRemote || sameIp(np.remoteIp, frame.source);
}

function sameIp(a: IpAddress, b: IpAddress): boolean {
  if (a.family === 4) return b.family === 4 && a.v4 === b.v4;
  return b.family === 6 && a.v6.every((byte, i) => byte === b.v6[i]);
}

function parseIpv4Udp(info: NetpollInfo, skb: SkBuff): Parsed | null {
  const { view } = skb.arena;
  const ip = skb.data;
  if (!pskbMayPull(skb, IPV4_HLEN)) return malformed(info);
  const hlen = ipv4HeaderLen(view, ip);
  if (ipv4Version(view, ip) !== 4 || hlen < IPV4_HLEN || !pskbMayPull(skb, hlen)) return malformed(info);
  if (ipv4Protocol(view, ip) !== IPPROTO_UDP || ipv4IsFragment(view, ip)) return null;
  if (checksum(view, ip, hlen) !== 0) return malformed(info);
  const total = ipv4TotalLen(view, ip);
  if (total > skb.len || total < hlen + UDP_HLEN) return malformed(info);
  const udp = ip + hlen;
  if (udpLen(view, udp) !== total - hlen) return malformed(info);
  const source: IpAddress = { family: 4, v4: ipv4Source(view, ip) };
  return { ip, udp, len: total - hlen, source, dest: { family: 4, v4: ipv4Dest(view, ip) } };
}

function parseIpv6Udp(info: NetpollInfo, skb: SkBuff): Parsed | null {
  const { view, bytes } = skb.arena;
  const ip = skb.data;
  if (!pskbMayPull(skb, IPV6_HLEN) || ipv6Version(view, ip) !== 6) return malformed(info);
  if (ipv6NextHeader(view, ip) !== IPPROTO_UDP) return null;
  const len = ipv6PayloadLen(view, ip);
  const udp = ip + IPV6_HLEN;
  if (len < UDP_HLEN || IPV6_HLEN + len > skb.len || udpLen(view, udp) !== len) return malformed(info);
  const source: IpAddress = { family: 6, v6: bytes.slice(ip + 8, ip + 24) };
  return { ip, udp, len, source, dest: { family: 6, v6: bytes.slice(ip + 24, ip + 40) } };
}

function malformed(info: NetpollInfo): null {
  info.counters.count('malformed');
  return null;
}

/** True if the request was for a client's address; the answer goes to the asker. */
function arpReply(info: NetpollInfo, skb: SkBuff): boolean {
  if ((info.dev.flags & IFF_NOARP) !== 0) return false;
  const { view, bytes } = skb.arena;
  const o = skb.data;
  if (!pskbMayPull(skb, ARP_LEN) || !arpIsEthernetIpv4(view, o) || arpOp(view, o) !== ARPOP_REQUEST) return false;
  const asked = arpTargetIp(view, o);
  const np = info.receivers.find((each) => each.localIp?.family === 4 && each.localIp.v4 === asked);
  if (np === undefined) return false;
  const reply = findSkb(info, ARP_LEN);
  if (reply === null) {
    info.counters.count('no_memory');
    return true;
  }
  const { dev } = info;
  const asker = bytes.slice(o + ARP_SENDER_MAC, o + ARP_SENDER_MAC + 6);
  writeArp(view, skbPut(reply, ARP_LEN), ARPOP_REPLY, dev.devAddr, asked, asker, arpSenderIp(view, o));
  writeEth(view, skbPush(reply, ETH_HLEN), asker, dev.devAddr, ETH_P_ARP);
  reply.dev = dev;
  reply.protocol = ETH_P_ARP;
  info.counters.count('arp_replies');
  netpollSendSkb(np, reply);
  return true;
}

/** Keeps the device's frames from everybody but netpoll; calls nest. (`netpoll_set_trap`) */
export function netpollSetTrap(dev: NetDevice, on: boolean): void {
  const info = npinfoOf(dev);
  if (info === null) return;
  info.trapped = Math.max(0, info.trapped + (on ? 1 : -1));
  installTrap(info);
}

/** The trap stands while there is somebody to receive, or the device is trapped. */
export function installTrap(info: NetpollInfo): void {
  info.dev.rxTrap = info.receivers.length > 0 || info.trapped > 0 ? netpollRx : null;
}
