/** The checkers themselves: each rule of the contexts is broken once, and starvation is seen where there is some. */
import { describe, expect, it } from 'vitest';
import { devSetMacAddress } from '../device/dev_addr.ts';
import { napiCompleteDone, napiEnable, napiSchedule, netifNapiAdd } from '../device/napi_struct.ts';
import { devClose, devOpen } from '../device/open.ts';
import { devMcAdd } from '../device/rx_mode.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { skbPut } from '../skb/sk_buff.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { watchDevice, watchSinks } from './contexts.ts';
import { createSimMachine } from './sim_machine.ts';
import { SimPort } from './sim_port.ts';
import { Starvation } from './starvation.ts';
import { Wire } from './wire.ts';
import { World } from './world.ts';

function rig() {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'me' });
  const port = new SimPort(world, { name: 'sim:0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), wire: new Wire(world) });
  const dev = createNic(sim.net, port, 'eth0');
  watchSinks(sim.net);
  watchDevice(dev);
  const { machine, net } = sim;
  const frame = () => {
    const skb = machine.skbs.allocForDevice(dev, 60)!;
    skbPut(skb, 60);
    return skb;
  };
  /** In a hardware interrupt. */
  const irq = (run: () => void): void => machine.requestIrq('test', machine.cpu, run).raise();
  const irqsOff = (run: () => void): void => {
    machine.cpu.localIrqSave();
    run();
  };
  const bhOff = (run: () => void): void => {
    machine.cpu.localBhDisable();
    run();
  };
  return { ...sim, world, port, dev, frame, irq, irqsOff, bhOff, net };
}
type Rig = ReturnType<typeof rig>;

const breaches: readonly [name: string, rule: RegExp, breach: (r: Rig) => void][] = [
  [
    'startXmit without the lock',
    /without the tx lock/,
    ({ dev, frame }) => dev.ops.startXmit(frame(), dev, dev.txQueues[0]!),
  ],
  [
    'startXmit on a stopped queue',
    /on a stopped queue/,
    ({ dev, frame }) => {
      dev.txQueues[0]!.xmitLockOwner = 0;
      dev.txQueues[0]!.state = 1;
      dev.ops.startXmit(frame(), dev, dev.txQueues[0]!);
    },
  ],
  ['open in an interrupt', /open of eth0 outside of process/, ({ dev, irq }) => irq(() => devOpen(dev))],
  [
    'stop with softirqs off',
    /stop of eth0 outside of process/,
    ({ dev, bhOff }) => {
      devOpen(dev);
      bhOff(() => devClose(dev));
    },
  ],
  [
    'an address set in an interrupt',
    /setMacAddress of eth0 outside of process/,
    ({ dev, irq }) => irq(() => devSetMacAddress(dev, Uint8Array.of(2, 0, 0, 0, 0, 9))),
  ],
  [
    'a filter changed in an interrupt',
    /setRxMode of eth0 in a hardware interrupt/,
    ({ dev, irq }) => {
      devOpen(dev);
      irq(() => devMcAdd(dev, Uint8Array.of(1, 0, 0x5e, 0, 0, 1)));
    },
  ],
  [
    'a poll in process context',
    /poll of eth0 outside of softirq/,
    ({ dev }) => dev.napiList[0]!.poll(dev.napiList[0]!, 1),
  ],
  [
    'a poll by who does not own it',
    /does not own it/,
    ({ dev, bhOff }) => bhOff(() => dev.napiList[0]!.poll(dev.napiList[0]!, 1)),
  ],
  ['napi.receive in process context', /napi.receive of eth0/, ({ dev, frame }) => dev.napiList[0]!.receive(frame())],
  ['netif_receive_skb in process context', /outside of softirq/, ({ net, frame }) => net.softnet[0]!.deliver(frame())],
  [
    'netif_receive_skb with interrupts off',
    /with interrupts off/,
    ({ net, frame, bhOff, irqsOff }) => bhOff(() => irqsOff(() => net.softnet[0]!.deliver(frame()))),
  ],
  [
    'dev_queue_xmit with interrupts off',
    /devQueueXmit is not called with interrupts off/,
    ({ dev, frame, irqsOff }) => {
      devOpen(dev);
      irqsOff(() => devQueueXmit(frame()));
    },
  ],
];

describe('context assertions', () => {
  it.each(breaches)('tell: %s', (_name, rule, breach) => {
    expect(() => breach(rig())).toThrow(rule);
  });

  it('say nothing while everything is as it should be', () => {
    const { dev, frame, world } = rig();
    devOpen(dev);
    devMcAdd(dev, Uint8Array.of(1, 0, 0x5e, 0, 0, 1));
    devSetMacAddress(dev, Uint8Array.of(2, 0, 0, 0, 0, 9));
    for (let i = 0; i < 20; i++) devQueueXmit(frame());
    world.runFor(1e9);
    devClose(dev);
    expect(dev.stats.get('tx_packets')).toBe(20);
  });
});

describe('starvation', () => {
  const rigOf = () => {
    const r = rig();
    return { ...r, sim: r };
  };

  it('is seen where an instance is scheduled and never polled, once a bound', () => {
    const r = rigOf();
    devOpen(r.dev);
    const starvation = new Starvation(r.world, r.sim, 10e6);
    const napi = netifNapiAdd(r.dev, () => 0);
    napiEnable(napi);
    napiSchedule(napi);
    r.world.runFor(55e6);
    const wrong = starvation.stop();
    expect(wrong.length).toBeGreaterThanOrEqual(3);
    expect(wrong[0]).toMatch(/^me: napi \d+ of eth0: starved, not run for more than 10 ms$/);
  });

  it('is not seen where polls come, however long they go on', () => {
    const r = rigOf();
    devOpen(r.dev);
    const starvation = new Starvation(r.world, r.sim, 10e6);
    let left = 40;
    const napi = netifNapiAdd(r.dev, (self, budget) => {
      if (left-- > 0) return budget;
      napiCompleteDone(self, 0);
      return 0;
    });
    napiEnable(napi);
    napiSchedule(napi);
    r.world.runFor(100e6);
    expect(starvation.stop()).toEqual([]);
  });

  it('is not seen on a machine that is dead', () => {
    const r = rigOf();
    const starvation = new Starvation(r.world, r.sim, 10e6);
    r.machine.cpu.softirqPending = 1 << 3;
    r.machine.dead = true;
    r.world.runFor(100e6);
    expect(starvation.stop()).toEqual([]);
    r.machine.dead = false;
  });
});
