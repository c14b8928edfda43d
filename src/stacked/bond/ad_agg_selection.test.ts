import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { netifCarrierOff, netifCarrierOk } from '../../device/net_device.ts';
import { World } from '../../sim/world.ts';
import { adAggSelection } from './ad_agg_selection.ts';
import type { AdPort, Aggregator } from './ad_port.ts';
import { AdRig } from './ad_rig.fixture.ts';
import { BOND_AD_BANDWIDTH, BOND_AD_COUNT, BOND_AD_PRIO, BOND_AD_STABLE, BOND_STATE_ACTIVE } from './bond.ts';

interface Member {
  readonly speed?: number;
  readonly up?: boolean;
  readonly prio?: number;
}
interface Group {
  readonly ports: readonly Member[];
  readonly partner?: boolean;
  readonly individual?: boolean;
}

/** A bond whose slaves are in aggregators as told; the first slave of each has brought it. */
function bondOf(adSelect: number, groups: readonly Group[]): { rig: AdRig; aggregators: Aggregator[] } {
  const rig = new AdRig(new World({ seed: 1 }), { slaves: groups.flatMap(({ ports }) => ports).length, adSelect });
  let next = 0;
  const aggregators = groups.map(({ ports, partner = true, individual = false }, which) => {
    const members = ports.map(({ speed = 1000, up = true, prio = 255 }) => {
      const port = rig.port(next++);
      port.slave.speed = speed;
      port.actor.portPriority = prio;
      port.isEnabled = up;
      if (!up) netifCarrierOff(port.slave.dev);
      return port;
    });
    const { own } = members[0]!;
    own.ports.push(...members);
    for (const port of members) port.aggregator = own;
    own.actorKey = 9;
    own.isIndividual = individual;
    if (partner) own.partnerSystem[5] = which + 1;
    return own;
  });
  return { rig, aggregators };
}

const activeOf = (aggregators: readonly Aggregator[]): number => aggregators.findIndex(({ isActive }) => isActive);
const g = (count: number, member: Member = {}): Group => ({ ports: Array.from({ length: count }, () => member) });

describe('the active aggregator', () => {
  it.each<[string, number, Group[], number]>([
    ['the one with more bandwidth', BOND_AD_STABLE, [g(1), g(2)], 1],
    ['the first of two with the same', BOND_AD_STABLE, [g(2), g(2)], 0],
    ['speed counts, not only ports', BOND_AD_BANDWIDTH, [g(3), g(1, { speed: 10_000 })], 1],
    ['more ports, by count', BOND_AD_COUNT, [g(1, { speed: 10_000 }), g(3)], 1],
    ['more bandwidth among as many ports', BOND_AD_COUNT, [g(2), g(2, { speed: 10_000 })], 1],
    ['higher priorities in all', BOND_AD_PRIO, [g(2), g(1, { prio: 1000 })], 1],
    ['more ports where priorities are equal in all', BOND_AD_PRIO, [g(1, { prio: 510 }), g(2)], 1],
    ['one that is answered', BOND_AD_BANDWIDTH, [{ ...g(4), partner: false }, g(1)], 1],
    ['one that can share before one that cannot', BOND_AD_BANDWIDTH, [{ ...g(4), individual: true }, g(1)], 1],
    ['only links that are up count', BOND_AD_BANDWIDTH, [g(1), { ports: [{}, { up: false }, { up: false }] }], 0],
    ['one that is down is none', BOND_AD_STABLE, [g(4, { up: false }), g(1)], 1],
    ['none at all', BOND_AD_STABLE, [g(2, { up: false })], -1],
  ])('is %s', (_which, adSelect, groups, expected) => {
    const { rig, aggregators } = bondOf(adSelect, groups);
    adAggSelection(rig.port(0));
    expect(activeOf(aggregators)).toBe(expected);
    expect(netifCarrierOk(rig.bond.dev)).toBe(expected >= 0);
  });

  it.each([
    ['stays with stable', BOND_AD_STABLE, 0],
    ['moves with bandwidth', BOND_AD_BANDWIDTH, 1],
  ])('%s when a better one appears', (_how, adSelect, expected) => {
    const { rig, aggregators } = bondOf(adSelect, [g(1), g(3)]);
    aggregators[0]!.isActive = true;
    for (const port of aggregators[0]!.ports) port.slave.backup = BOND_STATE_ACTIVE;
    adAggSelection(rig.port(0));
    expect(activeOf(aggregators)).toBe(expected);
    // The ports of the former one carry nothing any more.
    expect(aggregators[0]!.ports[0]!.slave.backup === BOND_STATE_ACTIVE).toBe(expected === 0);
  });

  it('does not stay when it is not answered and another is, when its speed is unknown, or when it has no link', () => {
    const unanswered = bondOf(BOND_AD_STABLE, [{ ...g(2), partner: false }, g(1)]);
    const unknown = bondOf(BOND_AD_STABLE, [g(2), g(2, { speed: 10_000 })]);
    unknown.aggregators[0]!.actorKey = 0;
    const down = bondOf(BOND_AD_STABLE, [g(2, { up: false }), g(1)]);
    for (const { rig, aggregators } of [unanswered, unknown, down]) {
      aggregators[0]!.isActive = true;
      adAggSelection(rig.port(0));
      expect(activeOf(aggregators)).toBe(1);
    }
  });

  it('that nobody answers has its ports enabled, so that a bond works on a plain switch', () => {
    const { rig, aggregators } = bondOf(BOND_AD_STABLE, [{ ...g(1), partner: false, individual: true }]);
    adAggSelection(rig.port(0));
    expect(activeOf(aggregators)).toBe(0);
    expect(rig.bond.slaves[0]!.backup).toBe(BOND_STATE_ACTIVE);
    expect(rig.log.at(-1)).toContain('No 802.3ad response from the link partner');
  });

  it('is at most one, has a link, and is chosen the same when asked again', () => {
    const member = fc.record({ speed: fc.constantFrom(100, 1000, 10_000), up: fc.boolean(), prio: fc.nat(1000) });
    const group = fc.record({
      ports: fc.array(member, { minLength: 1, maxLength: 3 }),
      partner: fc.boolean(),
      individual: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(group, { minLength: 1, maxLength: 4 }), fc.nat(3), fc.nat(4), (groups, adSelect, was) => {
        const { rig, aggregators } = bondOf(adSelect, groups);
        const former = aggregators[was];
        if (former !== undefined) former.isActive = true;
        const first: AdPort = rig.port(0);
        adAggSelection(first);
        const chosen = activeOf(aggregators);
        const alive = aggregators.map(({ ports }) => ports.some(({ isEnabled }) => isEnabled));
        expect(aggregators.filter(({ isActive }) => isActive).length).toBe(alive.includes(true) ? 1 : 0);
        if (chosen >= 0) expect(alive[chosen]).toBe(true);
        adAggSelection(first);
        expect(activeOf(aggregators)).toBe(chosen);
      }),
    );
  });
});
