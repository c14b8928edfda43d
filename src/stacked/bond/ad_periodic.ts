/**
 * The periodic machine: when a port speaks although nothing has changed (IEEE 802.1AX 6.4.13; `ad_periodic_machine`).
 *
 *                                +----------- 1 s ------------+
 *                                |                            v
 *     NO_PERIODIC ----------> FAST_PERIODIC  <---------  PERIODIC_TX: need to transmit
 *       link down, no LACP,      |  partner: long             |  ^
 *       or both ends passive     v                            v  |  30 s, or the partner has become impatient
 *                             SLOW_PERIODIC <-----------------+--+
 *
 * How often is the partner's choice: every second as long as it gives up after three.
 */
import { LACP_STATE_ACTIVITY, LACP_STATE_TIMEOUT } from '../../wire/lacp.ts';
import {
  AD_FAST_PERIODIC,
  AD_FAST_PERIODIC_TICKS,
  AD_NO_PERIODIC,
  AD_PERIODIC_TX,
  AD_PORT_BEGIN,
  AD_PORT_LACP_ENABLED,
  AD_SLOW_PERIODIC,
  AD_SLOW_PERIODIC_TICKS,
  type AdPort,
} from './ad_port.ts';

/** One tick. */
export function adPeriodicMachine(port: AdPort): void {
  const last = port.periodicState;
  port.periodicState = nextState(port);
  if (port.periodicState === last) return;
  // PERIODIC_TX takes a tick of the time.
  if (port.periodicState === AD_NO_PERIODIC) port.periodicTimer = 0;
  else if (port.periodicState === AD_FAST_PERIODIC) port.periodicTimer = AD_FAST_PERIODIC_TICKS - 1;
  else if (port.periodicState === AD_SLOW_PERIODIC) port.periodicTimer = AD_SLOW_PERIODIC_TICKS - 1;
  else port.ntt = true;
}

function nextState(port: AdPort): number {
  const state = port.periodicState;
  const active = ((port.actor.state | port.partner.state) & LACP_STATE_ACTIVITY) !== 0;
  const begin = (port.vars & AD_PORT_BEGIN) !== 0;
  if (begin || (port.vars & AD_PORT_LACP_ENABLED) === 0 || !port.isEnabled || !active) return AD_NO_PERIODIC;
  const impatient = (port.partner.state & LACP_STATE_TIMEOUT) !== 0;
  if (port.periodicTimer > 0) {
    if (--port.periodicTimer === 0) return AD_PERIODIC_TX;
    if (state === AD_FAST_PERIODIC && !impatient) return AD_SLOW_PERIODIC;
    if (state === AD_SLOW_PERIODIC && impatient) {
      port.periodicTimer = 0;
      return AD_PERIODIC_TX;
    }
    return state;
  }
  if (state === AD_PERIODIC_TX) return impatient ? AD_FAST_PERIODIC : AD_SLOW_PERIODIC;
  return AD_FAST_PERIODIC;
}
