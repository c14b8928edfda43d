/**
 * A device joins a bond.
 *
 *  1. refused: what has a handler already, what is the bond itself, what is up, another kind of device, a loop
 *  2. JOIN; the first one gives a bond without an address of its own that address
 *  3. the device: the bond's MTU, its address by fail_over_mac (fail_over_mac.ts), opened
 *  4. the slave: link as the monitor would see it, flags and state by the mode (802.3ad: a port; balance-*: a table's share)
 *  5. netpoll on it, if the bond has it; its frames go to the bond from here on (rx_handler.ts)
 *  6. linked under the bond; features, carrier, active slave, transmit arrays follow
 *
 * What fails undoes what was done, in reverse. Answers to bond_enslave. Process context.
 */
import { Errno } from '../../base/status.ts';
import { devSetMtu } from '../../device/change.ts';
import { ethHwAddrRandom } from '../../device/dev_addr.ts';
import { devGetStats } from '../../device/dev_stats.ts';
import {
  IFF_LOOPBACK,
  IFF_SLAVE,
  IFF_UP,
  NET_ADDR_RANDOM,
  type NetDevice,
  netifCarrierOk,
} from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { devClose, devOpen } from '../../device/open.ts';
import {
  netdevMasterUpperDevLink,
  netdevRxHandlerRegister,
  netdevRxHandlerUnregister,
  netdevUpperDevUnlink,
} from '../../device/upper.ts';
import { Loglevel } from '../../machine/printk.ts';
import { macEquals } from '../../wire/eth.ts';
import { ad3BindSlave, ad3Initialize } from './ad_3ad.ts';
import { ad3UnbindSlave } from './ad_unbind.ts';
import { bondAlbDeinitSlave, bondAlbInitSlave } from './alb.ts';
import {
  BOND_FOM_ACTIVE,
  BOND_LINK_BACK,
  BOND_LINK_DOWN,
  BOND_LINK_UP,
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  type Bonding,
  bondIsActiveSlave,
  bondIsLb,
  bondUsesPrimary,
  Slave,
} from './bond.ts';
import { bondNetpollJoin, slaveDisableNetpoll } from './bond_netpoll.ts';
import { bondSetCarrier } from './carrier.ts';
import { bondGiveAddress, bondRestoreAddress, bondSetDevAddr } from './fail_over_mac.ts';
import { bondComputeFeatures } from './features.ts';
import { bondCheckDevLink, bondUpdateSpeedDuplex } from './link_settings.ts';
import { bondHandleFrame } from './rx_handler.ts';
import { bondSyncRxMode } from './rx_mode.ts';
import { bondSelectActiveSlave } from './select_active.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import { bondSetActiveSlave, bondSetSlaveInactiveFlags, slaveInfo, slavePrintk } from './slave_state.ts';

/** `dev` becomes a slave of the bond; 0, or a negative errno with the reason in the log. It must be down. */
export function bondEnslave(bond: Bonding, dev: NetDevice): number {
  const refused = refuse(bond, dev);
  if (refused < 0) return refused;
  bond.net.notify(NetdevEvent.JOIN, dev);
  if (bond.slaves.length === 0 && bond.dev.addrAssignType === NET_ADDR_RANDOM) {
    const error = bondSetDevAddr(bond, dev);
    if (error < 0) return error;
  }
  const slave = new Slave(bond, dev);
  const undo: (() => void)[] = [];
  const error = join(slave, undo);
  if (error < 0) {
    while (undo.length > 0) undo.pop()!();
    // The address that it lent the bond goes with it.
    if (bond.slaves.length === 0 && macEquals(bond.dev.devAddr, 0, dev.devAddr)) {
      ethHwAddrRandom(bond.dev, bond.prng);
    }
    return error;
  }
  bondComputeFeatures(bond);
  bondSetCarrier(bond);
  if (bondUsesPrimary(bond)) {
    bond.blockNetpollTx++;
    bondSelectActiveSlave(bond);
    bond.blockNetpollTx--;
  }
  bondSyncRxMode(bond);
  bondUpdateSlaveArr(bond);
  const role = bondIsActiveSlave(slave) ? 'an active' : 'a backup';
  slaveInfo(slave, `Enslaving as ${role} interface with ${slave.link === BOND_LINK_DOWN ? 'a down' : 'an up'} link`);
  return 0;
}

/** The reasons that need no undoing. */
function refuse(bond: Bonding, dev: NetDevice): number {
  const no = (errno: number, why: string): number => {
    slavePrintk(bond, dev, Loglevel.ERR, why);
    return -errno;
  };
  if (dev === bond.dev) return no(Errno.EPERM, 'Cannot enslave bond to itself.');
  if (dev.rxHandler !== null || dev.master !== null) return no(Errno.EBUSY, 'Device is in use and cannot be enslaved');
  if ((dev.flags & IFF_UP) !== 0) return no(Errno.EPERM, 'Device can not be enslaved while up');
  if (dev.type !== bond.dev.type || (dev.flags & IFF_LOOPBACK) !== 0) {
    return no(Errno.EINVAL, `Device type (${dev.type}) does not match the type of the bond (${bond.dev.type})`);
  }
  if (dev.ops.setMacAddress !== undefined) return 0;
  slavePrintk(bond, dev, Loglevel.WARNING, 'The slave device specified does not support setting the MAC address');
  if (bond.params.mode !== BOND_MODE_ACTIVEBACKUP || bond.params.failOverMac === BOND_FOM_ACTIVE) return 0;
  if (bond.slaves.length > 0) {
    return no(
      Errno.EOPNOTSUPP,
      'Slave device does not support setting the MAC address, but fail_over_mac is not set to active',
    );
  }
  bond.params.failOverMac = BOND_FOM_ACTIVE;
  slavePrintk(bond, dev, Loglevel.WARNING, 'Setting fail_over_mac to active for active-backup mode');
  return 0;
}

/** Every step that was taken leaves how to take it back. */
function join(slave: Slave, undo: (() => void)[]): number {
  const { bond, dev } = slave;
  const fail = (error: number, what: string): number => {
    slavePrintk(bond, dev, Loglevel.ERR, `Error ${error} ${what}`);
    return error;
  };
  slave.originalMtu = dev.mtu;
  slave.permHwaddr.set(dev.devAddr);
  let error = devSetMtu(dev, bond.dev.mtu);
  if (error < 0) return fail(error, 'calling dev_set_mtu');
  undo.push(() => devSetMtu(dev, slave.originalMtu));
  error = bondGiveAddress(bond, slave);
  if (error < 0) return fail(error, 'calling set_mac_address');
  undo.push(() => bondRestoreAddress(bond, slave));
  dev.flags |= IFF_SLAVE;
  undo.push(() => {
    dev.flags &= ~IFF_SLAVE;
  });
  error = devOpen(dev);
  if (error < 0) return fail(error, 'opening slave');
  undo.push(() => devClose(dev));
  slave.stats = devGetStats(dev);
  if (bondIsLb(bond)) {
    error = bondAlbInitSlave(bond, slave);
    if (error < 0) return error;
    undo.push(() => bondAlbDeinitSlave(bond, slave));
  }
  initialLink(slave);
  bond.slaves.push(slave);
  undo.push(() => {
    bond.slaves.splice(bond.slaves.indexOf(slave), 1);
    if (bond.currActiveSlave === slave) bond.currActiveSlave = null;
    if (bond.primarySlave === slave) bond.primarySlave = null;
  });
  becomePrimary(slave);
  initialState(slave, undo);
  error = bondNetpollJoin(slave);
  if (error < 0) return error;
  undo.push(() => slaveDisableNetpoll(slave));
  error = netdevRxHandlerRegister(dev, (skb) => bondHandleFrame(slave, skb));
  if (error < 0) return fail(error, 'calling netdev_rx_handler_register');
  undo.push(() => netdevRxHandlerUnregister(dev));
  error = netdevMasterUpperDevLink(dev, bond.dev);
  if (error < 0) return fail(error, 'calling bond_master_upper_dev_link');
  undo.push(() => netdevUpperDevUnlink(dev, bond.dev));
  return 0;
}

/** The link as the monitor would find it. */
function initialLink(slave: Slave): void {
  const { bond, dev } = slave;
  const { params } = bond;
  const now = bond.net.machine.executive.now();
  slave.lastRxNs = now - params.arpInterval * 1e6 - 1;
  slave.lastTxNs = slave.lastRxNs;
  slave.targetLastArpRxNs.length = 0;
  if (params.miimon > 0) {
    const up = bondCheckDevLink(dev);
    slave.link = !up ? BOND_LINK_DOWN : params.updelay > 0 ? BOND_LINK_BACK : BOND_LINK_UP;
    slave.delay = up ? params.updelay : 0;
  } else {
    slave.link = params.arpInterval === 0 || netifCarrierOk(dev) ? BOND_LINK_UP : BOND_LINK_DOWN;
  }
  // A speed that nobody knows does not keep a new slave down, only one that comes back.
  bondUpdateSpeedDuplex(slave);
  if (slave.link !== BOND_LINK_DOWN) slave.lastLinkUpNs = now;
}

function becomePrimary(slave: Slave): void {
  const { bond, dev } = slave;
  if (!bondUsesPrimary(bond) || bond.params.primary !== dev.name) return;
  bond.primarySlave = slave;
  bond.forcePrimary = true;
}

/** What the mode makes of a new slave. */
function initialState(slave: Slave, undo: (() => void)[]): void {
  const { bond } = slave;
  const { mode } = bond.params;
  if (mode === BOND_MODE_8023AD) {
    bondSetSlaveInactiveFlags(slave);
    if (bond.slaves.length === 1) ad3Initialize(bond);
    ad3BindSlave(slave);
    undo.push(() => ad3UnbindSlave(slave));
  } else if (mode === BOND_MODE_ACTIVEBACKUP) {
    bondSetSlaveInactiveFlags(slave);
  } else if (bondIsLb(bond)) {
    bondSetActiveSlave(slave);
    bondSetSlaveInactiveFlags(slave);
  } else {
    bondSetActiveSlave(slave);
    // Nobody chooses one in these modes; the first serves those who ask for one (IGMP in balance-rr).
    if (bond.currActiveSlave === null && slave.link === BOND_LINK_UP) bond.currActiveSlave = slave;
  }
}
