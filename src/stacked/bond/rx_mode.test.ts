/** What a bond wants to receive; with what the kernel's dev_addr_lists.sh checks. */
import { describe, expect, it } from 'vitest';
import { devClose, devOpen } from '../../device/open.ts';
import { devMcAdd, devMcDel, devSetAllmulti, devUcAdd } from '../../device/rx_mode.ts';
import { BOND_MODE_8023AD, BOND_MODE_ACTIVEBACKUP, BOND_MODE_ROUNDROBIN } from './bond.ts';
import { destroyBond } from './bond_dev.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondEnslave } from './enslave.ts';
import { bondRelease } from './release.ts';

const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 9);
const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 0x99);
const SLOW = '1,128,194,0,0,2';
const AB = { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 };

/** Groups and further addresses of each end. */
const groups = (rig: BondRig) => rig.ends.map(({ mc }) => [...mc].map(({ addr }) => addr.join()));
const unicasts = (rig: BondRig) => rig.ends.map(({ uc }) => [...uc].map(({ addr }) => addr.join()));

describe('groups and addresses of a bond', () => {
  it('are the active slave’s, move with a failover, and go with the bond', () => {
    const rig = new BondRig({ params: AB });
    devMcAdd(rig.dev, GROUP);
    devUcAdd(rig.dev, OTHER);
    expect([groups(rig), unicasts(rig)]).toEqual([
      [[GROUP.join()], []],
      [[OTHER.join()], []],
    ]);
    rig.link(0, false);
    rig.ms(150);
    expect([groups(rig), unicasts(rig)]).toEqual([
      [[], [GROUP.join()]],
      [[], [OTHER.join()]],
    ]);
    destroyBond(rig.dev);
    expect([groups(rig), unicasts(rig)]).toEqual([
      [[], []],
      [[], []],
    ]);
  });

  it('are all slaves’ where all receive, late ones’ as well', () => {
    const rig = new BondRig({ params: { mode: BOND_MODE_ROUNDROBIN } });
    devMcAdd(rig.dev, GROUP);
    devSetAllmulti(rig.dev, 1);
    bondEnslave(rig.bond, rig.pair(2));
    expect([groups(rig), rig.ends.map(({ allmulti }) => allmulti)]).toEqual([
      [[GROUP.join()], [GROUP.join()], [GROUP.join()]],
      [1, 1, 1],
    ]);
    devMcDel(rig.dev, GROUP);
    bondRelease(rig.bond, rig.ends[2]!);
    expect([groups(rig), rig.ends.map(({ allmulti }) => allmulti)]).toEqual([
      [[], [], []],
      [1, 1, 0],
    ]);
  });

  it('have in 802.3ad that of the slow protocols exactly while the bond is up', () => {
    const rig = new BondRig({ bare: true, params: { mode: BOND_MODE_8023AD, miimon: 100 } });
    bondEnslave(rig.bond, rig.ends[0]!);
    expect(groups(rig)).toEqual([[], []]);
    devOpen(rig.dev);
    bondEnslave(rig.bond, rig.ends[1]!);
    expect(groups(rig)).toEqual([[SLOW], [SLOW]]);
    devClose(rig.dev);
    expect(groups(rig)).toEqual([[], []]);
    devOpen(rig.dev);
    bondRelease(rig.bond, rig.ends[1]!);
    expect(groups(rig)).toEqual([[SLOW], []]);
  });
});
