/** The collector's counters: what came, what it became, and each reason why something is not a message of its own. */

import { Counters } from '../base/counters.ts';

export const counterNames = [
  'datagrams',
  'bytes',
  'messages',
  'extended',
  'basic',
  'unparsed',
  'fragments',
  // Datagrams and records that gave no message, with the reason.
  'empty_datagrams',
  'empty_lines',
  'duplicates',
  'late_fragments',
  'oversized_datagrams',
  // Messages that are not what was sent.
  'incomplete_records',
  'lost_fragment_bytes',
  'unterminated_records',
  'out_of_order',
  // Bounds that were reached.
  'fragments_over_bound',
  'sources',
  'sources_forgotten',
  'clock_set_back',
  'listener_errors',
  'store_evicted',
  'tail_clients',
  'tail_skipped',
  'tail_cut_off',
  'tail_refused',
] as const;

export type CollectorCounters = Counters<(typeof counterNames)[number]>;

export function newCollectorCounters(): CollectorCounters {
  return new Counters(counterNames);
}
