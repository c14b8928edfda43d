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
import { NETDEV_TX_BUSY, NETDEV_TX_OK, SetupError } from '../../base/status.ts';
import { ethMacAddr } from '../../device/dev_addr.ts';
import { allocEtherdev } from '../../device/eth.ts';
import { NETIF_F_SG } from '../../device/features.ts';
import {
  type NapiStruct,
  napiCompleteDone,
  napiDisable,
  napiEnable,
  napiSchedule,
  napiScheduleOwned,
  napiSchedulePrep,
  netifNapiAdd,
} from '../../device/napi_struct.ts';
import type { Net } from '../../device/net.ts';
import {
  type DeviceOps,
  IFF_ALLMULTI,
  IFF_PROMISC,
  IFF_UP,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOn,
  netifRunning,
  STAT_MULTICAST,
  STAT_TX_BYTES,
  STAT_TX_DROPPED,
  STAT_TX_PACKETS,
} from '../../device/net_device.ts';
import {
  type NetdevQueue,
  netifQueueStopped,
  netifScheduleQueue,
  netifStartQueue,
  netifStopQueue,
  netifWakeQueue,
} from '../../device/netdev_queue.ts';
import { registerNetdevice } from '../../device/register.ts';
import { devSetRxMode, listedAddrs } from '../../device/rx_mode.ts';
import type { IrqLine } from '../../machine/irq.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { PACKET_MULTICAST, type SkBuff } from '../../skb/sk_buff.ts';
import { nicEthtoolOps } from './ethtool.ts';
import { rxFrame, txFrame } from './frame.ts';
import { FrameBatch, type Port } from './port.ts';

/** Frames moved across the border to the Port at once. */
const BURST = 64;
/** Pieces of a super-frame: what one writev() takes, but for a header. A frame in more is dropped. */
const PIECES_MAX = 1020;

/** Driver state of one receive and transmit queue pair. */
interface NicQueue {
  readonly index: number;
  readonly napi: NapiStruct;
  readonly line: IrqLine;
  readonly rx: FrameBatch;
  readonly tx: FrameBatch;
  readonly done: FrameBatch;
  /** Frames that the Port has and txReap has not given back. */
  inFlight: number;
}

/** The driver's `priv`. */
export class Nic {
  readonly port: Port;
  queues: NicQueue[] = [];
  /** The port has said that its link is another one; the next interrupt looks. */
  linkChanged = false;

  constructor(port: Port) {
    this.port = port;
  }
}

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
  dev.ethtoolOps = nicEthtoolOps(port, nicReopen);
  dev.liveAddrChange = true;
  dev.unicastFilter = port.setRxMode !== undefined;
  const machine = net.machine;
  for (let index = 0; index < port.caps.rxQueues; index++) {
    const napi = netifNapiAdd(dev, (_napi, budget) => nicPoll(dev, queue, budget));
    const cpu = machine.cpus[index % machine.cpus.length]!;
    const line = machine.requestIrq(`${dev.name}-rx-${index}`, cpu, () => nicInterrupt(nic, queue));
    const queue: NicQueue = {
      index,
      napi,
      line,
      rx: new FrameBatch(BURST),
      tx: new FrameBatch(1, (port.caps.features & NETIF_F_SG) === 0 ? 0 : PIECES_MAX),
      done: new FrameBatch(BURST),
      inFlight: 0,
    };
    nic.queues.push(queue);
  }
  // Whether there is a link is known when the port is open.
  netifCarrierOff(dev);
  const error = registerNetdevice(dev);
  if (error < 0) throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
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
    nic.port.close();
    for (const queue of nic.queues) nicReap(dev, nic, queue);
    netifCarrierOff(dev);
  },

  startXmit(skb, dev, txq) {
    return nicStartXmit(skb, dev, txq);
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
  if (!napiSchedulePrep(queue.napi)) return;
  nic.port.irqEnable(queue.index, false);
  napiScheduleOwned(queue.napi);
}

function nicUnmask(nic: Nic, queue: NicQueue): void {
  if (!nic.port.irqEnable(queue.index, true)) return;
  nic.port.irqEnable(queue.index, false);
  // Not ours to schedule: whoever owns it polls once more (MISSED), and unmasks after that.
  napiSchedule(queue.napi);
}

/** OK: the Port has the frame. BUSY: its ring is full; the queue is stopped if a completion will wake it. */
function nicStartXmit(skb: SkBuff, dev: NetDevice, txq: NetdevQueue): number {
  const nic = dev.priv as Nic;
  const queue = nic.queues[txq.index]!;
  const batch = queue.tx;
  const len = skb.len;
  if (!txFrame(batch, skb)) {
    dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.TX_ERROR);
    return NETDEV_TX_OK;
  }
  if (nic.port.txBurst(txq.index, batch, 1) === 0) {
    nicReap(dev, nic, queue);
    if (nic.port.txBurst(txq.index, batch, 1) === 0) {
      if (queue.inFlight > 0) netifStopQueue(txq, dev.net.machine.executive.now());
      return NETDEV_TX_BUSY;
    }
  }
  queue.inFlight++;
  const { values } = dev.stats;
  values[STAT_TX_PACKETS]!++;
  values[STAT_TX_BYTES]! += len;
  return NETDEV_TX_OK;
}

/** Frees what has left; wakes the queue if that made room. Bound: what was in flight. */
function nicReap(dev: NetDevice, nic: Nic, queue: NicQueue): void {
  const { done, index } = queue;
  const { port } = nic;
  const pool = dev.net.machine.skbs;
  let reaped = 0;
  // Until there are none: a port may have tags of its own between, and none of the driver's in a round.
  for (let n = port.txReap(index, done); n > 0; n = port.txReap(index, done)) {
    for (let i = 0; i < n; i++) pool.consume(pool.byId(done.cookie[i]!));
    reaped += n;
  }
  queue.inFlight -= reaped;
  const txq = dev.txQueues[queue.index]!;
  if (reaped > 0 && netifQueueStopped(txq) && (dev.flags & IFF_UP) !== 0) netifWakeQueue(txq);
}

/** The poll of one queue. Bound: `budget` frames received, and all transmits that have left. */
function nicPoll(dev: NetDevice, queue: NicQueue, budget: number): number {
  const nic = dev.priv as Nic;
  const { port } = nic;
  const { index, napi, rx } = queue;
  nicReap(dev, nic, queue);
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
  if (work < budget && napiCompleteDone(napi, work)) nicUnmask(nic, queue);
  return work;
}
