/**
 * netpoll lab seeds: runs worlds of the seed farm, and says how a failing one is had again.
 */
import type { Command } from 'commander';
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import { PLANTS, type Plant } from '../lab/seed_station.ts';
import { runSeed } from '../lab/seeds.ts';
import { die, EXIT_FAILED, endWithReader, note } from './terminal.ts';

interface SeedsCommandOptions {
  readonly count: string;
  readonly from: string;
  readonly plant?: string;
  readonly json?: boolean;
}

/** Failures are told in full up to here. */
const TOLD_MAX = 10;

export function addLabSeeds(lab: Command): void {
  lab
    .command('seeds')
    .description('random worlds with every checker on; ends with 1 if one of them breaks a rule')
    .option('--count <n>', 'how many worlds', '1000')
    .option('--from <seed>', 'the first seed', '1')
    .option('--plant <fault>', `put a fault into each world, to see it found: ${PLANTS.join(', ')}`)
    .option('--json', 'print one JSON object a failing world, and one at the end')
    .action((options: SeedsCommandOptions) => {
      try {
        seedsCommand(options);
      } catch (error) {
        die(error);
      }
    });
}

function seedsCommand(options: SeedsCommandOptions): void {
  endWithReader();
  const count = whole('--count', options.count, 1);
  const from = whole('--from', options.from, 0);
  const plant = (options.plant ?? null) as Plant | null;
  if (plant !== null && !PLANTS.includes(plant)) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--plant ${plant}: one of ${PLANTS.join(', ')}`);
  }
  let failed = 0;
  const total = { frames: 0, events: 0, panics: 0, oldestMs: 0 };
  for (let seed = from; seed < from + count; seed++) {
    const verdict = runSeed(seed, plant);
    total.frames += verdict.frames;
    total.events += verdict.events;
    total.panics += verdict.panics;
    total.oldestMs = Math.max(total.oldestMs, verdict.oldestMs);
    if (verdict.wrong.length === 0) continue;
    if (failed++ >= TOLD_MAX) continue;
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify(verdict)}\n`);
      continue;
    }
    const again = `netpoll lab seeds --from ${seed} --count 1${plant === null ? '' : ` --plant '${plant}'`}`;
    process.stdout.write(`${pc.red(`seed ${seed} failed`)}; again with: ${again}\n`);
    for (const each of verdict.wrong) process.stdout.write(`  ${each}\n`);
  }
  if (options.json === true) process.stdout.write(`${JSON.stringify({ from, count, failed, ...total })}\n`);
  else {
    const what = `${total.frames} frames (the oldest ${total.oldestMs.toFixed(1)} ms), ${total.events} events, ${total.panics} panics`;
    process.stdout.write(`${count} worlds from seed ${from}: ${failed} failed; ${what}\n`);
  }
  if (failed > TOLD_MAX) note(`${failed - TOLD_MAX} more failures are not shown`);
  if (failed > 0) process.exitCode = EXIT_FAILED;
}

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give a whole number from ${least}`);
  }
  return value;
}
