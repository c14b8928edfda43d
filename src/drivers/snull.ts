// hot
/**
 * snull: the driver without NAPI, as drivers were before it. Every frame interrupts; the handler takes the frames off the
 * hardware then and there, and leaves them on the CPU's backlog (netif_rx). Under a flood the machine does nothing else:
 * that is what NAPI was made against, and what `netpoll lab` shows.
 *
 *     irq --> handler: txReap, rxBurst --> softnet.enqueue (netif_rx) --> NET_RX softirq: backlog --> stack
 *
 * It runs over the same Ports as drivers/nic.
 */
import { NETDEV_TX_BUSY, NETDEV_TX_OK, SetupError } from '../base/status.ts';
import { allocEtherdev } from '../device/eth.ts';
import { devConsumeSkbAny } from '../device/kfree_skb.ts';
import type { Net } from '../device/net.ts';
import {
  type DeviceOps,
  IFF_UP,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOn,
  STAT_TX_BYTES,
  STAT_TX_PACKETS,
} from '../device/net_device.ts';
import { netifStartQueue, netifStopQueue, netifWakeQueue } from '../device/netdev_queue.ts';
import { registerNetdevice } from '../device/register.ts';
import type { IrqLine } from '../machine/irq.ts';
import { rxFrame, txFrame } from './nic/frame.ts';
import { FrameBatch, type Port } from './nic/port.ts';

/** Frames that one interrupt takes at most, so that a handler's time is bounded. */
const FRAMES_PER_INTERRUPT = 64;

class Snull {
  readonly port: Port;
  readonly rx = new FrameBatch(FRAMES_PER_INTERRUPT);
  readonly tx = new FrameBatch(1);
  readonly done = new FrameBatch(FRAMES_PER_INTERRUPT);
  inFlight = 0;
  /** The handler hands frames up from `rx`, which must not be filled again meanwhile. */
  receiving = false;
  /** The port has said that its link is another one. */
  linkChanged = false;
  line: IrqLine | null = null;

  constructor(port: Port) {
    this.port = port;
  }
}

/** Makes and registers an interrupt-only device over `port`. Throws SetupError `ERR_NETPOLL_NAME`. */
export function createSnull(net: Net, port: Port, name = 'sn%d'): NetDevice {
  const snull = new Snull(port);
  const dev = allocEtherdev(net, { name, ops: SNULL_OPS, priv: snull });
  dev.devAddr.set(port.caps.mac);
  dev.mtu = port.caps.mtu;
  snull.line = net.machine.requestIrq(dev.name, net.machine.here[0]!, () => snullInterrupt(dev));
  netifCarrierOff(dev);
  const error = registerNetdevice(dev);
  if (error < 0) throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  return dev;
}

const SNULL_OPS: DeviceOps = {
  open(dev) {
    const snull = dev.priv as Snull;
    const irq = (): void => snull.line?.raise();
    snull.port.open(dev.net.machine.arena, irq, () => {
      snull.linkChanged = true;
      irq();
    });
    snullLink(dev);
    netifStartQueue(dev.txQueues[0]!);
    if (snull.port.irqEnable(0, true)) snull.line?.raise();
    return 0;
  },

  stop(dev) {
    const snull = dev.priv as Snull;
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
    snull.port.irqEnable(0, false);
    snull.port.close();
    snullReap(dev, snull);
    netifCarrierOff(dev);
  },

  startXmit(skb, dev, txq) {
    const snull = dev.priv as Snull;
    const { tx } = snull;
    const len = skb.len;
    txFrame(tx, 0, skb);
    if (snull.port.txBurst(0, tx, 1) === 0) {
      if (snull.inFlight > 0) netifStopQueue(txq, dev.net.machine.executive.now());
      return NETDEV_TX_BUSY;
    }
    snull.inFlight++;
    dev.stats.add(STAT_TX_PACKETS);
    dev.stats.add(STAT_TX_BYTES, len);
    return NETDEV_TX_OK;
  },

  /** The handler itself: a driver without NAPI has nothing else. */
  pollController(dev) {
    snullLink(dev);
    snullInterrupt(dev);
  },

  link: snullLink,
};

function snullLink(dev: NetDevice): boolean {
  const snull = dev.priv as Snull;
  snull.linkChanged = false;
  const up = snull.port.link();
  if (up) netifCarrierOn(dev);
  else netifCarrierOff(dev);
  return up;
}

/**
 * Bound: FRAMES_PER_INTERRUPT frames; if there are more the port says so and the line is raised again. A frame's hook may
 * send, find the ring full and poll: the handler then finds itself at work, and frees what has left, no more.
 */
function snullInterrupt(dev: NetDevice): void {
  const snull = dev.priv as Snull;
  if (snull.linkChanged) snullLink(dev);
  snullReap(dev, snull);
  if (snull.receiving) return;
  snull.receiving = true;
  const n = snull.port.rxBurst(0, snull.rx, FRAMES_PER_INTERRUPT);
  const softnet = dev.net.softnet[dev.net.machine.cpu.id]!;
  for (let i = 0; i < n; i++) {
    const skb = rxFrame(dev, snull.rx, i, snull.port.caps.headroom);
    if (skb !== null) softnet.enqueue(skb);
  }
  snull.receiving = false;
  if (snull.port.irqEnable(0, true)) snull.line?.raise();
}

function snullReap(dev: NetDevice, snull: Snull): void {
  const { net } = dev;
  const pool = net.machine.skbs;
  for (let n = snull.port.txReap(0, snull.done); n > 0; n = snull.port.txReap(0, snull.done)) {
    for (let i = 0; i < n; i++) devConsumeSkbAny(net, pool.byId(snull.done.cookie[i]!));
    snull.inFlight -= n;
    if ((dev.flags & IFF_UP) !== 0) netifWakeQueue(dev.txQueues[0]!);
  }
}
