/** What makes a device a bridge; the bridge itself is bridge.ts's. */
import type { NetDevice } from '../device/net_device.ts';

/** The driver state of a bridge; what is in it is bridge.ts's business. */
export abstract class BridgePriv {}

/** (`netif_is_bridge_master`) */
export function isBridgeMaster(dev: NetDevice): boolean {
  return dev.priv instanceof BridgePriv;
}
