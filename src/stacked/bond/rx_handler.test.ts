import { describe, expect, it } from 'vitest';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { BOND_MODE_ACTIVEBACKUP, BOND_MODE_ALB, BOND_MODE_ROUNDROBIN } from './bond.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondSetOption } from './options.ts';

const PROTOCOL = 0x88b5;

/** A frame of a protocol of the test's own. */
function frame(to: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: 60 }, (_, i) => [...to, 2, 0, 0, 0, 9, 9, PROTOCOL >>> 8, PROTOCOL & 255][i] ?? 0);
}

const US = [2, 0, 0, 0, 0, 0x10];
const ALL = [255, 255, 255, 255, 255, 255];
const LINK_LOCAL = [1, 0x80, 0xc2, 0, 0, 0x0e];

/** Hears of each frame by which device it came up. */
function listen(rig: BondRig): string[] {
  const heard: string[] = [];
  rig.sim.stack.types.add(PROTOCOL, (skb: SkBuff) => {
    heard.push(skb.dev!.name);
    skb.pool.consume(skb);
    return 0;
  });
  return heard;
}

describe('a frame that comes in on a slave', () => {
  it('is the bond’s on an active slave, nobody’s on a backup, and then counted', () => {
    const rig = new BondRig({ params: { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 } });
    rig.ms(150);
    const heard = listen(rig);
    rig.receive(0, frame(US));
    rig.receive(1, frame(ALL));
    rig.ms(1);
    expect([heard, rig.ends[1]!.stats.get('rx_nohandler')]).toEqual([['bond0'], 1]);
  });

  it('is the bond’s on backups as well with all_slaves_active', () => {
    const rig = new BondRig({ params: { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 } });
    rig.ms(150);
    const heard = listen(rig);
    bondSetOption(rig.bond, 'all_slaves_active', '1');
    rig.receive(1, frame(ALL));
    rig.ms(1);
    bondSetOption(rig.bond, 'all_slaves_active', '0');
    rig.receive(1, frame(ALL));
    rig.ms(1);
    expect(heard).toEqual(['bond0']);
  });

  it('and is for bridges’ neighbours only, stays the backup’s own', () => {
    const rig = new BondRig({ params: { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 } });
    rig.ms(150);
    const heard = listen(rig);
    rig.receive(1, frame(LINK_LOCAL));
    rig.ms(1);
    expect(heard).toEqual(['v1']);
  });

  it('comes in on every slave in balance-rr, and as unicast in balance-alb', () => {
    const all = new BondRig({ params: { mode: BOND_MODE_ROUNDROBIN } });
    const alb = new BondRig({ params: { mode: BOND_MODE_ALB, miimon: 100 } });
    alb.ms(150);
    const heard = listen(all);
    for (const i of [0, 1]) all.receive(i, frame(ALL));
    all.ms(1);
    expect(heard).toEqual(['bond0', 'bond0']);
    const one = listen(alb);
    alb.receive(1, frame([...alb.ends[1]!.devAddr]));
    alb.receive(1, frame(ALL));
    alb.ms(1);
    expect(one).toEqual(['bond0']);
  });

  it('and is wanted by the probe, goes no further', () => {
    const rig = new BondRig({ params: { mode: BOND_MODE_ROUNDROBIN } });
    const heard = listen(rig);
    rig.bond.recvProbe = (_bond, slave) => slave.dev.name === 'v0';
    rig.receive(0, frame(US));
    rig.receive(1, frame(US));
    rig.ms(1);
    expect([heard, rig.sim.machine.skbs.inUse]).toEqual([['bond0'], 0]);
  });
});
