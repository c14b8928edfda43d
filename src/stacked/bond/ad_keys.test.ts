import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { ad3AdapterSpeedDuplexChanged, ad3UpdateUserPortKey } from './ad_3ad.ts';
import { adUpdateActorKeys } from './ad_keys.ts';
import { AD_PORT_BEGIN, AD_PORT_LACP_ENABLED } from './ad_port.ts';
import { AdRig } from './ad_rig.fixture.ts';
import { DUPLEX_FULL, DUPLEX_HALF, DUPLEX_UNKNOWN, SPEED_UNKNOWN } from './bond.ts';

const rigOf = (speed: number, duplex: number = DUPLEX_FULL, adUserPortKey = 0): AdRig =>
  new AdRig(new World({ seed: 1 }), { slaves: 1, speed, duplex, adUserPortKey });

describe('the key of a port', () => {
  it.each([
    [1, 0x03],
    [10, 0x05],
    [100, 0x07],
    [1000, 0x09],
    [2500, 0x0b],
    [5000, 0x0d],
    [10_000, 0x0f],
    [14_000, 0x11],
    [20_000, 0x13],
    [25_000, 0x15],
    [40_000, 0x17],
    [50_000, 0x19],
    [56_000, 0x1b],
    [100_000, 0x1d],
    [200_000, 0x1f],
    [400_000, 0x21],
    [800_000, 0x23],
    [1234, 0x01],
  ])('of a full-duplex link of %i Mb/s is %i', (speed, key) => {
    expect(rigOf(speed).port(0).actor.key).toBe(key);
  });

  it('holds the user key above speed and duplex', () => {
    expect(rigOf(1000, DUPLEX_FULL, 1023).port(0).actor.key).toBe(0xffc9);
    const rig = rigOf(1000);
    rig.bond.params.adUserPortKey = 5;
    ad3UpdateUserPortKey(rig.bond);
    expect(rig.port(0).actor.key).toBe((5 << 6) | 9);
  });

  it('takes the port out of LACP without full duplex, and back with it', () => {
    const rig = rigOf(1000, DUPLEX_HALF);
    const port = rig.port(0);
    expect([port.actor.key, port.vars & AD_PORT_LACP_ENABLED]).toEqual([8, 0]);
    rig.bond.slaves[0]!.duplex = DUPLEX_FULL;
    ad3AdapterSpeedDuplexChanged(rig.bond.slaves[0]!);
    expect([port.actor.key, port.vars & AD_PORT_LACP_ENABLED]).toEqual([9, AD_PORT_LACP_ENABLED]);
  });

  it('has the port begin again at another speed, and complains of one that nobody knows any more', () => {
    const rig = rigOf(1000);
    const port = rig.port(0);
    port.vars &= ~AD_PORT_BEGIN;
    adUpdateActorKeys(port, false);
    expect(port.vars & AD_PORT_BEGIN).toBe(0);
    const slave = rig.bond.slaves[0]!;
    slave.speed = 100;
    ad3AdapterSpeedDuplexChanged(slave);
    expect(port.vars & AD_PORT_BEGIN).toBe(AD_PORT_BEGIN);
    Object.assign(slave, { speed: SPEED_UNKNOWN, duplex: DUPLEX_UNKNOWN });
    ad3AdapterSpeedDuplexChanged(slave);
    expect(port.actor.key).toBe(0);
    expect(rig.log.at(-1)).toContain('(slave eth0): speed changed to 0 on port 1');
  });

  it('is that of no link while the link is down', () => {
    const rig = rigOf(1000, DUPLEX_FULL, 3);
    rig.setLink(0, false);
    expect(rig.port(0).actor.key).toBe(3 << 6);
    rig.setLink(0, true);
    expect(rig.port(0).actor.key).toBe((3 << 6) | 9);
  });
});
