import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { LACP_STATE_COLLECTING, LACP_STATE_DISTRIBUTING, LACP_STATE_SYNCHRONIZATION } from '../../wire/lacp.ts';
import { adMuxMachine } from './ad_mux.ts';
import {
  AD_MUX_ATTACHED,
  AD_MUX_COLLECTING,
  AD_MUX_COLLECTING_DISTRIBUTING,
  AD_MUX_DETACHED,
  AD_MUX_DISTRIBUTING,
  AD_MUX_WAITING,
  AD_PORT_BEGIN,
  AD_PORT_READY,
  AD_PORT_SELECTED,
  AD_PORT_STANDBY,
  AD_WAIT_WHILE_TICKS,
  type AdPort,
} from './ad_port.ts';
import { AdRig, type AdRigOptions } from './ad_rig.fixture.ts';
import { BOND_STATE_ACTIVE, BOND_STATE_BACKUP } from './bond.ts';

const SYNC = LACP_STATE_SYNCHRONIZATION;
const COLL = LACP_STATE_COLLECTING;
const DIST = LACP_STATE_DISTRIBUTING;
const USE = SYNC | COLL | DIST;

/** Ports that are in the active aggregator, with a partner, detached; the 8 seconds are over. */
function ports(options: AdRigOptions = {}): AdPort[] {
  const rig = new AdRig(new World({ seed: 1 }), { slaves: 1, ...options });
  rig.bond.ad!.aggSelectTimer = 0;
  const all = rig.bond.slaves.map(({ ad }) => ad!);
  const aggregator = all[0]!.own;
  aggregator.isActive = true;
  aggregator.partnerSystem[5] = 1;
  for (const port of all) {
    port.vars = (port.vars & ~AD_PORT_BEGIN) | AD_PORT_SELECTED;
    port.aggregator = aggregator;
    port.muxState = AD_MUX_DETACHED;
    aggregator.ports.push(port);
  }
  return all;
}

function ticks(port: AdPort, count: number): number {
  for (let i = 0; i < count; i++) adMuxMachine(port);
  return port.muxState;
}

const use = (port: AdPort): number => port.actor.state & USE;

/** A port that carries traffic. */
function inUse(options: AdRigOptions = {}): AdPort {
  const port = ports(options)[0]!;
  port.partner.state |= SYNC | COLL | DIST;
  ticks(port, AD_WAIT_WHILE_TICKS + 4);
  return port;
}

describe('the mux machine', () => {
  it('attaches after two seconds, in sync, and carries traffic when the partner is in sync too', () => {
    const port = ports()[0]!;
    expect(ticks(port, 1)).toBe(AD_MUX_WAITING);
    expect(ticks(port, AD_WAIT_WHILE_TICKS - 1)).toBe(AD_MUX_WAITING);
    expect(ticks(port, 1)).toBe(AD_MUX_ATTACHED);
    expect([use(port), port.ntt, port.slave.backup]).toEqual([SYNC, true, BOND_STATE_BACKUP]);
    port.ntt = false;
    expect(ticks(port, 50)).toBe(AD_MUX_ATTACHED);
    port.partner.state |= SYNC;
    expect(ticks(port, 1)).toBe(AD_MUX_COLLECTING_DISTRIBUTING);
    expect([use(port), port.ntt, port.slave.backup, port.slave.inactive]).toEqual([
      USE,
      true,
      BOND_STATE_ACTIVE,
      false,
    ]);
  });

  it('waits for every port of the aggregator', () => {
    const [first, second] = ports({ slaves: 2 }) as [AdPort, AdPort];
    ticks(first, AD_WAIT_WHILE_TICKS + 20);
    expect([first.muxState, first.vars & AD_PORT_READY]).toEqual([AD_MUX_WAITING, 0]);
    ticks(second, AD_WAIT_WHILE_TICKS + 1);
    expect([ticks(first, 1), second.muxState]).toEqual([AD_MUX_ATTACHED, AD_MUX_ATTACHED]);
  });

  it('carries nothing in the first 8 seconds of the bond, nor outside the active aggregator', () => {
    const port = ports()[0]!;
    port.slave.bond.ad!.aggSelectTimer = 1;
    port.partner.state |= SYNC;
    expect(ticks(port, 100)).toBe(AD_MUX_ATTACHED);
    port.slave.bond.ad!.aggSelectTimer = 0;
    port.aggregator!.isActive = false;
    expect(ticks(port, 100)).toBe(AD_MUX_ATTACHED);
    port.aggregator!.isActive = true;
    expect(ticks(port, 1)).toBe(AD_MUX_COLLECTING_DISTRIBUTING);
  });

  it.each<[string, number, (port: AdPort) => void]>([
    ['the partner is out of sync', AD_MUX_ATTACHED, (port) => Object.assign(port.partner, { state: 0 })],
    [
      'it is out of sync itself',
      AD_MUX_ATTACHED,
      (port) => Object.assign(port.actor, { state: port.actor.state & ~SYNC }),
    ],
    ['it is to select anew', AD_MUX_ATTACHED, (port) => Object.assign(port, { vars: port.vars & ~AD_PORT_SELECTED })],
    ['it stands by', AD_MUX_ATTACHED, (port) => Object.assign(port, { vars: port.vars | AD_PORT_STANDBY })],
    ['it begins', AD_MUX_DETACHED, (port) => Object.assign(port, { vars: port.vars | AD_PORT_BEGIN })],
  ])('stops to carry traffic when %s', (_why, state, change) => {
    const port = inUse();
    expect(port.muxState).toBe(AD_MUX_COLLECTING_DISTRIBUTING);
    port.ntt = false;
    change(port);
    expect(ticks(port, 1)).toBe(state);
    expect([use(port) & (COLL | DIST), port.ntt, port.slave.backup, port.slave.inactive]).toEqual([
      ...[0, true, BOND_STATE_BACKUP, true],
    ]);
  });

  it('detaches from ATTACHED and from WAITING when it is to select anew, and waits again', () => {
    const port = ports()[0]!;
    ticks(port, 5);
    port.vars &= ~AD_PORT_SELECTED;
    expect(ticks(port, 1)).toBe(AD_MUX_DETACHED);
    port.vars |= AD_PORT_SELECTED;
    expect(ticks(port, AD_WAIT_WHILE_TICKS + 1)).toBe(AD_MUX_ATTACHED);
    port.vars &= ~AD_PORT_SELECTED;
    expect(ticks(port, 1)).toBe(AD_MUX_DETACHED);
    expect(use(port)).toBe(0);
  });

  it('takes back a slave that was set aside while its port carries traffic', () => {
    const port = inUse();
    port.slave.backup = BOND_STATE_BACKUP;
    ticks(port, 1);
    expect(port.slave.backup).toBe(BOND_STATE_ACTIVE);
    expect(port.slave.bond.ad!.arrayStale).toBe(true);
  });

  it('leaves a port that nobody answers enabled', () => {
    const port = inUse();
    port.aggregator!.partnerSystem.fill(0);
    port.partner.state = 0;
    ticks(port, 1);
    expect([port.muxState, port.slave.backup]).toEqual([AD_MUX_ATTACHED, BOND_STATE_ACTIVE]);
  });

  it('with independent control collects first, distributes while the partner collects', () => {
    const port = ports({ coupledControl: false })[0]!;
    port.partner.state |= SYNC;
    expect(ticks(port, AD_WAIT_WHILE_TICKS + 2)).toBe(AD_MUX_COLLECTING);
    expect([use(port), port.slave.inactive, port.slave.backup]).toEqual([SYNC | COLL, false, BOND_STATE_BACKUP]);
    port.partner.state |= COLL;
    port.ntt = false;
    expect(ticks(port, 1)).toBe(AD_MUX_DISTRIBUTING);
    expect([use(port), port.slave.backup, port.ntt]).toEqual([USE, BOND_STATE_ACTIVE, false]);
    port.partner.state &= ~COLL;
    expect(ticks(port, 1)).toBe(AD_MUX_COLLECTING);
    expect([use(port), port.slave.inactive, port.slave.backup]).toEqual([SYNC | COLL, false, BOND_STATE_BACKUP]);
    port.partner.state &= ~SYNC;
    expect(ticks(port, 1)).toBe(AD_MUX_ATTACHED);
    expect([use(port) & COLL, port.slave.inactive]).toEqual([0, true]);
  });
});
