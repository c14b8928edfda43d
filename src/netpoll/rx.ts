// hot
/**
 * Receiving without the stack: the trap through which every frame of a device with receivers passes first.
 *
 *  1. While the device is trapped: ARP and neighbour solicitation for a client's address are answered. Nobody else will.
 *  2. IPv4 or IPv6, untagged, for this host, whole, not a fragment, UDP with a right length and checksum: it goes to every
 *     client of the device whose local address, local port and remote address match, once each, in the order of their set-up.
 *     A field that a client leaves open matches everything. Two clients may ask for the same: both get it.
 *  3. With interrupts off a frame is asked for once more on the devices that stand on this one (a bond), because the stack,
 *     which would pass it up, is not entered then.
 *  4. Anything else goes on to the stack, unless the device is trapped: then it is freed and counted.
 *
 * True means that the frame was consumed. Malformed frames never throw; they are counted and left to the stack, which drops
 * them with its own reason. A hook may take any client down, its own as well: one that is gone is not asked any more.
 * Nothing is allocated a frame. Answers to netpoll_rx and __netpoll_rx.
 */
import { devOf, type NetDevice } from '../device/net_device.ts';
import { csumUnnecessary } from '../skb/checksum_state.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { pskbPull, skbLinearize } from '../skb/frags.ts';
import { PACKET_OTHERHOST, type SkBuff, skbIsGso, skbShared } from '../skb/sk_buff.ts';
import { skbVlanUntag } from '../skb/vlan_tag.ts';
import type { IpAddress } from '../wire/address.ts';
import { checksum } from '../wire/checksum.ts';
import { ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import {
  IPPROTO_UDP,
  IPV4_HLEN,
  ipv4HeaderLen,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4TotalLen,
  ipv4Version,
} from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader, ipv6PayloadLen, ipv6Version } from '../wire/ipv6.ts';
import { UDP_HLEN, udpChecksum, udpChecksumOk, udpDestPort, udpLen } from '../wire/udp.ts';
import { ETH_P_8021AD, VLAN_VID_MASK } from '../wire/vlan.ts';
import { arpReply, neighReply } from './neigh_reply.ts';
import type { Netpoll } from './netpoll.ts';
import {
  type NetpollInfo,
  NP_BAD_CHECKSUM,
  NP_MALFORMED,
  NP_RECEIVED,
  NP_TRAPPED_DROPPED,
  npinfoOf,
} from './npinfo.ts';
import { RxSlot } from './rx_slot.ts';

const NETPOLL_TRAPPED = DropReason.NETPOLL_TRAPPED;

/** The device's rxTrap while it has receivers, is trapped, or is used by a device above it. */
export function netpollRx(skb: SkBuff): boolean {
  const info = npinfoOf(devOf(skb));
  if (info === null) return false;
  if (rxOn(info, skb)) return true;
  if (info.lowers.length === 0 || !info.dev.net.machine.cpu.irqsDisabled) return false;
  // Who stands above looks for a tag beside the frame, as the stack does.
  if ((skb.protocol === ETH_P_8021Q || skb.protocol === ETH_P_8021AD) && !skbVlanUntag(skb)) return false;
  return rxAbove(info, skb);
}

/** As on the devices that stand on `info.dev`, and on those above them. Bound: how deep devices stand on each other. */
function rxAbove(info: NetpollInfo, skb: SkBuff): boolean {
  const { lowers, dev } = info;
  for (let i = 0; i < lowers.length; i++) {
    const { upper, passUp, takesTag } = lowers[i]!;
    const above = upper === null ? null : npinfoOf(upper);
    if (upper === null || above === null || (passUp !== null && !passUp(skb))) continue;
    const { vlanTci } = skb;
    skb.dev = upper;
    if (takesTag) skb.vlanTci = -1;
    if (rxOn(above, skb) || rxAbove(above, skb)) return true;
    skb.dev = dev;
    skb.vlanTci = vlanTci;
  }
  return false;
}

/** What the clients of `info.dev` make of a frame that is on it. */
function rxOn(info: NetpollInfo, skb: SkBuff): boolean {
  if (!skbShared(skb)) {
    if ((info.trapped > 0 && answered(info, skb)) || (info.receivers.length > 0 && deliver(info, skb))) {
      skb.pool.consume(skb);
      return true;
    }
  }
  if (info.trapped === 0) return false;
  info.counters.values[NP_TRAPPED_DROPPED]!++;
  skb.pool.kfree(skb, NETPOLL_TRAPPED);
  return true;
}

function answered(info: NetpollInfo, skb: SkBuff): boolean {
  if (skb.protocol === ETH_P_ARP) return arpReply(info, skb);
  return skb.protocol === ETH_P_IPV6 && neighReply(info, skb);
}

/** True if a client got it. */
function deliver(info: NetpollInfo, skb: SkBuff): boolean {
  if (skb.pktType === PACKET_OTHERHOST || (skb.vlanTci >= 0 && (skb.vlanTci & VLAN_VID_MASK) !== 0)) return false;
  const six = skb.protocol === ETH_P_IPV6;
  if (!six && skb.protocol !== ETH_P_IP) return false;
  const udp = six ? udpInIpv6(info, skb) : udpInIpv4(info, skb);
  if (udp < 0) return false;
  const { view, bytes } = skb.arena;
  const ip = skb.data;
  const port = udpDestPort(view, udp);
  const { receivers } = info;
  let slot: RxSlot | null = null;
  for (let i = 0; i < receivers.length; i++) {
    const np = receivers[i]!;
    if (np.dev !== info.dev || !matches(np, view, ip, six, port)) continue;
    if (slot === null) {
      const len = udpLen(view, udp);
      if (!checksumOk(skb, ip, six, udp, len)) {
        info.counters.values[NP_BAD_CHECKSUM]!++;
        return false;
      }
      // A hook that polls may bring another frame up on this device, which needs one of its own.
      slot = info.rxSlot ?? new RxSlot();
      info.rxSlot = null;
      slot.fill(view, bytes, skb.macHeader, ip, six, udp, len);
    }
    info.counters.values[NP_RECEIVED]!++;
    if (np.rxHook !== null) np.rxHook(np, slot);
  }
  if (slot === null) return false;
  info.rxSlot = slot;
  return true;
}

/** Over IPv6 there is no datagram without a checksum, even if receive offload had nothing against it. */
function checksumOk(skb: SkBuff, ip: number, six: boolean, udp: number, len: number): boolean {
  const { view } = skb.arena;
  if (six && udpChecksum(view, udp) === 0) return false;
  return csumUnnecessary(skb.ipSummed) || udpChecksumOk(view, ip, six ? 16 : 4, udp, len);
}

/** Addresses and destination port; a field that the client leaves open matches everything. */
function matches(np: Netpoll, view: DataView, ip: number, six: boolean, port: number): boolean {
  if (np.localPort !== 0 && np.localPort !== port) return false;
  const source = six ? ip + 8 : ip + 12;
  if (np.localIp !== null && !addressIs(np.localIp, view, six ? ip + 24 : ip + 16, six)) return false;
  return np.anyRemote || addressIs(np.remoteIp, view, source, six);
}

/** True if the address at `o` is `address`. */
function addressIs(address: IpAddress, view: DataView, o: number, six: boolean): boolean {
  if (address.family === 4) return !six && address.v4 === view.getUint32(o);
  if (!six) return false;
  const { v6 } = address;
  for (let i = 0; i < 16; i++) if (v6[i] !== view.getUint8(o + i)) return false;
  return true;
}

/** Where UDP starts in the IPv4 packet at skb.data, all of it in the head buffer; -1: it is none that may be delivered. */
function udpInIpv4(info: NetpollInfo, skb: SkBuff): number {
  const { view } = skb.arena;
  const ip = skb.data;
  if (!pskbPull(skb, IPV4_HLEN)) return malformed(info);
  const hlen = ipv4HeaderLen(view, ip);
  if (ipv4Version(view, ip) !== 4 || hlen < IPV4_HLEN) return malformed(info);
  if (ipv4Protocol(view, ip) !== IPPROTO_UDP || ipv4IsFragment(view, ip) || skbIsGso(skb)) return -1;
  if (skb.dataLen !== 0 && !skbLinearize(skb)) return -1;
  if (hlen > skb.len || checksum(view, ip, hlen) !== 0) return malformed(info);
  const total = ipv4TotalLen(view, ip);
  if (total > skb.len || total < hlen + UDP_HLEN) return malformed(info);
  const udp = ip + hlen;
  return udpLen(view, udp) === total - hlen ? udp : malformed(info);
}

/** The same of an IPv6 packet; UDP is behind the fixed header, or it is not for netpoll. */
function udpInIpv6(info: NetpollInfo, skb: SkBuff): number {
  const { view } = skb.arena;
  if (!pskbPull(skb, IPV6_HLEN) || ipv6Version(view, skb.data) !== 6) return malformed(info);
  if (ipv6NextHeader(view, skb.data) !== IPPROTO_UDP || skbIsGso(skb)) return -1;
  if (skb.dataLen !== 0 && !skbLinearize(skb)) return -1;
  const len = ipv6PayloadLen(view, skb.data);
  const udp = skb.data + IPV6_HLEN;
  if (len < UDP_HLEN || IPV6_HLEN + len > skb.len || udpLen(view, udp) !== len) return malformed(info);
  return udp;
}

function malformed(info: NetpollInfo): -1 {
  info.counters.values[NP_MALFORMED]!++;
  return -1;
}

/** Keeps the device's frames from everybody but netpoll; calls nest. (`netpoll_set_trap`) */
export function netpollSetTrap(dev: NetDevice, on: boolean): void {
  const info = npinfoOf(dev);
  if (info === null) return;
  info.trapped = Math.max(0, info.trapped + (on ? 1 : -1));
  installTrap(info);
}

/** Whether somebody has trapped the device. (`netpoll_trap`) */
export function netpollTrap(dev: NetDevice): boolean {
  const info = npinfoOf(dev);
  return info !== null && info.trapped > 0;
}

/** The trap stands while there is somebody to receive, here or above, or the device is trapped. */
export function installTrap(info: NetpollInfo): void {
  const wanted = info.receivers.length > 0 || info.lowers.length > 0 || info.trapped > 0;
  info.dev.rxTrap = wanted ? netpollRx : null;
}
