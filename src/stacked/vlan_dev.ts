/** What makes a device a VLAN device: the tag, and the device that it stands on. The device itself is vlan.ts's. */
import type { NetDevice } from '../device/net_device.ts';

/** (`struct vlan_dev_priv`) */
export class VlanDev {
  readonly realDev: NetDevice;
  /** EtherType that announces the tag: ETH_P_8021Q or ETH_P_8021AD. */
  readonly protocol: number;
  /** 1 to 4094. */
  readonly vlanId: number;
  /** Its address is its own: it does not follow that of the real device. */
  ownAddress = false;

  constructor(realDev: NetDevice, protocol: number, vlanId: number) {
    this.realDev = realDev;
    this.protocol = protocol;
    this.vlanId = vlanId;
  }
}

/** Null: `dev` is no VLAN device. (`vlan_dev_priv`, `is_vlan_dev`) */
export function vlanDevPriv(dev: NetDevice): VlanDev | null {
  return dev.priv instanceof VlanDev ? dev.priv : null;
}
