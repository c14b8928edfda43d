/**
 * Context assertions over a simulated machine, in the manner of lockdep: who is called where he may not be is told at once, with
 * the rule, instead of one day in production.
 *
 *     startXmit      the queue's lock is held by this CPU (but by drivers that need none: no qdisc, no hardware)
 *     poll           softirq context, or netpoll's with interrupts off; pollOwner is this CPU; work <= budget
 *     receive, deliver   softirq context, or netpoll's with interrupts off
 *     open, stop, address, mtu     process context
 *     receive mode   not in a hardware interrupt
 *     txTimeout      the watchdog's softirq
 *     dev_queue_xmit interrupts on (its own assertion)
 *     schedule, enable   the state machine's own assertions (device/napi_struct.ts)
 *
 * Wraps what is wrapped, changes nothing else. A breach is a Bug: the run ends there.
 */
import { Bug } from '../base/assert.ts';
import { NAPI_STATE_NPSVC, type NapiPoll } from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import type { DeviceOps, NetDevice } from '../device/net_device.ts';
import type { Cpu } from '../machine/cpu.ts';

function rule(holds: boolean, what: string, net: Net): void {
  if (holds) return;
  const { cpu } = net.machine;
  const irqs = cpu.irqsDisabled ? 'off' : 'on';
  throw new Bug(
    `context: ${what} (CPU ${cpu.id}, context count 0x${cpu.preemptCount.toString(16)}, interrupts ${irqs})`,
  );
}

/** Softirqs cannot run here: in one, with them disabled, or with interrupts off. */
function bottomHalf(cpu: Cpu): boolean {
  return (cpu.inSoftirq && !cpu.inHardirq) || cpu.irqsDisabled;
}

/** Watches a device from now on: its operations, and its NAPI instances. Call it once, after the driver has added them. */
export function watchDevice(dev: NetDevice): void {
  const { net, ops } = dev;
  const watched: DeviceOps = {
    ...ops,
    startXmit(skb, self, queue) {
      rule(queue.xmitLockOwner === net.machine.cpu.id, `startXmit of ${self.name} without the tx lock`, net);
      rule(skb.users > 0, `startXmit of ${self.name} with a frame that was freed`, net);
      rule(!queue.frozenOrStopped, `startXmit of ${self.name} on a stopped queue`, net);
      return ops.startXmit(skb, self, queue);
    },
    open(self) {
      rule(!net.machine.cpu.inInterrupt, `open of ${self.name} outside of process context`, net);
      return ops.open(self);
    },
  };
  const { stop } = ops;
  if (stop !== undefined) {
    watched.stop = (self) => {
      rule(!net.machine.cpu.inInterrupt, `stop of ${self.name} outside of process context`, net);
      stop(self);
    };
  }
  watchChanges(dev, ops, watched);
  (dev as { ops: DeviceOps }).ops = watched;
  for (const napi of dev.napiList) {
    const { poll } = napi;
    const watchedPoll: NapiPoll = (self, budget) => {
      const { cpu } = net.machine;
      const netpoll = (self.state & NAPI_STATE_NPSVC) !== 0 && cpu.irqsDisabled;
      rule(netpoll || (cpu.inSoftirq && !cpu.inHardirq), `poll of ${dev.name} outside of softirq and netpoll`, net);
      rule(self.pollOwner === cpu.id, `poll of ${dev.name} by a CPU that does not own it`, net);
      const work = poll(self, budget);
      rule(work >= 0 && work <= budget, `poll of ${dev.name} took ${work} of ${budget}`, net);
      rule(net.machine.cpu === cpu, `poll of ${dev.name} came back on another CPU`, net);
      return work;
    };
    (napi as { poll: NapiPoll }).poll = watchedPoll;
    const { receive } = napi;
    napi.receive = (skb) => {
      rule(bottomHalf(net.machine.cpu), `napi.receive of ${dev.name} outside of softirq and netpoll`, net);
      receive(skb);
    };
  }
}

/** What users change, and what the watchdog does. */
function watchChanges(dev: NetDevice, ops: DeviceOps, watched: DeviceOps): void {
  const { net } = dev;
  const { setMacAddress, changeMtu, setRxMode, txTimeout } = ops;
  const process = (what: string): void =>
    rule(!net.machine.cpu.inInterrupt, `${what} of ${dev.name} outside of process context`, net);
  if (setMacAddress !== undefined) {
    watched.setMacAddress = (self, mac) => {
      process('setMacAddress');
      return setMacAddress.call(ops, self, mac);
    };
  }
  if (changeMtu !== undefined) {
    watched.changeMtu = (self, mtu) => {
      process('changeMtu');
      return changeMtu.call(ops, self, mtu);
    };
  }
  if (setRxMode !== undefined) {
    watched.setRxMode = (self) => {
      rule(!net.machine.cpu.inHardirq, `setRxMode of ${dev.name} in a hardware interrupt`, net);
      setRxMode.call(ops, self);
    };
  }
  if (txTimeout !== undefined) {
    watched.txTimeout = (self, queue) => {
      rule(net.machine.cpu.inSoftirq && !net.machine.cpu.inHardirq, `txTimeout of ${dev.name} outside of softirq`, net);
      txTimeout.call(ops, self, queue);
    };
  }
}

/** Watches the way into the stack. Call it once, after the stack is there. */
export function watchSinks(net: Net): void {
  for (const softnet of net.softnet) {
    const { deliver } = softnet;
    softnet.deliver = (skb) => {
      rule(net.machine.cpu.inSoftirq && !net.machine.cpu.inHardirq, 'netif_receive_skb outside of softirq', net);
      rule(!net.machine.cpu.irqsDisabled, 'netif_receive_skb with interrupts off', net);
      return deliver(skb);
    };
  }
}
