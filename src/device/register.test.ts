import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { SetupError } from '../base/status.ts';
import { testDevice, testFrame, testNet } from './device.fixture.ts';
import { allocEtherdev, ethTypeTrans } from './eth.ts';
import { NetdevEvent } from './net.ts';
import { type DeviceOps, IFF_UP, netifCarrierOff, netifCarrierOk, netifCarrierOn, netifRunning } from './net_device.ts';
import { netifStartQueue, netifStopQueue, netifWakeQueue } from './netdev_queue.ts';
import { devClose, devOpen } from './open.ts';
import { NOOP_OPS, Qdisc } from './qdisc.ts';
import { devValidName, registerNetdevice, unregisterNetdevice } from './register.ts';

const OPS: DeviceOps = { open: () => 0, startXmit: () => 0 };
const EVENT_NAMES = Object.fromEntries(Object.entries(NetdevEvent).map(([name, number]) => [number, name]));

/** A network that writes down its events. */
function rig(veto: (event: number) => number = () => 0) {
  const made = testNet();
  const events: string[] = [];
  made.net.registerNotifier((event, dev) => {
    events.push(`${EVENT_NAMES[event]}${netifRunning(dev) ? ' running' : ''}${dev.flags & IFF_UP ? ' up' : ''}`);
    return veto(event);
  });
  const make = (name: string, ops: DeviceOps = OPS) => {
    const dev = allocEtherdev(made.net, { name, ops });
    dev.devAddr.set([2, 0, 0, 0, 0, 1]);
    return dev;
  };
  return { ...made, events, make };
}

describe('a device’s name', () => {
  it('takes the lowest free number in the place of %d', () => {
    const { net, make } = rig();
    for (const name of ['eth%d', 'eth%d', 'eth%d', 'eth01']) expect(registerNetdevice(make(name))).toBe(0);
    unregisterNetdevice(net.byName('eth1')!);
    registerNetdevice(make('eth%d'));
    expect(net.devices.map((dev) => dev.name).sort()).toEqual(['eth0', 'eth01', 'eth1', 'eth2']);
  });

  it('is refused when it is taken or not one', () => {
    const { make } = rig();
    registerNetdevice(make('eth0'));
    expect(registerNetdevice(make('eth0'))).toBe(-17);
    for (const name of ['a%s', 'a%d%d', 'a/b', '..', 'a b']) expect(registerNetdevice(make(name))).toBe(-22);
    expect(() => make('x'.repeat(16))).toThrow(Bug);
  });

  it('has 1 to 15 characters without slash, colon and white space', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), (name) => {
        const bad = name === '' || name.length > 15 || name === '.' || name === '..' || /[/:\s]/.test(name);
        expect(devValidName(name)).toBe(!bad);
      }),
    );
  });
});

describe('a device’s life', () => {
  it('tells its events in the kernel’s order, with the state that belongs to them', () => {
    const { events, make } = rig();
    const dev = make('eth0');
    registerNetdevice(dev);
    expect([devOpen(dev), devOpen(dev)]).toEqual([0, 0]);
    unregisterNetdevice(dev);
    devClose(dev);
    const open = ['PRE_UP', 'UP running up'];
    expect(events).toEqual([
      'POST_INIT',
      'REGISTER',
      ...open,
      'GOING_DOWN running up',
      'DOWN',
      'UNREGISTER',
      'PRE_UNINIT',
    ]);
    expect(() => unregisterNetdevice(dev)).toThrow(Bug);
    expect(() => registerNetdevice(dev)).toThrow(Bug);
  });

  it('can be vetoed before it comes up, and at registration', () => {
    const { make, net } = rig((event) => (event === NetdevEvent.PRE_UP ? -16 : 0));
    const dev = make('eth0');
    registerNetdevice(dev);
    expect([devOpen(dev), netifRunning(dev)]).toEqual([-16, false]);
    net.registerNotifier((event, made) => (event === NetdevEvent.REGISTER && made.name === 'eth1' ? -1 : 0));
    expect([registerNetdevice(make('eth1')), net.byName('eth1')]).toEqual([-1, undefined]);
  });

  it.each([
    ['refuses', () => -5],
    [
      'throws',
      () => {
        throw new SetupError('ERR_NETPOLL_X', 'no permission');
      },
    ],
  ])('stays down when its driver’s open %s', (how, open) => {
    const { make } = rig();
    const dev = make('eth0', { ...OPS, open });
    registerNetdevice(dev);
    if (how === 'throws') expect(() => devOpen(dev)).toThrow(SetupError);
    else expect(devOpen(dev)).toBe(-5);
    expect([netifRunning(dev), dev.flags & IFF_UP]).toEqual([false, 0]);
  });

  it('does not open with a hardware address of zero or of a group', () => {
    const { make } = rig();
    const dev = make('eth0');
    registerNetdevice(dev);
    for (const mac of [new Uint8Array(6), Uint8Array.of(1, 0, 0x5e, 0, 0, 1)]) {
      dev.devAddr.set(mac);
      expect(devOpen(dev)).toBe(-99);
    }
  });

  it('counts changes of its carrier, which is there from the start', () => {
    const dev = rig().make('eth0');
    expect(netifCarrierOk(dev)).toBe(true);
    const flap = () => {
      for (const change of [netifCarrierOn, netifCarrierOff, netifCarrierOff, netifCarrierOn]) change(dev);
      return [dev.carrierUpCount, dev.carrierDownCount, netifCarrierOk(dev)];
    };
    expect(flap()).toEqual([0, 0, true]);
    registerNetdevice(dev);
    expect(flap()).toEqual([1, 1, true]);
  });
});

describe('a transmit queue', () => {
  it('runs what waits when it is woken, not when it is started, and only if it was stopped', () => {
    const { net } = testNet();
    const dev = testDevice(net);
    const queue = dev.txQueues[0]!;
    let woken = 0;
    queue.qdisc = new Qdisc(NOOP_OPS, dev);
    net.scheduleQdisc = () => woken++;
    netifWakeQueue(queue);
    netifStopQueue(queue, 7);
    expect([queue.frozenOrStopped, queue.transStartNs]).toEqual([true, 7]);
    netifStartQueue(queue);
    expect([woken, queue.frozenOrStopped]).toEqual([0, false]);
    netifStopQueue(queue, 8);
    netifWakeQueue(queue);
    expect(woken).toBe(1);
  });
});

describe('ethTypeTrans', () => {
  it.each([
    ['to us', '020000000001', 0x0800, 0x0800, 0],
    ['to all', 'ffffffffffff', 0x0806, 0x0806, 1],
    ['to a group', '01005e000001', 0x0800, 0x0800, 2],
    ['to another', '020000000009', 0x86dd, 0x86dd, 3],
    ['with a length: LLC', '020000000001', 0x05ff, 0x0004, 0],
  ])('sorts a frame %s', (_name, dest, type, protocol, pktType) => {
    const dev = testDevice(testNet().net);
    const skb = testFrame(dev, 0, 60);
    const at = skb.data;
    skb.arena.bytes.set(Buffer.from(dest, 'hex'), at);
    skb.arena.view.setUint16(at + 12, type);
    expect([ethTypeTrans(skb, dev), skb.pktType, skb.macHeader, skb.data, skb.len]).toEqual([
      protocol,
      pktType,
      at,
      at + 14,
      46,
    ]);
    skb.pool.consume(skb);
  });
});
