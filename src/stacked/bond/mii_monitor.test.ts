import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { netifCarrierOk } from '../../device/net_device.ts';
import {
  BOND_LINK_BACK,
  BOND_LINK_DOWN,
  BOND_LINK_FAIL,
  BOND_LINK_UP,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_XOR,
  bondIsActiveSlave,
} from './bond.ts';
import { BondRig } from './bond_rig.fixture.ts';

const MIIMON = 100;
const SLAVES = 3;

interface Model {
  link: number;
  delay: number;
  failures: number;
}

/** A tick by the table of the monitor's states; `lonely`: nobody can send. */
function tick(
  models: Model[],
  carriers: readonly boolean[],
  updelay: number,
  downdelay: number,
  lonely: boolean,
): void {
  let skipDelay = lonely;
  for (const [i, model] of models.entries()) {
    const carrier = carriers[i]!;
    if (model.link === BOND_LINK_UP && !carrier) {
      model.link = BOND_LINK_FAIL;
      model.delay = downdelay;
    } else if (model.link === BOND_LINK_DOWN && carrier) {
      model.link = BOND_LINK_BACK;
      model.delay = updelay;
    } else if (model.link === BOND_LINK_FAIL && carrier) {
      model.link = BOND_LINK_UP;
      continue;
    } else if (model.link === BOND_LINK_BACK && !carrier) {
      model.link = BOND_LINK_DOWN;
      model.failures++;
      continue;
    }
    if (model.link === BOND_LINK_FAIL) {
      if (model.delay-- > 0) continue;
      model.link = BOND_LINK_DOWN;
      model.failures++;
    } else if (model.link === BOND_LINK_BACK) {
      if (skipDelay) model.delay = 0;
      if (model.delay-- > 0) continue;
      model.link = BOND_LINK_UP;
      skipDelay = false;
    }
  }
}

describe('the MII monitor', () => {
  it('takes every slave through its states as the table says, whatever the cables do', () => {
    const event = fc.record({ slave: fc.nat(SLAVES - 1), up: fc.boolean(), ticks: fc.nat(4) });
    const setUp = fc.record({
      mode: fc.constantFrom(BOND_MODE_ACTIVEBACKUP, BOND_MODE_XOR),
      updelay: fc.nat(3),
      downdelay: fc.nat(3),
      events: fc.array(event, { maxLength: 25 }),
    });
    fc.assert(
      fc.property(setUp, ({ mode, updelay, downdelay, events }) => {
        const rig = new BondRig({ slaves: SLAVES, params: { mode, miimon: MIIMON, updelay: 0, downdelay } });
        rig.ms(MIIMON / 2);
        rig.bond.params.updelay = updelay;
        const models: Model[] = rig.bond.slaves.map(() => ({ link: BOND_LINK_UP, delay: 0, failures: 0 }));
        const carriers = models.map(() => true);
        for (const { slave, up, ticks } of events) {
          rig.link(slave, up);
          carriers[slave] = up;
          for (let i = 0; i < ticks; i++) {
            const { bond } = rig;
            const lonely =
              mode === BOND_MODE_ACTIVEBACKUP ? bond.currActiveSlave === null : bond.usableSlaves.length === 0;
            tick(models, carriers, updelay, downdelay, lonely);
            // Who is needed at once does not wait: active-backup promotes a slave that is coming back.
            rig.ms(MIIMON);
            if (mode === BOND_MODE_ACTIVEBACKUP) promoted(rig, models);
            expect(bond.slaves.map(({ link, linkFailureCount }) => [link, linkFailureCount])).toEqual(
              models.map(({ link, failures }) => [link, failures]),
            );
            invariants(rig);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('tells the story of a slave that goes and comes in the kernel’s words', () => {
    const rig = new BondRig({ params: { mode: 1, miimon: 100, updelay: 2, downdelay: 2 } });
    rig.ms(350);
    rig.log.length = 0;
    rig.link(0, false);
    rig.ms(100);
    rig.link(0, true);
    rig.ms(100);
    rig.link(0, false);
    rig.ms(300);
    rig.link(0, true);
    rig.ms(100);
    rig.link(0, false);
    rig.ms(100);
    rig.link(0, true);
    rig.ms(400);
    const of = (slave: string, text: string) => `bond0: (slave ${slave}): ${text}`;
    expect(rig.log).toEqual([
      of('v0', 'link status down for active interface, disabling it in 200 ms'),
      of('v0', 'link status up again after 100 ms'),
      of('v0', 'link status definitely up, 10000 Mbps full duplex'),
      of('v0', 'link status down for active interface, disabling it in 200 ms'),
      of('v0', 'link status definitely down, disabling slave'),
      of('v1', 'making interface the new active one'),
      of('v0', 'link status up, enabling it in 200 ms'),
      of('v0', 'link status down again after 100 ms'),
      of('v0', 'link status definitely down, disabling slave'),
      of('v0', 'link status up, enabling it in 200 ms'),
      of('v0', 'link status definitely up, 10000 Mbps full duplex'),
    ]);
  });
});

/** A slave that became the active one while it was coming back is up. */
function promoted(rig: BondRig, models: Model[]): void {
  const { slaves, currActiveSlave } = rig.bond;
  const at = currActiveSlave === null ? -1 : slaves.indexOf(currActiveSlave);
  if (at >= 0 && models[at]!.link === BOND_LINK_BACK) Object.assign(models[at]!, { link: BOND_LINK_UP, delay: 0 });
}

function invariants({ bond, dev }: BondRig): void {
  const up = bond.slaves.filter(({ link }) => link === BOND_LINK_UP);
  expect(netifCarrierOk(dev)).toBe(up.length > 0);
  if (bond.params.mode !== BOND_MODE_ACTIVEBACKUP) {
    expect(bond.usableSlaves).toEqual(up.filter((slave) => netifCarrierOk(slave.dev)));
    return;
  }
  const { currActiveSlave } = bond;
  // FAIL is still in use: there is hope until downdelay is over.
  const inUse = bond.slaves.filter(({ link }) => link === BOND_LINK_UP || link === BOND_LINK_FAIL);
  expect(currActiveSlave === null).toBe(inUse.length === 0 || !inUse.some((slave) => slave === currActiveSlave));
  expect(bond.slaves.filter(bondIsActiveSlave)).toEqual(currActiveSlave === null ? [] : [currActiveSlave]);
  expect(bond.slaves.filter(({ inactive }) => !inactive)).toEqual(currActiveSlave === null ? [] : [currActiveSlave]);
}
