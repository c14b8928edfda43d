import { describe, expect, it } from 'vitest';
import { Counters } from '../base/counters.ts';
import { Prng } from '../base/prng.ts';
import { PACKET_HOST } from '../skb/sk_buff.ts';
import { netInit } from '../stack/net_init.ts';
import { devChangeFlags, devChangeName, devGetFlags, devSetAllmulti, devSetMtu, devSetPromiscuity } from './change.ts';
import { COALESCE_DEFAULTS, coalesceDue, coalesceForRate, coalesceValid } from './coalesce.ts';
import { devSetMacAddress, ethHwAddrRandom, ethMacAddr } from './dev_addr.ts';
import { devGetStats } from './dev_stats.ts';
import { testDevice, testFrame, testNet } from './device.fixture.ts';
import { allocEtherdev, devHardHeader, devParseHeader } from './eth.ts';
import {
  ethtoolGetLink,
  ethtoolGetStats,
  ethtoolSetChannels,
  ethtoolSetCoalesce,
  ethtoolSetRingparam,
} from './ethtool.ts';
import {
  NETIF_F_GRO_HW,
  NETIF_F_GSO,
  NETIF_F_HW_CSUM,
  NETIF_F_IP_CSUM,
  NETIF_F_LRO,
  NETIF_F_RXCSUM,
  NETIF_F_SG,
  NETIF_F_TSO,
  NETIF_F_TSO6,
} from './features.ts';
import { STAT_NAMES } from './link_stats.ts';
import {
  type DeviceOps,
  IF_OPER_DOWN,
  IF_OPER_UP,
  IFF_ALLMULTI,
  IFF_DEBUG,
  IFF_LOWER_UP,
  IFF_PROMISC,
  IFF_RUNNING,
  IFF_UP,
  NET_ADDR_RANDOM,
  NET_ADDR_SET,
  netifCarrierOff,
  netifCarrierOn,
  netifDeviceAttach,
  netifDeviceDetach,
  netifDormantOff,
  netifDormantOn,
} from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';
import { devOpen } from './open.ts';
import { freeNetdev, registerNetdevice, unregisterNetdevice } from './register.ts';
import { devSetWantedFeatures, netdevFixFeatures } from './update_features.ts';

const NAMES = Object.fromEntries(Object.entries(NetdevEvent).map(([name, value]) => [value, name]));

function rig(ops: Partial<DeviceOps> = {}, veto: (event: number) => number = () => 0) {
  const made = testNet();
  netInit(made.net);
  const dev = testDevice(made.net, ops);
  const events: string[] = [];
  made.net.registerNotifier((event) => {
    events.push(NAMES[event]!);
    return veto(event);
  });
  events.length = 0;
  return { ...made, dev, events };
}

describe('flags', () => {
  it('are changed as far as users may, with CHANGE only for those that matter', () => {
    const { dev, events } = rig();
    expect(devChangeFlags(dev, devGetFlags(dev) | IFF_DEBUG)).toBe(0);
    expect([dev.flags & IFF_DEBUG, events]).toEqual([IFF_DEBUG, ['CHANGE']]);
    events.length = 0;
    devChangeFlags(dev, devGetFlags(dev) & ~IFF_UP);
    expect([dev.flags & IFF_UP, events]).toEqual([0, ['GOING_DOWN', 'DOWN']]);
    devChangeFlags(dev, devGetFlags(dev) | IFF_UP);
    expect(events.slice(2)).toEqual(['PRE_UP', 'UP']);
  });

  it('count who wants every frame, and show only what users asked for', () => {
    const modes: number[] = [];
    const { dev } = rig({ setRxMode: (of) => modes.push(of.flags & (IFF_PROMISC | IFF_ALLMULTI)) });
    modes.length = 0;
    devSetPromiscuity(dev, 1);
    expect([dev.flags & IFF_PROMISC, devGetFlags(dev) & IFF_PROMISC]).toEqual([IFF_PROMISC, 0]);
    devChangeFlags(dev, devGetFlags(dev) | IFF_PROMISC);
    expect([dev.promiscuity, devGetFlags(dev) & IFF_PROMISC]).toEqual([2, IFF_PROMISC]);
    devSetPromiscuity(dev, -1);
    devChangeFlags(dev, devGetFlags(dev) & ~IFF_PROMISC);
    expect([dev.promiscuity, dev.flags & IFF_PROMISC]).toEqual([0, 0]);
    expect(devSetPromiscuity(dev, -1)).toBe(-75);
    devSetAllmulti(dev, 1);
    expect(modes).toEqual([IFF_PROMISC, 0, IFF_ALLMULTI]);
  });

  it('say whether the link can be used', () => {
    const { dev, executive, machine, events } = rig();
    const shown = () => devGetFlags(dev) & (IFF_RUNNING | IFF_LOWER_UP);
    expect(shown()).toBe(IFF_RUNNING | IFF_LOWER_UP);
    netifCarrierOff(dev);
    expect([shown(), dev.operstate]).toEqual([IFF_RUNNING, 0]);
    machine.turn();
    expect([shown(), dev.operstate, events]).toEqual([0, IF_OPER_DOWN, ['CHANGE']]);
    netifCarrierOn(dev);
    expect([shown(), dev.operstate]).toEqual([IFF_RUNNING | IFF_LOWER_UP, IF_OPER_UP]);
    netifDormantOn(dev);
    executive.nowNs = 5e9;
    machine.turn();
    expect(shown()).toBe(IFF_LOWER_UP);
    netifDormantOff(dev);
    executive.nowNs = 10e9;
    machine.turn();
    expect(shown()).toBe(IFF_RUNNING | IFF_LOWER_UP);
  });
});

describe('the MTU', () => {
  it('has bounds; a veto gives the old one back', () => {
    let veto = 0;
    const { dev, events } = rig({}, (event) => (event === veto ? -16 : 0));
    expect([1500, 67, 1501, -1].map((mtu) => devSetMtu(dev, mtu))).toEqual([0, -22, -22, -22]);
    expect([devSetMtu(dev, 1400), dev.mtu, events]).toEqual([0, 1400, ['PRECHANGEMTU', 'CHANGEMTU']]);
    veto = NetdevEvent.CHANGEMTU;
    events.length = 0;
    expect([devSetMtu(dev, 1300), dev.mtu]).toEqual([-16, 1400]);
    expect(events).toEqual(['PRECHANGEMTU', 'CHANGEMTU', 'CHANGEMTU']);
    veto = NetdevEvent.PRECHANGEMTU;
    expect([devSetMtu(dev, 1300), dev.mtu]).toEqual([-16, 1400]);
    dev.maxMtu = 0;
    veto = 0;
    expect(devSetMtu(dev, 9000)).toBe(0);
    netifDeviceDetach(dev);
    expect(devSetMtu(dev, 1500)).toBe(-19);
  });
});

describe('the address', () => {
  it('is set by who may, when it may', () => {
    const mac = Uint8Array.of(2, 9, 9, 9, 9, 9);
    expect(devSetMacAddress(rig().dev, mac)).toBe(-95);
    const { dev, events } = rig({ setMacAddress: ethMacAddr });
    expect(devSetMacAddress(dev, mac, 772)).toBe(-22);
    expect(devSetMacAddress(dev, mac)).toBe(-16);
    dev.liveAddrChange = true;
    events.length = 0;
    expect([devSetMacAddress(dev, mac), dev.addrAssignType]).toEqual([0, NET_ADDR_SET]);
    expect([devSetMacAddress(dev, mac), events]).toEqual([
      0,
      ['PRE_CHANGEADDR', 'CHANGEADDR', 'PRE_CHANGEADDR', 'CHANGEADDR'],
    ]);
    expect(devSetMacAddress(dev, Uint8Array.of(1, 0, 0, 0, 0, 1))).toBe(-99);
  });

  it('can be made up: of nobody, and of no group', () => {
    const { dev } = rig();
    const prng = new Prng(1);
    for (let i = 0; i < 100; i++) {
      ethHwAddrRandom(dev, prng);
      expect(dev.devAddr[0]! & 3).toBe(2);
    }
    expect(dev.addrAssignType).toBe(NET_ADDR_RANDOM);
  });
});

describe('names and lives', () => {
  it('can be changed while the device is up, unless somebody objects', () => {
    const { dev, net, events } = rig({}, (event) => (event === NetdevEvent.CHANGENAME && dev.name === 'no' ? -1 : 0));
    expect([devChangeName(dev, 'wan%d'), dev.name, net.byName('wan0')]).toEqual([0, 'wan0', dev]);
    expect([devChangeName(dev, 'no'), dev.name, devChangeName(dev, 'a b')]).toEqual([-1, 'wan0', -22]);
    expect(events).toEqual(['CHANGENAME', 'CHANGENAME', 'CHANGENAME']);
  });

  it('are told to who comes late, and taken back from who leaves', () => {
    const { net } = rig();
    const seen: string[] = [];
    const late = (event: NetdevEvent) => {
      seen.push(NAMES[event]!);
      return 0;
    };
    net.registerNotifier(late);
    net.unregisterNotifier(late);
    expect(seen).toEqual(['REGISTER', 'UP', 'GOING_DOWN', 'DOWN', 'UNREGISTER']);
  });

  it('undo what init did when a notifier objects; a driver’s odd answer is an I/O error', () => {
    const calls: string[] = [];
    const ops = {
      open: () => 0,
      startXmit: () => 0,
      init: () => calls.push('init') && 0,
      uninit: () => void calls.push('uninit'),
    };
    const { net } = rig({}, (event) => (event === NetdevEvent.POST_INIT ? -1 : 0));
    expect(registerNetdevice(allocEtherdev(net, { ops }))).toBe(-1);
    expect(calls).toEqual(['init', 'uninit']);
    expect(registerNetdevice(allocEtherdev(net, { ops: { ...ops, init: () => 5 } }))).toBe(-5);
    const { net: other } = rig();
    const dev = allocEtherdev(other, { ops });
    registerNetdevice(dev);
    expect(() => freeNetdev(dev)).toThrow('unregistered');
    unregisterNetdevice(dev);
    freeNetdev(dev);
    expect(calls).toEqual(['init', 'uninit', 'init', 'uninit']);
  });

  it('stop and go with the hardware that is taken away and comes back', () => {
    const { dev } = rig();
    netifDeviceDetach(dev);
    expect(dev.txQueues[0]!.frozenOrStopped).toBe(true);
    netifDeviceAttach(dev);
    expect(dev.txQueues[0]!.frozenOrStopped).toBe(false);
    netifDeviceDetach(dev);
    devChangeFlags(dev, devGetFlags(dev) & ~IFF_UP);
    expect(devOpen(dev)).toBe(-19);
  });
});

describe('features', () => {
  it.each([
    ['checksums of everything make those of IP superfluous', NETIF_F_HW_CSUM | NETIF_F_IP_CSUM, NETIF_F_HW_CSUM],
    ['TSO wants pieces', NETIF_F_TSO | NETIF_F_HW_CSUM, NETIF_F_HW_CSUM],
    [
      'TSO wants checksums',
      NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_SG | NETIF_F_IP_CSUM,
      NETIF_F_TSO | NETIF_F_SG | NETIF_F_IP_CSUM,
    ],
    ['GSO wants pieces', NETIF_F_GSO, 0],
    ['hardware GRO wins over LRO', NETIF_F_GRO_HW | NETIF_F_LRO | NETIF_F_RXCSUM, NETIF_F_GRO_HW | NETIF_F_RXCSUM],
    ['hardware GRO wants checksums', NETIF_F_GRO_HW, 0],
  ])('%s', (_why, features, fixed) => {
    expect(netdevFixFeatures(features)).toBe(fixed);
  });

  it('are switched by users where the hardware can, and told', () => {
    const set: number[] = [];
    const { dev, events } = rig({ setFeatures: (_of, features) => set.push(features) && 0 });
    set.length = 0;
    devSetWantedFeatures(dev, NETIF_F_RXCSUM, 0);
    expect([set, events]).toEqual([[], []]);
    dev.hwFeatures |= NETIF_F_RXCSUM;
    devSetWantedFeatures(dev, NETIF_F_RXCSUM, 0);
    expect([dev.features & NETIF_F_RXCSUM, set.length, events]).toEqual([NETIF_F_RXCSUM, 1, ['FEAT_CHANGE']]);
  });
});

describe('statistics', () => {
  it('are the 25 of the kernel, the driver’s with the stack’s on top', () => {
    expect([STAT_NAMES.length, STAT_NAMES[23]]).toEqual([25, 'rx_nohandler']);
    const { dev } = rig({ getStats64: (_of, out) => out.set('rx_packets', 7) });
    dev.stats.count('rx_dropped', 2);
    dev.stats.count('rx_packets', 1);
    const stats = devGetStats(dev);
    expect(stats).toBeInstanceOf(Counters);
    expect([stats.get('rx_packets'), stats.get('rx_dropped')]).toEqual([7, 2]);
  });
});

describe('headers', () => {
  it('are pushed and read back', () => {
    const { dev } = rig();
    const skb = testFrame(dev);
    const to = Uint8Array.of(2, 1, 1, 1, 1, 1);
    expect(devHardHeader(skb, dev, 0x0800, to)).toBe(14);
    expect([...skb.arena.bytes.slice(skb.data, skb.data + 14)]).toEqual([...to, ...dev.devAddr, 8, 0]);
    expect(devHardHeader(skb, dev, 0x0806, null)).toBe(-14);
    skb.macHeader = skb.data;
    const from = new Uint8Array(6);
    expect([devParseHeader(skb, dev, from), [...from], skb.pktType]).toEqual([6, [...dev.devAddr], PACKET_HOST]);
  });
});

describe('ethtool', () => {
  it('checks what a driver need not', () => {
    const { dev } = rig();
    expect([ethtoolGetLink(dev), ethtoolGetStats(dev), ethtoolSetRingparam(dev, 1, 1)]).toEqual([true, null, -95]);
    const asked: string[] = [];
    dev.ethtoolOps = {
      begin: () => asked.push('begin') && 0,
      complete: () => void asked.push('complete'),
      getStrings: () => ['rx_queue_0_packets'],
      getEthtoolStats: (_dev, out) => out.fill(5),
      getRingparam: () => ({ rx: 256, tx: 256, rxMax: 4096, txMax: 4096 }),
      setRingparam: (_dev, rx) => asked.push(`rx ${rx}`) && 0,
      getChannels: () => ({ rx: 0, tx: 0, combined: 2, rxMax: 0, txMax: 0, combinedMax: 4 }),
      setChannels: () => 0,
      supportedCoalesceParams: ['rxUsecs'],
      getCoalesce: () => COALESCE_DEFAULTS,
      setCoalesce: (_dev, params) => asked.push(`usecs ${params.rxUsecs}`) && 0,
    };
    expect([...ethtoolGetStats(dev)!]).toEqual([['rx_queue_0_packets', 5]]);
    expect([ethtoolSetRingparam(dev, 8192, 64), ethtoolSetRingparam(dev, 512, 64)]).toEqual([-22, 0]);
    expect([ethtoolSetChannels(dev, 0, 0, 0), ethtoolSetChannels(dev, 0, 0, 5)]).toEqual([-22, -22]);
    expect([ethtoolSetCoalesce(dev, { rxUsecs: 50 }), ethtoolSetCoalesce(dev, { txUsecs: 1 })]).toEqual([0, -95]);
    expect(asked).toEqual(['begin', 'rx 512', 'complete', 'begin', 'usecs 50', 'complete']);
  });
});

describe('coalescing', () => {
  it('interrupts by age or by number, and needs one of them', () => {
    expect([coalesceValid(0, 0), coalesceValid(0, 1)]).toEqual([-22, 0]);
    expect([coalesceDue(50, 0, 49_999, 9), coalesceDue(50, 0, 50_000, 1), coalesceDue(50, 8, 0, 8)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(coalesceDue(50, 8, 1e9, 0)).toBe(false);
    const params = {
      ...COALESCE_DEFAULTS,
      rxUsecs: 20,
      pktRateLow: 1000,
      rxUsecsLow: 1,
      pktRateHigh: 5000,
      rxUsecsHigh: 90,
    };
    expect([500, 3000, 9000].map((rate) => coalesceForRate(params, rate).usecs)).toEqual([1, 20, 90]);
  });
});
