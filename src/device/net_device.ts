/**
 * net_device: a network interface as the rest of the machine sees it, over a driver's operations.
 *
 * Made by allocNetdev (or allocEtherdev), made visible by registerNetdevice (register.ts), brought up by devOpen (open.ts).
 * The driver keeps its own things in `priv`.
 */
import { assert } from '../base/assert.ts';
import { Counters } from '../base/counters.ts';
import type { SkBuff, SkbDevice } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import type { NapiStruct } from './napi_struct.ts';
import type { Net } from './net.ts';
import { NetdevQueue } from './netdev_queue.ts';

/** Interface flags (`ip link` shows them in angle brackets). */
export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_LOOPBACK = 0x8;
export const IFF_RUNNING = 0x40;
export const IFF_NOARP = 0x80;
export const IFF_PROMISC = 0x100;
export const IFF_MASTER = 0x400;
export const IFF_SLAVE = 0x800;
export const IFF_MULTICAST = 0x1000;
export const IFF_LOWER_UP = 0x10000;

/** Bits of `dev.state`. */
export const LINK_STATE_START = 1 << 0;
export const LINK_STATE_PRESENT = 1 << 1;
export const LINK_STATE_NOCARRIER = 1 << 2;

export const NETREG_UNINITIALIZED = 0;
export const NETREG_REGISTERED = 1;
export const NETREG_UNREGISTERED = 3;

export const ARPHRD_ETHER = 1;

/** Columns of `ip -s link` and /proc/net/dev (`rtnl_link_stats64`), as far as somebody counts them. */
export const STAT_NAMES = [
  'rx_packets',
  'tx_packets',
  'rx_bytes',
  'tx_bytes',
  'rx_errors',
  'tx_errors',
  'rx_dropped',
  'tx_dropped',
  'multicast',
  'rx_nohandler',
] as const;
export type StatName = (typeof STAT_NAMES)[number];
export const STAT_RX_PACKETS = 0;
export const STAT_TX_PACKETS = 1;
export const STAT_RX_BYTES = 2;
export const STAT_TX_BYTES = 3;
export const STAT_RX_ERRORS = 4;
export const STAT_TX_ERRORS = 5;
export const STAT_RX_DROPPED = 6;
export const STAT_TX_DROPPED = 7;
export const STAT_MULTICAST = 8;
export const STAT_RX_NOHANDLER = 9;

/** What a driver can do. Two operations are required; the others come in groups and may be absent. */
export interface DeviceOps {
  /** Starts the hardware; 0 or a negative errno. (`ndo_open`) */
  open(dev: NetDevice): number;
  /** Sends. NETDEV_TX_OK: the frame is the driver's. NETDEV_TX_BUSY: it is untouched and the caller's. (`ndo_start_xmit`) */
  startXmit(skb: SkBuff, dev: NetDevice, queue: NetdevQueue): number;
  /** Stops the hardware; cannot fail. (`ndo_stop`) */
  stop?(dev: NetDevice): void;
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
  type = 0;
  mtu = 0;
  minMtu = 0;
  maxMtu = 0;
  hardHeaderLen = 0;
  txQueueLen = 1000;
  readonly devAddr = new Uint8Array(6);
  readonly broadcast = new Uint8Array(6);
  features = 0;
  /** Those of `features` that hold for frames with a VLAN tag too; none unless the driver says so. (`vlan_features`) */
  vlanFeatures = 0;
  /** IP addresses of this interface, the first of a family is its primary one. */
  readonly addresses: IpAddress[] = [];
  readonly ops: DeviceOps;
  /** The driver's own state. */
  readonly priv: unknown;
  readonly txQueues: readonly NetdevQueue[];
  readonly napiList: NapiStruct[] = [];
  readonly stats: Counters<StatName> = new Counters(STAT_NAMES);
  /** The device on top of this one (bond, bridge), if any. */
  master: NetDevice | null = null;
  /** What netpoll keeps for this device (`npinfo`); its own type is netpoll's. */
  npinfo: object | null = null;
  /** A device may refuse netpoll altogether (IFF_DISABLE_NETPOLL). */
  netpollDisabled = false;
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
    this.txQueues = Array.from({ length: txQueues }, (_, index) => new NetdevQueue(index));
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
  dev.carrierUpCount++;
}

export function netifCarrierOff(dev: NetDevice): void {
  if (!netifCarrierOk(dev)) return;
  dev.state |= LINK_STATE_NOCARRIER;
  dev.carrierDownCount++;
}
