/**
 * What a port lets ethtool ask and change; every part may be absent, and is "Operation not supported" then.
 *
 * Ring sizes are changed only while the port is closed: the driver closes it, and opens it again. Coalescing may change at any time.
 */
import type { CoalesceName, CoalesceParams } from '../../device/coalesce.ts';
import type { Ringparam } from '../../device/ethtool.ts';

export interface PortTuning {
  /** Descriptors. */
  ring?(): Ringparam;
  /** 0, or a negative errno. The port is closed. */
  setRing?(rx: number, tx: number): number;
  /** Parameters that setCoalesce takes. */
  readonly coalesceParams?: readonly CoalesceName[];
  coalesce?(): CoalesceParams;
  /** 0, or a negative errno. */
  setCoalesce?(params: CoalesceParams): number;
}

/** Which frames the device wants, for a port that can leave others out. */
export interface PortRxMode {
  readonly promisc: boolean;
  readonly allmulti: boolean;
  /** Addresses beside the port's own, 6 bytes each; and groups. */
  readonly unicast: readonly Uint8Array[];
  readonly multicast: readonly Uint8Array[];
}
