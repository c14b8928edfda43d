/**
 * A slave leaves an 802.3ad bond (`bond_3ad_unbind_slave`).
 *
 *  1. The partner is told, in one last LACPDU, that the port is not for sharing.
 *  2. Others may be in the aggregator that came with the slave and goes with it: they move to another one, as they are.
 *  3. The port leaves the aggregator that it is in. Where that leaves the bond without an active one, another is chosen.
 */
import { Loglevel } from '../../machine/printk.ts';
import {
  LACP_STATE_AGGREGATION,
  LACP_STATE_COLLECTING,
  LACP_STATE_DISTRIBUTING,
  LACP_STATE_SYNCHRONIZATION,
} from '../../wire/lacp.ts';
import { adAggSelection } from './ad_agg_selection.ts';
import { type AdPort, type Aggregator, activePorts, adPorts, clearAggregator } from './ad_port.ts';
import { adLacpduSend } from './ad_tx.ts';
import type { Slave } from './bond.ts';
import { slavePrintk } from './slave_state.ts';

const IN_USE = LACP_STATE_AGGREGATION | LACP_STATE_SYNCHRONIZATION | LACP_STATE_COLLECTING | LACP_STATE_DISTRIBUTING;

/** The slave has no port afterwards. Called while it still is in the bond's list. */
export function ad3UnbindSlave(slave: Slave): void {
  const port = slave.ad;
  if (port === null) return;
  port.actor.state &= ~IN_USE;
  adLacpduSend(port);
  const { own } = port;
  if (own.ports.some((other) => other !== port)) moveOut(port, own);
  const { aggregator } = port;
  if (aggregator !== null) leave(port, aggregator);
  slave.ad = null;
}

/** The aggregator `from` goes with `port`; its ports find a place in one that is empty, or that `port` is alone in. */
function moveOut(port: AdPort, from: Aggregator): void {
  const to = adPorts(port)
    .map(({ own }) => own)
    .find((own) => own !== from && (own.ports.length === 0 || (own.ports.length === 1 && own.ports[0] === port)));
  if (to === undefined) {
    warn(port, 'unbinding aggregator, and could not find a new aggregator for its ports');
    return;
  }
  const reselect = to.ports.length > 0 && to.isActive;
  if (to.ports.length > 0) port.aggregator = null;
  if (reselect) warn(port, 'Removing an active aggregator');
  to.isIndividual = from.isIndividual;
  to.actorKey = from.actorKey;
  to.partnerKey = from.partnerKey;
  to.partnerSystem.set(from.partnerSystem);
  to.partnerSystemPriority = from.partnerSystemPriority;
  to.isActive = from.isActive;
  to.ports.splice(0, to.ports.length, ...from.ports);
  for (const each of to.ports) each.aggregator = to;
  clearAggregator(from);
  if (reselect) adAggSelection(port);
}

function leave(port: AdPort, aggregator: Aggregator): void {
  aggregator.ports.splice(aggregator.ports.indexOf(port), 1);
  port.aggregator = null;
  if (activePorts(aggregator) > 0) return;
  const reselect = aggregator.isActive;
  if (aggregator.ports.length === 0) clearAggregator(aggregator);
  if (!reselect) return;
  warn(port, 'Removing an active aggregator');
  adAggSelection(port);
}

function warn({ slave }: AdPort, text: string): void {
  slavePrintk(slave.bond, slave.dev, Loglevel.INFO, text);
}
