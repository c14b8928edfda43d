/**
 * A bridge: a device that is a switch between others, and a port of it for this host.
 *
 *     createBridge(net, 'br0') --> brAddIf(bridgeOf(br0), eth0) ... --> devOpen(br0)
 *
 *     frame on eth0 --> brHandleFrame (bridge_input.ts) --> eth1, or all others (bridge_forward.ts), or up as br0's
 *     sent by br0   --> brDevXmit ---------------------------^
 *
 * No spanning tree, no VLAN filter, no multicast snooping: what netpoll and a host on a bridge need. Netpoll over it sends by each
 * port's own netpoll and hears what is for the bridge on any. Answers to net/bridge/br_device.c, br.c, br_netpoll_setup.
 */
import { Prng } from '../../base/prng.ts';
import { Errno, SetupError } from '../../base/status.ts';
import { ethHwAddrRandom, ethHwAddrSet } from '../../device/dev_addr.ts';
import { allocEtherdev } from '../../device/eth.ts';
import {
  NETIF_F_ALL_TSO,
  NETIF_F_FRAGLIST,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HIGHDMA,
  NETIF_F_HW_CSUM,
  NETIF_F_HW_VLAN_CTAG_TX,
  NETIF_F_HW_VLAN_STAG_TX,
  NETIF_F_SG,
} from '../../device/features.ts';
import type { Net } from '../../device/net.ts';
import { type DeviceOps, NET_ADDR_SET, type NetDevice, netifCarrierOff } from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { netifStartQueue, netifStopQueue } from '../../device/netdev_queue.ts';
import { registerNetdevice, unregisterNetdevice } from '../../device/register.ts';
import { netpollPollDev } from '../../netpoll/poll.ts';
import { isValidMac } from '../../wire/eth.ts';
import { Bridge, type BridgePort, bridgeOf, bridgePortOf } from './bridge_dev.ts';
import { brDevXmit } from './bridge_forward.ts';
import {
  brAddressesChanged,
  brDelIf,
  brFdbLocals,
  brMtuAutoAdjust,
  brNetpollDisable,
  brNetpollEnable,
  brPortCarrierCheck,
  brStpDisablePort,
} from './bridge_if.ts';

export { bridgeOf } from './bridge_dev.ts';
export { brAddIf, brDelIf } from './bridge_if.ts';

const BRIDGE_MTU_MAX = 65535;
const BRIDGE_MTU_MIN = 68;
/** Whatever a port cannot do is done in software behind the bridge. */
const BRIDGE_FEATURES =
  NETIF_F_HW_CSUM |
  NETIF_F_SG |
  NETIF_F_FRAGLIST |
  NETIF_F_ALL_TSO |
  NETIF_F_GSO_UDP_L4 |
  NETIF_F_HIGHDMA |
  NETIF_F_HW_VLAN_CTAG_TX |
  NETIF_F_HW_VLAN_STAG_TX;
const DEFAULT_AGEING_NS = 300e9;
const DEFAULT_FDB_MAX = 4096;
/** The forwarding database is not looked through more often. */
const GC_MIN_NS = 10e6;

export interface BridgeOptions {
  /** How long an address is remembered that is not heard of; 300 s if absent, 0: not at all. */
  readonly ageingNs?: number;
  /** Addresses learned at a time; 4096 if absent. (`fdb_max_learned`) */
  readonly fdbMax?: number;
  /** The bridge's own address; if absent that of its ports. 6 bytes. */
  readonly mac?: Uint8Array;
}

/** Makes and registers a bridge without ports; it is down. Throws SetupError `ERR_NETPOLL_NAME`. (`br_add_bridge`) */
export function createBridge(net: Net, name = 'br%d', options: BridgeOptions = {}): NetDevice {
  const dev = allocEtherdev(net, { name, ops: BRIDGE_OPS });
  const br = new Bridge(dev, options.ageingNs ?? DEFAULT_AGEING_NS, options.fdbMax ?? DEFAULT_FDB_MAX, brFdbCleanup);
  dev.priv = br;
  dev.noQueue = true;
  dev.minMtu = BRIDGE_MTU_MIN;
  dev.maxMtu = BRIDGE_MTU_MAX;
  dev.features = BRIDGE_FEATURES;
  dev.hwFeatures = BRIDGE_FEATURES;
  dev.vlanFeatures = BRIDGE_FEATURES;
  dev.liveAddrChange = true;
  ethHwAddrRandom(dev, new Prng((net.machine.executive.wallUs() ^ (net.nextIfindex << 16)) >>> 0));
  if (options.mac !== undefined) {
    ethHwAddrSet(dev, options.mac);
    dev.addrAssignType = NET_ADDR_SET;
  }
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  netifCarrierOff(dev);
  brFdbLocals(br);
  br.notifier = (event, about) => {
    if (br.notifier === null) return 0;
    if (about === dev && event === NetdevEvent.UP) for (const port of br.ports) brPortCarrierCheck(port);
    const port = about.master === dev ? bridgePortOf(br, about) : undefined;
    if (port !== undefined) portEvent(port, event);
    return 0;
  };
  net.registerNotifier(br.notifier);
  return dev;
}

/** All ports leave; the bridge is gone. (`br_dev_delete`) */
export function destroyBridge(dev: NetDevice): void {
  unregisterNetdevice(dev);
}

const BRIDGE_OPS: DeviceOps = {
  /** An address is not needed without ports. */
  validateAddr: () => 0,

  /** (`br_dev_open`) */
  open(dev) {
    netifStartQueue(dev.txQueues[0]!);
    bridgeOf(dev).gcWork.schedule(GC_MIN_NS);
    return 0;
  },

  /** (`br_dev_stop`) */
  stop(dev) {
    const br = bridgeOf(dev);
    br.gcWork.cancel();
    for (const port of br.ports) brStpDisablePort(port);
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
  },

  uninit(dev) {
    const br = bridgeOf(dev);
    const { notifier } = br;
    br.notifier = null;
    if (notifier !== null) dev.net.unregisterNotifier(notifier);
    while (br.ports.length > 0) brDelIf(br, br.ports[0]!.dev);
  },

  startXmit: brDevXmit,

  /** (`br_set_mac_address`) */
  setMacAddress(dev, mac) {
    if (!isValidMac(mac)) return -Errno.EADDRNOTAVAIL;
    ethHwAddrSet(dev, mac);
    brFdbLocals(bridgeOf(dev));
    return 0;
  },

  /** From here on it does not follow the ports. (`br_change_mtu`) */
  changeMtu(dev, mtu) {
    bridgeOf(dev).mtuSetByUser = true;
    dev.mtu = mtu;
    return 0;
  },

  /** What waits, waits in the ports. */
  pollController(dev) {
    for (const port of bridgeOf(dev).ports) netpollPollDev(port.dev);
  },

  /** Every port, or none. (`br_netpoll_setup`) */
  netpollSetup(dev) {
    for (const port of bridgeOf(dev).ports) {
      const error = brNetpollEnable(port);
      if (error >= 0) continue;
      for (const each of bridgeOf(dev).ports) brNetpollDisable(each);
      return error;
    }
    return 0;
  },

  netpollCleanup(dev) {
    for (const port of bridgeOf(dev).ports) brNetpollDisable(port);
  },
};

/** Something has happened to a port's device. (`br_device_event`) */
function portEvent(port: BridgePort, event: NetdevEvent): void {
  const { br, dev } = port;
  switch (event) {
    case NetdevEvent.UP:
    case NetdevEvent.CHANGE:
    case NetdevEvent.DOWN:
      brPortCarrierCheck(port);
      break;
    case NetdevEvent.CHANGEADDR:
      brAddressesChanged(br);
      break;
    case NetdevEvent.CHANGEMTU:
      brMtuAutoAdjust(br);
      break;
    case NetdevEvent.UNREGISTER:
      brDelIf(br, dev);
      break;
    case NetdevEvent.RESEND_IGMP:
      dev.net.notify(event, br.dev);
      break;
  }
}

/** Forgets what is old, and comes back when the next one will be. (`br_fdb_cleanup`) */
function brFdbCleanup(br: Bridge): void {
  const now = br.dev.net.machine.executive.now();
  const oldest = br.fdb.cleanup(now - br.ageingNs);
  const delay = oldest < 0 ? br.ageingNs : oldest + br.ageingNs - now;
  br.gcWork.schedule(Math.max(delay, GC_MIN_NS));
}
