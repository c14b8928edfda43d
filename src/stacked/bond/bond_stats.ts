/**
 * A bond's statistics: what its slaves have counted since they joined, the ones that have left included. (`bond_get_stats`)
 *
 *     bond.total += slave's now - slave.stats;  slave.stats = now
 */
import { devGetStats } from '../../device/dev_stats.ts';
import type { Bonding } from './bond.ts';

/** Takes what slaves have counted since the last time into the bond's totals. */
export function bondFoldStats(bond: Bonding): void {
  const total = bond.total.values;
  for (const slave of bond.slaves) {
    const now = devGetStats(slave.dev);
    const before = slave.stats;
    for (let i = 0; i < total.length; i++) {
      // A counter that starts anew (a driver's reset) does not make the sum smaller.
      total[i]! += Math.max(0, now.values[i]! - (before?.values[i] ?? 0));
    }
    slave.stats = now;
  }
}
