// hot
/**
 * xmit_hash_policy: the number by which a bond deals frames out, so that a conversation keeps to one slave and stays in order.
 *
 *     layer2         MAC addresses (their last bytes) and EtherType
 *     layer2+3       ... and IP addresses             encap2+3    those inside tunnels
 *     layer3+4       IP addresses and ports           encap3+4    those inside tunnels
 *     vlan+srcmac    the accelerated VLAN tag and the sender's MAC
 *
 * What is no IP goes by layer2, whatever the policy. layer3+4 drops the lowest bit: local ports are mostly even.
 * The caller keeps the frame. Answers to bond_xmit_hash and Documentation/networking/bonding.rst, xmit_hash_policy.
 */
import { type SkBuff, skbHeadlen } from '../../skb/sk_buff.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import { FLOW_TAG_IN_TURN, type FlowKeys } from '../../wire/flow_dissect.ts';
import {
  BOND_XMIT_POLICY_ENCAP23,
  BOND_XMIT_POLICY_ENCAP34,
  BOND_XMIT_POLICY_LAYER2,
  BOND_XMIT_POLICY_LAYER34,
  BOND_XMIT_POLICY_VLAN_SRCMAC,
  type Bonding,
} from './bond.ts';
import { bondFlowIp, flowAddresses, flowPorts, networkAt } from './flow_ip.ts';

/** By the bond's policy; the frame's Ethernet header is at `data`. Unsigned. */
export function bondXmitHash(bond: Bonding, skb: SkBuff): number {
  return xmitHash(bond.params.xmitPolicy, bond.flowKeys, skb);
}

/** Unsigned hash of a frame whose Ethernet header is at `data`; `keys` is scratch memory. */
export function xmitHash(policy: number, keys: FlowKeys, skb: SkBuff): number {
  // The stack has told flows apart already, inside tunnels too.
  if (policy === BOND_XMIT_POLICY_ENCAP34 && skb.l4Hash) return skb.hash;
  const { view } = skb.arena;
  const mac = skb.data;
  const end = mac + skbHeadlen(skb);
  if (policy === BOND_XMIT_POLICY_VLAN_SRCMAC) return vlanSrcmacHash(skb, view, mac, end);
  const encap = policy === BOND_XMIT_POLICY_ENCAP23 || policy === BOND_XMIT_POLICY_ENCAP34;
  const ports = policy === BOND_XMIT_POLICY_LAYER34 || policy === BOND_XMIT_POLICY_ENCAP34;
  if (policy === BOND_XMIT_POLICY_LAYER2) return ethHash(view, mac, end);
  const network = networkAt(skb);
  const found = encap
    ? keys.dissect(view, network, end, skb.protocol, skb.vlanTci, FLOW_TAG_IN_TURN)
    : bondFlowIp(keys, view, network, end, skb.protocol);
  if (!found) return ethHash(view, mac, end);
  let hash = (ports ? flowPorts(keys, view) : ethHash(view, mac, end)) ^ flowAddresses(keys, view);
  hash ^= hash >>> 16;
  hash ^= hash >>> 8;
  return ports ? hash >>> 1 : hash >>> 0;
}

/** 0 for a frame that is shorter than its header. (`bond_eth_hash`) */
function ethHash(view: DataView, mac: number, end: number): number {
  if (mac + ETH_HLEN > end) return 0;
  return view.getUint8(mac + 5) ^ view.getUint8(mac + 11) ^ view.getUint16(mac + 12);
}

/** (`bond_vlan_srcmac_hash`) */
function vlanSrcmacHash(skb: SkBuff, view: DataView, mac: number, end: number): number {
  if (mac + ETH_HLEN > end) return 0;
  const vendor = (view.getUint8(mac + 6) << 16) | view.getUint16(mac + 7);
  const device = (view.getUint8(mac + 9) << 16) | view.getUint16(mac + 10);
  return (skb.vlanTci >= 0 ? skb.vlanTci & 0xffff : 0) ^ vendor ^ device;
}
