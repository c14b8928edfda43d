/**
 * The files in which Linux shows its network counters, for a machine of ours: the same names, columns and widths, so that what
 * reads the one reads the other. Each function gives the whole text of its file.
 */
import { devGetStats } from '../device/dev_stats.ts';
import type { Net } from '../device/net.ts';
import type { StatName } from '../device/net_device.ts';
import type { Machine } from '../machine/machine.ts';
import type { Stack } from '../stack/net_init.ts';

export const SOFTIRQ_NAMES = [
  'HI',
  'TIMER',
  'NET_TX',
  'NET_RX',
  'BLOCK',
  'IRQ_POLL',
  'TASKLET',
  'SCHED',
  'HRTIMER',
  'RCU',
] as const;

/** Sums of what `struct rtnl_link_stats64` counts, in the order and width of a row of /proc/net/dev. */
const NET_DEV_COLUMNS: readonly (readonly [width: number, sum: readonly StatName[]])[] = [
  [7, ['rx_bytes']],
  [7, ['rx_packets']],
  [4, ['rx_errors']],
  [4, ['rx_dropped', 'rx_missed_errors']],
  [4, ['rx_fifo_errors']],
  [5, ['rx_length_errors', 'rx_over_errors', 'rx_crc_errors', 'rx_frame_errors']],
  [10, ['rx_compressed']],
  [9, ['multicast']],
  [8, ['tx_bytes']],
  [7, ['tx_packets']],
  [4, ['tx_errors']],
  [4, ['tx_dropped']],
  [4, ['tx_fifo_errors']],
  [5, ['collisions']],
  [7, ['tx_carrier_errors', 'tx_aborted_errors', 'tx_window_errors', 'tx_heartbeat_errors']],
  [10, ['tx_compressed']],
];

/** /proc/net/dev */
export function procNetDev(net: Net): string {
  const lines = [
    `Inter-|   Receive${' '.repeat(48)}|  Transmit`,
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
  ];
  for (const dev of net.devices) {
    const stats = devGetStats(dev);
    const columns = NET_DEV_COLUMNS.map(([width, sum]) =>
      String(sum.reduce((total, name) => total + stats.get(name), 0)).padStart(width),
    );
    lines.push(`${dev.name.padStart(6)}: ${columns.join(' ')}`);
  }
  return `${lines.join('\n')}\n`;
}

/** One CPU's line of softnet_stat by name; what is not here is always 0. */
export interface SoftnetRow {
  readonly cpu: number;
  readonly processed: number;
  readonly dropped: number;
  readonly time_squeeze: number;
  readonly received_rps: number;
  readonly flow_limit_count: number;
  readonly input_qlen: number;
  readonly process_qlen: number;
}

export function softnetRows({ net, rps }: Stack): SoftnetRow[] {
  return net.softnet.map((softnet, cpu) => ({
    cpu,
    processed: softnet.processed,
    dropped: softnet.dropped + softnet.droppedElsewhere(),
    time_squeeze: softnet.timeSqueeze,
    received_rps: softnet.receivedRps,
    flow_limit_count: softnet.flowLimitCount,
    input_qlen: rps.backlog(cpu).inputLength,
    process_qlen: rps.backlog(cpu).processLength,
  }));
}

/** /proc/net/softnet_stat: 15 columns of 8 hex digits a CPU. */
export function procSoftnetStat(stack: Stack): string {
  const line = (row: SoftnetRow) =>
    [
      ...[row.processed, row.dropped, row.time_squeeze, 0, 0, 0, 0, 0, 0, row.received_rps, row.flow_limit_count],
      ...[row.input_qlen + row.process_qlen, row.cpu, row.input_qlen, row.process_qlen],
    ]
      .map((value) => (value % 2 ** 32).toString(16).padStart(8, '0'))
      .join(' ');
  return softnetRows(stack)
    .map((row) => `${line(row)}\n`)
    .join('');
}

/** /proc/softirqs */
export function procSoftirqs(machine: Machine): string {
  const lines = [' '.repeat(20) + machine.cpus.map(({ id }) => `CPU${String(id).padEnd(8)}`).join('')];
  SOFTIRQ_NAMES.forEach((name, vector) => {
    const counts = machine.cpus.map((cpu) => ` ${String(cpu.softirqCount[vector]).padStart(10)}`);
    lines.push(`${name.padStart(12)}:${counts.join('')}`);
  });
  return `${lines.join('\n')}\n`;
}

/** /proc/interrupts, without the lines of an architecture. */
export function procInterrupts(machine: Machine): string {
  const digits = Math.max(3, String(machine.irqLines.length).length);
  const lines = [' '.repeat(digits + 8) + machine.cpus.map(({ id }) => `CPU${String(id).padEnd(8)}`).join('')];
  for (const line of machine.irqLines) {
    const counts = machine.cpus.map((cpu) => String(cpu === line.cpu ? line.count : 0).padStart(10)).join(' ');
    const hwirq = String(line.number).padStart(digits);
    lines.push(
      `${String(line.number).padStart(digits)}: ${counts} ${'netpoll'.padStart(8)} ${hwirq} ${'Level'.padEnd(8)}  ${line.name}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** /proc/net/ptype; our handlers have no symbols, a protocol's name stands for them. */
export function procNetPtype({ types }: Stack): string {
  const lines = ['Type Device      Function'];
  for (const tap of types.taps) lines.push(`ALL           ${tap.name === '' ? 'tap' : tap.name}`);
  for (const type of types.list()) lines.push(`${type.toString(16).padStart(4, '0')}          ${handlerName(type)}`);
  return `${lines.join('\n')}\n`;
}

function handlerName(type: number): string {
  const names: Readonly<Record<number, string>> = { 2048: 'ip_rcv', 2054: 'arp_rcv', 34525: 'ipv6_rcv' };
  return names[type] ?? 'packet_rcv';
}

/** nstat's lines of counters that are not 0 (all of them with `zeros`): name, value, rate. */
export function nstatText(counters: Readonly<Record<string, number>>, zeros = false): string {
  const lines = ['#kernel'];
  for (const [name, value] of Object.entries(counters)) {
    if (value === 0 && !zeros) continue;
    lines.push(`${name.padEnd(32)}${String(value).padEnd(16)}   0.0`);
  }
  return `${lines.join('\n')}\n`;
}
