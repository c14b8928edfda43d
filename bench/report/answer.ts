// What one question was answered with, as a file: NAME.json, and its picture NAME.svg.
//
//   .cache/bench_results/   the newest of each question, from whichever run
//   docs/performance/       those that docs/performance.md shows
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from '../figures.ts';
import { chart } from './chart.ts';
import type { Load, Machine } from './machine.ts';

export interface Answer {
  /** Of the file in bench/, without its ending. */
  readonly name: string;
  readonly question: string;
  /** The comment that opens the file: what is compared, how, and what was learnt. */
  readonly about: string;
  /** ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  readonly load: Load;
  readonly figures: readonly Figure[];
}

/** Writes NAME.json, and NAME.svg where there is something to draw. Numbers that are none become null. */
export function saveAnswer(folder: string, answer: Answer): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${answer.name}.json`), `${JSON.stringify(answer, null, 2)}\n`);
  const picture = chart(answer.question, answer.figures);
  if (picture !== null) writeFileSync(join(folder, `${answer.name}.svg`), picture);
}

/** All that lie in a folder, by name; none where there is no folder. */
export function loadAnswers(folder: string): Answer[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => {
    const nan = (_key: string, value: unknown) => (value === null ? Number.NaN : value);
    return JSON.parse(readFileSync(join(folder, name), 'utf8'), nan) as Answer;
  });
}

/** The line comments that a file opens with, as text. */
export function aboutOf(source: string): string {
  const found: string[] = [];
  for (const line of source.split('\n')) {
    if (!line.startsWith('//')) break;
    found.push(line.replace(/^\/\/ ?/, '').trimEnd());
  }
  return found.join('\n').trim();
}
