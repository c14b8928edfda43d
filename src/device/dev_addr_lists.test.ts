/** The rows of the kernel's dev_addr_lists_test (spec 12.4), and how lists get down to what a device stands on. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../base/status.ts';
import { HwAddrList, hwAddrSyncDev, hwAddrUnsyncDev } from './dev_addr_lists.ts';
import { testDevice, testNet } from './device.fixture.ts';
import { IFF_PROMISC, IFF_UP, type NetDevice } from './net_device.ts';
import { unregisterNetdevice } from './register.ts';
import {
  devAddrAdd,
  devAddrDel,
  devMcAdd,
  devMcAddExcl,
  devMcAddGlobal,
  devMcDel,
  devMcDelGlobal,
  devMcSync,
  devMcUnsync,
  devUcAdd,
  devUcAddExcl,
  devUcDel,
  devUcSync,
  devUcUnsync,
  listedAddrs,
} from './rx_mode.ts';

const of = (byte: number): Uint8Array => new Uint8Array(6).fill(byte);

/** A device with address 0, and hardware that keeps a bit for each address that it was given. */
function rig() {
  const { net } = testNet();
  const dev = testDevice(net);
  dev.devAddr.set(of(0));
  const hardware = { seen: 0 };
  const sync = (): number =>
    hwAddrSyncDev(
      dev.devAddrs,
      (addr) => {
        hardware.seen |= 1 << addr[0]!;
        return 0;
      },
      (addr) => {
        hardware.seen &= ~(1 << addr[0]!);
        return 0;
      },
    );
  const seen = (): number => {
    expect(sync()).toBe(0);
    return hardware.seen;
  };
  return { net, dev, hardware, seen };
}

describe('the kernel’s dev_addr_lists_test', () => {
  it('basic: the main address is the first of the list, and is written in place', () => {
    const { dev } = rig();
    expect([...listedAddrs(dev.devAddrs)[0]!]).toEqual([0, 0, 0, 0, 0, 0]);
    dev.devAddr.set([0, 1, 2, 3, 4, 5]);
    expect([...listedAddrs(dev.devAddrs)[0]!]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(dev.devAddrs.count).toBe(1);
  });

  it('sync_one: a main address that is changed after it was synced is not synced again', () => {
    const { dev, hardware, seen } = rig();
    dev.devAddr.fill(1);
    expect(seen()).toBe(1 << 1);
    dev.devAddr.fill(2);
    hardware.seen = 0;
    expect(seen()).toBe(0);
  });

  it('add_del: an address that was added twice is deleted twice', () => {
    const { dev, seen } = rig();
    for (const each of [1, 2, 3, 3]) expect(devAddrAdd(dev, of(each))).toBe(0);
    expect(seen()).toBe(0xf);
    expect(devAddrDel(dev, of(3))).toBe(0);
    expect(seen()).toBe(0xf);
    for (const each of [1, 2, 3]) expect(devAddrDel(dev, of(each))).toBe(0);
    expect(seen()).toBe(1);
  });

  it('del_main: the main address is not deleted, unless somebody has added it too', () => {
    const { dev } = rig();
    dev.devAddr.fill(1);
    expect(devAddrDel(dev, of(1))).toBe(-Errno.ENOENT);
    expect(devAddrAdd(dev, of(1))).toBe(0);
    expect(devAddrDel(dev, of(1))).toBe(0);
    expect(devAddrDel(dev, of(1))).toBe(-Errno.ENOENT);
  });

  it('add_excl: exclusive is refused for what is there, not for others', () => {
    const { dev } = rig();
    for (let each = 0; each < 10; each++) expect(devUcAddExcl(dev, of(each))).toBe(0);
    for (let each = 0; each < 10; each++) expect(devUcAddExcl(dev, of(each))).toBe(-Errno.EEXIST);
    for (let each = 0; each < 10; each += 2) expect(devUcDel(dev, of(each))).toBe(0);
    for (let each = 1; each < 10; each += 2) expect(devUcAddExcl(dev, of(each))).toBe(-Errno.EEXIST);
    expect(dev.uc.count).toBe(5);
  });

  it('ten additions are ten addresses', () => {
    const { dev, seen } = rig();
    for (let each = 1; each <= 10; each++) expect(devAddrAdd(dev, of(each))).toBe(0);
    expect([dev.devAddrs.count, seen()]).toEqual([11, 0x7ff]);
  });
});

describe('multicast groups', () => {
  it('are counted, but for a user who is one however often he asks', () => {
    const { dev } = rig();
    expect([
      devMcAdd(dev, of(1)),
      devMcAdd(dev, of(1)),
      devMcAddGlobal(dev, of(1)),
      devMcAddGlobal(dev, of(1)),
    ]).toEqual([0, 0, 0, 0]);
    expect([devMcDelGlobal(dev, of(1)), devMcDelGlobal(dev, of(1))]).toEqual([0, -Errno.ENOENT]);
    expect([devMcDel(dev, of(1)), dev.mc.count, devMcDel(dev, of(1)), dev.mc.count]).toEqual([0, 1, 0, 0]);
    expect([devMcDel(dev, of(1)), devMcAddExcl(dev, of(2)), devMcAddExcl(dev, of(2))]).toEqual([
      -Errno.ENOENT,
      0,
      -Errno.EEXIST,
    ]);
  });

  it('get down to the device below, and away from it, together with the further addresses', () => {
    const { net, dev: below } = rig();
    const [a, b] = [testDevice(net), testDevice(net)];
    for (const each of [a, b]) devMcAdd(each, of(1));
    devMcAdd(a, of(2));
    devUcAdd(a, of(4));
    devMcAdd(below, of(2));
    for (const each of [a, b]) expect([devMcSync(below, each), devUcSync(below, each)]).toEqual([0, 0]);
    expect([below.mc.count, below.uc.count]).toEqual([2, 1]);
    devMcDel(a, of(2));
    devMcDel(a, of(1));
    devMcSync(below, a);
    expect([a.mc.count, below.mc.count, below.mc.find(of(2))?.refcount]).toEqual([0, 2, 1]);
    devMcUnsync(below, b);
    devUcUnsync(below, a);
    expect([below.mc.count, below.uc.count, b.mc.count]).toEqual([1, 0, 1]);
    unregisterNetdevice(below);
    expect(below.mc.count).toBe(0);
  });

  it('tell the driver each time, and only while the device is up', () => {
    const { net } = testNet();
    let told = 0;
    const dev = testDevice(net, { setRxMode: () => void told++ });
    told = 0;
    devMcAdd(dev, of(1));
    devMcDel(dev, of(9));
    expect(told).toBe(1);
    dev.flags &= ~IFF_UP;
    devMcAdd(dev, of(2));
    expect(told).toBe(1);
  });
});

describe('further unicast addresses', () => {
  const promisc = (dev: NetDevice) => [dev.promiscuity, (dev.flags & IFF_PROMISC) !== 0];

  it('make a device without a filter promiscuous while there are any', () => {
    const { dev } = rig();
    devUcAdd(dev, of(4));
    devUcAdd(dev, of(6));
    expect(promisc(dev)).toEqual([1, true]);
    devUcDel(dev, of(4));
    expect(promisc(dev)).toEqual([1, true]);
    devUcDel(dev, of(6));
    expect(promisc(dev)).toEqual([0, false]);
  });

  it('leave a device with a filter as it is', () => {
    const { dev } = rig();
    dev.unicastFilter = true;
    devUcAdd(dev, of(4));
    expect(promisc(dev)).toEqual([0, false]);
  });
});

describe('a list', () => {
  it('gives the hardware exactly what is wanted, after any adds, deletes and resets', () => {
    const step = fc.record({ what: fc.constantFrom('add', 'del', 'sync', 'reset'), which: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new HwAddrList();
        const wanted = new Map<number, number>();
        const hardware = new Set<number>();
        const sync = (): number =>
          hwAddrSyncDev(
            list,
            (addr) => {
              hardware.add(addr[0]!);
              return 0;
            },
            (addr) => {
              hardware.delete(addr[0]!);
              return 0;
            },
          );
        for (const { what, which } of steps) {
          const count = wanted.get(which) ?? 0;
          if (what === 'add') {
            list.add(of(which));
            wanted.set(which, count + 1);
          } else if (what === 'del' && count > 0) {
            expect(list.del(of(which))).toBe(0);
            wanted.set(which, count - 1);
          } else if (what === 'reset') {
            hwAddrUnsyncDev(list);
            hardware.clear();
          } else {
            expect(sync()).toBe(0);
          }
        }
        expect(sync()).toBe(0);
        const expected = [...wanted].filter(([, count]) => count > 0).map(([which]) => which);
        expect([...hardware].sort()).toEqual(expected.sort());
        expect(list.count).toBe(expected.length);
      }),
    );
  });
});
