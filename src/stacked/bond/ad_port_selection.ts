/**
 * Which aggregator a port joins (IEEE 802.1AX 6.4.14; `ad_port_selection_logic`).
 *
 *     not SELECTED --> leave the old one --> one with ports that lead to the same partner, with the same keys
 *                                            else the first that is empty, which takes over what the port knows
 *                  --> SELECTED --> choose the active aggregator again
 *
 * The empty one need not be the port's own: aggregators are taken in the order of slaves.
 */
import { Loglevel } from '../../machine/printk.ts';
import { LACP_STATE_SYNCHRONIZATION } from '../../wire/lacp.ts';
import { adAggSelection } from './ad_agg_selection.ts';
import { setReady } from './ad_mux.ts';
import {
  AD_DUPLEX_KEY_MASK,
  AD_PORT_SELECTED,
  type AdPort,
  type Aggregator,
  adOf,
  adPorts,
  clearAggregator,
  hasPartner,
  sameMac,
} from './ad_port.ts';
import { slavePrintk } from './slave_state.ts';

/** One tick. */
export function adPortSelection(port: AdPort): void {
  if ((port.vars & AD_PORT_SELECTED) !== 0) return;
  if (port.aggregator !== null) leave(port, port.aggregator);
  let free: Aggregator | null = null;
  let suits: Aggregator | null = null;
  for (const { own } of adPorts(port)) {
    if (own.ports.length === 0) free ??= own;
    else if (isFor(own, port)) {
      suits = own;
      break;
    }
  }
  const joined = suits ?? free;
  if (joined === null) {
    complain(port);
    return;
  }
  if (suits === null) adopt(joined, port);
  joined.ports.unshift(port);
  port.aggregator = joined;
  port.vars |= AD_PORT_SELECTED;
  // It may have carried traffic where it was.
  adOf(port).arrayStale = true;
  setReady(joined);
  adAggSelection(port);
  if (!joined.isActive) port.actor.state &= ~LACP_STATE_SYNCHRONIZATION;
}

function leave(port: AdPort, aggregator: Aggregator): void {
  const at = aggregator.ports.indexOf(port);
  if (at >= 0) aggregator.ports.splice(at, 1);
  port.aggregator = null;
  if (aggregator.ports.length === 0) clearAggregator(aggregator);
}

/** Same keys, same partner; one that is alone, or that nobody answers, takes no second port. */
function isFor(aggregator: Aggregator, { actor, partner }: AdPort): boolean {
  return (
    aggregator.actorKey === actor.key &&
    sameMac(aggregator.partnerSystem, partner.system) &&
    aggregator.partnerSystemPriority === partner.systemPriority &&
    aggregator.partnerKey === partner.key &&
    hasPartner(aggregator) &&
    !aggregator.isIndividual
  );
}

function adopt(aggregator: Aggregator, { actor, partner }: AdPort): void {
  aggregator.isIndividual = (actor.key & AD_DUPLEX_KEY_MASK) === 0;
  aggregator.actorKey = actor.key;
  aggregator.partnerSystem.set(partner.system);
  aggregator.partnerSystemPriority = partner.systemPriority;
  aggregator.partnerKey = partner.key;
}

function complain({ actor, slave }: AdPort): void {
  const text = `Port ${actor.port} did not find a suitable aggregator`;
  slavePrintk(slave.bond, slave.dev, Loglevel.ERR, text);
}
