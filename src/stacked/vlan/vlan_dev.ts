/** What makes a device a VLAN device: the tag, and the device that it stands on. The device itself is vlan.ts's. */
import type { NetDevice } from '../../device/net_device.ts';
import type { Notifier } from '../../device/netdev_event.ts';
import type { Netpoll } from '../../netpoll/netpoll.ts';

/** The driver state of a VLAN device. (`struct vlan_dev_priv`) */
export class VlanDev {
  readonly realDev: NetDevice;
  /** EtherType that announces the tag: ETH_P_8021Q or ETH_P_8021AD. */
  readonly protocol: number;
  /** 0 to 4094. */
  readonly vlanId: number;
  /** The tag as it stands in `skb.vlanTci`, priority 0. */
  readonly tci: number;
  /** The address of the real device that was known last. */
  readonly realDevAddr = new Uint8Array(6);
  /** An address of its own that the real device listens to for it. */
  ownAddr: Uint8Array | null = null;
  /** Frames of every kind are wanted of the real device. */
  promisc = false;
  allmulti = false;
  /** Its client on the real device while netpoll uses it. */
  np: Netpoll | null = null;
  /** Hears what happens to the real device. */
  notifier: Notifier | null = null;

  constructor(realDev: NetDevice, protocol: number, vlanId: number, tci: number) {
    this.realDev = realDev;
    this.protocol = protocol;
    this.vlanId = vlanId;
    this.tci = tci;
  }
}

/** Null: `dev` is no VLAN device. (`vlan_dev_priv`, `is_vlan_dev`) */
export function vlanDevPriv(dev: NetDevice): VlanDev | null {
  return dev.priv instanceof VlanDev ? dev.priv : null;
}

/** The device of a tag (as in `skb.vlanTci`, without its priority) on `dev`, or null. (`vlan_find_dev`) */
export function vlanFindDev(dev: NetDevice, tci: number): NetDevice | null {
  const { upper } = dev;
  for (let i = 0; i < upper.length; i++) {
    const priv = vlanDevPriv(upper[i]!);
    if (priv !== null && priv.realDev === dev && priv.tci === tci) return upper[i]!;
  }
  return null;
}
