/**
 * After a failover the switches and neighbours must learn that the bond's addresses are now behind another port: num_grat_arp
 * announcements, the first at once, the others peer_notif_delay apart.
 *
 *     bondChangeActiveSlave --> sendPeerNotif = num_peer_notif * delay --> monitor tick: one less; due: announce
 *     802.3ad with broadcast_neighbor: a port starts to carry traffic (ad_enable.ts)
 *
 * An announcement: a gratuitous ARP request for every IPv4 address, an unsolicited neighbour advertisement for every IPv6 one,
 * of the bond and of every VLAN device on it; and NOTIFY_PEERS for whoever wants to know.
 */
import { LINK_STATE_LINKWATCH_PENDING, type NetDevice, netifCarrierOk, netifRunning } from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { netdevWalkAllUpperDev } from '../../device/upper.ts';
import { type SkBuff, skbPut, skbReserve } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { ARP_LEN, ARPOP_REQUEST, writeArp } from '../../wire/arp.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { ETH_HLEN, ETH_P_ARP, ETH_P_IPV6, writeEth } from '../../wire/eth.ts';
import { IPPROTO_ICMPV6 } from '../../wire/icmpv6.ts';
import { IPV6_HLEN, writeIpv6 } from '../../wire/ipv6.ts';
import {
  ipv6MulticastMac,
  NA_OVERRIDE,
  ND_OPT_TARGET_LL_ADDR,
  NDISC_HOP_LIMIT,
  NDISC_LEN,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_TARGET,
  writeLinkLayerOption,
} from '../../wire/ndisc.ts';
import { BOND_MODE_8023AD, type Bonding, type Slave } from './bond.ts';

const OPTION_LEN = 8;
const NO_MAC = new Uint8Array(6);
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** An announcement is due now. (`bond_should_notify_peers`) */
export function bondShouldNotifyPeers(bond: Bonding): boolean {
  const { sendPeerNotif, params, usableSlaves, currActiveSlave } = bond;
  if (sendPeerNotif === 0 || sendPeerNotif % Math.max(1, params.peerNotifDelay) !== 0) return false;
  if (!netifCarrierOk(bond.dev)) return false;
  const settled = ({ dev }: Slave) => (dev.state & LINK_STATE_LINKWATCH_PENDING) === 0;
  if (params.mode === BOND_MODE_8023AD) return usableSlaves.length > 0 && usableSlaves.every(settled);
  return currActiveSlave !== null && settled(currActiveSlave);
}

/** Announces the addresses of the bond and of what stands on it. Process context. */
export function bondNotifyPeers(bond: Bonding): void {
  announce(bond.dev);
  netdevWalkAllUpperDev(bond.dev, (upper) => {
    if (upper !== bond.dev.master) announce(upper);
  });
}

function announce(dev: NetDevice): void {
  dev.net.notify(NetdevEvent.NOTIFY_PEERS, dev);
  if (!netifRunning(dev)) return;
  for (const address of dev.addresses) {
    if (address.family === 4) gratuitousArp(dev, address.v4);
    else unsolicitedNa(dev, address.v6);
  }
}

/** Asks for its own address. (`arp_send` of inetdev_send_gratuitous_arp) */
function gratuitousArp(dev: NetDevice, v4: number): void {
  const skb = frame(dev, ARP_LEN);
  if (skb === null) return;
  writeArp(skb.arena.view, skbPut(skb, ARP_LEN), ARPOP_REQUEST, dev.devAddr, v4, NO_MAC, v4);
  transmit(skb, dev, dev.broadcast, ETH_P_ARP);
}

/** (`ndisc_send_unsol_na`) */
function unsolicitedNa(dev: NetDevice, v6: Uint8Array): void {
  const len = NDISC_LEN + OPTION_LEN;
  const skb = frame(dev, IPV6_HLEN + len);
  if (skb === null) return;
  const { view, bytes } = skb.arena;
  const ip = skbPut(skb, IPV6_HLEN + len);
  const icmp = ip + IPV6_HLEN;
  writeIpv6(view, ip, IPPROTO_ICMPV6, NDISC_HOP_LIMIT, v6, ALL_NODES, len);
  view.setUint32(icmp, NDISC_NEIGHBOUR_ADVERTISEMENT << 24);
  view.setUint32(icmp + 4, NA_OVERRIDE);
  bytes.set(v6, icmp + NDISC_TARGET);
  writeLinkLayerOption(bytes, icmp + NDISC_LEN, ND_OPT_TARGET_LL_ADDR, dev.devAddr);
  view.setUint16(icmp + 2, fold(sum32(view, ip + 8, 32) + IPPROTO_ICMPV6 + len + sum32(view, icmp, len)));
  transmit(skb, dev, ipv6MulticastMac(ALL_NODES, new Uint8Array(6)), ETH_P_IPV6);
}

function frame(dev: NetDevice, len: number): SkBuff | null {
  const skb = dev.net.machine.skbs.allocForDevice(dev, ETH_HLEN + len);
  if (skb !== null) skbReserve(skb, ETH_HLEN);
  return skb;
}

function transmit(skb: SkBuff, dev: NetDevice, to: Uint8Array, protocol: number): void {
  skb.networkHeader = skb.data;
  skb.data -= ETH_HLEN;
  skb.len += ETH_HLEN;
  writeEth(skb.arena.view, skb.data, to, dev.devAddr, protocol);
  skb.dev = dev;
  skb.protocol = protocol;
  devQueueXmit(skb);
}
