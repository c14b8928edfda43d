/** Networking of a test machine, and devices whose driver the test writes. */
import { NETDEV_TX_OK } from '../base/status.ts';
import type { TestExecutive } from '../machine/machine.fixture.ts';
import { testMachine } from '../machine/machine.fixture.ts';
import type { Machine } from '../machine/machine.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { allocEtherdev } from './eth.ts';
import { Net } from './net.ts';
import type { DeviceOps, NetDevice } from './net_device.ts';
import { devOpen } from './open.ts';
import { registerNetdevice } from './register.ts';

export interface TestNet {
  readonly machine: Machine;
  readonly executive: TestExecutive;
  readonly net: Net;
}

export function testNet(options: { cpus?: number; hz?: number; skbs?: number } = {}): TestNet {
  const { machine, executive } = testMachine(options);
  return { machine, executive, net: new Net(machine) };
}

/** A registered Ethernet device that is up; without a startXmit of the test's own it consumes what it is given. */
export function testDevice(net: Net, ops: Partial<DeviceOps> = {}, txQueues = 1): NetDevice {
  const startXmit = (skb: SkBuff) => {
    skb.pool.consume(skb);
    return NETDEV_TX_OK;
  };
  const dev = allocEtherdev(net, { ops: { open: () => 0, startXmit, ...ops }, txQueues });
  dev.devAddr.set([2, 0, 0, 0, 0, 1]);
  if (registerNetdevice(dev) < 0 || devOpen(dev) < 0) throw new Error('the test device does not come up');
  return dev;
}

/** A frame of `len` bytes on `dev`, marked by its first byte. */
export function testFrame(dev: NetDevice, mark = 0, len = 60): SkBuff {
  const skb = dev.net.machine.skbs.allocForDevice(dev, len);
  if (skb === null) throw new Error('no memory for a test frame');
  skb.tail += len;
  skb.len += len;
  skb.arena.bytes[skb.data] = mark;
  return skb;
}
