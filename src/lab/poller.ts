/**
 * The driver that polls without a quota: what Mogul and Ramakrishnan tried first, and why NAPI has a weight.
 *
 *     irq --> mask, raise the softirq --> take frames off the card until there is none --> backlog --> (when that is over) stack
 *
 * Under load no frame interrupts. But the card is never empty then, so the poll never ends, the next stage never runs, and what
 * was taken off the card overflows the backlog: work done, and lost. For the lab; nobody should use it.
 */
import { allocEtherdev } from '../device/eth.ts';
import type { Net } from '../device/net.ts';
import { type DeviceOps, type NetDevice, netifCarrierOn } from '../device/net_device.ts';
import { netifStartQueue } from '../device/netdev_queue.ts';
import { registerNetdevice } from '../device/register.ts';
import { rxFrame } from '../drivers/nic/frame.ts';
import { FrameBatch, type Port } from '../drivers/nic/port.ts';
import type { IrqLine } from '../machine/irq.ts';
import { Softirq } from '../machine/softirq.ts';

const BURST = 64;

/** Makes and registers a receive-only device over `port`, on the machine's CPU 0. */
export function createPoller(net: Net, port: Port, name = 'po%d'): NetDevice {
  const { machine } = net;
  const rx = new FrameBatch(BURST);
  const ops: DeviceOps = {
    open() {
      port.open(machine.arena, () => line.raise());
      netifCarrierOn(dev);
      netifStartQueue(dev.txQueues[0]!);
      if (port.irqEnable(0, true)) line.raise();
      return 0;
    },
    stop() {
      port.irqEnable(0, false);
      port.close();
    },
    startXmit(skb) {
      skb.pool.kfree(skb);
      return 0;
    },
  };
  const dev = allocEtherdev(net, { name, ops });
  dev.devAddr.set(port.caps.mac);
  const line: IrqLine = machine.requestIrq(dev.name, machine.cpus[0]!, () => {
    port.irqEnable(0, false);
    machine.softirq.raise(Softirq.TASKLET);
  });
  // A tasklet comes after NET_RX in a pass, and what it leaves on the backlog waits for the next one.
  machine.softirq.open(Softirq.TASKLET, () => {
    do {
      for (let n = port.rxBurst(0, rx, BURST); n > 0; n = port.rxBurst(0, rx, BURST)) {
        for (let i = 0; i < n; i++) {
          const skb = rxFrame(dev, rx, i, port.caps.headroom);
          if (skb !== null) net.softnet[machine.cpu.id]!.enqueue(skb);
        }
      }
    } while (port.irqEnable(0, true) && !port.irqEnable(0, false));
  });
  registerNetdevice(dev);
  return dev;
}
