// hot
/**
 * loopback: the device `lo`, on which a machine talks to itself.
 *
 *     startXmit --> orphan, ethTypeTrans --> softnet.enqueue (netif_rx) --> NET_RX softirq --> stack
 *
 * No frame is copied and none leaves the machine: what was sent is what is received, so the sender's accounting ends before it
 * goes back up. What nobody filled in (a checksum left PARTIAL) stays so and is believed.
 */
import { NET_RX_SUCCESS, NETDEV_TX_OK, SetupError } from '../base/status.ts';
import { ethTypeTrans } from '../device/eth.ts';
import {
  NETIF_F_FRAGLIST,
  NETIF_F_HIGHDMA,
  NETIF_F_HW_CSUM,
  NETIF_F_LOOPBACK,
  NETIF_F_RXCSUM,
  NETIF_F_SG,
} from '../device/features.ts';
import type { Net } from '../device/net.ts';
import {
  allocNetdev,
  type DeviceOps,
  IFF_LOOPBACK,
  type NetDevice,
  STAT_RX_BYTES,
  STAT_RX_PACKETS,
  STAT_TX_BYTES,
  STAT_TX_PACKETS,
} from '../device/net_device.ts';
import { netifStartQueue, netifStopQueue } from '../device/netdev_queue.ts';
import { registerNetdevice } from '../device/register.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { skbOrphan } from './forward.ts';

/** Nothing is ever cut or filled in for ourselves. */
const LOOPBACK_FEATURES =
  NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_HIGHDMA | NETIF_F_LOOPBACK;
export const ARPHRD_LOOPBACK = 772;
/** The largest IP packet, and a link layer's header beside it. */
const LOOPBACK_MTU = 65536;

/** Makes and registers `lo`; it is down. Throws SetupError `ERR_NETPOLL_NAME` where there is one. (`loopback_net_init`) */
export function createLoopback(net: Net, name = 'lo'): NetDevice {
  const dev = allocNetdev(net, { name, ops: LOOPBACK_OPS, setup: loopbackSetup });
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  return dev;
}

/** (`loopback_setup`) */
function loopbackSetup(dev: NetDevice): void {
  dev.type = ARPHRD_LOOPBACK;
  dev.flags |= IFF_LOOPBACK;
  dev.mtu = LOOPBACK_MTU;
  dev.maxMtu = LOOPBACK_MTU;
  dev.hardHeaderLen = ETH_HLEN;
  dev.txQueueLen = 1000;
  dev.noQueue = true;
  dev.features = LOOPBACK_FEATURES;
}

const LOOPBACK_OPS: DeviceOps = {
  open(dev) {
    netifStartQueue(dev.txQueues[0]!);
    return 0;
  },

  stop(dev) {
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
  },

  /** Always takes the frame; a backlog that is full drops it, with its own counter. (`loopback_xmit`) */
  startXmit(skb, dev) {
    skbOrphan(skb);
    skb.tstampUs = 0;
    skb.protocol = ethTypeTrans(skb, dev);
    // As the kernel counts: without the link layer's header.
    const len = skb.len;
    const softnet = dev.net.softnet[dev.net.machine.cpu.id]!;
    if (softnet.enqueue(skb) === NET_RX_SUCCESS) {
      dev.stats.add(STAT_RX_PACKETS);
      dev.stats.add(STAT_RX_BYTES, len);
      dev.stats.add(STAT_TX_PACKETS);
      dev.stats.add(STAT_TX_BYTES, len);
    }
    return NETDEV_TX_OK;
  },

  /** Nothing can wait in it: a frame is on the backlog the moment it was sent. */
  pollController() {},

  link() {
    return true;
  },
};
