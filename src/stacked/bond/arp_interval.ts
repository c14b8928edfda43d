// hot
/** The ARP monitor's clock: is it long ago? */
import type { Bonding } from './bond.ts';

const MS = 1e6;

/** No more than `intervals` of arp_interval and a half have passed since `sinceNs`. (`bond_time_in_interval`) */
export function bondTimeInInterval(bond: Bonding, sinceNs: number, intervals: number): boolean {
  const intervalNs = bond.params.arpInterval * MS;
  return bond.net.machine.executive.now() <= sinceNs + intervals * intervalNs + intervalNs / 2;
}
