/**
 * What the network softirq of each CPU did, for people: the columns of softnet_stat that say something, by their names.
 *
 *     softnet     cpu 1: 812 processed, 0 dropped, 2 time_squeeze, 3 received_rps
 */
import type { SoftnetRow } from '../clients/procfs.ts';

/** A line for each CPU. */
export function softnetLines(rows: readonly SoftnetRow[]): string[] {
  return rows.map(({ cpu, processed, dropped, time_squeeze, received_rps, flow_limit_count }) => {
    const parts = [`${processed} processed`, `${dropped} dropped`, `${time_squeeze} time_squeeze`];
    parts.push(`${received_rps} received_rps`);
    if (flow_limit_count > 0) parts.push(`${flow_limit_count} flow_limit_count`);
    return `softnet     cpu ${cpu}: ${parts.join(', ')}`;
  });
}
