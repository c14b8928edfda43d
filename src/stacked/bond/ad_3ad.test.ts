import { describe, expect, it } from 'vitest';
import { netifCarrierOk } from '../../device/net_device.ts';
import { World } from '../../sim/world.ts';
import { hex } from '../../wire/headers.fixture.ts';
import {
  LACP_STATE_ACTIVITY,
  LACP_STATE_COLLECTING,
  LACP_STATE_DEFAULTED,
  LACP_STATE_DISTRIBUTING,
  LACP_STATE_EXPIRED,
  LACP_STATE_SYNCHRONIZATION,
  LACP_STATE_TIMEOUT,
} from '../../wire/lacp.ts';
import {
  ad3AdapterSpeedDuplexChanged,
  ad3InitiateAggSelection,
  ad3UpdateAdActorSettings,
  ad3UpdateLacpActive,
  ad3UpdateLacpRate,
} from './ad_3ad.ts';
import { ad3GetActiveAggInfo } from './ad_carrier.ts';
import { AD_MUX_ATTACHED, AD_MUX_COLLECTING, AD_RX_CURRENT, AD_RX_DEFAULTED } from './ad_port.ts';
import { AdRig, type AdRigOptions, cable, tickBoth } from './ad_rig.fixture.ts';
import { AD_LACP_FAST, AD_LACP_SLOW, DUPLEX_HALF } from './bond.ts';

const IN_USE = LACP_STATE_SYNCHRONIZATION | LACP_STATE_COLLECTING | LACP_STATE_DISTRIBUTING;
const MAC_A = [2, 0, 0, 0, 0xaa, 0];
const MAC_B = [2, 0, 0, 0, 0xbb, 0];

function pair(a: AdRigOptions = {}, b: AdRigOptions = a): [AdRig, AdRig] {
  const world = new World({ seed: 1 });
  const ends: [AdRig, AdRig] = [new AdRig(world, { ...a, mac: MAC_A }), new AdRig(world, { ...b, mac: MAC_B })];
  cable(...ends);
  return ends;
}

const aggregators = (rig: AdRig): number[] => rig.bond.slaves.map(({ ad }) => ad!.aggregator!.id);
const usable = (rig: AdRig): string[] => rig.bond.usableSlaves.map(({ dev }) => dev.name);
const inUse = (rig: AdRig, index: number): boolean => (rig.port(index).actor.state & IN_USE) === IN_USE;

describe('two bonds', () => {
  it('agree on one aggregator with all links in it, and carry traffic after the first 8 seconds', () => {
    const [a, b] = pair({ slaves: 4 });
    tickBoth(a, b, 79);
    expect([usable(a), usable(b)]).toEqual([[], []]);
    expect(netifCarrierOk(a.bond.dev)).toBe(true);
    tickBoth(a, b, 11);
    for (const rig of [a, b]) {
      expect(aggregators(rig)).toEqual([1, 1, 1, 1]);
      expect(usable(rig)).toEqual(['eth0', 'eth1', 'eth2', 'eth3']);
      expect(rig.bond.allSlaves).toHaveLength(4);
      expect(rig.bond.slaves.every(({ ad }) => ad!.rxState === AD_RX_CURRENT)).toBe(true);
    }
    expect(hex(ad3GetActiveAggInfo(a.bond)!.partnerSystem)).toBe('02000000bb00');
    expect(ad3GetActiveAggInfo(b.bond)).toMatchObject({ aggregatorId: 1, ports: 4, actorKey: 9, partnerKey: 9 });
    // Steady, slow: active, aggregation, in sync, collecting, distributing; as 61 in /proc/net/bonding.
    expect([a.port(3).actor.state, a.port(3).partner.state]).toEqual([61, 61]);
  });

  it('carry traffic within 3 seconds when the bond was opened after its slaves came', () => {
    const [a, b] = pair();
    for (const { bond } of [a, b]) ad3InitiateAggSelection(bond, 1);
    tickBoth(a, b, 30);
    expect([usable(a), usable(b)]).toEqual([
      ['eth0', 'eth1'],
      ['eth0', 'eth1'],
    ]);
  });

  it('speak as often as the other one wants: every second to a fast one, every 30 seconds to a slow one', () => {
    const [a, b] = pair({ lacpRate: AD_LACP_FAST }, { lacpRate: AD_LACP_SLOW });
    tickBoth(a, b, 150);
    const [fromA, fromB] = [a.sent.length, b.sent.length];
    tickBoth(a, b, 900);
    expect(a.sent.length - fromA).toBe(2 * 3);
    // Timers of 10 ticks and a limiter of 3: 90 seconds have 85 of them, as in the recordings.
    expect((b.sent.length - fromB) / 2).toBeGreaterThan(75);
    ad3UpdateLacpRate(Object.assign(a.bond, { params: { ...a.bond.params, lacpRate: AD_LACP_SLOW } }));
    tickBoth(a, b, 400);
    expect(b.port(0).partner.state & LACP_STATE_TIMEOUT).toBe(0);
    const later = b.sent.length;
    tickBoth(a, b, 900);
    expect(b.sent.length - later).toBe(2 * 3);
  });

  it('of which one is passive agree, and two passive ones never speak', () => {
    const [active, passive] = pair({}, { lacpActive: false });
    tickBoth(active, passive, 90);
    expect(usable(passive)).toEqual(['eth0', 'eth1']);
    expect(passive.said(0).actor.state & LACP_STATE_ACTIVITY).toBe(0);

    const [a, b] = pair({ lacpActive: false });
    tickBoth(a, b, 90);
    // Each says what it is when it begins and when it attaches, and nothing after that.
    const count = a.sent.length;
    tickBoth(a, b, 600);
    expect(a.sent).toHaveLength(count);
    a.bond.params.lacpActive = true;
    ad3UpdateLacpActive(a.bond);
    tickBoth(a, b, 90);
    expect(usable(b)).toEqual(['eth0', 'eth1']);
  });

  it('with a silent partner: one link carries traffic, and the others churn after a minute', () => {
    const world = new World({ seed: 1 });
    const rig = new AdRig(world, { slaves: 3 });
    rig.tick(100);
    expect(usable(rig)).toEqual(['eth0']);
    expect(aggregators(rig)).toEqual([1, 2, 3]);
    expect(ad3GetActiveAggInfo(rig.bond)).toMatchObject({ ports: 1, partnerSystem: new Uint8Array(6) });
    expect(rig.port(0).rxState).toBe(AD_RX_DEFAULTED);
    expect(rig.port(0).actor.state & (LACP_STATE_DEFAULTED | LACP_STATE_EXPIRED)).toBe(LACP_STATE_DEFAULTED);
    rig.tick(600);
    expect(rig.bond.slaves.map(({ ad }) => ad!.churnActorState)).toEqual([2, 1, 1]);
    expect(rig.bond.slaves.map(({ ad }) => ad!.churnPartnerCount)).toEqual([1, 1, 1]);
  });

  it('lose a link at once where it is seen, within 3 s where only silence tells; and it comes back', () => {
    const [a, b] = pair({ lacpRate: AD_LACP_FAST });
    tickBoth(a, b, 100);
    a.setLink(0, false);
    expect(usable(a)).toEqual(['eth1']);
    // a's eth0 is silent from here on; b hears nothing and says so.
    tickBoth(a, b, 32);
    expect(usable(b)).toEqual(['eth1']);
    expect(inUse(b, 0)).toBe(false);
    expect(netifCarrierOk(b.bond.dev)).toBe(true);
    a.setLink(0, true);
    tickBoth(a, b, 50);
    expect([usable(a), usable(b)]).toEqual([
      ['eth0', 'eth1'],
      ['eth0', 'eth1'],
    ]);
    expect([aggregators(a), aggregators(b)]).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  it('whose keys differ by speed or user key keep two aggregators, of which one carries traffic', () => {
    const [a, b] = pair({ slaves: 4 });
    for (const rig of [a, b]) {
      for (const slave of rig.bond.slaves.slice(2)) {
        slave.speed = 10_000;
        ad3AdapterSpeedDuplexChanged(slave);
      }
    }
    tickBoth(a, b, 120);
    expect(aggregators(a)[0]).toBe(aggregators(a)[1]);
    expect(aggregators(a)[2]).toBe(aggregators(a)[3]);
    expect(aggregators(a)[0]).not.toBe(aggregators(a)[2]);
    expect(usable(a)).toHaveLength(2);
    expect(usable(b)).toEqual(usable(a));

    const [user] = pair({ adUserPortKey: 1023 }, {});
    expect(user.port(0).actor.key).toBe((1023 << 6) | 9);
  });

  it('of which one has links to two systems keeps them apart, and moves over when the first system is lost', () => {
    const world = new World({ seed: 1 });
    const a = new AdRig(world, { slaves: 4, mac: MAC_A, lacpRate: AD_LACP_FAST });
    const others = [MAC_B, [2, 0, 0, 0, 0xcc, 0]].map((mac) => new AdRig(world, { mac, lacpRate: AD_LACP_FAST }));
    for (const [which, other] of others.entries()) {
      other.onSend = ({ slave, bytes }) => a.hear(2 * which + slave, bytes);
    }
    a.onSend = ({ slave, bytes }) => {
      if (a.bond.slaves[slave]!.link === 0) others[slave >> 1]!.hear(slave & 1, bytes);
    };
    const run = (ticks: number) => {
      for (let i = 0; i < ticks; i++) for (const rig of [a, ...others]) rig.tick(1, 100e6 / 3);
    };
    run(120);
    expect(usable(a)).toEqual(['eth0', 'eth1']);
    expect(usable(others[1]!)).toEqual([]);
    a.setLink(0, false);
    expect(usable(a)).toEqual(['eth1']);
    a.setLink(1, false);
    run(40);
    expect(usable(a)).toEqual(['eth2', 'eth3']);
    expect(usable(others[1]!)).toEqual(['eth0', 'eth1']);
    // Stable: the old one coming back changes nothing.
    a.setLink(0, true);
    a.setLink(1, true);
    run(100);
    expect(usable(a)).toEqual(['eth2', 'eth3']);
  });

  it('keep out a half-duplex link', () => {
    const [a, b] = pair({ slaves: 3 });
    a.bond.slaves[0]!.duplex = DUPLEX_HALF;
    ad3AdapterSpeedDuplexChanged(a.bond.slaves[0]!);
    tickBoth(a, b, 110);
    expect(usable(a)).toEqual(['eth1', 'eth2']);
    expect(a.sent.some(({ slave }) => slave === 0)).toBe(false);
  });

  it('follow a change of the system that one of them is', () => {
    const [a, b] = pair();
    tickBoth(a, b, 100);
    a.bond.params.adActorSystem.set([2, 0, 0, 0, 0, 7]);
    a.bond.params.adActorSysPrio = 100;
    ad3UpdateAdActorSettings(a.bond);
    tickBoth(a, b, 60);
    expect(hex(ad3GetActiveAggInfo(b.bond)!.partnerSystem)).toBe('020000000007');
    expect(b.port(1).partner.systemPriority).toBe(100);
    expect([usable(a), usable(b)]).toEqual([
      ['eth0', 'eth1'],
      ['eth0', 'eth1'],
    ]);
  });

  it('have carrier only with min_links links', () => {
    const [a, b] = pair({ minLinks: 2, lacpRate: AD_LACP_FAST });
    tickBoth(a, b, 100);
    expect(netifCarrierOk(a.bond.dev)).toBe(true);
    a.setLink(0, false);
    expect(netifCarrierOk(a.bond.dev)).toBe(false);
    expect(usable(a)).toEqual(['eth1']);
    a.setLink(0, true);
    tickBoth(a, b, 50);
    expect(netifCarrierOk(a.bond.dev)).toBe(true);
  });

  it('with independent control agree too, and collect before they distribute', () => {
    const [a, b] = pair({ coupledControl: false }, {});
    let collectedFirst = false;
    for (let i = 0; i < 120; i++) {
      tickBoth(a, b, 1);
      if (a.port(0).muxState === AD_MUX_COLLECTING) {
        collectedFirst = true;
        expect([a.bond.slaves[0]!.inactive, usable(a).includes('eth0')]).toEqual([false, false]);
      }
      if (a.port(0).muxState === AD_MUX_ATTACHED) expect(a.bond.slaves[0]!.inactive).toBe(true);
    }
    expect(collectedFirst).toBe(true);
    expect([usable(a), usable(b)]).toEqual([
      ['eth0', 'eth1'],
      ['eth0', 'eth1'],
    ]);
  });

  it('take in a slave that comes later', () => {
    const [a, b] = pair();
    tickBoth(a, b, 100);
    for (const rig of [a, b]) rig.enslave();
    tickBoth(a, b, 50);
    expect([usable(a), usable(b)]).toEqual([
      ['eth0', 'eth1', 'eth2'],
      ['eth0', 'eth1', 'eth2'],
    ]);
    expect(a.port(2).actor.port).toBe(3);
  });
});

describe('a port', () => {
  it('never sends more than three LACPDUs a second, whatever happens', () => {
    const [a, b] = pair({ slaves: 1, lacpRate: AD_LACP_FAST });
    for (let i = 0; i < 300; i++) {
      a.port(0).ntt = true;
      tickBoth(a, b, 1);
    }
    const times = a.sent.map(({ atNs }) => atNs);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(300e6);
  });

  it('that hears its own system says so, and believes nothing', () => {
    const world = new World({ seed: 1 });
    const rig = new AdRig(world, { slaves: 2 });
    rig.onSend = ({ slave, bytes }) => rig.hear(1 - slave, bytes);
    rig.tick(50);
    expect(rig.log.some((line) => line.includes('(slave eth0): An illegal loopback occurred'))).toBe(true);
    expect(rig.port(0).partner.system).toEqual(new Uint8Array(6));
  });
});
