// Figures in words: lines for a terminal, tables for a page.
import type { Figure, Limit } from '../figures.ts';
import type { Answer } from './answer.ts';
import { short } from './scale.ts';

/** A figure as lines of text. */
export function lines(figure: Figure): string[] {
  switch (figure.kind) {
    case 'unanswered':
      return [`${figure.what}: not measured: ${figure.reason}`];
    case 'ratio': {
      const { what, a, b, unit, rounds } = figure;
      const sides = `${a.name} ${short(a.median)}, ${b.name} ${short(b.median)} ${unit}`;
      const found = `${a.name} / ${b.name} = ${short(figure.ratio)}${range(figure)} in ${rounds.length} rounds`;
      return [`${what}: ${found}; ${sides}${held(figure)}`];
    }
    case 'bytes': {
      const found = `${short(figure.bytes)} bytes a frame${range(figure)}, ${figure.frames} frames a trial`;
      return [`${figure.what}: ${found}${held(figure)}`];
    }
    case 'amount':
      return [`${figure.what}: ${short(figure.value)} ${figure.unit}${range(figure)}${held(figure)}`];
    case 'quantiles':
      return figure.sides.map(
        ({ name, samples, p50, p99, p999, max }) =>
          `${figure.what}: ${name}: p50 ${short(p50)}, p99 ${short(p99)}, p99.9 ${short(p999)}, max ${short(max)} ${figure.unit}; ${samples} samples`,
      );
    case 'curve':
      return figure.lines.map(({ name, points }) => {
        const each = points.map(([x, y]) => `${short(x, true)}: ${short(y, true)}`);
        return `${figure.what}: ${name}: ${each.join(', ')} (${figure.y.unit} at ${figure.x.unit})`;
      });
  }
}

/** The question and its figures, as a terminal shows them. */
export function answerText({ name, question, load, figures }: Answer): string {
  const shown = figures.flatMap(lines).map((line) => `  ${line}`);
  const others = load.others === null ? '' : `; others had ${percent(load.others)} of the processors`;
  return [`\n${name}: ${question}`, ...shown, `  (${load.seconds.toFixed(0)} s${others})`].join('\n');
}

/** Tables in Markdown, one a kind of figure. */
export function tables(figures: readonly Figure[]): string[] {
  const of = <K extends Figure['kind']>(kind: K) =>
    figures.filter((figure): figure is Extract<Figure, { kind: K }> => figure.kind === kind);
  const found: string[] = [];
  const add = (head: readonly string[], rows: readonly (readonly string[])[]) => {
    if (rows.length > 0) found.push(table(head, rows));
  };
  add(
    ['what', 'sides', 'ratio (least to greatest)', 'medians', 'limit'],
    of('ratio').map((figure) => [
      figure.what,
      `${figure.a.name} / ${figure.b.name}`,
      `${short(figure.ratio)}${range(figure)}`,
      `${short(figure.a.median, true)} / ${short(figure.b.median, true)} ${figure.unit}`,
      limitWords(figure.limit, figure.ok),
    ]),
  );
  add(
    ['what', 'median (least to greatest)', 'limit'],
    [
      ...of('amount').map((figure) => [
        figure.what,
        `${short(figure.value)}${range(figure)} ${figure.unit}`,
        limitWords(figure.limit, figure.ok),
      ]),
      ...of('bytes').map((figure) => [
        figure.what,
        `${short(figure.bytes)}${range(figure)} bytes a frame`,
        limitWords(figure.limit, figure.ok),
      ]),
    ],
  );
  for (const { what, unit, sides } of of('quantiles')) {
    add(
      [`${what}, ${unit}`, 'p50', 'p99', 'p99.9', 'longest', 'samples'],
      sides.map((side) => [
        side.name,
        ...[side.p50, side.p99, side.p999, side.max].map((value) => short(value)),
        String(side.samples),
      ]),
    );
  }
  for (const { what, x, y, lines: all } of of('curve')) {
    const xs = [...new Set(all.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
    // Receivers that were each asked at places of their own would make a table of holes: the picture has them.
    if (xs.length > 12) continue;
    add(
      [`${what}: ${y.name}, ${y.unit}, at ${x.name}, ${x.unit}`, ...xs.map((at) => short(at, true))],
      all.map(({ name, points }) => [
        name,
        ...xs.map((at) => {
          const point = points.find(([px]) => px === at);
          return point === undefined ? '' : short(point[1], true);
        }),
      ]),
    );
  }
  const silent = of('unanswered').map(({ what, reason }) => `- ${what}: **not measured**: ${reason}`);
  if (silent.length > 0) found.push(silent.join('\n'));
  return found;
}

/** How many of the limits are kept, and which are not. */
export function verdictWords(figures: readonly Figure[]): string {
  const held = figures.filter((figure) => 'limit' in figure && Object.keys(figure.limit).length > 0);
  const missed = held.filter((figure) => 'ok' in figure && !figure.ok);
  if (held.length === 0) return figures.some(({ kind }) => kind === 'unanswered') ? 'not measured' : 'no limit';
  if (missed.length === 0) return held.length === 1 ? 'kept' : `all ${held.length} kept`;
  return `**${missed.length} of ${held.length} missed**: ${missed.map(missedWords).join('; ')}`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function missedWords(figure: Figure): string {
  if (!('limit' in figure)) return '';
  const value = figure.kind === 'ratio' ? figure.ratio : figure.kind === 'bytes' ? figure.bytes : figure.value;
  const sides = figure.kind === 'ratio' ? ` (${figure.a.name} / ${figure.b.name})` : '';
  return `${figure.what}${sides} ${short(value)}, ${bounds(figure.limit)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [row(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(row)].join('\n');
}

/** With a space in front; nothing where there was but one. */
function range({ min, max }: { readonly min: number; readonly max: number }): string {
  return min === max ? '' : ` (${short(min)} to ${short(max)})`;
}

function held({ limit, ok }: { readonly limit: Limit; readonly ok: boolean }): string {
  return Object.keys(limit).length === 0 ? '' : `; ${bounds(limit)}: ${ok ? 'kept' : 'MISSED'}`;
}

function limitWords(limit: Limit, ok: boolean): string {
  return Object.keys(limit).length === 0 ? '' : `${bounds(limit)}: ${ok ? 'kept' : '**missed**'}`;
}

function bounds({ atLeast, atMost }: Limit): string {
  const least = atLeast === undefined ? '' : `at least ${short(atLeast)}`;
  const most = atMost === undefined ? '' : `at most ${short(atMost)}`;
  return [least, most].filter(Boolean).join(', ');
}
