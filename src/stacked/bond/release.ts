/**
 * A slave leaves its bond, and is what it was: its address, its MTU, down.
 *
 *     inactive -> its frames are its own -> 802.3ad says goodbye -> unlinked -> out of the arrays -> another one is active
 *              -> carrier, features -> netpoll off -> closed -> address and MTU restored
 *
 * Netpoll gets NETDEV_TX_BUSY from the bond meanwhile. Answers to __bond_release_one. Process context.
 */
import { Errno } from '../../base/status.ts';
import { devSetMtu } from '../../device/change.ts';
import { ethHwAddrRandom } from '../../device/dev_addr.ts';
import { IFF_SLAVE, type NetDevice } from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { devClose } from '../../device/open.ts';
import { netdevRxHandlerUnregister, netdevUpperDevUnlink } from '../../device/upper.ts';
import { Loglevel } from '../../machine/printk.ts';
import { printMac } from '../../wire/address.ts';
import { macEquals } from '../../wire/eth.ts';
import { ad3UnbindSlave } from './ad_unbind.ts';
import { bondAlbDeinitSlave } from './alb.ts';
import {
  BOND_FOM_NONE,
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  type Bonding,
  bondGetSlaveByDev,
  bondIsActiveSlave,
  bondIsLb,
} from './bond.ts';
import { slaveDisableNetpoll } from './bond_netpoll.ts';
import { bondFoldStats } from './bond_stats.ts';
import { bondSetCarrier } from './carrier.ts';
import { bondRestoreAddress } from './fail_over_mac.ts';
import { bondComputeFeatures } from './features.ts';
import { bondForgetRxMode } from './rx_mode.ts';
import { bondChangeActiveSlave, bondSelectActiveSlave } from './select_active.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import { bondSetSlaveInactiveFlags, slaveInfo, slavePrintk } from './slave_state.ts';

/** `dev` is no slave of the bond any more. 0, or -EINVAL: it was none. `all`: the others go as well, so choose nobody. */
export function bondRelease(bond: Bonding, dev: NetDevice, all = false): number {
  const slave = bondGetSlaveByDev(bond, dev);
  if (slave === undefined || dev.master !== bond.dev) {
    slavePrintk(bond, dev, Loglevel.ERR, 'cannot release slave');
    return -Errno.EINVAL;
  }
  const { mode, failOverMac } = bond.params;
  bond.blockNetpollTx++;
  bondSetSlaveInactiveFlags(slave);
  bondFoldStats(bond);
  netdevRxHandlerUnregister(dev);
  if (mode === BOND_MODE_8023AD) ad3UnbindSlave(slave);
  netdevUpperDevUnlink(dev, bond.dev);
  bond.slaves.splice(bond.slaves.indexOf(slave), 1);
  bondUpdateSlaveArr(bond, slave);
  slaveInfo(slave, `Releasing ${bondIsActiveSlave(slave) ? 'active' : 'backup'} interface`);
  const wasActive = bond.currActiveSlave === slave;
  bond.currentArpSlave = null;
  const shared = failOverMac === BOND_FOM_NONE || mode !== BOND_MODE_ACTIVEBACKUP;
  if (!all && shared && bond.slaves.length > 0 && macEquals(bond.dev.devAddr, 0, slave.permHwaddr)) {
    const mac = printMac(slave.permHwaddr);
    slavePrintk(
      bond,
      dev,
      Loglevel.WARNING,
      `the permanent HWaddr of slave - ${mac} - is still in use by bond - set the HWaddr of slave to a different address to avoid conflicts`,
    );
  }
  if (bond.primarySlave === slave) bond.primarySlave = null;
  bondForgetRxMode(slave);
  // With all on their way out nobody is active from here on, and what the active one was asked for is taken back.
  if (wasActive || all) bondChangeActiveSlave(bond, null);
  if (bondIsLb(bond)) bondAlbDeinitSlave(bond, slave);
  if (wasActive && !all) bondSelectActiveSlave(bond);
  bondSetCarrier(bond);
  if (bond.slaves.length === 0) ethHwAddrRandom(bond.dev, bond.prng);
  bond.blockNetpollTx--;
  if (bond.slaves.length === 0) {
    bond.net.notify(NetdevEvent.CHANGEADDR, bond.dev);
    bond.net.notify(NetdevEvent.RELEASE, bond.dev);
  }
  bondComputeFeatures(bond);
  slaveDisableNetpoll(slave);
  devClose(dev);
  dev.flags &= ~IFF_SLAVE;
  bondRestoreAddress(bond, slave);
  devSetMtu(dev, slave.originalMtu);
  return 0;
}

/** All slaves, the last one first or in order: nobody is chosen between. (`bond_uninit`) */
export function bondReleaseAll(bond: Bonding): void {
  while (bond.slaves.length > 0) bondRelease(bond, bond.slaves[0]!.dev, true);
}
