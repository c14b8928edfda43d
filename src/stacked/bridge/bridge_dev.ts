/**
 * What a bridge and its ports know.
 *
 *     br0 (NetDevice, priv = Bridge)
 *       ports --> BridgePort --> eth0       in the order of joining; each has a number
 *       fdb: which address is behind which port (bridge_fdb.ts)
 *
 * There is no spanning tree: a port whose link is up forwards.
 */
import type { NetDevice } from '../../device/net_device.ts';
import type { Notifier } from '../../device/netdev_event.ts';
import { Work } from '../../machine/timer.ts';
import type { Netpoll } from '../../netpoll/netpoll.ts';
import { BridgeFdb } from './bridge_fdb.ts';

/** Values of `port.state`, and their names. */
export const BR_STATE_DISABLED = 0;
export const BR_STATE_LISTENING = 1;
export const BR_STATE_LEARNING = 2;
export const BR_STATE_FORWARDING = 3;
export const BR_STATE_BLOCKING = 4;
export const BR_STATE_NAMES = ['disabled', 'listening', 'learning', 'forwarding', 'blocking'] as const;

/** The driver state of a bridge. (`struct net_bridge`) */
export class Bridge {
  readonly dev: NetDevice;
  readonly ports: BridgePort[] = [];
  readonly fdb: BridgeFdb<BridgePort>;
  /** How long an address is remembered that is not heard of. (`bridge_ageing_time`) */
  ageingNs: number;
  /** Forgets what is old; armed while the bridge is open. */
  readonly gcWork: Work;
  /** A user has chosen the MTU: it does not follow the ports. */
  mtuSetByUser = false;
  notifier: Notifier | null = null;

  /** `gc` runs in process context and arms itself again. */
  constructor(dev: NetDevice, ageingNs: number, fdbMax: number, gc: (br: Bridge) => void) {
    this.dev = dev;
    this.ageingNs = ageingNs;
    this.fdb = new BridgeFdb(fdbMax);
    this.gcWork = new Work(dev.net.machine, () => gc(this));
  }
}

/** One device of a bridge. (`struct net_bridge_port`) */
export class BridgePort {
  readonly br: Bridge;
  readonly dev: NetDevice;
  readonly portNo: number;
  state = BR_STATE_DISABLED;
  /** Its own netpoll client while the bridge is used by netpoll. */
  np: Netpoll | null = null;

  constructor(br: Bridge, dev: NetDevice, portNo: number) {
    this.br = br;
    this.dev = dev;
    this.portNo = portNo;
  }
}

/** (`netif_is_bridge_master`) */
export function isBridgeMaster(dev: NetDevice): boolean {
  return dev.priv instanceof Bridge;
}

/** The bridge that `dev` is; it must be one. */
export function bridgeOf(dev: NetDevice): Bridge {
  return dev.priv as Bridge;
}

export function bridgePortOf(br: Bridge, dev: NetDevice): BridgePort | undefined {
  return br.ports.find((port) => port.dev === dev);
}
