/**
 * Puts the stack into a machine: installs every sink, opens the network softirqs.
 *
 *     napi.receive, softnet.deliver --> netif_receive_skb        softnet.enqueue --> backlog        NET_TX --> qdiscs
 */
import { freeCompletionQueue } from '../device/kfree_skb.ts';
import type { Net } from '../device/net.ts';
import { Softirq } from '../machine/softirq.ts';
import { napiInit } from '../napi/napi_init.ts';
import type { NetRxLimits } from '../napi/net_rx_action.ts';
import { type Backlog, backlogInit } from './backlog.ts';
import { netifRx } from './netif_rx.ts';
import { PacketTypes } from './packet_type.ts';
import { devActivate, devDeactivate, devResizeQdiscs } from './qdisc_attach.ts';
import { netifSchedule, netTxAction } from './qdisc_run.ts';
import { netifReceiveSkb } from './receive.ts';
import { Rps } from './rps.ts';
import { Transmit } from './transmit.ts';
import { validateXmit } from './validate_xmit.ts';
import { watchdogUp } from './watchdog.ts';

export interface Stack {
  readonly net: Net;
  readonly types: PacketTypes;
  readonly limits: NetRxLimits;
  readonly rps: Rps;
  /** Each CPU's, by its number. */
  readonly backlogs: readonly Backlog[];
}

/** Call once a machine, before its devices are opened. (`net_dev_init`) */
export function netInit(net: Net): Stack {
  const limits = napiInit(net);
  const types = new PacketTypes();
  for (const softnet of net.softnet) softnet.deliver = (skb) => netifReceiveSkb(net, types, skb);
  const backlogs = backlogInit(net);
  const rps = new Rps(net, backlogs);
  for (const backlog of backlogs) {
    backlog.softnet.enqueue = (skb) => netifRx(rps, skb);
    backlog.softnet.sendIpis = () => backlog.sendIpis();
  }
  const tx = new Transmit(net, types.taps);
  tx.validateXmit = validateXmit;
  net.transmit = tx;
  net.scheduleQdisc = (qdisc) => netifSchedule(net, qdisc);
  net.activate = devActivate;
  net.deactivate = devDeactivate;
  net.resizeQdiscs = devResizeQdiscs;
  net.watchdogUp = watchdogUp;
  net.flushBacklogs = (dev) => {
    for (const backlog of backlogs) backlog.flush(dev);
  };
  net.machine.softirq.open(Softirq.NET_TX, () => {
    freeCompletionQueue(net);
    netTxAction(tx);
  });
  return { net, types, limits, rps, backlogs };
}
