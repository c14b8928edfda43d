/**
 * netpoll lab storm: the stress of seed 003 on simulated machines, seed after seed, and how a failing one is had again.
 */
import type { Command } from 'commander';
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import { runStorm, type StormVerdict } from '../lab/bond_storm.ts';
import { die, EXIT_FAILED, endWithReader, note } from './terminal.ts';

interface StormCommandOptions {
  readonly seeds: string;
  readonly from: string;
  readonly json?: boolean;
}

/** Failures are told in full up to here. */
const TOLD_MAX = 10;
const PROGRESS_MS = 1000;
const SUMS = ['pings', 'answered', 'pongs', 'records', 'recordsHeard', 'commands', 'lost', 'events'] as const;

export function addLabStorm(lab: Command): void {
  lab
    .command('storm')
    .description(
      'a PONG server, netconsole and SysRq storms on one bond, wires failing; ends with 1 if a rule is broken',
    )
    .option('--seeds <n>', 'how many storms', '1000')
    .option('--from <seed>', 'the first seed', '1')
    .option('--json', 'print one JSON object a failing storm, and one at the end')
    .action((options: StormCommandOptions) => {
      try {
        stormCommand(options);
      } catch (error) {
        die(error);
      }
    });
}

function stormCommand(options: StormCommandOptions): void {
  endWithReader();
  const seeds = whole('--seeds', options.seeds, 1);
  const from = whole('--from', options.from, 0);
  const total = Object.fromEntries(SUMS.map((name) => [name, 0])) as Record<(typeof SUMS)[number], number>;
  const modes: Record<string, number> = {};
  let failed = 0;
  let panics = 0;
  const startedMs = performance.now();
  let toldMs = startedMs;
  for (let seed = from; seed < from + seeds; seed++) {
    const verdict = runStorm(seed);
    for (const name of SUMS) total[name] += verdict[name];
    modes[verdict.mode] = (modes[verdict.mode] ?? 0) + 1;
    if (verdict.panicked) panics++;
    if (verdict.wrong.length > 0 && failed++ < TOLD_MAX) tell(verdict, options.json === true);
    if (performance.now() - toldMs < PROGRESS_MS) continue;
    toldMs = performance.now();
    const perSecond = ((seed - from + 1) * 1000) / (toldMs - startedMs);
    note(pc.dim(`${seed - from + 1} of ${seeds} storms, ${perSecond.toFixed(0)} a second, ${failed} failed`));
  }
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ from, seeds, failed, panics, modes, ...total })}\n`);
  } else {
    process.stdout.write(
      `${seeds} storms from seed ${from}: ${failed} failed\n` +
        `  ${total.pings} pings, ${total.answered} answered, ${total.pongs} PONGs heard\n` +
        `  ${total.records} log records, ${total.recordsHeard} heard; ${total.commands} commands obeyed; ${panics} panics\n` +
        `  ${total.lost} frames lost, all of them counted; ${total.events} events\n`,
    );
    for (const [mode, count] of Object.entries(modes).sort())
      process.stdout.write(`  ${String(count).padStart(5)}  ${mode}\n`);
  }
  if (failed > 0) process.exitCode = EXIT_FAILED;
}

function tell(verdict: StormVerdict, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(verdict)}\n`);
    return;
  }
  const again = `netpoll lab storm --from ${verdict.seed} --seeds 1`;
  process.stdout.write(`${pc.red(`seed ${verdict.seed} failed`)} (${verdict.mode}); again with: ${again}\n`);
  for (const each of verdict.wrong) process.stdout.write(`  ${each}\n`);
}

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give a whole number from ${least}`);
  }
  return value;
}
