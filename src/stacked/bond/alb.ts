/**
 * balance-tlb and balance-alb: what happens to a bond besides sending.
 *
 *     opened, closed         tables made, thrown away
 *     every 100 ms           learning packets each lp_interval; transmit rebalanced each 10 s; clients told
 *     slave joins, leaves    its addresses put in order; its entries chosen anew
 *     link comes, goes       rebalanced at the next tick; its entries and clients go to others at once
 *     active slave changes   alb_mac.ts
 *
 * Transmit: tlb.ts, alb_xmit.ts, rlb.ts. Process context. Answers to drivers/net/bonding/bond_alb.c.
 */

import { ALB_TICKS_A_SECOND, AlbBondInfo, RlbTable, TLB_REBALANCE_TICKS, TlbSlaveInfo, TlbTable } from './alb_info.ts';
import { albChangeHwAddrOnDetach, albHandleAddrCollisionOnAttach, albSetSlaveMacAddr } from './alb_mac.ts';
import { BOND_LINK_DOWN, BOND_LINK_UP, BOND_MODE_ALB, type Bonding, bondIsNondynTlb, type Slave } from './bond.ts';
import { albSendLearningPackets } from './learning.ts';
import { rlbArpRecv } from './rlb.ts';
import { rlbClearSlave, rlbTick } from './rlb_update.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import { tlbClearSlave, tlbRebalance } from './tlb.ts';

export { bondAlbHandleActiveChange, bondAlbSetMacAddress } from './alb_mac.ts';

/** The bond opens. Always 0. */
export function bondAlbInitialize(bond: Bonding, rlb: boolean = bond.params.mode === BOND_MODE_ALB): number {
  const alb = infoOf(bond);
  for (const slave of bond.slaves) slave.tlb = new TlbSlaveInfo();
  alb.tx = new TlbTable();
  alb.rx = rlb ? new RlbTable() : null;
  if (rlb) bond.recvProbe = rlbArpRecv;
  return 0;
}

/** The bond closes. */
export function bondAlbDeinitialize(bond: Bonding): void {
  const { alb } = bond;
  if (alb === null) return;
  for (const slave of bond.slaves) tlbClearSlave(bond, slave, false);
  alb.tx = null;
  alb.rx = null;
}

function infoOf(bond: Bonding): AlbBondInfo {
  bond.alb ??= new AlbBondInfo();
  return bond.alb;
}

/** Before the slave is one of the bond's. 0, or a negative errno: its address cannot be what it must be. */
export function bondAlbInitSlave(bond: Bonding, slave: Slave): number {
  const error = albSetSlaveMacAddr(slave, slave.permHwaddr) || albHandleAddrCollisionOnAttach(bond, slave);
  if (error < 0) return error;
  slave.tlb = new TlbSlaveInfo();
  rebalanceSoon(infoOf(bond));
  return 0;
}

/** After the slave was taken out of the bond's list. */
export function bondAlbDeinitSlave(bond: Bonding, slave: Slave): void {
  if (bond.slaves.length > 0) albChangeHwAddrOnDetach(bond, slave);
  tlbClearSlave(bond, slave, false);
  slave.tlb = null;
  const { alb } = bond;
  if (alb === null || !alb.rlbEnabled) return;
  alb.rxSlave = null;
  rlbClearSlave(bond, alb, slave);
}

/** The monitor sees the slave's link as `link` now. */
export function bondAlbHandleLinkChange(bond: Bonding, slave: Slave, link: number): void {
  const alb = infoOf(bond);
  if (link === BOND_LINK_DOWN) {
    tlbClearSlave(bond, slave, false);
    if (alb.rlbEnabled) rlbClearSlave(bond, alb, slave);
  } else if (link === BOND_LINK_UP) {
    rebalanceSoon(alb);
  }
  if (bondIsNondynTlb(bond)) bondUpdateSlaveArr(bond);
}

function rebalanceSoon(alb: AlbBondInfo): void {
  alb.txRebalanceCounter = TLB_REBALANCE_TICKS;
  if (alb.rlbEnabled) alb.rlbRebalance = true;
}

/** One tick. The work that calls it arms itself again. */
export function bondAlbMonitor(bond: Bonding): void {
  const alb = infoOf(bond);
  if (bond.slaves.length === 0) {
    alb.txRebalanceCounter = 0;
    alb.lpCounter = 0;
    return;
  }
  alb.txRebalanceCounter++;
  if (++alb.lpCounter >= bond.params.lpInterval * ALB_TICKS_A_SECOND) {
    for (const slave of bond.slaves) albSendLearningPackets(slave, slave.dev.devAddr);
    alb.lpCounter = 0;
  }
  if (alb.txRebalanceCounter >= TLB_REBALANCE_TICKS) {
    tlbRebalance(bond);
    alb.txRebalanceCounter = 0;
  }
  if (alb.rlbEnabled) rlbTick(bond, alb);
}
