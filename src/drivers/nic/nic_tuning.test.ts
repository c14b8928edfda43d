/** What ethtool and ip change on the nic driver, as far as its port can: rings, coalescing, addresses. */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { ethtoolSetCoalesce, ethtoolSetRingparam } from '../../device/ethtool.ts';
import { devOpen } from '../../device/open.ts';
import { devSetPromiscuity, devUcAdd, devUcDel } from '../../device/rx_mode.ts';
import { Hand, macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { FaultPort } from '../wrap/faults.ts';
import { createNic } from './nic.ts';
import type { Port } from './port.ts';

function rig(wrap: (port: Port) => Port = (port) => port) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const sim = createSimMachine(world, { hostname: 'me' });
  const port = new SimPort(world, { name: 'sim:0', mac: macOf(2), wire });
  const dev = createNic(sim.net, wrap(port), 'eth0');
  let heard = 0;
  sim.stack.types.add(0x88b5, (skb) => {
    heard++;
    skb.pool.consume(skb);
    return 0;
  });
  const hand = new Hand(world, wire);
  /** Frames heard of `n` that came at once, within `ns`. */
  const come = (n: number, ns = 1e6, mac: ArrayLike<number> = macOf(2)): number => {
    heard = 0;
    const bytes = new Uint8Array(60);
    bytes.set(mac);
    bytes.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6);
    for (let i = 0; i < n; i++) port.receive(bytes, 60);
    world.runFor(ns);
    return heard;
  };
  return { ...sim, world, port, dev, hand, come };
}

describe.each([
  ['a port', (port: Port) => port],
  ['a wrapped port', (port: Port) => new FaultPort(port, { seed: 1 })],
] as const)('the nic over %s', (_name, wrap) => {
  it('changes its rings, closed or open, and keeps receiving', () => {
    const { dev, machine, world, come } = rig(wrap);
    expect(ethtoolSetRingparam(dev, 100, 200)).toBe(0);
    expect(dev.ethtoolOps!.getRingparam!(dev)).toEqual({ rx: 128, tx: 256, rxMax: 4096, txMax: 4096 });
    devOpen(dev);
    expect(come(100)).toBe(100);
    expect(ethtoolSetRingparam(dev, 8, 8)).toBe(0);
    // Without time between them frames find a ring of 8, while interrupts are off.
    world.runFor(1e6);
    const were = machine.cpu.localIrqSave();
    come(20, 0);
    machine.cpu.localIrqRestore(were);
    expect(come(4)).toBe(4 + 8 - 8);
    expect(dev.stats.get('rx_packets')).toBe(100 + 8 + 4);
    expect(ethtoolSetRingparam(dev, 5000, 8)).toBe(-Errno.EINVAL);
  });

  it('moderates its interrupts where the port can', () => {
    const { dev, come, port } = rig(wrap);
    devOpen(dev);
    expect(ethtoolSetCoalesce(dev, { txUsecs: 5 })).toBe(-Errno.EOPNOTSUPP);
    expect(ethtoolSetCoalesce(dev, { rxUsecs: 0, rxFrames: 0 })).toBe(-Errno.EINVAL);
    expect(ethtoolSetCoalesce(dev, { rxUsecs: 100, rxFrames: 4 })).toBe(0);
    expect(dev.ethtoolOps!.getCoalesce!(dev)).toMatchObject({ rxUsecs: 100, rxFrames: 4 });
    const before = port.counters.get('interrupts');
    expect([come(3, 99e3), come(0, 2e3), come(4, 1)]).toEqual([0, 3, 4]);
    expect(port.counters.get('interrupts') - before).toBe(2);
    expect(come(2, 10e3)).toBe(0);
    expect(ethtoolSetCoalesce(dev, { rxUsecs: 0, rxFrames: 1 })).toBe(0);
    // What waited by the old values came at once.
    expect([dev.stats.get('rx_packets'), come(1)]).toEqual([3 + 4 + 2, 1]);
    expect(come(10)).toBe(10);
  });

  it('takes frames for the address that it is given, and for further ones', () => {
    const { dev, come } = rig(wrap);
    devOpen(dev);
    const [other, more] = [
      [2, 0, 0, 0, 0, 9],
      [2, 0, 0, 0, 0, 10],
    ] as const;
    expect(come(1, 1e6, other)).toBe(0);
    devSetMacAddress(dev, Uint8Array.from(other));
    devUcAdd(dev, Uint8Array.from(more));
    expect([come(1, 1e6, other), come(1, 1e6, more), come(1)]).toEqual([1, 1, 0]);
    devUcDel(dev, Uint8Array.from(more));
    expect(come(1, 1e6, more)).toBe(0);
    devSetPromiscuity(dev, 1);
    expect([come(1, 1e6, more), dev.promiscuity]).toEqual([1, 1]);
  });
});
