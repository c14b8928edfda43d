import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { LACP_STATE_SYNCHRONIZATION } from '../../wire/lacp.ts';
import { adChurnMachine } from './ad_churn.ts';
import { AD_CHURN, AD_CHURN_MONITOR, AD_CHURN_TICKS, AD_NO_CHURN, AD_PORT_CHURNED, type AdPort } from './ad_port.ts';
import { AdRig } from './ad_rig.fixture.ts';

function churnAfter(port: AdPort, ticks: number): number[] {
  for (let i = 0; i < ticks; i++) adChurnMachine(port);
  return [port.churnActorState, port.churnPartnerState, port.churnActorCount, port.churnPartnerCount];
}

describe('the churn machines', () => {
  it('call an end that is not in sync after a minute churned, and count it', () => {
    const port = new AdRig(new World({ seed: 1 }), { slaves: 1 }).port(0);
    port.vars |= AD_PORT_CHURNED;
    port.actor.state |= LACP_STATE_SYNCHRONIZATION;
    expect(churnAfter(port, AD_CHURN_TICKS)).toEqual([AD_CHURN_MONITOR, AD_CHURN_MONITOR, 0, 0]);
    expect(churnAfter(port, 1)).toEqual([AD_NO_CHURN, AD_CHURN, 0, 1]);
    port.partner.state |= LACP_STATE_SYNCHRONIZATION;
    // Nothing changes until the port begins, or its partner is lost or found.
    expect(churnAfter(port, 2000)).toEqual([AD_NO_CHURN, AD_CHURN, 0, 1]);
    port.vars |= AD_PORT_CHURNED;
    expect(churnAfter(port, 1)).toEqual([AD_CHURN_MONITOR, AD_CHURN_MONITOR, 0, 1]);
    expect(churnAfter(port, AD_CHURN_TICKS)).toEqual([AD_NO_CHURN, AD_NO_CHURN, 0, 1]);
  });
});
