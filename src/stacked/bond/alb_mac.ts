/**
 * Hardware addresses in balance-tlb and balance-alb: the active slave has the bond's, every other one an address of its own.
 *
 *     balance-alb   really, each device: clients send to them
 *     balance-tlb   all devices listen to the bond's; the own address stands in `devAddr` only, as the source of what they send
 *
 * When the active slave changes the two exchange addresses, and the switch and the clients are told. Answers to
 * bond_alb_handle_active_change, alb_swap_mac_addr, bond_alb_set_mac_address.
 */
import { Errno } from '../../base/status.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { Loglevel } from '../../machine/printk.ts';
import { isValidMac, macEquals } from '../../wire/eth.ts';
import { BOND_MODE_TLB, type Bonding, bondSlaveCanTx, type Slave } from './bond.ts';
import { albSendLearningPackets } from './learning.ts';
import { rlbLeavePromisc, rlbReqUpdateSlaveClients, rlbTeachDisabledMacOnPrimary } from './rlb_update.ts';
import { slavePrintk } from './slave_state.ts';
import { tlbClearSlave } from './tlb.ts';

/** Gives the slave an address; 0, or -EOPNOTSUPP: its device cannot take one now. (`alb_set_slave_mac_addr`) */
export function albSetSlaveMacAddr(slave: Slave, mac: Uint8Array): number {
  const { bond, dev } = slave;
  if (bond.params.mode === BOND_MODE_TLB) {
    dev.devAddr.set(mac);
    return 0;
  }
  if (devSetMacAddress(dev, mac.slice()) === 0) return 0;
  slavePrintk(
    bond,
    dev,
    Loglevel.ERR,
    "dev_set_mac_address on slave failed! ALB mode requires that the base driver support setting the hw address also when the network device's interface is open",
  );
  return -Errno.EOPNOTSUPP;
}

function albSwapMacAddr(a: Slave, b: Slave): void {
  const mac = a.dev.devAddr.slice();
  albSetSlaveMacAddr(a, b.dev.devAddr);
  albSetSlaveMacAddr(b, mac);
}

/** Switch and clients learn of an exchange. (`alb_fasten_mac_swap`) */
function albFastenMacSwap(bond: Bonding, a: Slave, b: Slave): void {
  const { alb } = bond;
  for (const slave of [a, b]) {
    if (!bondSlaveCanTx(slave)) continue;
    albSendLearningPackets(slave, slave.dev.devAddr);
    if (alb?.rlbEnabled) rlbReqUpdateSlaveClients(alb, slave);
  }
  if (!alb?.rlbEnabled || bondSlaveCanTx(a) === bondSlaveCanTx(b)) return;
  // The one that cannot be reached has the address of one that could.
  rlbTeachDisabledMacOnPrimary(bond, alb, (bondSlaveCanTx(a) ? b : a).dev.devAddr);
}

/** The slave that has this address now. (`bond_slave_has_mac`) */
function bondSlaveHasMac(bond: Bonding, mac: Uint8Array): Slave | undefined {
  return bond.slaves.find((slave) => macEquals(mac, 0, slave.dev.devAddr));
}

/**
 * A slave joins: it has its own address, unless the bond or another slave uses that; then one that nobody uses now. 0, or a negative
 * errno. (`alb_handle_addr_collision_on_attach`)
 */
export function albHandleAddrCollisionOnAttach(bond: Bonding, slave: Slave): number {
  const { dev, slaves } = bond;
  if (slaves.length === 0) return 0;
  if (!macEquals(slave.permHwaddr, 0, dev.devAddr)) {
    if (bondSlaveHasMac(bond, slave.dev.devAddr) === undefined) return 0;
    albSetSlaveMacAddr(slave, dev.devAddr);
  }
  const free = slaves.find((each) => bondSlaveHasMac(bond, each.permHwaddr) === undefined);
  if (free !== undefined) {
    albSetSlaveMacAddr(slave, free.permHwaddr);
    slavePrintk(
      bond,
      slave.dev,
      Loglevel.WARNING,
      `the slave hw address is in use by the bond; giving it the hw address of ${free.dev.name}`,
    );
    return 0;
  }
  if (bond.currActiveSlave === null && bondSlaveHasMac(bond, dev.devAddr) === undefined) return 0;
  slavePrintk(
    bond,
    slave.dev,
    Loglevel.ERR,
    "the slave hw address is in use by the bond; couldn't find a slave with a free hw address to give it (this should not have happened)",
  );
  return -Errno.EFAULT;
}

/** A slave leaves, and whoever has its address gives it back. (`alb_change_hw_addr_on_detach`) */
export function albChangeHwAddrOnDetach(bond: Bonding, slave: Slave): void {
  const { permHwaddr } = slave;
  if (macEquals(permHwaddr, 0, slave.dev.devAddr) || macEquals(permHwaddr, 0, bond.dev.devAddr)) return;
  const other = bondSlaveHasMac(bond, permHwaddr);
  if (other === undefined) return;
  albSwapMacAddr(slave, other);
  albFastenMacSwap(bond, slave, other);
}

/** `slave` becomes the active one and gets the bond's address from the one that had it; null: nobody is active any more. */
export function bondAlbHandleActiveChange(bond: Bonding, slave: Slave | null): void {
  const { alb, dev, params } = bond;
  const old = bond.currActiveSlave;
  if (old === slave) return;
  if (alb !== null) rlbLeavePromisc(bond, alb);
  bond.currActiveSlave = slave;
  if (slave === null || bond.slaves.length === 0) return;
  const other = old ?? bondSlaveHasMac(bond, dev.devAddr) ?? null;
  if (other !== null) tlbClearSlave(bond, other, true);
  tlbClearSlave(bond, slave, true);
  if (params.mode === BOND_MODE_TLB) listenTo(slave, dev.devAddr);
  if (other !== null) {
    albSwapMacAddr(other, slave);
    albFastenMacSwap(bond, other, slave);
  } else {
    albSetSlaveMacAddr(slave, dev.devAddr);
    albSendLearningPackets(slave, dev.devAddr);
  }
}

/** The device takes frames for `mac` (if it can), while its own address goes on to be the source of what it sends. */
function listenTo(slave: Slave, mac: Uint8Array): number {
  const own = slave.dev.devAddr.slice();
  const error = devSetMacAddress(slave.dev, mac.slice());
  slave.dev.devAddr.set(own);
  return error;
}

/** The bond gets another address. 0, or a negative errno, and nothing has changed then. (`bond_alb_set_mac_address`) */
export function bondAlbSetMacAddress(bond: Bonding, mac: Uint8Array): number {
  const { alb, dev } = bond;
  if (!isValidMac(mac)) return -Errno.EADDRNOTAVAIL;
  const error = alb?.rlbEnabled ? 0 : listenAll(bond, mac);
  if (error < 0) return error;
  dev.devAddr.set(mac);
  const active = bond.currActiveSlave;
  if (active === null) return 0;
  const other = bondSlaveHasMac(bond, mac);
  if (other !== undefined) {
    albSwapMacAddr(other, active);
    albFastenMacSwap(bond, other, active);
    return 0;
  }
  albSetSlaveMacAddr(active, mac);
  albSendLearningPackets(active, mac);
  if (alb?.rlbEnabled) rlbReqUpdateSlaveClients(alb, active);
  return 0;
}

function listenAll(bond: Bonding, mac: Uint8Array): number {
  for (const [i, slave] of bond.slaves.entries()) {
    const error = listenTo(slave, mac);
    if (error === 0) continue;
    for (const done of bond.slaves.slice(0, i)) listenTo(done, bond.dev.devAddr);
    return error;
  }
  return 0;
}
