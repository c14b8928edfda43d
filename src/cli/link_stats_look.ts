/**
 * Counters of an interface in the columns of `ip -s link`, with -s -s the errors by kind too. A column is as wide as the widest figure
 * in it, of all rows.
 */
import type { StatName } from '../device/link_stats.ts';

export interface StatsLook {
  get(name: StatName): number;
  /** How often the carrier came or went; null: not known. */
  readonly carrierChanges: number | null;
}

type Row = readonly (readonly [title: string, name: StatName | null])[];

const RX: Row = [
  ['bytes', 'rx_bytes'],
  ['packets', 'rx_packets'],
  ['errors', 'rx_errors'],
  ['dropped', 'rx_dropped'],
  ['missed', 'rx_missed_errors'],
  ['mcast', 'multicast'],
];
const RX_ERRORS: Row = [
  ['', null],
  ['length', 'rx_length_errors'],
  ['crc', 'rx_crc_errors'],
  ['frame', 'rx_frame_errors'],
  ['fifo', 'rx_fifo_errors'],
  ['overrun', 'rx_over_errors'],
];
const TX: Row = [
  ['bytes', 'tx_bytes'],
  ['packets', 'tx_packets'],
  ['errors', 'tx_errors'],
  ['dropped', 'tx_dropped'],
  ['carrier', 'tx_carrier_errors'],
  ['collsns', 'collisions'],
];
const TX_ERRORS: Row = [
  ['', null],
  ['aborted', 'tx_aborted_errors'],
  ['fifo', 'tx_fifo_errors'],
  ['window', 'tx_window_errors'],
  ['heartbt', 'tx_heartbeat_errors'],
];
/** Narrowest widths: `*X errors:`, packets, errors, dropped, heartbt, overrun, compressed. */
const WIDTHS = [10, 7, 6, 7, 7, 7, 10];

export function statsText(stats: StatsLook, errors: boolean): string {
  const shown = errors ? [RX, RX_ERRORS, TX, TX_ERRORS] : [RX, TX];
  const value = (name: StatName | null): number => (name === null ? 0 : stats.get(name));
  const widths = WIDTHS.map((least, i) =>
    Math.max(least, ...shown.map((row) => String(value(row[i]?.[1] ?? null)).length)),
  );
  const last = (name: StatName, title: string): readonly [string, number][] =>
    stats.get(name) > 0 ? [[title, stats.get(name)]] : [];
  const side = (word: string, row: Row, more: StatName): string => {
    const extra = last(more, 'compressed');
    const titles = row.map(([title], i) => title.padStart(i === 0 ? widths[0]! - 4 : widths[i]!));
    const figures = [...row.map(([, name]) => value(name)), ...extra.map(([, n]) => n)];
    const end = (extra[0]?.[0] ?? '').padStart(widths[6]!);
    return `    ${word}: ${titles.join(' ')} ${end}\n    ${figures.map((n, i) => `${String(n).padStart(widths[i]!)} `).join('')}\n`;
  };
  const byKind = (word: string, row: Row, extra: readonly (readonly [string, number])[]): string => {
    const all = [...row.slice(1).map(([title, name]) => [title, value(name)] as const), ...extra];
    const titles = all.map(([title], i) => ` ${title.padStart(widths[i + 1]!)}`).join('');
    const figures = all.map(([, n], i) => `${String(n).padStart(widths[i + 1]!)} `).join('');
    return `    ${word} errors:${' '.repeat(widths[0]! - 10)}${titles}\n${' '.repeat(widths[0]! + 5)}${figures}\n`;
  };
  const changes = stats.carrierChanges;
  return [
    side('RX', RX, 'rx_compressed'),
    errors ? byKind('RX', RX_ERRORS, last('rx_nohandler', 'nohandler')) : '',
    side('TX', TX, 'tx_compressed'),
    errors ? byKind('TX', TX_ERRORS, changes === null ? [] : [['transns', changes]]) : '',
  ].join('');
}

export function statsJson(stats: StatsLook, errors: boolean): object {
  const some = (key: string, n: number): object => (n > 0 ? { [key]: n } : {});
  const changes = stats.carrierChanges;
  return {
    rx: {
      bytes: stats.get('rx_bytes'),
      packets: stats.get('rx_packets'),
      errors: stats.get('rx_errors'),
      dropped: stats.get('rx_dropped'),
      over_errors: stats.get('rx_over_errors'),
      multicast: stats.get('multicast'),
      ...some('compressed', stats.get('rx_compressed')),
      ...(errors
        ? {
            length_errors: stats.get('rx_length_errors'),
            crc_errors: stats.get('rx_crc_errors'),
            frame_errors: stats.get('rx_frame_errors'),
            fifo_errors: stats.get('rx_fifo_errors'),
            missed_errors: stats.get('rx_missed_errors'),
            ...some('nohandler', stats.get('rx_nohandler')),
          }
        : {}),
    },
    tx: {
      bytes: stats.get('tx_bytes'),
      packets: stats.get('tx_packets'),
      errors: stats.get('tx_errors'),
      dropped: stats.get('tx_dropped'),
      carrier_errors: stats.get('tx_carrier_errors'),
      collisions: stats.get('collisions'),
      ...some('compressed', stats.get('tx_compressed')),
      ...(errors
        ? {
            aborted_errors: stats.get('tx_aborted_errors'),
            fifo_errors: stats.get('tx_fifo_errors'),
            window_errors: stats.get('tx_window_errors'),
            heartbeat_errors: stats.get('tx_heartbeat_errors'),
            ...(changes === null ? {} : { carrier_changes: changes }),
          }
        : {}),
    },
  };
}
