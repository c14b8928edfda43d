/**
 * The mux machine: when a port starts and stops to carry traffic (IEEE 802.1AX 6.4.15; `ad_mux_machine`).
 *
 *     DETACHED --selected--> WAITING --2 s, all ports of the aggregator--> ATTACHED: in sync, if the aggregator is active
 *                                                                            |  ^
 *                                        partner in sync, the bond's 8 s over v  | not in sync any more, not selected
 *     coupled control (default):                                  COLLECTING_DISTRIBUTING
 *     independent:                            COLLECTING <--partner collects--> DISTRIBUTING
 *
 * Every change that the partner should know sets `ntt`.
 */
import { LACP_STATE_COLLECTING, LACP_STATE_DISTRIBUTING, LACP_STATE_SYNCHRONIZATION } from '../../wire/lacp.ts';
import {
  adDisableCollectingDistributing,
  adDisableDistributing,
  adEnableCollecting,
  adEnableCollectingDistributing,
  adPortIsEnabled,
} from './ad_enable.ts';
import {
  AD_MUX_ATTACHED,
  AD_MUX_COLLECTING,
  AD_MUX_COLLECTING_DISTRIBUTING,
  AD_MUX_DETACHED,
  AD_MUX_DISTRIBUTING,
  AD_MUX_WAITING,
  AD_PORT_BEGIN,
  AD_PORT_READY,
  AD_PORT_READY_N,
  AD_PORT_SELECTED,
  AD_PORT_STANDBY,
  AD_WAIT_WHILE_TICKS,
  type AdPort,
  type Aggregator,
  adOf,
} from './ad_port.ts';

const SYNC = LACP_STATE_SYNCHRONIZATION;
const COLLECTING = LACP_STATE_COLLECTING;
const DISTRIBUTING = LACP_STATE_DISTRIBUTING;

/** One tick. */
export function adMuxMachine(port: AdPort): void {
  const last = port.muxState;
  if ((port.vars & AD_PORT_BEGIN) !== 0) port.muxState = AD_MUX_DETACHED;
  else step(port);
  if (port.muxState !== last) enter(port);
}

function step(port: AdPort): void {
  const { vars, aggregator } = port;
  const coupled = port.slave.bond.params.coupledControl;
  const selected = (vars & AD_PORT_SELECTED) !== 0 && (vars & AD_PORT_STANDBY) === 0;
  switch (port.muxState) {
    case AD_MUX_DETACHED:
      if ((vars & (AD_PORT_SELECTED | AD_PORT_STANDBY)) !== 0) port.muxState = AD_MUX_WAITING;
      break;
    case AD_MUX_WAITING:
      stepWaiting(port);
      break;
    case AD_MUX_ATTACHED:
      if ((vars & AD_PORT_SELECTED) !== 0 && partnerHas(port, SYNC) && adOf(port).aggSelectTimer === 0) {
        if (aggregator?.isActive) port.muxState = coupled ? AD_MUX_COLLECTING_DISTRIBUTING : AD_MUX_COLLECTING;
      } else if (!selected) {
        port.vars &= ~AD_PORT_READY_N;
        setReady(aggregator);
        port.muxState = AD_MUX_DETACHED;
      } else if (aggregator?.isActive) {
        port.actor.state |= SYNC;
      }
      break;
    case AD_MUX_COLLECTING_DISTRIBUTING:
      if (outOfSync(port, selected)) port.muxState = AD_MUX_ATTACHED;
      else keepEnabled(port);
      break;
    case AD_MUX_COLLECTING:
      if (outOfSync(port, selected)) port.muxState = AD_MUX_ATTACHED;
      else if (partnerHas(port, COLLECTING)) port.muxState = AD_MUX_DISTRIBUTING;
      else adEnableCollecting(port);
      break;
    case AD_MUX_DISTRIBUTING:
      if (outOfSync(port, selected) || !partnerHas(port, COLLECTING)) port.muxState = AD_MUX_COLLECTING;
      else keepEnabled(port);
      break;
    default:
      break;
  }
}

function stepWaiting(port: AdPort): void {
  if ((port.vars & AD_PORT_SELECTED) === 0) {
    port.vars &= ~AD_PORT_READY_N;
    setReady(port.aggregator);
    port.muxState = AD_MUX_DETACHED;
    return;
  }
  if (port.muxTimer > 0 && --port.muxTimer === 0) port.vars |= AD_PORT_READY_N;
  setReady(port.aggregator);
  if ((port.vars & AD_PORT_READY) !== 0 && port.muxTimer === 0) port.muxState = AD_MUX_ATTACHED;
}

function enter(port: AdPort): void {
  const { actor } = port;
  switch (port.muxState) {
    case AD_MUX_DETACHED:
      actor.state &= ~SYNC;
      adDisableCollectingDistributing(port);
      actor.state &= ~(COLLECTING | DISTRIBUTING);
      port.ntt = true;
      break;
    case AD_MUX_WAITING:
      port.muxTimer = AD_WAIT_WHILE_TICKS;
      break;
    case AD_MUX_ATTACHED:
      if (port.aggregator?.isActive) actor.state |= SYNC;
      else actor.state &= ~SYNC;
      actor.state &= ~(COLLECTING | DISTRIBUTING);
      adDisableCollectingDistributing(port);
      port.ntt = true;
      break;
    case AD_MUX_COLLECTING_DISTRIBUTING:
      actor.state |= COLLECTING | DISTRIBUTING | SYNC;
      adEnableCollectingDistributing(port);
      port.ntt = true;
      break;
    case AD_MUX_COLLECTING:
      actor.state |= COLLECTING | SYNC;
      actor.state &= ~DISTRIBUTING;
      adEnableCollecting(port);
      adDisableDistributing(port);
      port.ntt = true;
      break;
    case AD_MUX_DISTRIBUTING:
      actor.state |= DISTRIBUTING | SYNC;
      adEnableCollectingDistributing(port);
      break;
    default:
      break;
  }
}

/** All its ports have waited long enough: all are ready; else none is. (`__agg_ports_are_ready`, `__set_agg_ports_ready`) */
export function setReady(aggregator: Aggregator | null): void {
  if (aggregator === null) return;
  let ready = true;
  for (const port of aggregator.ports) if ((port.vars & AD_PORT_READY_N) === 0) ready = false;
  for (const port of aggregator.ports) {
    if (ready) port.vars |= AD_PORT_READY;
    else port.vars &= ~AD_PORT_READY;
  }
}

function outOfSync(port: AdPort, selected: boolean): boolean {
  return !selected || !partnerHas(port, SYNC) || (port.actor.state & SYNC) === 0;
}

/** A port that carries traffic and whose slave was set aside (its link had failed) is taken back. */
function keepEnabled(port: AdPort): void {
  if (!adPortIsEnabled(port)) adEnableCollectingDistributing(port);
}

function partnerHas(port: AdPort, bit: number): boolean {
  return (port.partner.state & bit) !== 0;
}
