import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { devChangeName, devSetMtu, devSetPromiscuity } from '../../device/change.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { devGetStats } from '../../device/dev_stats.ts';
import { testDevice } from '../../device/device.fixture.ts';
import {
  IFF_MASTER,
  IFF_SLAVE,
  IFF_UP,
  NET_ADDR_RANDOM,
  NET_ADDR_STOLEN,
  type NetDevice,
} from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { unregisterNetdevice } from '../../device/register.ts';
import { createDummy } from '../../drivers/dummy.ts';
import { parseIp, printMac } from '../../wire/address.ts';
import { BOND_MODE_ACTIVEBACKUP, BOND_MODE_ROUNDROBIN, bondOf } from './bond.ts';
import { createBond, destroyBond } from './bond_dev.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondEnslave } from './enslave.ts';
import { bondSetOption } from './options.ts';
import { bondRelease } from './release.ts';

const AB = { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 };
const macs = (devs: readonly NetDevice[]) => devs.map((dev) => printMac(dev.devAddr).slice(-2));

/** A broadcast of a protocol that nobody handles. */
const shout = Uint8Array.from({ length: 60 }, (_, i) => (i < 6 ? 0xff : i === 12 ? 0x88 : i === 13 ? 0xb5 : 0));

describe('a device that joins a bond', () => {
  it('gives the first its address, gets the bond’s MTU and address, is opened and marked', () => {
    const rig = new BondRig({ bare: true, params: AB });
    const [v0, v1] = rig.ends as [NetDevice, NetDevice];
    expect(rig.dev.addrAssignType).toBe(NET_ADDR_RANDOM);
    rig.dev.mtu = 1400;
    expect([bondEnslave(rig.bond, v0), bondEnslave(rig.bond, v1)]).toEqual([0, 0]);
    expect([rig.dev.addrAssignType, ...macs([rig.dev, v0, v1])]).toEqual([NET_ADDR_STOLEN, '10', '10', '10']);
    expect([v0.mtu, v1.mtu, v0.flags & IFF_UP, v0.flags & IFF_SLAVE, v0.master]).toEqual([
      1400,
      1400,
      IFF_UP,
      IFF_SLAVE,
      rig.dev,
    ]);
    expect(rig.dev.flags & IFF_MASTER).toBe(IFF_MASTER);
    expect(rig.log.at(-1)).toBe('bond0: (slave v1): Enslaving as a backup interface with an up link');
  });

  it.each([
    ['itself', -Errno.EPERM, (rig: BondRig) => rig.dev, 'Cannot enslave bond to itself.'],
    ['what is up', -Errno.EPERM, (rig: BondRig) => rig.peers[0]!, 'Device can not be enslaved while up'],
    [
      'what has a handler',
      -Errno.EBUSY,
      (rig: BondRig) => Object.assign(rig.ends[1]!, { rxHandler: () => 'pass' }),
      'Device is in use and cannot be enslaved',
    ],
    [
      'another kind of device',
      -Errno.EINVAL,
      (rig: BondRig) => Object.assign(rig.ends[1]!, { type: 772 }),
      'Device type (772) does not match the type of the bond (1)',
    ],
  ])('is refused if it is %s', (_what, error, of, why) => {
    const rig = new BondRig({ bare: true, params: AB });
    const dev = of(rig);
    if (dev === rig.peers[0]) dev.rxHandler = null;
    expect(bondEnslave(rig.bond, dev)).toBe(error);
    expect(rig.log.at(-1)).toBe(`bond0: (slave ${dev.name}): ${why}`);
    expect([rig.bond.slaves.length, dev.flags & IFF_SLAVE]).toEqual([0, 0]);
  });

  it('whose address cannot be set makes an active-backup bond follow the active slave, if it is the first', () => {
    const rig = new BondRig({ bare: true, params: AB });
    const stiff = testDevice(rig.sim.net, {});
    devClose(stiff);
    expect([bondEnslave(rig.bond, stiff), rig.bond.params.failOverMac]).toEqual([0, 1]);
    const other = new BondRig({ params: AB });
    const late = testDevice(other.sim.net, {});
    devClose(late);
    expect(bondEnslave(other.bond, late)).toBe(-Errno.EOPNOTSUPP);
  });

  it('and cannot, leaves everything as it was', () => {
    const rig = new BondRig({ bare: true, params: AB });
    const dev = rig.ends[0]!;
    devSetMtu(dev, 9000);
    rig.sim.net.registerNotifier((event, about) => (event === NetdevEvent.PRE_UP && about === dev ? -Errno.EPERM : 0));
    const before = printMac(rig.dev.devAddr);
    expect(bondEnslave(rig.bond, dev)).toBe(-Errno.EPERM);
    expect([dev.mtu, macs([dev])[0], dev.master, dev.rxHandler, dev.flags & (IFF_UP | IFF_SLAVE)]).toEqual([
      9000,
      '10',
      null,
      null,
      0,
    ]);
    expect(printMac(rig.dev.devAddr)).not.toBe(before);
    expect(rig.bond.slaves).toEqual([]);
  });

  it('may be a bond, but not one below which this one stands', () => {
    const rig = new BondRig({ slaves: 1, params: AB });
    const upper = createBond(rig.sim.net, 'bond1', { mode: BOND_MODE_ROUNDROBIN });
    devClose(rig.dev);
    expect(bondEnslave(bondOf(upper), rig.dev)).toBe(0);
    devClose(upper);
    expect(bondEnslave(rig.bond, upper)).toBe(-Errno.EBUSY);
    expect([upper.master, rig.bond.slaves.length]).toEqual([null, 1]);
  });
});

describe('a device that leaves a bond', () => {
  it('is what it was: down, with its own address and MTU', () => {
    const rig = new BondRig({ bare: true, params: AB });
    const [v0, v1] = rig.ends as [NetDevice, NetDevice];
    devSetMtu(v1, 9000);
    for (const end of rig.ends) bondEnslave(rig.bond, end);
    devOpen(rig.dev);
    expect([v1.mtu, bondRelease(rig.bond, v1)]).toEqual([1500, 0]);
    expect([v1.mtu, ...macs([v1]), v1.flags & (IFF_UP | IFF_SLAVE), v1.master, v1.rxHandler]).toEqual([
      9000,
      '11',
      0,
      null,
      null,
    ]);
    expect([rig.bond.slaves.map(({ dev }) => dev), rig.bond.currActiveSlave?.dev]).toEqual([[v0], v0]);
    expect([bondRelease(rig.bond, v1), rig.log.at(-1)]).toEqual([
      -Errno.EINVAL,
      'bond0: (slave v1): cannot release slave',
    ]);
  });

  it('hands over to the next, with a warning if the bond goes on under its address', () => {
    const rig = new BondRig({ params: AB });
    bondRelease(rig.bond, rig.ends[0]!);
    expect(rig.bond.currActiveSlave?.dev.name).toBe('v1');
    expect(
      rig.log.some((line) => line.includes('permanent HWaddr of slave - 02:00:00:00:00:10 - is still in use')),
    ).toBe(true);
    expect(macs([rig.dev, ...rig.ends])).toEqual(['10', '10', '10']);
  });

  it('as the last one takes the address along; the bond makes one up and tells everybody', () => {
    const rig = new BondRig({ slaves: 1, params: AB });
    const heard: number[] = [];
    rig.sim.net.registerNotifier((event, dev) => {
      if (dev === rig.dev) heard.push(event);
      return 0;
    });
    heard.length = 0;
    bondRelease(rig.bond, rig.ends[0]!);
    expect(heard).toContain(NetdevEvent.RELEASE);
    expect([rig.dev.addrAssignType, printMac(rig.dev.devAddr) === '02:00:00:00:00:10']).toEqual([
      NET_ADDR_RANDOM,
      false,
    ]);
    expect(rig.bond.currActiveSlave).toBeNull();
  });

  it('because it is unregistered does so by itself; a bond that is unregistered lets all go', () => {
    const rig = new BondRig({ slaves: 3, params: AB });
    unregisterNetdevice(rig.ends[0]!);
    expect(rig.bond.slaves.map(({ dev }) => dev.name)).toEqual(['v1', 'v2']);
    destroyBond(rig.dev);
    expect(rig.ends.slice(1).map(({ master, flags }) => [master, flags & (IFF_SLAVE | IFF_UP)])).toEqual([
      [null, 0],
      [null, 0],
    ]);
    rig.ms(1000);
    expect(rig.sim.machine.works.length).toBe(0);
  });
});

describe('what is done to a bond', () => {
  it('is done to its slaves: MTU and address, all or none', () => {
    const rig = new BondRig({ slaves: 2, params: AB });
    expect([devSetMtu(rig.dev, 1300), ...rig.ends.map(({ mtu }) => mtu)]).toEqual([0, 1300, 1300]);
    rig.ends[1]!.maxMtu = 1350;
    expect([devSetMtu(rig.dev, 1400), rig.dev.mtu, ...rig.ends.map(({ mtu }) => mtu)]).toEqual([
      -Errno.EINVAL,
      1300,
      1300,
      1300,
    ]);
    expect(devSetMacAddress(rig.dev, Uint8Array.of(2, 0, 0, 0, 0, 0x77))).toBe(0);
    expect(macs([rig.dev, ...rig.ends])).toEqual(['77', '77', '77']);
    expect(devSetMacAddress(rig.dev, Uint8Array.of(3, 0, 0, 0, 0, 0x78))).toBe(-Errno.EADDRNOTAVAIL);
  });

  it('makes the active slave promiscuous, and the next one after a failover', () => {
    const rig = new BondRig({ slaves: 2, params: AB });
    devSetPromiscuity(rig.dev, 1);
    expect(rig.ends.map(({ promiscuity }) => promiscuity)).toEqual([1, 0]);
    rig.link(0, false);
    rig.ms(150);
    expect(rig.ends.map(({ promiscuity }) => promiscuity)).toEqual([0, 1]);
    bondRelease(rig.bond, rig.ends[1]!);
    expect(rig.ends.map(({ promiscuity }) => promiscuity)).toEqual([0, 0]);
  });

  it('is counted by its slaves, those that have left included, from when they joined', () => {
    const rig = new BondRig({ slaves: 2, params: { mode: BOND_MODE_ROUNDROBIN } });
    for (let i = 0; i < 10; i++) rig.send(shout);
    rig.receive(0, shout);
    rig.ms(1);
    const sums = () => {
      const stats = devGetStats(rig.dev);
      return [stats.get('tx_packets'), stats.get('rx_packets'), stats.get('tx_bytes')];
    };
    expect(sums()).toEqual([10, 1, 600]);
    bondRelease(rig.bond, rig.ends[0]!);
    expect(sums()).toEqual([10, 1, 600]);
  });
});

describe('a primary slave', () => {
  it('is known by its name, also when a slave is renamed to it', () => {
    const rig = new BondRig({ slaves: 2, params: AB });
    bondSetOption(rig.bond, 'primary', 'blue');
    expect(devChangeName(rig.ends[1]!, 'blue')).toBe(0);
    expect([rig.bond.primarySlave?.dev.name, rig.bond.currActiveSlave?.dev.name]).toEqual(['blue', 'blue']);
    devChangeName(rig.ends[1]!, 'green');
    expect(rig.bond.primarySlave).toBeNull();
  });
});

describe('a bond', () => {
  it('refuses a name that is taken; dummies have no speed and serve where none is needed', () => {
    const rig = new BondRig({ slaves: 0, bare: true, params: AB });
    expect(() => createBond(rig.sim.net, 'bond0')).toThrow(/cannot register bond0/);
    const dummy = createDummy(rig.sim.net, Uint8Array.of(2, 0, 0, 0, 0, 9));
    expect(bondEnslave(rig.bond, dummy)).toBe(0);
    expect([rig.bond.currActiveSlave?.dev, rig.bond.currActiveSlave?.speed]).toEqual([dummy, -1]);
    const ad = createBond(rig.sim.net, 'bond%d', { mode: 4 });
    const other = createDummy(rig.sim.net, Uint8Array.of(2, 0, 0, 0, 0, 10));
    expect(bondEnslave(bondOf(ad), other)).toBe(0);
    expect(rig.log.at(-1)).toBe('bond1: (slave dummy1): Enslaving as a backup interface with an up link');
  });

  it('announces its addresses num_grat_arp times, peer_notif_delay apart, after a failover', () => {
    const rig = new BondRig({ slaves: 2, params: { ...AB, miimon: 10, numPeerNotif: 3, peerNotifDelay: 10 } });
    rig.dev.addresses.push(parseIp('10.0.0.1')!, parseIp('fe80::1')!);
    rig.ms(1000);
    rig.heard.length = 0;
    rig.link(0, false);
    rig.ms(1000);
    const arps = rig.heard.filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 6);
    const advertisements = rig.heard.filter(({ bytes }) => bytes[12] === 0x86 && bytes[54] === 136);
    expect(arps.map(({ slave }) => slave)).toEqual([1, 1, 1]);
    expect(advertisements.length).toBe(3);
    expect([...arps[0]!.bytes.slice(14, 42)]).toEqual([
      ...[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x10, 10, 0, 0, 1],
      ...[0, 0, 0, 0, 0, 0, 10, 0, 0, 1],
    ]);
    const gaps = arps.slice(1).map(({ atNs }, i) => Math.round((atNs - arps[i]!.atNs) / 1e6));
    expect(gaps).toEqual([100, 100]);
  });
});
