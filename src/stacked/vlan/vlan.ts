/**
 * VLAN devices: a device for each tag on another device.
 *
 *     createVlan(eth0, 5) --> eth0.5        what it sends leaves by eth0 with tag 5, what comes in there with tag 5 is its own
 *     createVlan(eth0_5, 7)                 two tags, 5 outside
 *
 * It follows the real device: up and down with it, its carrier, its MTU at most, its address unless it was given one of its own, its
 * features as far as they hold for frames with a tag. It goes with it. Frames: vlan_xmit.ts. Netpoll sends through the real device's.
 *
 * Answers to register_vlan_dev, vlan_dev_init, vlan_device_event.
 */
import { Errno, SetupError } from '../../base/status.ts';
import { devChangeFlags, devGetFlags, devSetAllmulti, devSetMtu, devSetPromiscuity } from '../../device/change.ts';
import { ethHwAddrSet } from '../../device/dev_addr.ts';
import { allocEtherdev } from '../../device/eth.ts';
import {
  NETIF_F_ALL_TSO,
  NETIF_F_CSUM_MASK,
  NETIF_F_FRAGLIST,
  NETIF_F_GSO,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HIGHDMA,
  NETIF_F_HW_CSUM,
  NETIF_F_RXCSUM,
  NETIF_F_SG,
} from '../../device/features.ts';
import {
  type DeviceOps,
  IFF_ALLMULTI,
  IFF_MASTER,
  IFF_PROMISC,
  IFF_SLAVE,
  IFF_UP,
  NET_ADDR_STOLEN,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOk,
  netifCarrierOn,
  netifRunning,
} from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { netifStartQueue, netifStopQueue } from '../../device/netdev_queue.ts';
import { devClose } from '../../device/open.ts';
import { registerNetdevice, unregisterNetdevice } from '../../device/register.ts';
import { devMcSync, devMcUnsync, devUcAdd, devUcDel } from '../../device/rx_mode.ts';
import { NETIF_F_SOFT_FEATURES, netdevUpdateFeatures } from '../../device/update_features.ts';
import { netdevUpperDevLink, netdevUpperDevUnlink } from '../../device/upper.ts';
import { netpollCleanup, netpollSetupLower } from '../../netpoll/attach.ts';
import { netpollPollDev } from '../../netpoll/poll.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { VLAN_TCI_8021AD } from '../../skb/vlan_tag.ts';
import { ETH_P_8021Q, isValidMac, macEquals } from '../../wire/eth.ts';
import { ETH_P_8021AD, VLAN_HLEN, VLAN_VID_MASK } from '../../wire/vlan.ts';
import { VlanDev, vlanFindDev } from './vlan_dev.ts';
import { vlanDevHardStartXmit, vlanDoReceive } from './vlan_xmit.ts';

const VLAN_MTU_MAX = 65535;
const GSO_SOFTWARE = NETIF_F_ALL_TSO | NETIF_F_GSO_UDP_L4;
const VLAN_FEATURES = NETIF_F_HW_CSUM | NETIF_F_SG | NETIF_F_FRAGLIST | GSO_SOFTWARE | NETIF_F_HIGHDMA;

export interface VlanOptions {
  /** `eth0.5` for tag 5 on eth0 if absent. */
  readonly name?: string;
  /** ETH_P_8021Q unless this is ETH_P_8021AD. */
  readonly protocol?: number;
  /** An address of its own; the real device's if absent. 6 bytes. */
  readonly mac?: Uint8Array;
}

/**
 * Makes and registers the device of tag `id` (0 to 4094) on `real`; it is down. Throws SetupError: `ERR_NETPOLL_VLAN` (the tag is out
 * of range or has a device, or `real` cannot have one on it), `ERR_NETPOLL_NAME`. (`register_vlan_dev`)
 */
export function createVlan(real: NetDevice, id: number, options: VlanOptions = {}): NetDevice {
  const { net } = real;
  const protocol = options.protocol ?? ETH_P_8021Q;
  const refuse = (why: string): never => {
    throw new SetupError('ERR_NETPOLL_VLAN', `VLAN ${id} on ${real.name}: ${why}`);
  };
  if (!Number.isInteger(id) || id < 0 || id >= VLAN_VID_MASK) refuse('a tag is 0 to 4094');
  if (protocol !== ETH_P_8021Q && protocol !== ETH_P_8021AD) refuse('a tag is announced by 0x8100 or 0x88a8');
  const tci = id | (protocol === ETH_P_8021AD ? VLAN_TCI_8021AD : 0);
  if (vlanFindDev(real, tci) !== null) refuse('there is a device of this tag');
  const name = options.name ?? `${real.name}.${id}`;
  const vlan = new VlanDev(real, protocol, id, tci);
  if (name.length > 15) throw new SetupError('ERR_NETPOLL_NAME', `${name} is longer than 15 characters`);
  const dev = allocEtherdev(net, { name, ops: VLAN_OPS, priv: vlan });
  vlanDevInit(dev, vlan, options.mac);
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  const error = netdevUpperDevLink(real, dev);
  if (error < 0) {
    unregisterNetdevice(dev);
    refuse(`it cannot stand on that (${error})`);
  }
  net.vlanReceive = vlanDoReceive;
  // Told of what there is, and last that everything has gone, one hears of what has not happened.
  let heard = false;
  vlan.notifier = (event, about) => {
    if (heard && about === real && vlan.notifier !== null) realDeviceEvent(dev, vlan, event);
    return 0;
  };
  net.registerNotifier(vlan.notifier);
  heard = true;
  return dev;
}

/** Takes the device away. (`unregister_vlan_dev`) */
export function removeVlan(dev: NetDevice): void {
  unregisterNetdevice(dev);
}

/** (`vlan_setup`, `vlan_dev_init`) */
function vlanDevInit(dev: NetDevice, vlan: VlanDev, mac: Uint8Array | undefined): void {
  const { realDev: real } = vlan;
  dev.flags = real.flags & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI | IFF_MASTER | IFF_SLAVE);
  dev.iflink = real.ifindex;
  dev.noQueue = true;
  dev.mtu = real.mtu;
  dev.minMtu = 0;
  dev.maxMtu = VLAN_MTU_MAX;
  dev.hardHeaderLen = real.hardHeaderLen + VLAN_HLEN;
  dev.features = VLAN_FEATURES;
  dev.hwFeatures = VLAN_FEATURES;
  dev.vlanFeatures = real.vlanFeatures;
  dev.liveAddrChange = true;
  dev.netpollDisabled = real.netpollDisabled;
  dev.broadcast.set(real.broadcast);
  vlan.realDevAddr.set(real.devAddr);
  if (mac === undefined) dev.addrAssignType = NET_ADDR_STOLEN;
  ethHwAddrSet(dev, mac ?? real.devAddr);
  dev.ethtoolOps = {
    getLinkKsettings: () =>
      real.ethtoolOps?.getLinkKsettings?.(real) ?? { speed: -1, duplex: 'unknown', autoneg: false, port: 'Other' },
  };
  netifCarrierOff(dev);
}

const VLAN_OPS: DeviceOps = {
  /** -ENETDOWN while the real device is down. (`vlan_dev_open`) */
  open(dev) {
    const vlan = privOf(dev);
    const { realDev: real } = vlan;
    if ((real.flags & IFF_UP) === 0) return -Errno.ENETDOWN;
    vlan.realDevAddr.set(real.devAddr);
    syncAddress(dev, vlan, true);
    netifStartQueue(dev.txQueues[0]!);
    if (netifCarrierOk(real)) netifCarrierOn(dev);
    return 0;
  },

  /** (`vlan_dev_stop`) */
  stop(dev) {
    const vlan = privOf(dev);
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
    syncAddress(dev, vlan, false);
    syncFlags(vlan, 0);
    devMcUnsync(vlan.realDev, dev);
    netifCarrierOff(dev);
  },

  startXmit: vlanDevHardStartXmit,

  /** (`vlan_dev_set_mac_address`) */
  setMacAddress(dev, mac) {
    if (!isValidMac(mac)) return -Errno.EADDRNOTAVAIL;
    ethHwAddrSet(dev, mac);
    syncAddress(dev, privOf(dev), (dev.flags & IFF_UP) !== 0);
    return 0;
  },

  /** Not more than the real device's. (`vlan_dev_change_mtu`) */
  changeMtu(dev, mtu) {
    if (mtu > privOf(dev).realDev.mtu) return -Errno.ERANGE;
    dev.mtu = mtu;
    return 0;
  },

  /** (`vlan_dev_change_rx_flags`, `vlan_dev_set_rx_mode`) */
  setRxMode(dev) {
    const vlan = privOf(dev);
    syncFlags(vlan, dev.flags);
    devMcSync(vlan.realDev, dev);
  },

  /** What the real device can do with a tagged frame; segments are cut before it if it cannot. (`vlan_dev_fix_features`) */
  fixFeatures(dev, features) {
    const { realDev: real } = privOf(dev);
    let lower = (real.vlanFeatures | NETIF_F_RXCSUM) & real.features;
    if ((lower & NETIF_F_CSUM_MASK) !== 0) lower |= NETIF_F_HW_CSUM;
    return (features & lower) | (features & (NETIF_F_SOFT_FEATURES | NETIF_F_GSO | GSO_SOFTWARE));
  },

  link: (dev) => privOf(dev).realDev.ops.link?.(privOf(dev).realDev) ?? netifCarrierOk(privOf(dev).realDev),

  /** What waits, waits in the real device. */
  pollController: (dev) => void netpollPollDev(privOf(dev).realDev),

  /** (`vlan_dev_netpoll_setup`) */
  netpollSetup(dev) {
    const vlan = privOf(dev);
    const np = netpollSetupLower(dev, vlan.realDev, (skb) => isOfVlan(skb, vlan), true);
    if (typeof np === 'number') return np;
    vlan.np = np;
    return 0;
  },

  netpollCleanup(dev) {
    const vlan = privOf(dev);
    const { np } = vlan;
    vlan.np = null;
    if (np !== null) netpollCleanup(np);
  },

  uninit(dev) {
    const { realDev, notifier } = privOf(dev);
    if (notifier !== null) {
      privOf(dev).notifier = null;
      dev.net.unregisterNotifier(notifier);
    }
    netdevUpperDevUnlink(realDev, dev);
  },
};

function privOf(dev: NetDevice): VlanDev {
  return dev.priv as VlanDev;
}

function isOfVlan(skb: SkBuff, vlan: VlanDev): boolean {
  return skb.vlanTci >= 0 && (skb.vlanTci & (VLAN_VID_MASK | VLAN_TCI_8021AD)) === vlan.tci;
}

/** An address that differs from the real device's must be listened to there, while the VLAN device is up. */
function syncAddress(dev: NetDevice, vlan: VlanDev, up: boolean): void {
  const { realDev: real } = vlan;
  if (vlan.ownAddr !== null) devUcDel(real, vlan.ownAddr);
  vlan.ownAddr = up && !macEquals(dev.devAddr, 0, real.devAddr) ? dev.devAddr.slice() : null;
  if (vlan.ownAddr !== null) devUcAdd(real, vlan.ownAddr);
}

function syncFlags(vlan: VlanDev, flags: number): void {
  const { realDev: real } = vlan;
  const promisc = (flags & IFF_PROMISC) !== 0;
  const allmulti = (flags & IFF_ALLMULTI) !== 0;
  if (vlan.promisc !== promisc && devSetPromiscuity(real, promisc ? 1 : -1) === 0) vlan.promisc = promisc;
  if (vlan.allmulti !== allmulti && devSetAllmulti(real, allmulti ? 1 : -1) === 0) vlan.allmulti = allmulti;
}

/** Something has happened to the real device. (`vlan_device_event`) */
function realDeviceEvent(dev: NetDevice, vlan: VlanDev, event: NetdevEvent): void {
  const { realDev: real } = vlan;
  switch (event) {
    case NetdevEvent.CHANGE:
      stackedTransferOperstate(real, dev);
      break;
    case NetdevEvent.CHANGEADDR:
      realAddressChanged(dev, vlan);
      break;
    case NetdevEvent.CHANGEMTU:
      if (dev.mtu > real.mtu) devSetMtu(dev, real.mtu);
      break;
    case NetdevEvent.FEAT_CHANGE:
      dev.vlanFeatures = real.vlanFeatures;
      netdevUpdateFeatures(dev);
      break;
    case NetdevEvent.DOWN:
      devClose(dev);
      break;
    case NetdevEvent.UP:
      if ((dev.flags & IFF_UP) === 0) devChangeFlags(dev, devGetFlags(dev) | IFF_UP);
      stackedTransferOperstate(real, dev);
      break;
    case NetdevEvent.UNREGISTER:
      unregisterNetdevice(dev);
      break;
    case NetdevEvent.BONDING_FAILOVER:
    case NetdevEvent.RESEND_IGMP:
      dev.net.notify(event, dev);
      break;
  }
}

/** The carrier is that of the real device. (`netif_stacked_transfer_operstate`) */
function stackedTransferOperstate(real: NetDevice, dev: NetDevice): void {
  if (netifCarrierOk(real) && netifRunning(dev)) netifCarrierOn(dev);
  else netifCarrierOff(dev);
}

/** An address that was taken over follows. (`vlan_sync_address`) */
function realAddressChanged(dev: NetDevice, vlan: VlanDev): void {
  const { realDev: real } = vlan;
  if (macEquals(real.devAddr, 0, vlan.realDevAddr)) return;
  vlan.realDevAddr.set(real.devAddr);
  if (dev.addrAssignType === NET_ADDR_STOLEN) {
    ethHwAddrSet(dev, real.devAddr);
    dev.net.notify(NetdevEvent.CHANGEADDR, dev);
  }
  syncAddress(dev, vlan, (dev.flags & IFF_UP) !== 0);
}
