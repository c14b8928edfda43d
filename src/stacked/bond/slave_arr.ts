/**
 * The arrays that transmit looks at, so that it asks nobody while frames fly:
 *
 *     allSlaves       every slave, in the order of enslaving
 *     usableSlaves    of these: up, the monitor agrees, active; 802.3ad: in the aggregator that carries the traffic
 *
 * Rebuilt whenever slaves come, go, or change. (`bond_update_slave_arr`)
 */
import { activeAggregator } from './ad_port.ts';
import { BOND_MODE_8023AD, type Bonding, bondSlaveCanTx, type Slave } from './bond.ts';

/** `skip` is on its way out. */
export function bondUpdateSlaveArr(bond: Bonding, skip: Slave | null = null): void {
  const ad = bond.params.mode === BOND_MODE_8023AD;
  const first = bond.slaves.find((slave) => slave.ad !== null)?.ad ?? null;
  const aggregator = first === null ? null : activeAggregator(first);
  const none = ad && aggregator === null;
  const all = none ? [] : bond.slaves.filter((slave) => slave !== skip);
  bond.allSlaves = all;
  bond.usableSlaves = all.filter(
    (slave) => bondSlaveCanTx(slave) && (!ad || (slave.ad !== null && slave.ad.aggregator === aggregator)),
  );
}
