import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { LACP_STATE_ACTIVITY, LACP_STATE_TIMEOUT } from '../../wire/lacp.ts';
import { adPeriodicMachine } from './ad_periodic.ts';
import { AD_NO_PERIODIC, AD_PORT_BEGIN, AD_PORT_LACP_ENABLED, type AdPort } from './ad_port.ts';
import { AdRig, type AdRigOptions } from './ad_rig.fixture.ts';

function newPort(partnerState: number, options: AdRigOptions = {}): AdPort {
  const port = new AdRig(new World({ seed: 1 }), { slaves: 1, ...options }).port(0);
  port.vars &= ~AD_PORT_BEGIN;
  port.partner.state = partnerState;
  return port;
}

/** In which of `count` ticks the port needed to transmit. */
function needs(port: AdPort, count: number): number[] {
  const found: number[] = [];
  for (let tick = 1; tick <= count; tick++) {
    port.ntt = false;
    adPeriodicMachine(port);
    if (port.ntt) found.push(tick);
  }
  return found;
}

describe('the periodic machine', () => {
  it('speaks every second to an impatient partner', () => {
    expect(needs(newPort(LACP_STATE_TIMEOUT), 51)).toEqual([10, 20, 30, 40, 50]);
  });

  it('speaks every 30 seconds to a patient one', () => {
    expect(needs(newPort(0), 905)).toEqual([301, 601, 901]);
  });

  it('speaks at once when a patient partner becomes impatient', () => {
    const port = newPort(0);
    needs(port, 100);
    port.partner.state |= LACP_STATE_TIMEOUT;
    expect(needs(port, 22)).toEqual([1, 11, 21]);
  });

  it('gets slower when an impatient partner becomes patient', () => {
    const port = newPort(LACP_STATE_TIMEOUT);
    needs(port, 25);
    port.partner.state = 0;
    expect(needs(port, 310)).toEqual([300]);
  });

  it.each<[string, (port: AdPort) => void]>([
    ['begins', (port) => Object.assign(port, { vars: port.vars | AD_PORT_BEGIN })],
    ['has no link', (port) => Object.assign(port, { isEnabled: false })],
    ['takes no part in LACP', (port) => Object.assign(port, { vars: port.vars & ~AD_PORT_LACP_ENABLED })],
  ])('is silent while the port %s', (_when, change) => {
    const port = newPort(LACP_STATE_TIMEOUT);
    needs(port, 5);
    change(port);
    expect(needs(port, 100)).toEqual([]);
    expect([port.periodicState, port.periodicTimer]).toEqual([AD_NO_PERIODIC, 0]);
  });

  it('is silent between two passive ends, and speaks to an active one', () => {
    const port = newPort(LACP_STATE_TIMEOUT, { lacpActive: false });
    expect(needs(port, 100)).toEqual([]);
    port.partner.state |= LACP_STATE_ACTIVITY;
    expect(needs(port, 21)).toEqual([10, 20]);
  });
});
