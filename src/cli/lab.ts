/**
 * netpoll lab: experiments on the simulated machine. Each prints a table, or --json; none needs a network or privileges.
 */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import { short, svgChart, textChart } from '../lab/chart.ts';
import { neighbours, priorities } from '../lab/fairness.ts';
import { LIVELOCK_RATES, type LivelockPoint, livelockPoint, WAYS } from '../lab/livelock.ts';
import { MODERATION_RATES, MODERATIONS, moderationPoint } from '../lab/moderation.ts';
import { addLabSeeds } from './lab_seeds.ts';
import { addLabStorm } from './lab_storm.ts';
import { die, endWithReader, note } from './terminal.ts';

const EXAMPLES = `
Examples:
  $ netpoll lab livelock                    the table and the curves
  $ netpoll lab livelock --svg curve.svg    the curves in a file as well
  $ netpoll lab fairness                    a quiet card beside a flooded one; ksoftirqd against an application
  $ netpoll lab moderation                  interrupts a frame and latency: off, fixed, adaptive (DIM)
  $ netpoll lab seeds --count 1000          a thousand random worlds with every checker on
  $ netpoll lab storm --seeds 1000          PONG and SysRq storms over bonds whose wires fail
`;

const COLOURS = [pc.red, pc.yellow, pc.green] as const;

interface LivelockCommandOptions {
  readonly seed: string;
  readonly nice: string;
  readonly svg?: string;
  readonly json?: boolean;
}

export function addLab(program: Command): void {
  const lab = program
    .command('lab')
    .description('experiments on the simulated machine: livelock, fairness, moderation, seeds, storm')
    .addHelpText('after', EXAMPLES);
  lab
    .command('livelock')
    .description('delivered against offered rate: interrupts, polling without a quota, NAPI')
    .option('--seed <n>', 'seed of the arrivals', '1')
    .option('--nice <n>', 'priority of the task that wants the CPU', '15')
    .option('--svg <file>', 'write the curves there as well')
    .option('--json', 'print one JSON array')
    .action((options: LivelockCommandOptions) => guarded(() => livelockCommand(options)));
  lab
    .command('fairness')
    .description('a quiet card beside a flooded one; receive against an application, by the priority of ksoftirqd')
    .option('--seed <n>', 'seed of the arrivals', '1')
    .option('--json', 'print one JSON object')
    .action((options: { seed: string; json?: boolean }) => guarded(() => fairnessCommand(options)));
  lab
    .command('moderation')
    .description('interrupts a frame and latency by load, with interrupt moderation off, fixed and adaptive')
    .option('--seed <n>', 'seed of the arrivals', '1')
    .option('--json', 'print one JSON array')
    .action((options: { seed: string; json?: boolean }) => guarded(() => moderationCommand(options)));
  addLabSeeds(lab);
  addLabStorm(lab);
}

function guarded(run: () => void): void {
  endWithReader();
  try {
    run();
  } catch (error) {
    die(error);
  }
}

function livelockCommand(options: LivelockCommandOptions): void {
  const seed = integer('--seed', options.seed, 0);
  const taskNice = integer('--nice', options.nice, -20);
  const points: LivelockPoint[] = [];
  for (const way of WAYS) {
    if (process.stderr.isTTY === true) note(pc.dim(`running ${way}, ${LIVELOCK_RATES.length} loads`));
    for (const rate of LIVELOCK_RATES) points.push(livelockPoint(way, rate, { seed, taskNice }));
  }
  const series = WAYS.map((name) => ({
    name,
    points: points.filter(({ way }) => way === name).map(({ offered, delivered }) => [offered, delivered] as const),
  }));
  const labels = { xLabel: 'frames/s offered', yLabel: 'frames/s delivered' };
  if (options.svg !== undefined) {
    try {
      writeFileSync(options.svg, svgChart(series, { ...labels, title: 'Receive livelock, simulated' }));
    } catch (error) {
      throw new SetupError('ERR_NETPOLL_OPTIONS', `--svg ${options.svg}: ${(error as Error).message}`);
    }
  }
  if (options.json === true) {
    print(JSON.stringify(points, null, 2));
    return;
  }
  const head = ['way', 'offered', 'delivered', 'lost: card', 'backlog', 'interrupts', 'Done', 'Ndone'];
  const share = (part: number): string => `${(part * 100).toFixed(1)}%`;
  const rows = points.map((point) => [
    point.way,
    ...[point.offered, point.delivered, point.droppedByCard, point.droppedByBacklog, point.interrupts].map(short),
    ...[point.done, point.notDone].map(short),
    share(point.shares.hardirq),
    share(point.shares.softirq),
    share(point.shares.ksoftirqd),
    share(point.shares.task),
  ]);
  table([...head, 'hardirq', 'softirq', 'ksoftirqd', 'task'], rows);
  print('');
  for (const line of textChart(series, labels, (i, text) => COLOURS[i]!(text))) print(line);
}

function fairnessCommand(options: { seed: string; json?: boolean }): void {
  const seed = integer('--seed', options.seed, 0);
  const latency = neighbours({ seed });
  const balance = priorities({ seed });
  if (options.json === true) {
    print(JSON.stringify({ neighbours: latency, priorities: balance }, null, 2));
    return;
  }
  const us = (ns: number): string => `${(ns / 1000).toFixed(1)} us`;
  print('A card with 1000 frames/s beside one that is flooded with 1M frames/s; from card to socket:');
  print(
    `  ${latency.count} frames, mean ${us(latency.meanNs)}, most ${us(latency.maxNs)}; bound ${us(latency.boundNs)}`,
  );
  print('');
  print('ksoftirqd against an application (nice 0) that reads what arrives, 600k frames/s offered:');
  table(
    ['nice', 'received', 'read', 'lost: card', 'socket', 'receive', 'application'],
    balance.map((point) => [
      String(point.nice),
      ...[point.received, point.read, point.droppedByCard, point.droppedBySocket].map(short),
      `${(point.receiveShare * 100).toFixed(1)}%`,
      `${(point.applicationShare * 100).toFixed(1)}%`,
    ]),
  );
}

function moderationCommand(options: { seed: string; json?: boolean }): void {
  const seed = integer('--seed', options.seed, 0);
  const points = MODERATIONS.flatMap((way) => MODERATION_RATES.map((rate) => moderationPoint(way, rate, { seed })));
  if (options.json === true) {
    print(JSON.stringify(points, null, 2));
    return;
  }
  table(
    ['moderation', 'offered', 'delivered', 'irqs/frame', 'mean us', 'most us', 'rx-usecs', 'rx-frames'],
    points.map((point) => [
      point.way,
      ...[point.offered, point.delivered].map(short),
      point.interruptsPerFrame.toFixed(3),
      ...[point.meanNs, point.maxNs].map((ns) => (ns / 1000).toFixed(1)),
      ...[point.rxUsecs, point.rxFrames].map(String),
    ]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  print(pc.bold(line(head)));
  for (const row of rows) print(line(row));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A whole number of at least `least`; else SetupError `ERR_NETPOLL_OPTIONS`. */
function integer(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give a whole number from ${least}`);
  }
  return value;
}
