/**
 * Which aggregator carries the traffic (`ad_agg_selection_logic`).
 *
 *     candidates: a port with a link, over a device that is up
 *     better:     not alone > alone (half duplex);  answered > unanswered;  then by ad_select:
 *                   stable, bandwidth   more bandwidth                     (stable: only when the active one is gone)
 *                   count               more ports, then bandwidth
 *                   actor_port_prio     higher priorities of ports in all, then ports, then bandwidth
 *
 * An aggregator that nobody answers may be chosen too: its ports carry traffic, so that a bond works on a switch without LACP.
 */
import { Loglevel } from '../../machine/printk.ts';
import { ad3SetCarrier } from './ad_carrier.ts';
import { adDisablePort, adEnablePort } from './ad_enable.ts';
import { type AdPort, type Aggregator, activeAggregator, activePorts, adOf, adPorts, hasPartner } from './ad_port.ts';
import { BOND_AD_COUNT, BOND_AD_PRIO, BOND_AD_STABLE, BOND_LINK_UP, type Bonding, bondSlaveIsUp } from './bond.ts';
import { bondPrintk } from './slave_state.ts';

/** Chooses again, among the aggregators of the bond that `port` is of. */
export function adAggSelection(port: AdPort): void {
  const { bond } = port.slave;
  const ports = adPorts(port);
  const active = activeAggregator(port);
  let best: Aggregator | null = active !== null && deviceUp(active) ? active : null;
  for (const { own } of ports) {
    own.isActive = false;
    if (activePorts(own) > 0 && deviceUp(own)) best = better(bond, best, own);
  }
  if (best !== null && bond.params.adSelect === BOND_AD_STABLE && active !== null && staysActive(active, best)) {
    best = active;
  }
  if (best !== null && best === active) active.isActive = true;
  else if (best !== null) activate(bond, best, active);
  const now = activeAggregator(port);
  if (now !== null && !hasPartner(now)) {
    for (const each of now.ports) adEnablePort(each);
    adOf(port).arrayStale = true;
  }
  ad3SetCarrier(bond);
}

/** Nothing moves as long as the old one works, answered, or as little as the other. Its key is 0: its speed is not known. */
function staysActive(active: Aggregator, best: Aggregator): boolean {
  if (activePorts(active) === 0) return false;
  if (!hasPartner(active) && hasPartner(best)) return false;
  return active.actorKey !== 0 || best.actorKey === 0;
}

function activate(bond: Bonding, best: Aggregator, former: Aggregator | null): void {
  if (best.isIndividual) {
    const text = 'Warning: No 802.3ad response from the link partner for any adapters in the bond';
    bondPrintk(bond, Loglevel.WARNING, text);
  }
  best.isActive = true;
  if (former !== null) for (const port of former.ports) adDisablePort(port);
  bond.ad!.arrayStale = true;
}

/** (`ad_agg_selection_test`) */
function better(bond: Bonding, best: Aggregator | null, other: Aggregator): Aggregator {
  if (best === null) return other;
  if (best.isIndividual !== other.isIndividual) return best.isIndividual ? other : best;
  if (hasPartner(best) !== hasPartner(other)) return hasPartner(other) ? other : best;
  const { adSelect } = bond.params;
  if (adSelect === BOND_AD_PRIO && priorities(other) !== priorities(best)) {
    return priorities(other) > priorities(best) ? other : best;
  }
  if ((adSelect === BOND_AD_PRIO || adSelect === BOND_AD_COUNT) && activePorts(other) !== activePorts(best)) {
    return activePorts(other) > activePorts(best) ? other : best;
  }
  return bandwidth(other) > bandwidth(best) ? other : best;
}

/** (`agg_device_up`) */
function deviceUp(aggregator: Aggregator): boolean {
  return aggregator.ports.some(({ slave }) => bondSlaveIsUp(slave));
}

/** In Mb/s; all ports of an aggregator have one speed. (`__get_agg_bandwidth`) */
function bandwidth(aggregator: Aggregator): number {
  const slave = aggregator.ports[0]?.slave;
  if (slave === undefined || slave.link !== BOND_LINK_UP || slave.speed < 0) return 0;
  return activePorts(aggregator) * slave.speed;
}

function priorities(aggregator: Aggregator): number {
  let sum = 0;
  for (const port of aggregator.ports) if (port.isEnabled) sum += port.actor.portPriority;
  return sum;
}
