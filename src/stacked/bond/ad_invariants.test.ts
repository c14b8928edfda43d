/** What holds for a bond's ports and aggregators after anything at all: ticks, LACPDUs of any contents, links, options, slaves. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { netifCarrierOk } from '../../device/net_device.ts';
import { World } from '../../sim/world.ts';
import { ETH_HLEN, writeEth } from '../../wire/eth.ts';
import {
  ETH_P_SLOW,
  LACP_STATE_COLLECTING,
  LACP_STATE_DISTRIBUTING,
  LACPDU_LEN,
  Lacpdu,
  slowMulticast,
  writeLacpdu,
} from '../../wire/lacp.ts';
import {
  ad3AdapterSpeedDuplexChanged,
  ad3UpdateAdActorSettings,
  ad3UpdateLacpActive,
  ad3UpdateLacpRate,
  ad3UpdatePortPriority,
} from './ad_3ad.ts';
import { ad3GetActiveAggInfo, ad3SetCarrier } from './ad_carrier.ts';
import {
  AD_MUX_COLLECTING,
  AD_MUX_COLLECTING_DISTRIBUTING,
  AD_MUX_DISTRIBUTING,
  AD_PORT_SELECTED,
  AD_TICK_NS,
} from './ad_port.ts';
import { AdRig } from './ad_rig.fixture.ts';
import { ad3UnbindSlave } from './ad_unbind.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';

const SLAVES_MAX = 5;
const which = fc.nat(SLAVES_MAX - 1);
const state = fc.nat(255);

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('ticks' as const), count: fc.integer({ min: 1, max: 45 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('hear' as const),
      ...{ which, state, system: fc.nat(3), key: fc.constantFrom(1, 9, 15), knowsUs: fc.boolean() },
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('link' as const), which, up: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('speed' as const), which, speed: fc.constantFrom(-1, 100, 1000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('join' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('options' as const),
      ...{
        lacpRate: fc.nat(1),
        lacpActive: fc.boolean(),
        priority: fc.nat(0xffff),
        adSelect: fc.nat(3),
        minLinks: fc.nat(2),
      },
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function lacpdu(rig: AdRig, index: number, each: Step & { kind: 'hear' }): Uint8Array {
  const bytes = new Uint8Array(ETH_HLEN + LACPDU_LEN);
  const pdu = new Lacpdu();
  // System 3 is ours: a loop.
  pdu.actor.system.set(each.system === 3 ? rig.port(index).actor.system : [2, 0, 0, 0, 0xb0, each.system]);
  pdu.actor.key = each.key;
  pdu.actor.port = index + 1;
  pdu.actor.state = each.state;
  if (each.knowsUs) pdu.partner.copyFrom(rig.port(index).actor);
  writeEth(new DataView(bytes.buffer), 0, slowMulticast(), pdu.actor.system, ETH_P_SLOW);
  writeLacpdu(new DataView(bytes.buffer), ETH_HLEN, pdu);
  return bytes;
}

function take(rig: AdRig, each: Step): void {
  const { bond } = rig;
  const count = bond.slaves.length;
  const index = 'which' in each && count > 0 ? each.which % count : -1;
  const slave = bond.slaves[index];
  if (each.kind === 'ticks') rig.tick(each.count);
  else if (each.kind === 'join') {
    if (count < SLAVES_MAX) rig.enslave();
  } else if (each.kind === 'options') {
    Object.assign(bond.params, each);
    bond.params.adActorSysPrio = Math.max(1, each.priority);
    ad3UpdateLacpRate(bond);
    ad3UpdateLacpActive(bond);
    ad3UpdateAdActorSettings(bond);
    if (bond.slaves[0] === undefined) return;
    bond.slaves[0].portPriority = each.priority;
    ad3UpdatePortPriority(bond.slaves[0]);
  } else if (slave === undefined) return;
  else if (each.kind === 'hear') rig.hear(index, lacpdu(rig, index, each));
  else if (each.kind === 'link') rig.setLink(index, each.up);
  else if (each.kind === 'speed') {
    slave.speed = each.speed;
    ad3AdapterSpeedDuplexChanged(slave);
  } else {
    ad3UnbindSlave(slave);
    bond.slaves.splice(index, 1);
    bondUpdateSlaveArr(bond);
  }
}

function check(rig: AdRig): void {
  const { slaves, usableSlaves, dev, params } = rig.bond;
  const ports = slaves.map(({ ad }) => ad!);
  const aggregators = ports.map(({ own }) => own);
  const active = aggregators.filter(({ isActive }) => isActive);
  expect(active.length).toBeLessThanOrEqual(1);
  // Each port is in the one aggregator that it names, which is of a slave that is still there.
  for (const port of ports) {
    const holders = aggregators.filter(({ ports: members }) => members.includes(port));
    expect(holders).toEqual(port.aggregator === null ? [] : [port.aggregator]);
    if ((port.vars & AD_PORT_SELECTED) !== 0) expect(port.aggregator).not.toBe(null);
  }
  for (const { ports: members, partnerSystem } of aggregators) {
    expect(members.every((port) => ports.includes(port))).toBe(true);
    if (partnerSystem.every((byte) => byte === 0)) expect(members.length).toBeLessThanOrEqual(1);
  }
  for (const { actor, muxState } of ports) {
    const collects = [AD_MUX_COLLECTING, AD_MUX_DISTRIBUTING, AD_MUX_COLLECTING_DISTRIBUTING].includes(muxState);
    const distributes = [AD_MUX_DISTRIBUTING, AD_MUX_COLLECTING_DISTRIBUTING].includes(muxState);
    expect((actor.state & LACP_STATE_COLLECTING) !== 0).toBe(collects);
    expect((actor.state & LACP_STATE_DISTRIBUTING) !== 0).toBe(distributes);
  }
  for (const { ad } of usableSlaves) if (ad !== null) expect(ad.aggregator?.isActive).toBe(true);
  if (slaves.length > 0) {
    const links = ad3GetActiveAggInfo(rig.bond)?.ports ?? -1;
    if (links < 0) expect(netifCarrierOk(dev)).toBe(false);
    else if (links < params.minLinks) expect(netifCarrierOk(dev)).toBe(false);
  }
  expect(rig.sim.machine.skbs.inUse).toBe(0);
}

describe('ports and aggregators', () => {
  it('hang together whatever happens', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, coupledControl) => {
        const rig = new AdRig(new World({ seed: 1 }), { slaves: 3, coupledControl });
        for (const each of steps) {
          take(rig, each);
          // As min_links and a release do.
          if (each.kind === 'options' || each.kind === 'leave') ad3SetCarrier(rig.bond);
          check(rig);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('send at most one LACPDU in three ticks on a link, besides the last one of a slave that leaves', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const rig = new AdRig(new World({ seed: 1 }), { slaves: 3 });
        for (const each of steps) if (each.kind !== 'leave' && each.kind !== 'join') take(rig, each);
        for (let slave = 0; slave < 3; slave++) {
          const times = rig.sent.filter((sent) => sent.slave === slave).map(({ atNs }) => atNs);
          for (let i = 1; i < times.length; i++)
            expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(3 * AD_TICK_NS);
        }
      }),
    );
  });
});
