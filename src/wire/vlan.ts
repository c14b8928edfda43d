// hot
/**
 * VLAN tag (IEEE 802.1Q), which stands behind the two MAC addresses or, here, behind the EtherType that announces it.
 *
 *     ... | 0x8100 or 0x88a8 | priority (3), drop (1), VLAN id (12) | EtherType of what follows | ...
 *                            ^ o
 */
export const VLAN_HLEN = 4;
/** The outer tag of two. */
export const ETH_P_8021AD = 0x88a8;
export const VLAN_VID_MASK = 0x0fff;

/** Priority, drop bit and id as they are in the tag. */
export function vlanTci(view: DataView, o: number): number {
  return view.getUint16(o);
}

export function vlanProtocol(view: DataView, o: number): number {
  return view.getUint16(o + 2);
}
