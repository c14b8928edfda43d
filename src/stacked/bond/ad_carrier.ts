/** The carrier of an 802.3ad bond, and what is said of its active aggregator. */
import { netifCarrierOff, netifCarrierOk, netifCarrierOn } from '../../device/net_device.ts';
import { type Aggregator, activeAggregator, activePorts } from './ad_port.ts';
import type { Bonding } from './bond.ts';

/** On while the active aggregator has `min_links` ports with a link. True: it has changed. (`bond_3ad_set_carrier`) */
export function ad3SetCarrier(bond: Bonding): boolean {
  const active = activeOf(bond);
  const on = active !== null && activePorts(active) >= bond.params.minLinks;
  if (on === netifCarrierOk(bond.dev)) return false;
  if (on) netifCarrierOn(bond.dev);
  else netifCarrierOff(bond.dev);
  return true;
}

/** What /proc/net/bonding prints of the aggregator that carries the traffic. (`struct ad_info`) */
export interface AdInfo {
  readonly aggregatorId: number;
  /** Ports with a link. */
  readonly ports: number;
  readonly actorKey: number;
  readonly partnerKey: number;
  readonly partnerSystem: Uint8Array;
}

/** Null: no aggregator is active. (`bond_3ad_get_active_agg_info`) */
export function ad3GetActiveAggInfo(bond: Bonding): AdInfo | null {
  const active = activeOf(bond);
  if (active === null) return null;
  const { id, actorKey, partnerKey, partnerSystem } = active;
  return { aggregatorId: id, ports: activePorts(active), actorKey, partnerKey, partnerSystem };
}

function activeOf(bond: Bonding): Aggregator | null {
  const port = bond.slaves.find(({ ad }) => ad !== null)?.ad;
  return port ? activeAggregator(port) : null;
}
