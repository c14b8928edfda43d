/**
 * ARP: asks for hardware addresses, answers for our own, learns from what is heard.
 *
 *     request for us      -> learn the asker (STALE), answer him
 *     reply to us         -> the entry that asked becomes REACHABLE
 *     anything else       -> refreshes an entry that there is; makes none
 *
 * Frames are consumed. (`net/ipv4/arp.c`)
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import { devOf, IFF_LOOPBACK, IFF_NOARP, type NetDevice } from '../device/net_device.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { PACKET_HOST, PACKET_OTHERHOST, pskbMayPull, type SkBuff, skbPut, skbReserve } from '../skb/sk_buff.ts';
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
import { ETH_HLEN, ETH_P_ARP, isMulticastMac } from '../wire/eth.ts';
import type { Inet } from './inet.ts';
import { type Neighbour, NUD_REACHABLE, NUD_STALE } from './neighbour.ts';
import { linkOutput } from './output.ts';

/** A neighbour's address is not replaced again this soon: the first of several answers wins. (`locktime`) */
const LOCKTIME_NS = 1e9;
const NO_MAC = new Uint8Array(6);

export function arpRcv(inet: Inet, skb: SkBuff): number {
  const dev = devOf(skb);
  if (skb.pktType === PACKET_OTHERHOST) return drop(skb, DropReason.OTHERHOST);
  if ((dev.flags & (IFF_NOARP | IFF_LOOPBACK)) !== 0) return drop(skb, DropReason.NOT_SPECIFIED);
  if (!pskbMayPull(skb, ARP_LEN)) return drop(skb, DropReason.HDR_TRUNC);
  const { view, bytes } = skb.arena;
  const o = skb.data;
  const op = arpOp(view, o);
  const wanted = arpIsEthernetIpv4(view, o) && (op === ARPOP_REQUEST || op === ARPOP_REPLY);
  const target = arpTargetIp(view, o);
  if (!wanted || target >>> 28 === 0xe || target >>> 24 === 127) return drop(skb, DropReason.NOT_SPECIFIED);
  const sender = arpSenderIp(view, o);
  const senderMac = o + ARP_SENDER_MAC;
  // A sender who is a group, or who claims to be us, teaches nothing.
  const strange = isMulticastMac(bytes, senderMac) || inet.routes.isLocal4(sender) || inet.routes.isBroadcast4(sender);
  if (op === ARPOP_REQUEST && inet.routes.isLocal4(target) && !strange) {
    if (sender !== 0) {
      const asker = inet.arp.create(dev, { family: 4, v4: sender });
      if (asker !== null) inet.arp.update(asker, bytes, senderMac, NUD_STALE, true);
    }
    arpSend(inet, dev, ARPOP_REPLY, target, bytes.slice(senderMac, senderMac + 6), sender);
  } else if (!strange && sender !== 0) {
    const known = inet.arp.lookup(dev, { family: 4, v4: sender });
    if (known !== null) {
      const answer = op === ARPOP_REPLY && skb.pktType === PACKET_HOST;
      const locked = inet.machine.executive.now() - known.updatedNs < LOCKTIME_NS;
      const gratuitous = sender === target;
      inet.arp.update(known, bytes, senderMac, answer ? NUD_REACHABLE : NUD_STALE, !locked || gratuitous);
    }
  }
  skb.pool.consume(skb);
  return NET_RX_SUCCESS;
}

/** Who has the neighbour's address? Asks everybody, or the neighbour himself. (`arp_solicit`) */
export function arpSolicit(inet: Inet, neighbour: Neighbour, unicast: boolean): void {
  const { dev, ip } = neighbour;
  const source = inet.routes.lookup(ip, dev)?.source;
  if (ip.family !== 4 || source?.family !== 4) return;
  arpSend(inet, dev, ARPOP_REQUEST, source.v4, unicast ? neighbour.lladdr : null, ip.v4);
}

/** Tells everybody on the link our address, so that they correct what they know: gratuitous ARP. (`arp_notify`) */
export function arpAnnounce(inet: Inet, dev: NetDevice, v4: number): void {
  arpSend(inet, dev, ARPOP_REQUEST, v4, null, v4);
}

/** `mac` null: everybody. (`arp_create`, `arp_xmit`) */
function arpSend(inet: Inet, dev: NetDevice, op: number, source: number, mac: Uint8Array | null, target: number): void {
  const skb = inet.machine.skbs.allocForDevice(dev, ETH_HLEN + ARP_LEN);
  if (skb === null) return;
  skbReserve(skb, ETH_HLEN);
  writeArp(skb.arena.view, skbPut(skb, ARP_LEN), op, dev.devAddr, source, mac ?? NO_MAC, target);
  skb.networkHeader = skb.data;
  skb.protocol = ETH_P_ARP;
  linkOutput(skb, dev, mac ?? dev.broadcast);
}

function drop(skb: SkBuff, reason: number): number {
  skb.pool.kfree(skb, reason);
  return NET_RX_DROP;
}
