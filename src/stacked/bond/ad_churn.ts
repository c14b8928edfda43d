/**
 * The churn machines: does an end come into sync within a minute (IEEE 802.1AX 6.4.17; `ad_churn_machine`)? A port that
 * does not is in the wrong aggregator, or its partner cannot take it; people see that in /proc/net/bonding.
 *
 *     begin, partner lost or found --> MONITOR --60 s--> in sync? NO_CHURN : CHURN, counted
 */
import { LACP_STATE_SYNCHRONIZATION } from '../../wire/lacp.ts';
import { AD_CHURN, AD_CHURN_MONITOR, AD_CHURN_TICKS, AD_NO_CHURN, AD_PORT_CHURNED, type AdPort } from './ad_port.ts';

/** One tick, for both ends. */
export function adChurnMachine(port: AdPort): void {
  if ((port.vars & AD_PORT_CHURNED) !== 0) {
    port.vars &= ~AD_PORT_CHURNED;
    port.churnActorState = AD_CHURN_MONITOR;
    port.churnPartnerState = AD_CHURN_MONITOR;
    port.churnActorTimer = AD_CHURN_TICKS;
    port.churnPartnerTimer = AD_CHURN_TICKS;
    return;
  }
  if (port.churnActorTimer > 0 && --port.churnActorTimer === 0 && port.churnActorState === AD_CHURN_MONITOR) {
    port.churnActorState = inSync(port.actor.state) ? AD_NO_CHURN : AD_CHURN;
    if (port.churnActorState === AD_CHURN) port.churnActorCount++;
  }
  if (port.churnPartnerTimer > 0 && --port.churnPartnerTimer === 0 && port.churnPartnerState === AD_CHURN_MONITOR) {
    port.churnPartnerState = inSync(port.partner.state) ? AD_NO_CHURN : AD_CHURN;
    if (port.churnPartnerState === AD_CHURN) port.churnPartnerCount++;
  }
}

function inSync(state: number): boolean {
  return (state & LACP_STATE_SYNCHRONIZATION) !== 0;
}
