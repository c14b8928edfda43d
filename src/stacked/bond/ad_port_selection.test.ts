import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { AD_PORT_SELECTED, type AdPort } from './ad_port.ts';
import { adPortSelection } from './ad_port_selection.ts';
import { AdRig, type AdRigOptions } from './ad_rig.fixture.ts';
import { DUPLEX_HALF } from './bond.ts';

/** Ports that have heard of a partner each: its last byte, and its key. */
function ports(partners: readonly (readonly [number, number])[], options: AdRigOptions = {}): AdPort[] {
  const rig = new AdRig(new World({ seed: 1 }), { slaves: partners.length, ...options });
  return partners.map(([last, key], i) => {
    const port = rig.port(i);
    port.partner.system[5] = last;
    port.partner.key = key;
    return port;
  });
}

function select(all: readonly AdPort[]): number[] {
  for (const port of all) adPortSelection(port);
  return all.map(({ aggregator }) => aggregator!.id);
}

describe('a port joins', () => {
  it('those that lead to the same system with the same keys', () => {
    const all = ports([
      [1, 9],
      [1, 9],
      [2, 9],
      [1, 7],
      [2, 9],
    ]);
    expect(select(all)).toEqual([1, 1, 2, 3, 2]);
    expect(all.every(({ vars }) => (vars & AD_PORT_SELECTED) !== 0)).toBe(true);
    // The last that joined is the first.
    expect(all[0]!.aggregator!.ports.map(({ actor }) => actor.port)).toEqual([2, 1]);
  });

  it('an empty one, alone, while nobody answers, and when it is half duplex', () => {
    expect(
      select(
        ports([
          [0, 1],
          [0, 1],
          [0, 1],
        ]),
      ),
    ).toEqual([1, 2, 3]);
    const half = ports(
      [
        [1, 9],
        [1, 9],
      ],
      { duplex: DUPLEX_HALF },
    );
    expect(select(half)).toEqual([1, 2]);
    expect(half.map(({ aggregator }) => aggregator!.isIndividual)).toEqual([true, true]);
  });

  it('the first empty one in the order of slaves, which need not be its own', () => {
    const all = ports([
      [1, 9],
      [1, 9],
      [2, 9],
    ]);
    expect(select([all[0]!, all[2]!])).toEqual([1, 2]);
    expect(all[2]!.own.id).toBe(3);
    // Its place is taken, so the second one finds none but those that suit.
    expect(select([all[1]!])).toEqual([1]);
  });

  it('another one when its partner has changed, and leaves nothing behind', () => {
    const [first, second] = ports([
      [1, 9],
      [1, 9],
    ]) as [AdPort, AdPort];
    select([first, second]);
    first.partner.system[5] = 3;
    first.vars &= ~AD_PORT_SELECTED;
    expect(select([first])).toEqual([2]);
    expect(first.own.ports).toEqual([second]);
    second.partner.system[5] = 3;
    second.vars &= ~AD_PORT_SELECTED;
    expect(select([second])).toEqual([2]);
    expect([first.own.ports.length, first.own.actorKey, first.own.isActive]).toEqual([0, 0, false]);
  });

  it('nothing while it is selected', () => {
    const [port] = ports([[1, 9]]) as [AdPort];
    select([port]);
    port.partner.system[5] = 9;
    expect(select([port])).toEqual([1]);
    expect(port.aggregator!.partnerSystem[5]).toBe(1);
  });
});
