/**
 * balance-alb, receive: each client is told by ARP another slave's address for ours, so that its frames come in there.
 *
 *     we answer a client's ARP  -> it gets a slave (in turn, the fastest first), and that slave's address in the reply
 *     we ask for a client       -> a place is kept for it; its answer fills it in, and it is told of its slave later. The request shows
 *                                  everybody the bond's own address, so all clients of the asking address are told again
 *     a slave is lost           -> its clients get another one and are told, several times
 *
 * Clients are told by an ARP reply that nobody asked for, twice, at most every 2 s (rlb_update.ts). The table has one client for each
 * XOR of the four bytes of its address; who has to give way goes to the active slave.
 *
 * Answers to rlb_arp_xmit, rlb_arp_recv, rlb_choose_channel, rlb_next_rx_slave.
 */
import { pskbExpandHead } from '../../skb/copy.ts';
import { type SkBuff, skbHeaderCloned, skbHeadlen } from '../../skb/sk_buff.ts';
import {
  ARP_LEN,
  ARP_SENDER_MAC,
  ARPOP_REPLY,
  ARPOP_REQUEST,
  arpOp,
  arpSenderIp,
  arpTargetIp,
} from '../../wire/arp.ts';
import { ETH_ALEN, ETH_P_ARP, isBroadcastMac, isValidMac, macEquals } from '../../wire/eth.ts';
import { VLAN_VID_MASK } from '../../wire/vlan.ts';
import { isBridgeMaster } from '../bridge/bridge_dev.ts';
import { type AlbBondInfo, type RlbClient, simpleHash } from './alb_info.ts';
import type { Bonding, Slave } from './bond.ts';
import { networkAt } from './flow_ip.ts';
import { rlbNextRxSlave } from './rlb_next.ts';
import { RLB_UPDATE_DELAY, rlbReqUpdateSubnetClients, rlbUpdateClient } from './rlb_update.ts';

const ARP_TARGET_MAC = 18;

/** The slave that an ARP frame of ours leaves by; a reply then has that one's address. Null: not to be balanced. */
export function rlbArpXmit(bond: Bonding, skb: SkBuff): Slave | null {
  const { alb } = bond;
  const at = networkAt(skb);
  if (alb === null || at + ARP_LEN > skb.data + skbHeadlen(skb)) return null;
  const { view, bytes } = skb.arena;
  // What others send through us (a bridge over the bond) tells of their addresses, not of ours.
  if (!someSlaveHasMac(bond, bytes, at + ARP_SENDER_MAC) || isBridgeAddress(bond, arpSenderIp(view, at))) return null;
  const op = arpOp(view, at);
  if (op === ARPOP_REPLY) {
    const slave = rlbChooseChannel(bond, alb, skb, at);
    if (slave === null) return null;
    if (skbHeaderCloned(skb)) {
      const offset = at - skb.data;
      if (!pskbExpandHead(skb, 0, 0)) return null;
      bytes.set(slave.dev.devAddr, skb.data + offset + ARP_SENDER_MAC);
    } else {
      bytes.set(slave.dev.devAddr, at + ARP_SENDER_MAC);
    }
    return slave;
  }
  if (op !== ARPOP_REQUEST) return null;
  const slave = rlbChooseChannel(bond, alb, skb, at);
  // Who is told too early is told again by this request.
  alb.rlbUpdateDelayCounter = RLB_UPDATE_DELAY;
  rlbReqUpdateSubnetClients(bond, alb, arpSenderIp(view, at));
  return slave;
}

/** The bond's RecvProbe. The frame stays the caller's, `data` behind its Ethernet header; always false. */
export function rlbArpRecv(bond: Bonding, _slave: Slave, skb: SkBuff): boolean {
  const { alb } = bond;
  if (alb === null || alb.rx === null || skb.protocol !== ETH_P_ARP || skbHeadlen(skb) < ARP_LEN) return false;
  const { view, bytes } = skb.arena;
  const at = skb.data;
  const sender = arpSenderIp(view, at);
  rlbPurgeSrcIp(alb, sender, bytes, at + ARP_SENDER_MAC);
  if (arpOp(view, at) !== ARPOP_REPLY) return false;
  const client = alb.rx.clients[simpleHash(sender)]!;
  const known = client.assigned && client.ipSrc === arpTargetIp(view, at) && client.ipDst === sender;
  if (!known || macEquals(bytes, at + ARP_SENDER_MAC, client.macDst)) return false;
  copyMac(client.macDst, bytes, at + ARP_SENDER_MAC);
  client.ntt = true;
  alb.rxNtt = true;
  return false;
}

/** Somebody else has an address now that was ours: nobody is told of it any more. (`rlb_purge_src_ip`) */
function rlbPurgeSrcIp(alb: AlbBondInfo, ip: number, bytes: Uint8Array, mac: number): void {
  const { used } = alb.rx!;
  for (let i = used.length - 1; i >= 0; i--) {
    const client = used[i]!;
    if (client.ipSrc !== ip || macEquals(bytes, mac, client.macSrc)) continue;
    used.splice(i, 1);
    forget(client);
  }
}

function rlbChooseChannel(bond: Bonding, alb: AlbBondInfo, skb: SkBuff, at: number): Slave | null {
  const { view, bytes } = skb.arena;
  const { clients, used } = alb.rx!;
  const ipSrc = arpSenderIp(view, at);
  const ipDst = arpTargetIp(view, at);
  const client = clients[simpleHash(ipDst)]!;
  if (client.assigned) {
    if (client.ipSrc === ipSrc && client.ipDst === ipDst) {
      if (!isBroadcastMac(bytes, at + ARP_TARGET_MAC)) copyMac(client.macDst, bytes, at + ARP_TARGET_MAC);
      copyMac(client.macSrc, bytes, at + ARP_SENDER_MAC);
      if (client.slave !== null) return client.slave;
    } else if (bond.currActiveSlave !== null && client.slave !== bond.currActiveSlave) {
      client.slave = bond.currActiveSlave;
      rlbUpdateClient(client);
    }
  }
  const slave = rlbNextRxSlave(bond, alb);
  if (slave === null) return null;
  client.ipSrc = ipSrc;
  client.ipDst = ipDst;
  copyMac(client.macDst, bytes, at + ARP_TARGET_MAC);
  copyMac(client.macSrc, bytes, at + ARP_SENDER_MAC);
  client.slave = slave;
  client.ntt = isValidMac(client.macDst);
  if (client.ntt) alb.rxNtt = true;
  client.vlanId = skb.vlanTci < 0 ? 0 : skb.vlanTci & VLAN_VID_MASK;
  if (!client.assigned) {
    used.unshift(client);
    client.assigned = true;
  }
  return slave;
}

function forget(client: RlbClient): void {
  client.ipSrc = 0;
  client.ipDst = 0;
  client.macSrc.fill(0);
  client.macDst.fill(0);
  client.assigned = false;
  client.ntt = false;
  client.slave = null;
  client.vlanId = 0;
}

function copyMac(to: Uint8Array, bytes: Uint8Array, o: number): void {
  for (let i = 0; i < ETH_ALEN; i++) to[i] = bytes[o + i]!;
}

function someSlaveHasMac(bond: Bonding, bytes: Uint8Array, o: number): boolean {
  return bond.slaves.some((slave) => macEquals(bytes, o, slave.dev.devAddr));
}

/** `ip` is an address of a bridge of this machine. */
function isBridgeAddress(bond: Bonding, ip: number): boolean {
  return bond.net.devices.some(
    (dev) => isBridgeMaster(dev) && dev.addresses.some((each) => each.family === 4 && each.v4 === ip),
  );
}
