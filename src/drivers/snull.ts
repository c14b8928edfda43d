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
import { allocEtherdev, ethTypeTrans } from '../device/eth.ts';
import type { Net } from '../device/net.ts';
import {
  type DeviceOps,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOn,
  STAT_RX_BYTES,
  STAT_RX_DROPPED,
  STAT_RX_ERRORS,
  STAT_RX_PACKETS,
  STAT_TX_BYTES,
  STAT_TX_PACKETS,
} from '../device/net_device.ts';
import { netifStartQueue, netifStopQueue, netifWakeQueue } from '../device/netdev_queue.ts';
import { registerNetdevice } from '../device/register.ts';
import type { IrqLine } from '../machine/irq.ts';
import { skbPut } from '../skb/sk_buff.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { FrameBatch, type Port } from './nic/port.ts';

/** Frames that one interrupt takes at most, so that a handler's time is bounded. */
const FRAMES_PER_INTERRUPT = 64;

class Snull {
  readonly port: Port;
  readonly rx = new FrameBatch(FRAMES_PER_INTERRUPT);
  readonly tx = new FrameBatch(1);
  readonly done = new FrameBatch(FRAMES_PER_INTERRUPT);
  inFlight = 0;
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
  snull.line = net.machine.requestIrq(dev.name, net.machine.cpus[0]!, () => snullInterrupt(dev));
  const error = registerNetdevice(dev);
  if (error < 0) throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  return dev;
}

const SNULL_OPS: DeviceOps = {
  open(dev) {
    const snull = dev.priv as Snull;
    snull.port.open(dev.net.machine.arena, () => snull.line?.raise());
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
  },

  startXmit(skb, dev, txq) {
    const snull = dev.priv as Snull;
    const { tx } = snull;
    const len = skb.len;
    tx.buf[0] = skb.buf;
    tx.offset[0] = skb.data;
    tx.len[0] = len;
    tx.end[0] = skb.end;
    tx.cookie[0] = skb.id;
    tx.csum[0] = skb.ipSummed;
    tx.vlanTci[0] = skb.vlanTci;
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
  const up = (dev.priv as Snull).port.link();
  if (up) netifCarrierOn(dev);
  else netifCarrierOff(dev);
  return up;
}

/** Bound: FRAMES_PER_INTERRUPT frames; if there are more the port says so and the line is raised again. */
function snullInterrupt(dev: NetDevice): void {
  const snull = dev.priv as Snull;
  snullReap(dev, snull);
  const n = snull.port.rxBurst(0, snull.rx, FRAMES_PER_INTERRUPT);
  for (let i = 0; i < n; i++) snullReceive(dev, snull, i);
  if (snull.port.irqEnable(0, true)) snull.line?.raise();
}

function snullReap(dev: NetDevice, snull: Snull): void {
  const pool = dev.net.machine.skbs;
  for (let n = snull.port.txReap(0, snull.done); n > 0; n = snull.port.txReap(0, snull.done)) {
    for (let i = 0; i < n; i++) pool.consume(pool.byId(snull.done.cookie[i]!));
    snull.inFlight -= n;
    if ((dev.flags & 1) !== 0) netifWakeQueue(dev.txQueues[0]!);
  }
}

function snullReceive(dev: NetDevice, snull: Snull, i: number): void {
  const machine = dev.net.machine;
  const { rx } = snull;
  const offset = rx.offset[i]!;
  const len = rx.len[i]!;
  const skb = len < ETH_HLEN ? null : machine.skbs.build(rx.buf[i]!, offset - snull.port.caps.headroom, rx.end[i]!);
  if (skb === null) {
    dev.stats.add(len < ETH_HLEN ? STAT_RX_ERRORS : STAT_RX_DROPPED);
    machine.arena.release(rx.buf[i]!);
    return;
  }
  skb.data = offset;
  skb.tail = offset;
  skbPut(skb, len);
  skb.ipSummed = rx.csum[i]!;
  skb.vlanTci = rx.vlanTci[i]!;
  skb.tstampUs = rx.tstampUs[i]!;
  dev.stats.add(STAT_RX_PACKETS);
  dev.stats.add(STAT_RX_BYTES, len);
  skb.protocol = ethTypeTrans(skb, dev);
  dev.net.softnet[machine.cpu.id]!.enqueue(skb);
}
