/**
 * A device joins a bridge as a port, and leaves it; what that means for the bridge's address, MTU and carrier.
 *
 *     address    the lowest of the ports', unless a user has given it one; all zero without ports
 *     MTU        the smallest of the ports', unless a user has chosen one
 *     carrier    while a port forwards
 *
 * A port forwards while its device and the bridge are up. Answers to br_add_if, br_del_if, br_stp_recalculate_bridge_id.
 */
import { Errno } from '../../base/status.ts';
import { devSetAllmulti, devSetPromiscuity } from '../../device/change.ts';
import { ethHwAddrSet } from '../../device/dev_addr.ts';
import {
  ARPHRD_ETHER,
  IFF_LOOPBACK,
  IFF_UP,
  NET_ADDR_SET,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOk,
  netifCarrierOn,
  netifOperUp,
  netifRunning,
} from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import {
  netdevMasterUpperDevLink,
  netdevRxHandlerRegister,
  netdevRxHandlerUnregister,
  netdevUpperDevUnlink,
} from '../../device/upper.ts';
import { netpollCleanup, netpollSetupLower } from '../../netpoll/attach.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { ETH_DATA_LEN, isValidMac, macEquals } from '../../wire/eth.ts';
import {
  BR_STATE_BLOCKING,
  BR_STATE_DISABLED,
  BR_STATE_FORWARDING,
  BR_STATE_NAMES,
  type Bridge,
  BridgePort,
  bridgePortOf,
  isBridgeMaster,
} from './bridge_dev.ts';
import { brHandleFrame, brPassUp } from './bridge_input.ts';

const PORTS_MAX = 1023;

/** `dev` becomes a port. 0, or a negative errno and nothing has changed: -ELOOP a bridge, -EBUSY it is somebody's. Process context. */
export function brAddIf(br: Bridge, dev: NetDevice): number {
  if ((dev.flags & IFF_LOOPBACK) !== 0 || dev.type !== ARPHRD_ETHER || !isValidMac(dev.devAddr)) return -Errno.EINVAL;
  if (isBridgeMaster(dev)) return -Errno.ELOOP;
  if (dev.master !== null || dev.rxHandler !== null) return -Errno.EBUSY;
  const number = freePortNo(br);
  if (number < 0) return -Errno.EXFULL;
  const { net } = dev;
  const port = new BridgePort(br, dev, number);
  const undo: (() => void)[] = [];
  const fail = (error: number): number => {
    while (undo.length > 0) undo.pop()!();
    return error;
  };
  net.notify(NetdevEvent.JOIN, dev);
  devSetAllmulti(dev, 1);
  undo.push(() => devSetAllmulti(dev, -1));
  devSetPromiscuity(dev, 1);
  undo.push(() => devSetPromiscuity(dev, -1));
  let error = npinfoOf(br.dev) === null ? 0 : brNetpollEnable(port);
  if (error < 0) return fail(error);
  undo.push(() => brNetpollDisable(port));
  error = netdevRxHandlerRegister(dev, (skb) => brHandleFrame(port, skb));
  if (error < 0) return fail(error);
  undo.push(() => netdevRxHandlerUnregister(dev));
  error = netdevMasterUpperDevLink(dev, br.dev);
  if (error < 0) return fail(error);
  br.ports.push(port);
  brAddressesChanged(br);
  brMtuAutoAdjust(br);
  brPortCarrierCheck(port);
  return 0;
}

/** -EINVAL: `dev` is no port of it. */
export function brDelIf(br: Bridge, dev: NetDevice): number {
  const port = bridgePortOf(br, dev);
  if (port === undefined) return -Errno.EINVAL;
  brStpDisablePort(port);
  netdevRxHandlerUnregister(dev);
  netdevUpperDevUnlink(dev, br.dev);
  brNetpollDisable(port);
  br.ports.splice(br.ports.indexOf(port), 1);
  devSetPromiscuity(dev, -1);
  devSetAllmulti(dev, -1);
  br.fdb.deleteByPort(port);
  brAddressesChanged(br);
  brMtuAutoAdjust(br);
  return 0;
}

/** The lowest that is free, from 1 on; -1: none. */
function freePortNo(br: Bridge): number {
  for (let number = 1; number <= PORTS_MAX; number++) {
    if (!br.ports.some((port) => port.portNo === number)) return number;
  }
  return -1;
}

/** The port's device has come up, gone down, got or lost its link. (`br_port_carrier_check`) */
export function brPortCarrierCheck(port: BridgePort): void {
  const { dev, br } = port;
  const up = (br.dev.flags & IFF_UP) !== 0 && netifRunning(dev) && netifCarrierOk(dev) && netifOperUp(dev);
  if (up && port.state === BR_STATE_DISABLED) brStpEnablePort(port);
  else if (!up && port.state !== BR_STATE_DISABLED) brStpDisablePort(port);
}

/** Without a spanning tree it forwards at once. */
function brStpEnablePort(port: BridgePort): void {
  setState(port, BR_STATE_BLOCKING);
  setState(port, BR_STATE_FORWARDING);
  liveports(port.br);
}

/** What was learned by it is forgotten. */
export function brStpDisablePort(port: BridgePort): void {
  if (port.state === BR_STATE_DISABLED) return;
  setState(port, BR_STATE_DISABLED);
  port.br.fdb.deleteByPort(port);
  liveports(port.br);
}

/** (`br_set_state`) */
function setState(port: BridgePort, state: number): void {
  port.state = state;
  const { printk } = port.dev.net.machine;
  printk.info(`${port.br.dev.name}: port ${port.portNo}(${port.dev.name}) entered ${BR_STATE_NAMES[state]} state`);
}

function liveports(br: Bridge): void {
  if (br.ports.some((port) => port.state === BR_STATE_FORWARDING)) netifCarrierOn(br.dev);
  else netifCarrierOff(br.dev);
}

/** The addresses that are ours, and the bridge's, follow those of the ports. (`br_stp_recalculate_bridge_id`) */
export function brAddressesChanged(br: Bridge): void {
  const { dev, ports } = br;
  let lowest: Uint8Array | null = null;
  for (const port of ports) if (lowest === null || compare(port.dev.devAddr, lowest) < 0) lowest = port.dev.devAddr;
  const mac = lowest ?? new Uint8Array(6);
  const changed = dev.addrAssignType !== NET_ADDR_SET && !macEquals(mac, 0, dev.devAddr);
  if (changed) ethHwAddrSet(dev, mac);
  brFdbLocals(br);
  if (changed) dev.net.notify(NetdevEvent.CHANGEADDR, dev);
}

/** (`br_fdb_changeaddr`, `br_fdb_change_mac_address`) */
export function brFdbLocals(br: Bridge): void {
  br.fdb.deleteLocals();
  for (const port of br.ports) br.fdb.addLocal(port.dev.devAddr, port);
  if (isValidMac(br.dev.devAddr)) br.fdb.addLocal(br.dev.devAddr, null);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 6; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** (`br_mtu_auto_adjust`) */
export function brMtuAutoAdjust(br: Bridge): void {
  if (br.mtuSetByUser) return;
  const mtu = br.ports.length === 0 ? ETH_DATA_LEN : Math.min(...br.ports.map((port) => port.dev.mtu));
  if (mtu === br.dev.mtu) return;
  br.dev.mtu = mtu;
  br.dev.net.notify(NetdevEvent.CHANGEMTU, br.dev);
}

/** The port gets its own client; 0, or the errno of its device. (`br_netpoll_enable`) */
export function brNetpollEnable(port: BridgePort): number {
  if (port.np !== null) return 0;
  const np = netpollSetupLower(port.br.dev, port.dev, (skb) => brPassUp(port, skb));
  if (typeof np === 'number') return np;
  port.np = np;
  return 0;
}

/** (`br_netpoll_disable`) */
export function brNetpollDisable(port: BridgePort): void {
  const { np } = port;
  port.np = null;
  if (np !== null) netpollCleanup(np);
}
