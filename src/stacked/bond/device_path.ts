/**
 * From a bond up to the device that a route leaves by: which VLAN devices lie between, that is which tags a frame needs that the
 * bond's slave sends in place of that device.
 *
 *     bond0 <- bond0.5 <- bond0.5.7    outermost first: 5, then 7
 */
import type { NetDevice } from '../../device/net_device.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { vlanInsertTag } from '../../skb/vlan_tag.ts';
import { type VlanDev, vlanDevPriv } from '../vlan/vlan_dev.ts';

/** Tags in the order of the wire, none for the bond itself; null: `end` does not stand on `start`. (`bond_verify_device_path`) */
export function bondVerifyDevicePath(start: NetDevice, end: NetDevice): VlanDev[] | null {
  if (start === end) return [];
  for (const upper of start.upper) {
    const above = bondVerifyDevicePath(upper, end);
    const vlan = vlanDevPriv(upper);
    if (above !== null) return vlan === null ? above : [vlan, ...above];
  }
  return null;
}

/** Puts the tags into a frame, the innermost first. False: no memory; the frame is still the caller's. (`bond_handle_vlan`) */
export function bondHandleVlan(skb: SkBuff, tags: readonly VlanDev[]): boolean {
  for (let i = tags.length - 1; i >= 0; i--) {
    const { protocol, vlanId } = tags[i]!;
    if (!vlanInsertTag(skb, protocol, vlanId)) return false;
  }
  return true;
}
