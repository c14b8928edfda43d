/** What a device has counted (`dev_get_stats`): the driver's numbers, and on top of them what the stack dropped. */
import { Counters } from '../base/counters.ts';
import {
  STAT_NAMES,
  STAT_RX_DROPPED,
  STAT_RX_NOHANDLER,
  STAT_RX_OTHERHOST_DROPPED,
  STAT_TX_DROPPED,
  type StatName,
} from './link_stats.ts';
import type { NetDevice } from './net_device.ts';

/** What the stack counts itself, in `dev.stats`, where the driver keeps its numbers elsewhere. */
const CORE_STATS = [STAT_RX_DROPPED, STAT_TX_DROPPED, STAT_RX_NOHANDLER, STAT_RX_OTHERHOST_DROPPED];

/** A snapshot. */
export function devGetStats(dev: NetDevice): Counters<StatName> {
  const out = new Counters<StatName>(STAT_NAMES);
  if (dev.ops.getStats64 === undefined) {
    out.values.set(dev.stats.values);
    return out;
  }
  dev.ops.getStats64(dev, out);
  for (const stat of CORE_STATS) out.add(stat, dev.stats.values[stat]!);
  return out;
}
