import { describe, expect, it } from 'vitest';
import { netifCarrierOk } from '../../device/net_device.ts';
import { World } from '../../sim/world.ts';
import { LACP_STATE_ACTIVITY, LACP_STATE_TIMEOUT } from '../../wire/lacp.ts';
import { ad3InitiateAggSelection } from './ad_3ad.ts';
import { ad3GetActiveAggInfo } from './ad_carrier.ts';
import { AdRig, cable, tickBoth } from './ad_rig.fixture.ts';
import { ad3UnbindSlave } from './ad_unbind.ts';
import { AD_LACP_FAST } from './bond.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';

function agreed(slaves: number): [AdRig, AdRig] {
  const world = new World({ seed: 1 });
  const make = (last: number) => new AdRig(world, { slaves, mac: [2, 0, 0, 0, last, 0], lacpRate: AD_LACP_FAST });
  const ends: [AdRig, AdRig] = [make(0xaa), make(0xbb)];
  for (const { bond } of ends) ad3InitiateAggSelection(bond, 1);
  cable(...ends);
  tickBoth(...ends, 40);
  return ends;
}

/** As bondRelease does. */
function release(rig: AdRig, index: number): void {
  const slave = rig.bond.slaves[index]!;
  ad3UnbindSlave(slave);
  rig.bond.slaves.splice(index, 1);
  bondUpdateSlaveArr(rig.bond);
}

const usable = (rig: AdRig): string[] => rig.bond.usableSlaves.map(({ dev }) => dev.name);

describe('a slave that leaves', () => {
  it('says so, and its partner takes the link out within its next ticks', () => {
    const [a, b] = agreed(3);
    release(a, 2);
    const last = a.said(2);
    expect(last.actor.state).toBe(LACP_STATE_ACTIVITY | LACP_STATE_TIMEOUT);
    tickBoth(a, b, 5);
    expect([usable(a), usable(b)]).toEqual([
      ['eth0', 'eth1'],
      ['eth0', 'eth1'],
    ]);
    expect(ad3GetActiveAggInfo(a.bond)).toMatchObject({ aggregatorId: 1, ports: 2 });
  });

  it('and brought the aggregator leaves its ports in another one, without a break', () => {
    const [a, b] = agreed(3);
    release(a, 0);
    expect(a.bond.slaves.map(({ ad }) => ad!.aggregator!.id)).toEqual([2, 2]);
    expect(usable(a)).toEqual(['eth1', 'eth2']);
    expect(ad3GetActiveAggInfo(a.bond)).toMatchObject({ aggregatorId: 2, ports: 2, partnerKey: 9 });
    expect(a.bond.slaves.every(({ ad }) => ad!.aggregator!.ports.length === 2)).toBe(true);
    tickBoth(a, b, 1);
    expect(usable(a)).toEqual(['eth1', 'eth2']);
    expect(netifCarrierOk(a.bond.dev)).toBe(true);
  });

  it('and is the last of the active aggregator has another one chosen', () => {
    const world = new World({ seed: 1 });
    const rig = new AdRig(world, { slaves: 2 });
    ad3InitiateAggSelection(rig.bond, 1);
    rig.tick(50);
    // Nobody answers: each port is alone, the first one carries the traffic.
    expect(usable(rig)).toEqual(['eth0']);
    release(rig, 0);
    expect(usable(rig)).toEqual(['eth1']);
    expect(rig.log.some((line) => line.includes('Removing an active aggregator'))).toBe(true);
    release(rig, 0);
    expect([usable(rig), ad3GetActiveAggInfo(rig.bond)]).toEqual([[], null]);
  });

  it('has no port afterwards, and leaving twice does nothing', () => {
    const [a] = agreed(2);
    const slave = a.bond.slaves[1]!;
    ad3UnbindSlave(slave);
    const sent = a.sent.length;
    ad3UnbindSlave(slave);
    expect([slave.ad, a.sent.length]).toEqual([null, sent]);
  });
});
