import { describe, expect, it } from 'vitest';
import { Errno } from '../base/status.ts';
import { testDevice, testNet } from './device.fixture.ts';
import { NetdevEvent } from './netdev_event.ts';
import {
  netdevHasUpperDevAllRcu,
  netdevMasterUpperDevLink,
  netdevRxHandlerRegister,
  netdevRxHandlerUnregister,
  netdevUpperDevLink,
  netdevUpperDevUnlink,
  netdevWalkAllUpperDev,
} from './upper.ts';

describe('a device on a device', () => {
  it('is known from above and from below, in the order of linking, until it is unlinked', () => {
    const { net } = testNet();
    const [bond, eth0, eth1, vlan] = [testDevice(net), testDevice(net), testDevice(net), testDevice(net)];
    expect([netdevMasterUpperDevLink(eth0, bond), netdevMasterUpperDevLink(eth1, bond)]).toEqual([0, 0]);
    expect(netdevUpperDevLink(bond, vlan)).toBe(0);
    expect([bond.lower, eth0.master, bond.upper, vlan.master]).toEqual([[eth0, eth1], bond, [vlan], null]);
    const above: string[] = [];
    netdevWalkAllUpperDev(eth0, (dev) => above.push(dev.name));
    expect(above).toEqual([bond.name, vlan.name]);
    netdevUpperDevUnlink(eth0, bond);
    netdevUpperDevUnlink(eth0, bond);
    expect([bond.lower, eth0.master, eth0.upper]).toEqual([[eth1], null, []]);
  });

  it('has one master at most, and stands neither twice on another nor, over others, on itself', () => {
    const { net } = testNet();
    const [a, b, c] = [testDevice(net), testDevice(net), testDevice(net)];
    netdevMasterUpperDevLink(a, b);
    expect(netdevMasterUpperDevLink(a, c)).toBe(-Errno.EBUSY);
    expect(netdevUpperDevLink(a, b)).toBe(-Errno.EEXIST);
    netdevUpperDevLink(b, c);
    expect(netdevHasUpperDevAllRcu(a, c)).toBe(true);
    expect(netdevUpperDevLink(c, a)).toBe(-Errno.EBUSY);
    expect(netdevUpperDevLink(c, c)).toBe(-Errno.EBUSY);
  });

  it('stands on at most eight levels', () => {
    const { net } = testNet();
    let below = testDevice(net);
    for (let level = 2; level <= 8; level++) {
      const above = testDevice(net);
      expect(netdevUpperDevLink(below, above)).toBe(0);
      below = above;
    }
    expect(netdevUpperDevLink(below, testDevice(net))).toBe(-Errno.EMLINK);
  });

  it('is linked and unlinked with a word before and after, and with a veto not at all', () => {
    const { net } = testNet();
    const [bond, eth0] = [testDevice(net), testDevice(net)];
    const heard: number[] = [];
    let veto: number = NetdevEvent.CHANGEUPPER;
    net.registerNotifier((event) => {
      heard.push(event);
      return event === veto ? -Errno.EPERM : 0;
    });
    heard.length = 0;
    expect(netdevMasterUpperDevLink(eth0, bond)).toBe(-Errno.EPERM);
    expect([eth0.master, bond.lower]).toEqual([null, []]);
    veto = NetdevEvent.PRECHANGEUPPER;
    expect(netdevMasterUpperDevLink(eth0, bond)).toBe(-Errno.EPERM);
    veto = 0;
    heard.length = 0;
    netdevMasterUpperDevLink(eth0, bond);
    netdevUpperDevUnlink(eth0, bond);
    const pair = [NetdevEvent.PRECHANGEUPPER, NetdevEvent.CHANGEUPPER];
    expect(heard).toEqual([...pair, ...pair]);
  });

  it('has one rx handler', () => {
    const { net } = testNet();
    const dev = testDevice(net);
    expect(netdevRxHandlerRegister(dev, () => 'pass')).toBe(0);
    expect(netdevRxHandlerRegister(dev, () => 'pass')).toBe(-Errno.EBUSY);
    netdevRxHandlerUnregister(dev);
    expect(dev.rxHandler).toBeNull();
  });
});
