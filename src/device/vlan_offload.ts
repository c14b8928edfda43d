// hot
/** Whether a device puts a frame's VLAN tag in by itself; else it must be in the frame before the driver gets it. */
import { VLAN_TCI_8021AD } from '../skb/vlan_tag.ts';
import { NETIF_F_HW_VLAN_CTAG_TX, NETIF_F_HW_VLAN_STAG_TX } from './features.ts';

/** `vlanTci` as in SkBuff: there is a tag, of either kind. (`vlan_hw_offload_capable`) */
export function vlanHwOffloadCapable(features: number, vlanTci: number): boolean {
  const needed = (vlanTci & VLAN_TCI_8021AD) !== 0 ? NETIF_F_HW_VLAN_STAG_TX : NETIF_F_HW_VLAN_CTAG_TX;
  return (features & needed) !== 0;
}
