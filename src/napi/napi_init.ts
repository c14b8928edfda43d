/**
 * Puts NAPI into a machine: the NET_RX softirq, and what `receive` does with a frame that a driver hands up.
 *
 * Without a stack, frames meet netpoll's trap and nothing else: that is all a machine needs which only talks through
 * netpoll. stack/net_init.ts replaces the sinks behind it.
 *
 * With interrupts off it is netpoll that polls, wherever the machine happened to be. The stack is not entered then: netpoll's
 * own frames go to their hooks, all others wait on the backlog.
 *
 *     napi.receive --> GRO, if the device has it --> net.napiReceive --> softnet.deliver | softnet.enqueue
 */

import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { devOf } from '../device/net_device.ts';
import { Softirq } from '../machine/softirq.ts';
import { DropReason } from '../skb/drop_reason.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { Gro, groFlush, groReceive } from './gro.ts';
import { GroCb } from './gro_cb.ts';
import { NETDEV_BUDGET, type NetRxLimits, netRxAction } from './net_rx_action.ts';

/** Installs NAPI; the limits of net_rx_action come back and may be changed. */
export function napiInit(net: Net): NetRxLimits {
  const machine = net.machine;
  const limits: NetRxLimits = { budget: NETDEV_BUDGET, budgetNs: 2 * machine.jiffyNs };
  machine.softirq.open(Softirq.NET_RX, netRxAction(net, limits));
  for (const softnet of net.softnet) {
    softnet.deliver = trapOnly;
    softnet.enqueue = trapOnly;
  }
  net.napiReceive = (skb) => {
    const softnet = net.softnet[machine.cpu.id]!;
    if (machine.cpu.irqsDisabled) softnet.enqueue(skb);
    else if (softnet.steer === null || !softnet.steer(skb)) softnet.deliver(skb);
  };
  const cb = new GroCb(machine.skbs.size);
  net.napiAdded = (napi) => {
    const gro = new Gro(machine, cb, net.napiReceive);
    napi.gro = gro;
    napi.groFlush = (flushOld) => groFlush(gro, flushOld);
    napi.groHolds = () => gro.held > 0;
    napi.receive = (skb) => {
      // Not for netpoll, which wants the frame now.
      if (machine.cpu.irqsDisabled) net.napiReceive(skb);
      else groReceive(gro, skb);
    };
  };
  return limits;
}

/** Netpoll takes the frame, or it is dropped. */
function trapOnly(skb: SkBuff): number {
  const trap = devOf(skb).rxTrap;
  if (trap?.(skb) === true) return NET_RX_SUCCESS;
  skb.pool.kfree(skb, DropReason.UNHANDLED_PROTO);
  return NET_RX_DROP;
}
