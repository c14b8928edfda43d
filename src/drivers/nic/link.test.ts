/** The link as drivers tell it: unknown before the first open, followed while the device is up, gone when it is down. */
import { describe, expect, it } from 'vitest';
import { type Net, NetdevEvent } from '../../device/net.ts';
import { IF_OPER_DOWN, IF_OPER_UP, type NetDevice, netifCarrierOk } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { createSnull } from '../snull.ts';
import { FaultPort } from '../wrap/faults.ts';
import { createNic } from './nic.ts';
import type { Port } from './port.ts';

const drivers: readonly [string, (net: Net, port: Port) => NetDevice][] = [
  ['nic', createNic],
  ['nic over a wrapped port', (net, port) => createNic(net, new FaultPort(port, { seed: 1 }))],
  ['snull', createSnull],
];

describe.each(drivers)('the link of %s', (_name, create) => {
  function rig() {
    const world = new World({ seed: 1 });
    const sim = createSimMachine(world, { hostname: 'me' });
    const port = new SimPort(world, { name: 'sim:0', mac: macOf(1), wire: new Wire(world) });
    const dev = create(sim.net, port);
    const events: string[] = [];
    sim.net.registerNotifier((event, which) => {
      if (which === dev && event === NetdevEvent.CHANGE) events.push(netifCarrierOk(dev) ? 'up' : 'down');
      return 0;
    });
    return { world, port, dev, events };
  }

  it('is down until the device is opened, then what the port says', () => {
    const { world, dev } = rig();
    expect([netifCarrierOk(dev), dev.operstate]).toEqual([false, IF_OPER_DOWN]);
    devOpen(dev);
    world.runFor(2e9);
    expect([netifCarrierOk(dev), dev.operstate, dev.txQueues[0]!.qdisc?.ops.id]).toEqual([
      true,
      IF_OPER_UP,
      'pfifo_fast',
    ]);
    devClose(dev);
    expect(netifCarrierOk(dev)).toBe(false);
  });

  it('follows the plug without anybody asking, and everybody is told', () => {
    const { world, port, dev, events } = rig();
    devOpen(dev);
    world.runFor(2e9);
    events.length = 0;
    port.setLink(false);
    port.setLink(false);
    world.runFor(2e9);
    expect([netifCarrierOk(dev), dev.operstate, dev.txQueues[0]!.qdisc?.ops.id]).toEqual([false, IF_OPER_DOWN, 'noop']);
    port.setLink(true);
    world.runFor(2e9);
    expect([dev.operstate, dev.carrierUpCount, dev.carrierDownCount]).toEqual([IF_OPER_UP, 2, 1]);
    expect(events).toEqual(['down', 'up']);
  });

  it('is told late by an interrupt that was stuck', () => {
    const { world, port, dev } = rig();
    devOpen(dev);
    world.runFor(2e9);
    port.setIrqStuck(true);
    port.setLink(false);
    world.runFor(2e9);
    expect(netifCarrierOk(dev)).toBe(true);
    port.setIrqStuck(false);
    world.runFor(2e9);
    expect(netifCarrierOk(dev)).toBe(false);
  });
});
