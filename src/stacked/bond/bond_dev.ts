/**
 * A bond as a device: made by createBond, opened and closed like any other, its slaves joined by bondEnslave.
 *
 *     createBond(net, 'bond0', { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 })
 *     bondEnslave(bondOf(bond0), eth0)        eth0 is down; the bond opens it
 *     devOpen(bond0)                          monitors run from here on, until devClose
 *
 * What is done to the bond is done to its slaves: MTU, address, promiscuity. What happens to a slave (unregistered, renamed,
 * its features or carrier) reaches the bond through device events. Options by name: options.ts.
 */
import { Prng } from '../../base/prng.ts';
import { NETDEV_TX_BUSY, SetupError } from '../../base/status.ts';
import { devSetMtu } from '../../device/change.ts';
import { ethHwAddrRandom } from '../../device/dev_addr.ts';
import { allocEtherdev } from '../../device/eth.ts';
import type { Net, Notifier } from '../../device/net.ts';
import {
  type DeviceOps,
  IFF_MASTER,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOk,
} from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { registerNetdevice, unregisterNetdevice } from '../../device/register.ts';
import { netpollTxRunning } from '../../netpoll/send.ts';
import { ad3AdapterSpeedDuplexChanged } from './ad_3ad.ts';
import { bondAlbDeinitialize, bondAlbInitialize, bondAlbSetMacAddress } from './alb.ts';
import {
  BOND_MODE_8023AD,
  BOND_MODE_ALB,
  Bonding,
  type BondParams,
  bondDefaultParams,
  bondGetSlaveByDev,
  bondIsLb,
  bondModeUsesArp,
  bondOf,
  bondUsesPrimary,
  type Slave,
} from './bond.ts';
import { bondNetpollCleanup, bondNetpollSetup, bondPollController } from './bond_netpoll.ts';
import { bondFoldStats } from './bond_stats.ts';
import { bondSetMacAddress } from './fail_over_mac.ts';
import { BOND_FEATURES, bondComputeFeatures, bondFixFeatures } from './features.ts';
import { bondUpdateSpeedDuplex } from './link_settings.ts';
import { bondMiiMonitor } from './mii_monitor.ts';
import { bondStartMonitors, bondWorkCancelAll, bondWorkInitAll } from './monitors.ts';
import { bondRelease, bondReleaseAll } from './release.ts';
import { bondSyncRxMode } from './rx_mode.ts';
import { bondSelectActiveSlave } from './select_active.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import { bondSetSlaveActiveFlags, bondSetSlaveInactiveFlags } from './slave_state.ts';
import { bondXmit } from './xmit.ts';

const BOND_MTU_MAX = 65535;
const BOND_MTU_MIN = 68;
const MIIMON_DEFAULT_MS = 100;

/**
 * Makes and registers a bond without slaves; it is down and has a random address. `params` as after options.ts; modes that need the
 * MII monitor get it. Throws SetupError `ERR_NETPOLL_NAME`. (`bond_create`)
 */
export function createBond(net: Net, name = 'bond%d', params: Partial<BondParams> = {}): NetDevice {
  const all = Object.assign(bondDefaultParams(), params);
  if (!bondModeUsesArp(all.mode)) {
    all.arpInterval = 0;
    if (all.miimon === 0) all.miimon = MIIMON_DEFAULT_MS;
  }
  const dev = allocEtherdev(net, { name, ops: BOND_OPS });
  // Chance differs from bond to bond, and is the same in every run of a simulation.
  const bond = new Bonding(dev, all, new Prng((net.machine.executive.wallUs() ^ (net.nextIfindex << 16)) >>> 0));
  dev.priv = bond;
  dev.flags |= IFF_MASTER;
  dev.noQueue = true;
  dev.unicastFilter = true;
  dev.minMtu = BOND_MTU_MIN;
  dev.maxMtu = BOND_MTU_MAX;
  dev.features = BOND_FEATURES;
  dev.hwFeatures = BOND_FEATURES;
  dev.liveAddrChange = true;
  ethHwAddrRandom(dev, bond.prng);
  bondWorkInitAll(bond);
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  netifCarrierOff(dev);
  const notifier: Notifier = (event, about) => {
    if (about.master === dev) slaveNetdevEvent(bond, event, about);
    return 0;
  };
  bond.notifier = notifier;
  net.registerNotifier(notifier);
  return dev;
}

/** Releases all slaves and takes the bond away. */
export function destroyBond(dev: NetDevice): void {
  unregisterNetdevice(dev);
}

const BOND_OPS: DeviceOps = {
  /** (`bond_open`) */
  open(dev) {
    const bond = bondOf(dev);
    for (const slave of bond.slaves) openFlags(slave);
    if (bondIsLb(bond)) {
      const error = bondAlbInitialize(bond, bond.params.mode === BOND_MODE_ALB);
      if (error < 0) return error;
    }
    bondStartMonitors(bond);
    bondUpdateSlaveArr(bond);
    return 0;
  },

  /** (`bond_close`) */
  stop(dev) {
    const bond = bondOf(dev);
    bondWorkCancelAll(bond);
    bond.sendPeerNotif = 0;
    if (bondIsLb(bond)) bondAlbDeinitialize(bond);
    bond.recvProbe = null;
    bondSyncRxMode(bond, false);
  },

  /** (`bond_uninit`) */
  uninit(dev) {
    const bond = bondOf(dev);
    bondWorkCancelAll(bond);
    bondNetpollCleanup(dev);
    bondReleaseAll(bond);
    if (bond.notifier !== null) bond.net.unregisterNotifier(bond.notifier);
    bond.notifier = null;
  },

  /** BUSY, for netpoll only: slaves are changing right now. Else the frame is consumed. (`bond_start_xmit`) */
  startXmit(skb, dev) {
    const bond = bondOf(dev);
    if (bond.blockNetpollTx !== 0 && netpollTxRunning(dev)) return NETDEV_TX_BUSY;
    return bondXmit(bond, skb);
  },

  setMacAddress(dev, mac) {
    const bond = bondOf(dev);
    return bondIsLb(bond) ? bondAlbSetMacAddress(bond, mac) : bondSetMacAddress(bond, mac);
  },

  changeMtu,

  setRxMode: (dev) => bondSyncRxMode(bondOf(dev)),

  fixFeatures: (dev, features) => bondFixFeatures(bondOf(dev), features),

  getStats64(dev, out) {
    const bond = bondOf(dev);
    bondFoldStats(bond);
    out.values.set(bond.total.values);
  },

  pollController: bondPollController,
  netpollSetup: bondNetpollSetup,
  netpollCleanup: bondNetpollCleanup,

  /** For who waits with the thread held, while no monitor can run: looks at the slaves, as often as the monitor would. */
  link(dev) {
    const bond = bondOf(dev);
    const { miimon } = bond.params;
    const now = bond.net.machine.executive.now();
    if (miimon > 0 && now >= bond.miiTickNs + miimon * 1e6) {
      bond.miiTickNs = now;
      for (const slave of bond.slaves) slave.dev.ops.link?.(slave.dev);
      bondMiiMonitor(bond);
    }
    return netifCarrierOk(dev);
  },
};

/** Slaves may have come while the bond was closed. */
function openFlags(slave: Slave): void {
  const { bond } = slave;
  if (bondUsesPrimary(bond) && slave !== bond.currActiveSlave) bondSetSlaveInactiveFlags(slave);
  else if (bond.params.mode !== BOND_MODE_8023AD) bondSetSlaveActiveFlags(slave);
}

/** All slaves, or none. (`bond_change_mtu`) */
function changeMtu(dev: NetDevice, mtu: number): number {
  const { slaves } = bondOf(dev);
  for (let i = 0; i < slaves.length; i++) {
    const error = devSetMtu(slaves[i]!.dev, mtu);
    if (error >= 0) continue;
    for (let done = 0; done < i; done++) devSetMtu(slaves[done]!.dev, dev.mtu);
    return error;
  }
  dev.mtu = mtu;
  return 0;
}

/** Something has happened to a slave. (`bond_slave_netdev_event`) */
function slaveNetdevEvent(bond: Bonding, event: NetdevEvent, dev: NetDevice): void {
  const slave = bondGetSlaveByDev(bond, dev);
  if (slave === undefined) return;
  switch (event) {
    case NetdevEvent.UNREGISTER:
      bondRelease(bond, dev);
      break;
    case NetdevEvent.UP:
    case NetdevEvent.CHANGE:
      bondUpdateSpeedDuplex(slave);
      if (bond.params.mode === BOND_MODE_8023AD) ad3AdapterSpeedDuplexChanged(slave);
      bondUpdateSlaveArr(bond);
      break;
    case NetdevEvent.DOWN:
      bondUpdateSlaveArr(bond);
      break;
    case NetdevEvent.CHANGENAME:
      renamed(bond, slave);
      break;
    case NetdevEvent.FEAT_CHANGE:
      bondComputeFeatures(bond);
      break;
    case NetdevEvent.RESEND_IGMP:
      bond.net.notify(NetdevEvent.RESEND_IGMP, bond.dev);
      break;
  }
}

/** The primary slave is known by its name. */
function renamed(bond: Bonding, slave: Slave): void {
  if (!bondUsesPrimary(bond) || bond.params.primary === '') return;
  if (slave === bond.primarySlave) bond.primarySlave = null;
  else if (slave.dev.name === bond.params.primary) bond.primarySlave = slave;
  else return;
  const { printk } = bond.net.machine;
  printk.info(
    `${bond.dev.name}: Primary slave changed to ${bond.primarySlave?.dev.name ?? 'none'}, reselecting active slave`,
  );
  bond.blockNetpollTx++;
  bondSelectActiveSlave(bond);
  bond.blockNetpollTx--;
}
