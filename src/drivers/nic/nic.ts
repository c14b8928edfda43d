// hot
/**
 * The nic driver: one NAPI driver for every Port.
 *
 *     startXmit --> txBurst --> Port          Port --irq--> mask, napiSchedule
 *                                             poll: 1 txReap, free what has left, wake the queue
 *                                                   2 rxBurst, build an sk_buff around each frame, napi.receive
 *                                                   3 fewer than budget: complete, unmask; work waiting: schedule again
 *
 * Receive does not copy: the sk_buff points to where the Port (or the kernel behind it) has put the bytes.
 * A frame handed to txBurst belongs to the Port until txReap gives its tag back. Hot: nothing is allocated a frame; the two
 * batches are made at open.
 */
import { assert } from '../../base/assert.ts';
import { SetupError } from '../../base/status.ts';
import { ethMacAddr } from '../../device/dev_addr.ts';
import { allocEtherdev } from '../../device/eth.ts';
import { NETIF_F_GRO, NETIF_F_SG } from '../../device/features.ts';
import { napiCompleteDone, napiDisable, napiEnable, napiSchedule, netifNapiAdd } from '../../device/napi_struct.ts';
import type { Net } from '../../device/net.ts';
import {
  type DeviceOps,
  IFF_ALLMULTI,
  IFF_PROMISC,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOn,
  netifRunning,
  STAT_MULTICAST,
} from '../../device/net_device.ts';
import { netifScheduleQueue, netifStartQueue, netifStopQueue } from '../../device/netdev_queue.ts';
import { registerNetdevice } from '../../device/register.ts';
import { devSetRxMode, listedAddrs } from '../../device/rx_mode.ts';
import { devSetWantedFeatures } from '../../device/update_features.ts';
import { PACKET_MULTICAST } from '../../skb/sk_buff.ts';
import { nicEthtoolOps } from './ethtool.ts';
import { rxFrame } from './frame.ts';
import { BURST, Nic, NicQueue, nicSchedule } from './nic_queue.ts';
import type { Port } from './port.ts';
import { nicFlush, nicPurge, nicReap, nicReapClosed, nicStartXmit } from './xmit.ts';

/** Pieces of a super-frame: what one writev() takes, but for a header. A frame in more is dropped. */
const PIECES_MAX = 1020;

/**
 * Makes and registers a net_device over `port`. `name` is the interface name, `eth%d` if absent. The device is down;
 * devOpen opens the port. Throws SetupError `ERR_NETPOLL_NAME` for a name that is taken or not valid.
 */
export function createNic(net: Net, port: Port, name = 'eth%d'): NetDevice {
  assert(port.caps.rxQueues === port.caps.txQueues, 'a port has its queues in pairs');
  const nic = new Nic(port);
  const dev = allocEtherdev(net, { name, ops: NIC_OPS, priv: nic, txQueues: port.caps.txQueues });
  dev.devAddr.set(port.caps.mac);
  dev.mtu = port.caps.mtu;
  dev.maxMtu = Math.max(dev.maxMtu, port.caps.mtu);
  dev.features = port.caps.features;
  dev.ethtoolOps = nicEthtoolOps(port, nic.coalesce, nicReopen);
  dev.liveAddrChange = true;
  dev.txSkbSharing = true;
  dev.unicastFilter = port.setRxMode !== undefined;
  const machine = net.machine;
  for (let index = 0; index < port.caps.rxQueues; index++) {
    const napi = netifNapiAdd(dev, (_napi, budget) => nicPoll(dev, queue, budget));
    const cpu = machine.here[index % machine.here.length]!;
    const line = machine.requestIrq(`${dev.name}-rx-${index}`, cpu, () => nicInterrupt(nic, queue));
    const pieces = (port.caps.features & NETIF_F_SG) === 0 ? 0 : PIECES_MAX;
    const queue = new NicQueue(dev, nic, index, napi, line, pieces);
    queue.flush = () => nicFlush(queue);
    nic.queues.push(queue);
  }
  // Whether there is a link is known when the port is open.
  netifCarrierOff(dev);
  const error = registerNetdevice(dev);
  if (error < 0) throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  if (port.caps.datagrams ?? false) devSetWantedFeatures(dev, 0, NETIF_F_GRO);
  return dev;
}

/** The Port under a device that createNic made. */
export function nicPort(dev: NetDevice): Port {
  return (dev.priv as Nic).port;
}

const NIC_OPS: DeviceOps = {
  open(dev) {
    const nic = dev.priv as Nic;
    const irq = (index: number): void => nic.queues[index]!.line.raise();
    nic.port.open(dev.net.machine.arena, irq, () => {
      nic.linkChanged = true;
      irq(0);
    });
    nicLink(dev);
    for (const queue of nic.queues) {
      napiEnable(queue.napi);
      nicUnmask(nic, queue);
    }
    for (const queue of dev.txQueues) netifStartQueue(queue);
    return 0;
  },

  stop(dev) {
    const nic = dev.priv as Nic;
    const now = dev.net.machine.executive.now();
    for (const queue of dev.txQueues) netifStopQueue(queue, now);
    for (const queue of nic.queues) {
      nic.port.irqEnable(queue.index, false);
      napiDisable(queue.napi);
    }
    for (const queue of nic.queues) nicPurge(queue);
    nic.port.close();
    for (const queue of nic.queues) nicReapClosed(queue);
    netifCarrierOff(dev);
  },

  startXmit(skb, dev, txq) {
    return nicStartXmit(skb, (dev.priv as Nic).queues[txq.index]!, txq);
  },

  /** As the interrupt would: see whether there is a link, and have every queue polled. */
  pollController(dev) {
    nicLink(dev);
    for (const queue of (dev.priv as Nic).queues) nicInterrupt(dev.priv as Nic, queue);
  },

  /** A port without a filter takes frames for every address that it gets to see; ethTypeTrans tells ours from others'. */
  setMacAddress(dev, mac) {
    const error = ethMacAddr(dev, mac);
    if (error === 0) (dev.priv as Nic).port.setAddress?.(dev.devAddr);
    return error;
  },

  setRxMode(dev) {
    const { port } = dev.priv as Nic;
    port.setRxMode?.({
      promisc: (dev.flags & IFF_PROMISC) !== 0,
      allmulti: (dev.flags & IFF_ALLMULTI) !== 0,
      unicast: listedAddrs(dev.uc),
      multicast: listedAddrs(dev.mc),
    });
  },

  link(dev) {
    return nicLink(dev);
  },
};

/** Makes a change while the port is closed. What the ring held is flushed, as on any way down. */
function nicReopen(dev: NetDevice, change: () => number): number {
  const running = netifRunning(dev);
  if (running) NIC_OPS.stop!(dev);
  const status = change();
  if (running) {
    NIC_OPS.open(dev);
    devSetRxMode(dev);
    // What waits in the qdiscs since the queues were stopped has nobody else to have it sent.
    for (const txq of dev.txQueues) netifScheduleQueue(txq);
  }
  return status;
}

function nicLink(dev: NetDevice): boolean {
  const up = (dev.priv as Nic).port.link();
  if (up) netifCarrierOn(dev);
  else netifCarrierOff(dev);
  return up;
}

function nicInterrupt(nic: Nic, queue: NicQueue): void {
  if (nic.linkChanged) {
    nic.linkChanged = false;
    nicLink(queue.napi.dev);
  }
  nicSchedule(queue);
}

function nicUnmask(nic: Nic, queue: NicQueue): void {
  if (!nic.port.irqEnable(queue.index, true)) return;
  nic.port.irqEnable(queue.index, false);
  // Not ours to schedule: whoever owns it polls once more (MISSED), and unmasks after that.
  napiSchedule(queue.napi);
}

/** The poll of one queue. Bound: `budget` frames received, and all transmits that have left. */
function nicPoll(dev: NetDevice, queue: NicQueue, budget: number): number {
  const nic = dev.priv as Nic;
  const { port } = nic;
  const { index, napi, rx } = queue;
  nicReap(queue);
  let work = 0;
  while (work < budget) {
    const n = port.rxBurst(index, rx, Math.min(budget - work, BURST));
    if (n === 0) break;
    const { headroom } = port.caps;
    for (let i = 0; i < n; i++) {
      const skb = rxFrame(dev, rx, i, headroom);
      if (skb === null) continue;
      if (skb.pktType === PACKET_MULTICAST) dev.stats.add(STAT_MULTICAST);
      skb.queueMapping = index + 1;
      skb.napiId = napi.id;
      napi.receive(skb);
    }
    work += n;
  }
  if (work < budget) {
    queue.pace.polled(work);
    if (napiCompleteDone(napi, work)) nicUnmask(nic, queue);
  }
  return work;
}
