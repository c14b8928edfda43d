/** balance-alb: whose turn is it to be given a client? */
import type { AlbBondInfo } from './alb_info.ts';
import { type Bonding, bondSlaveCanTx, type Slave } from './bond.ts';

/** The next slave in turn, unless one before it is faster; null: nobody can send. */
export function rlbNextRxSlave(bond: Bonding, alb: AlbBondInfo): Slave | null {
  let before: Slave | null = null;
  let after: Slave | null = null;
  let found = false;
  for (const slave of bond.slaves) {
    if (!bondSlaveCanTx(slave)) continue;
    if (!found) {
      if (before === null || before.speed < slave.speed) before = slave;
    } else if (after === null || after.speed < slave.speed) {
      after = slave;
    }
    if (slave === alb.rxSlave) found = true;
  }
  const chosen = after === null || (before !== null && after.speed < before.speed) ? before : after;
  if (chosen !== null) alb.rxSlave = chosen;
  return chosen;
}
