/**
 * Two real bonds of Linux 6.1 negotiated in QEMU and were recorded. Here ours takes the place of each of them in turn: it hears
 * what the partner sent, when it sent it, and has to say what the real one said, byte for byte, at the time of the same tick.
 */
import { describe, expect, it } from 'vitest';
import { goldenJson } from '../../../test/golden/vectors.ts';
import { World } from '../../sim/world.ts';
import { fromHex, hex } from '../../wire/headers.fixture.ts';
import { ad3InitiateAggSelection, ad3StateMachineHandler } from './ad_3ad.ts';
import { ad3GetActiveAggInfo } from './ad_carrier.ts';
import { AdRig } from './ad_rig.fixture.ts';
import { AD_LACP_FAST, BOND_LINK_UP, DUPLEX_UNKNOWN, SPEED_UNKNOWN } from './bond.ts';

/** 100 ms of a kernel with 250 jiffies a second, and the jiffy that a timer waits more. */
const KERNEL_TICK_US = 104_000;

interface Recorded {
  readonly lacpdus: readonly { readonly atUs: number; readonly slave: number; readonly hex: string }[];
  /** The bond's own words: eth0 went down, and came back. */
  readonly links: readonly { readonly atUs: number; readonly up: boolean }[];
}

const recordings = goldenJson<Record<string, Recorded>>('bonding/lacp-k61.json.gz');

interface Stall {
  /** Microseconds from its first tick on; how long it stood still. */
  readonly atUs: number;
  readonly forUs: number;
}
const NO_STALL: Stall = { atUs: Number.POSITIVE_INFINITY, forUs: 0 };

/** Who is replaced, by the fifth byte of its addresses; and when its guest stood still, for the emulator was busy elsewhere. */
const PARTS: readonly (readonly [string, number, Stall])[] = [
  ['802.3ad-layer2', 0xa0, NO_STALL],
  ['802.3ad-layer2', 0xb0, NO_STALL],
  ['802.3ad-layer34', 0xa0, { atUs: 1_200_000, forUs: 176_000 }],
  ['802.3ad-layer34', 0xb0, { atUs: 2_500_000, forUs: 144_000 }],
];

describe('a recorded negotiation is the same, byte for byte and tick for tick, with ours', () => {
  it.each(PARTS)('in %s for system 52:54:00:77:%i', (run, side, stall) => {
    const { lacpdus, links } = recordings[run]!;
    const isTheirs = (text: string) => fromHex(text.slice(12, 24))[4] === side;
    const theirs = lacpdus.filter(({ hex: text }) => isTheirs(text));
    const world = new World({ seed: 1 });
    const rig = new AdRig(world, { mac: [0x52, 0x54, 0, 0x77, side, 0], lacpRate: AD_LACP_FAST });
    // Opening a bond that has slaves lets them collect at once.
    ad3InitiateAggSelection(rig.bond, 1);
    // The first LACPDU leaves in the third tick, the second in the twelfth. (The recorder was late for some first ones.)
    const startUs = theirs.filter(({ slave }) => slave === 0)[1]!.atUs - 11 * KERNEL_TICK_US;
    for (const { atUs, slave, hex: text } of lacpdus) {
      if (isTheirs(text)) continue;
      world.at(Math.max(0, atUs - startUs) * 1000, () => {
        if (rig.bond.slaves[slave]!.link === BOND_LINK_UP) rig.hear(slave, fromHex(text));
      });
    }
    // The link is one of the bond's; its partner does not notice.
    const downs = side === 0xa0 ? links : [];
    for (const { atUs, up } of downs) world.at((atUs - startUs) * 1000, () => rig.setLink(0, up));
    const endUs = lacpdus.at(-1)!.atUs - startUs + 3 * KERNEL_TICK_US;
    for (let nextUs = 0; nextUs < endUs; nextUs += KERNEL_TICK_US) {
      world.runUntil((nextUs < stall.atUs ? nextUs : nextUs + stall.forUs) * 1000);
      ad3StateMachineHandler(rig.bond);
    }
    // The monitor notices a lost link within a tick; what was sent in between never left the card.
    const unseen = (atUs: number) =>
      downs.some((link) => !link.up && atUs > link.atUs - KERNEL_TICK_US && atUs < link.atUs);
    for (const slave of [0, 1]) {
      const real = theirs.filter((each) => each.slave === slave);
      const all = rig.sent.filter((each) => each.slave === slave);
      const ours = slave === 1 ? all : all.filter(({ atNs }) => !unseen(atNs / 1000 + startUs));
      expect(ours.length).toBeGreaterThanOrEqual(real.length);
      expect(ours.slice(0, real.length).map(({ bytes }) => hex(bytes))).toEqual(real.map(({ hex: text }) => text));
      const apart = real.map(({ atUs }, i) => Math.abs(ours[i]!.atNs / 1000 + startUs - atUs));
      expect(Math.max(...apart.slice(1))).toBeLessThan(KERNEL_TICK_US);
    }
  });
});

it('a bond whose speeds nobody knows is silent, and carries traffic on its first link, as that of Linux', () => {
  const world = new World({ seed: 1 });
  const rig = new AdRig(world, { lacpRate: AD_LACP_FAST, speed: SPEED_UNKNOWN, duplex: DUPLEX_UNKNOWN });
  rig.tick(100);
  expect(rig.sent).toEqual([]);
  // What /proc/net/bonding said there (802.3ad-layer34-unknown-speed): aggregators, keys, port states.
  const ports = rig.bond.slaves.map(({ ad }) => [
    ad!.aggregator!.id,
    ad!.actor.key,
    ad!.actor.state,
    ad!.partner.state,
  ]);
  expect(ports).toEqual([
    [1, 0, 79, 0],
    [2, 0, 71, 0],
  ]);
  expect(ad3GetActiveAggInfo(rig.bond)).toMatchObject({ aggregatorId: 1, ports: 1, actorKey: 0, partnerKey: 1 });
  expect(rig.bond.usableSlaves.map(({ dev }) => dev.name)).toEqual(['eth0']);
});
