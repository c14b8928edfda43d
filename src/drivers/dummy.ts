// hot
/**
 * dummy: a device that takes every frame and forgets it. For an address that needs an interface, and for measuring what is
 * above a driver.
 */
import { NETDEV_TX_OK, SetupError } from '../base/status.ts';
import { ethMacAddr } from '../device/dev_addr.ts';
import { allocEtherdev } from '../device/eth.ts';
import type { Net } from '../device/net.ts';
import {
  type DeviceOps,
  IFF_MULTICAST,
  IFF_NOARP,
  type NetDevice,
  STAT_TX_BYTES,
  STAT_TX_PACKETS,
} from '../device/net_device.ts';
import { netifStartQueue, netifStopQueue } from '../device/netdev_queue.ts';
import { registerNetdevice } from '../device/register.ts';

/** Its mtu may be anything that a length field can say. */
const DUMMY_MTU_MAX = 65535;

/** Makes and registers a dummy; it is down. `mac` has 6 bytes. Throws SetupError `ERR_NETPOLL_NAME`. (`dummy_setup`) */
export function createDummy(net: Net, mac: Uint8Array, name = 'dummy%d'): NetDevice {
  const dev = allocEtherdev(net, { name, ops: DUMMY_OPS });
  dev.noQueue = true;
  dev.devAddr.set(mac);
  dev.flags = (dev.flags | IFF_NOARP) & ~IFF_MULTICAST;
  dev.minMtu = 0;
  dev.maxMtu = DUMMY_MTU_MAX;
  dev.liveAddrChange = true;
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  return dev;
}

const DUMMY_OPS: DeviceOps = {
  open(dev) {
    netifStartQueue(dev.txQueues[0]!);
    return 0;
  },

  stop(dev) {
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
  },

  /** (`dummy_xmit`) */
  startXmit(skb, dev) {
    dev.stats.add(STAT_TX_PACKETS);
    dev.stats.add(STAT_TX_BYTES, skb.len);
    skb.pool.consume(skb);
    return NETDEV_TX_OK;
  },

  setMacAddress: ethMacAddr,

  /** Nothing ever waits in it. */
  pollController() {},
};
