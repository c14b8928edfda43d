/**
 * net_device: a network interface as the rest of the machine sees it, over a driver's operations.
 *
 * Made by allocNetdev (or allocEtherdev), made visible by registerNetdevice (register.ts), brought up by devOpen (open.ts).
 * The driver keeps its own things in `priv`.
 */
import { assert } from '../base/assert.ts';
import { Counters } from '../base/counters.ts';
import type { Timer } from '../machine/timer.ts';
import type { SkBuff, SkbDevice } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import { HwAddrList } from './dev_addr_lists.ts';
import type { EthtoolOps } from './ethtool.ts';
import type { HhCache } from './hh_cache.ts';
import { STAT_NAMES, type StatName } from './link_stats.ts';
import type { NapiStruct } from './napi_struct.ts';
import type { Net } from './net.ts';
import { NetdevQueue, netifTxStopAllQueues, netifTxWakeAllQueues } from './netdev_queue.ts';
import type { Qdisc } from './qdisc.ts';

/** Interface flags (`ip link` shows them in angle brackets). */
export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_DEBUG = 0x4;
export const IFF_LOOPBACK = 0x8;
export const IFF_POINTOPOINT = 0x10;
export const IFF_NOTRAILERS = 0x20;
export const IFF_RUNNING = 0x40;
export const IFF_NOARP = 0x80;
export const IFF_PROMISC = 0x100;
export const IFF_ALLMULTI = 0x200;
export const IFF_MASTER = 0x400;
export const IFF_SLAVE = 0x800;
export const IFF_MULTICAST = 0x1000;
export const IFF_PORTSEL = 0x2000;
export const IFF_AUTOMEDIA = 0x4000;
export const IFF_DYNAMIC = 0x8000;
export const IFF_LOWER_UP = 0x10000;
export const IFF_DORMANT = 0x20000;
export const IFF_ECHO = 0x40000;

/** Bits of `dev.state`. */
export const LINK_STATE_START = 1 << 0;
export const LINK_STATE_PRESENT = 1 << 1;
export const LINK_STATE_NOCARRIER = 1 << 2;
export const LINK_STATE_LINKWATCH_PENDING = 1 << 3;
export const LINK_STATE_DORMANT = 1 << 4;
export const LINK_STATE_TESTING = 1 << 5;

/** Values of `dev.regState`. DUMMY: carries NAPI instances and is never registered. */
export const NETREG_UNINITIALIZED = 0;
export const NETREG_REGISTERED = 1;
export const NETREG_UNREGISTERING = 2;
export const NETREG_UNREGISTERED = 3;
export const NETREG_RELEASED = 4;
export const NETREG_DUMMY = 5;

/** Values of `dev.operstate`, and their names (`ip link`, `state UP`). */
export const IF_OPER_UNKNOWN = 0;
export const IF_OPER_NOTPRESENT = 1;
export const IF_OPER_DOWN = 2;
export const IF_OPER_LOWERLAYERDOWN = 3;
export const IF_OPER_TESTING = 4;
export const IF_OPER_DORMANT = 5;
export const IF_OPER_UP = 6;
export const OPERSTATES = ['UNKNOWN', 'NOTPRESENT', 'DOWN', 'LOWERLAYERDOWN', 'TESTING', 'DORMANT', 'UP'] as const;

/** Values of `dev.addrAssignType`: where the address came from. */
export const NET_ADDR_PERM = 0;
export const NET_ADDR_RANDOM = 1;
export const NET_ADDR_STOLEN = 2;
export const NET_ADDR_SET = 3;

export const ARPHRD_ETHER = 1;
export const DEFAULT_TX_QUEUE_LEN = 1000;

export * from './link_stats.ts';

/** A link layer's header. (`struct header_ops`) */
export interface HeaderOps {
  /** Pushes a header in front of `skb`; its length, or minus that where `dest` is null and still to be filled in. */
  create(skb: SkBuff, dev: NetDevice, type: number, dest: Uint8Array | null, source: Uint8Array | null): number;
  /** Copies the sender's address to `out`; its length. */
  parse(skb: SkBuff, out: Uint8Array): number;
  /** Writes the header of packets of `type` to `dest` into `hh`, to be copied. False: not for this type. */
  cache?(dev: NetDevice, type: number, dest: Uint8Array, hh: HhCache): boolean;
  /** The neighbour of `hh` has another address. */
  cacheUpdate?(hh: HhCache, dest: Uint8Array): void;
}

/** What a driver can do. Two operations are required; the others come in groups and may be absent. */
export interface DeviceOps {
  /** Before the device is seen, and after it was; a failure undoes the registration. (`ndo_init`, `ndo_uninit`) */
  init?(dev: NetDevice): number;
  uninit?(dev: NetDevice): void;
  /** Starts the hardware; 0 or a negative errno. (`ndo_open`) */
  open(dev: NetDevice): number;
  /** Sends. NETDEV_TX_OK: the frame is the driver's. NETDEV_TX_BUSY: it is untouched and the caller's. (`ndo_start_xmit`) */
  startXmit(skb: SkBuff, dev: NetDevice, queue: NetdevQueue): number;
  /** A queue has been stopped for too long; usually the device is reset. (`ndo_tx_timeout`) */
  txTimeout?(dev: NetDevice, queue: NetdevQueue): void;
  /** Which queue a frame is sent on; -1: as the stack would. (`ndo_select_queue`) */
  selectQueue?(dev: NetDevice, skb: SkBuff): number;
  /** Stops the hardware; cannot fail. (`ndo_stop`) */
  stop?(dev: NetDevice): void;
  /** May this device be opened with the address it has? Absent: an Ethernet device wants a valid one. (`ndo_validate_addr`) */
  validateAddr?(dev: NetDevice): number;
  /** Takes the address that is set; absent: it cannot be. (`ndo_set_mac_address`; ethMacAddr does for most.) */
  setMacAddress?(dev: NetDevice, mac: Uint8Array): number;
  /** Sets `dev.mtu`; absent: it is just stored. (`ndo_change_mtu`) */
  changeMtu?(dev: NetDevice, mtu: number): number;
  /** The flags or the address lists have changed; may not wait. (`ndo_set_rx_mode`) */
  setRxMode?(dev: NetDevice): void;
  /** What of the wanted features goes together, and switching them. (`ndo_fix_features`, `ndo_set_features`) */
  fixFeatures?(dev: NetDevice, features: number): number;
  setFeatures?(dev: NetDevice, features: number): number;
  /** Fills in the driver's numbers; absent: they are in `dev.stats`. (`ndo_get_stats64`) */
  getStats64?(dev: NetDevice, out: Counters<StatName>): void;
  /** Does what the interrupt handler would, with interrupts off. (`ndo_poll_controller`) */
  pollController?(dev: NetDevice): void;
  /** Netpoll starts or stops to use the device; for devices that stand on others. (`ndo_netpoll_setup`) */
  netpollSetup?(dev: NetDevice): number;
  netpollCleanup?(dev: NetDevice): void;
  /** Looks at the hardware's link now. */
  link?(dev: NetDevice): boolean;
}

/** Sees a frame before everybody else; true: it has taken it. Installed by netpoll. */
export type RxTrap = (skb: SkBuff) => boolean;

/** Owns all frames of a lower device (bond, bridge, macvlan). */
export type RxHandlerResult = 'consumed' | 'another' | 'exact' | 'pass';
export type RxHandler = (skb: SkBuff) => RxHandlerResult;

export class NetDevice implements SkbDevice {
  readonly net: Net;
  name: string;
  ifindex = 0;
  flags = 0;
  state = LINK_STATE_PRESENT;
  regState = NETREG_UNINITIALIZED;
  operstate = IF_OPER_UNKNOWN;
  /** The device that this one stands on, by ifindex; 0: none. */
  iflink = 0;
  /** What users asked for of PROMISC and ALLMULTI; and how many want them in all. */
  gflags = 0;
  promiscuity = 0;
  allmulti = 0;
  type = 0;
  mtu = 0;
  minMtu = 0;
  maxMtu = 0;
  hardHeaderLen = 0;
  txQueueLen = DEFAULT_TX_QUEUE_LEN;
  readonly devAddr = new Uint8Array(6);
  readonly broadcast = new Uint8Array(6);
  /** The addresses that it takes frames for: its own, the first of which is devAddr; further ones; groups. (rx_mode.ts) */
  readonly devAddrs = new HwAddrList(this.devAddr);
  readonly uc = new HwAddrList();
  readonly mc = new HwAddrList();
  /** The hardware has a filter for further unicast addresses (`IFF_UNICAST_FLT`); without it they make the device promiscuous. */
  unicastFilter = false;
  ucPromisc = false;
  /** The address that the device was registered with. */
  readonly permAddr = new Uint8Array(6);
  addrAssignType = NET_ADDR_PERM;
  /** The address may change while the device is up (`IFF_LIVE_ADDR_CHANGE`). */
  liveAddrChange = false;
  /** What is on (features.ts), what users may change, what they asked for. */
  features = 0;
  /** Those of `features` that hold for frames with a VLAN tag too; none unless the driver says so. (`vlan_features`) */
  vlanFeatures = 0;
  hwFeatures = 0;
  wantedFeatures = 0;
  /** How headers of its link layer are written and read. */
  headerOps: HeaderOps | null = null;
  /** What ethtool asks a driver; every operation may be absent. */
  ethtoolOps: EthtoolOps | null = null;
  /** IP addresses of this interface, the first of a family is its primary one. */
  readonly addresses: IpAddress[] = [];
  readonly ops: DeviceOps;
  /** The driver's own state; whoever makes the device sets it before it is registered. */
  priv: unknown;
  readonly txQueues: readonly NetdevQueue[];
  /** Transmit queues in use, 1 to txQueues.length (`real_num_tx_queues`). */
  realNumTxQueues: number;
  /** Receive queues in use; 0: nobody has said (`real_num_rx_queues`). */
  realNumRxQueues = 0;
  /** The root qdisc: `mq` over several queues, else the queue's own; null without a stack. */
  qdisc: Qdisc | null = null;
  /** Which queues a CPU, or a receive queue, sends on (`xps_maps`); absent: by hash. */
  xpsCpus: (readonly number[] | undefined)[] | null = null;
  xpsRxqs: (readonly number[] | undefined)[] | null = null;
  /** A stopped queue is reported after so long; 0: 5 seconds. */
  watchdogTimeoNs = 0;
  watchdogTimer: Timer | null = null;
  /** The driver has named a queue that is not in use, and this was said. */
  txQueueComplained = false;
  readonly napiList: NapiStruct[] = [];
  /** What its NAPI instances start with; netdevSetDefer changes them. */
  groFlushTimeoutNs = 0;
  napiDeferHardIrqs = 0;
  /** Its instances are polled by tasks (napi/threaded.ts). */
  threaded = false;
  readonly stats: Counters<StatName> = new Counters(STAT_NAMES);
  /** The device on top of this one (bond, bridge), if any. */
  master: NetDevice | null = null;
  /** All devices that stand on this one, and those that it stands on, in the order of linking (upper.ts). */
  readonly upper: NetDevice[] = [];
  readonly lower: NetDevice[] = [];
  /** What netpoll keeps for this device (`npinfo`); its own type is netpoll's. */
  npinfo: object | null = null;
  /** One frame may be given to its driver several times, and is only read there (`IFF_TX_SKB_SHARING`). */
  txSkbSharing = false;
  /** It sends without queueing (`IFF_NO_QUEUE`); so do devices whose set-up leaves txQueueLen 0. */
  noQueue = false;
  /** A device may refuse netpoll altogether (IFF_DISABLE_NETPOLL). */
  netpollDisabled = false;
  /** Steering of its receive queues (RPS, RFS); the type is the stack's. */
  rpsQueues: object[] | null = null;
  rxTrap: RxTrap | null = null;
  rxHandler: RxHandler | null = null;
  /** How often the carrier came and went. */
  carrierUpCount = 0;
  carrierDownCount = 0;

  constructor(net: Net, name: string, ops: DeviceOps, priv: unknown, txQueues: number) {
    assert(name.length > 0 && name.length < 16, 'an interface name has 1 to 15 characters');
    this.net = net;
    this.name = name;
    this.ops = ops;
    this.priv = priv;
    this.realNumTxQueues = txQueues;
    this.txQueues = Array.from({ length: txQueues }, (_, index) => new NetdevQueue(index, this));
  }
}

/** The device that a frame is on. */
export function devOf(skb: SkBuff): NetDevice {
  return skb.dev as NetDevice;
}

export interface AllocNetdevOptions {
  /** A name, or a template like `eth%d`. */
  readonly name: string;
  readonly ops: DeviceOps;
  readonly priv?: unknown;
  readonly txQueues?: number;
  readonly setup: (dev: NetDevice) => void;
}

/** A device that nobody sees yet. (`alloc_netdev_mqs`) */
export function allocNetdev(net: Net, options: AllocNetdevOptions): NetDevice {
  const dev = new NetDevice(net, options.name, options.ops, options.priv, options.txQueues ?? 1);
  options.setup(dev);
  if (dev.txQueueLen === 0) {
    dev.noQueue = true;
    dev.txQueueLen = DEFAULT_TX_QUEUE_LEN;
  }
  return dev;
}

/** Open, from before the driver's open until before its stop. (`netif_running`) */
export function netifRunning(dev: NetDevice): boolean {
  return (dev.state & LINK_STATE_START) !== 0;
}

export function netifDevicePresent(dev: NetDevice): boolean {
  return (dev.state & LINK_STATE_PRESENT) !== 0;
}

export function netifCarrierOk(dev: NetDevice): boolean {
  return (dev.state & LINK_STATE_NOCARRIER) === 0;
}

/** The driver sees a link. */
export function netifCarrierOn(dev: NetDevice): void {
  if (netifCarrierOk(dev)) return;
  dev.state &= ~LINK_STATE_NOCARRIER;
  if (dev.regState === NETREG_UNINITIALIZED) return;
  dev.carrierUpCount++;
  dev.net.linkwatch.fire(dev);
  if (netifRunning(dev)) dev.net.watchdogUp(dev);
}

export function netifCarrierOff(dev: NetDevice): void {
  if (!netifCarrierOk(dev)) return;
  dev.state |= LINK_STATE_NOCARRIER;
  if (dev.regState === NETREG_UNINITIALIZED) return;
  dev.carrierDownCount++;
  dev.net.linkwatch.fire(dev);
}

/** Up, or of a kind that does not say. (`netif_oper_up`) */
export function netifOperUp(dev: NetDevice): boolean {
  return dev.operstate === IF_OPER_UP || dev.operstate === IF_OPER_UNKNOWN;
}

/** The link is there but may not be used yet (802.1X). (`netif_dormant_on`, `netif_dormant_off`) */
export function netifDormantOn(dev: NetDevice): void {
  if ((dev.state & LINK_STATE_DORMANT) !== 0) return;
  dev.state |= LINK_STATE_DORMANT;
  dev.net.linkwatch.fire(dev);
}

export function netifDormantOff(dev: NetDevice): void {
  if ((dev.state & LINK_STATE_DORMANT) === 0) return;
  dev.state &= ~LINK_STATE_DORMANT;
  dev.net.linkwatch.fire(dev);
}

/** The hardware is out of reach (suspend, reset): nothing is sent, nothing is opened. */
export function netifDeviceDetach(dev: NetDevice): void {
  if (!netifDevicePresent(dev)) return;
  dev.state &= ~LINK_STATE_PRESENT;
  if (netifRunning(dev)) netifTxStopAllQueues(dev);
}

/** It is back. */
export function netifDeviceAttach(dev: NetDevice): void {
  if (netifDevicePresent(dev)) return;
  dev.state |= LINK_STATE_PRESENT;
  if (!netifRunning(dev)) return;
  netifTxWakeAllQueues(dev);
  dev.net.watchdogUp(dev);
}
