// Panels of rows: a name on the left, a bar with whiskers in the middle, the number in words on the right.
//
//   ratios      ours / peer        ----|====o--       from 1 on, on a log axis: a half and a double are as far from 1
//   limits      share of limit     =====o--   |       what has a limit of its own, as a part of it
//   quantiles   p50 o----o--o----o max                on a log axis, one row a receiver
import type { Allocation, Amount, Quantiles, Ratio } from '../figures.ts';
import { linearScale, logScale, type Scale, short } from './scale.ts';
import { BOLD, colours, type Drawing, textWidth, wrap } from './svg.ts';

/** Pixels. The three columns of a panel. */
export const WIDTH = 800;
const MARGIN = 16;
const NAME_WIDTH = 250;
const WORDS_WIDTH = 168;
const PLOT_FROM = MARGIN + NAME_WIDTH + 14;
const PLOT_TO = WIDTH - MARGIN - WORDS_WIDTH - 14;
const LINE_HEIGHT = 15;
const TITLE_SIZE = 13;
const NAME_SIZE = 12;
const WORDS_SIZE = 11;
const ROW_PAD = 10;
const OURS = 'var(--ours)';
const BAD = 'var(--bad)';

interface Row {
  readonly name: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Places of limits on the panel's axis. */
  readonly limits: readonly number[];
  readonly ok: boolean;
  readonly words: readonly string[];
}

/** Draws from `top` on; gives where it ends. */
export function ratioPanel(drawing: Drawing, top: number, ratios: readonly Ratio[]): number {
  const rows = ratios.map((figure): Row => {
    const { what, a, b, unit, ratio, min, max, limit, ok } = figure;
    return {
      name: `${what}: ${a.name} / ${b.name}`,
      value: ratio,
      min,
      max,
      limits: Object.values(limit),
      ok,
      words: [verdict(figure, ratio), `of ${unit}`].flat(),
    };
  });
  const values = rows.flatMap(({ value, min, max, limits }) => [value, min, max, ...limits]);
  const scale = logScale([1, ...values], PLOT_FROM, PLOT_TO);
  return barPanel(drawing, top, 'Ratios, ours to the other; 1 is as good as it', rows, scale, 1);
}

/** What is held to a limit that is not 0, as a part of it; where there is none of them, nothing is drawn. */
export function limitPanel(drawing: Drawing, top: number, figures: readonly (Amount | Allocation)[]): number {
  const rows = figures.flatMap((figure): Row[] => {
    const { limit, min, max, ok, what } = figure;
    const [value, unit] = figure.kind === 'bytes' ? [figure.bytes, 'bytes a frame'] : [figure.value, figure.unit];
    const bound = limit.atMost ?? limit.atLeast ?? 0;
    if (!(bound > 0)) return [];
    const part = (n: number) => Math.max(0, n / bound);
    const words = [...verdict(figure, value), unit];
    return [{ name: what, value: part(value), min: part(min), max: part(max), limits: [1], ok, words }];
  });
  if (rows.length === 0) return top;
  const most = Math.max(1.2, ...rows.map(({ max }) => (Number.isFinite(max) ? max : 0)));
  const scale = linearScale([Math.min(most, 4)], PLOT_FROM, PLOT_TO);
  return barPanel(drawing, top, 'Against its limit, which is 1', rows, scale, 0);
}

/** One panel a figure: a receiver's p50, p99, p99.9 and longest on a line. */
export function quantilePanel(drawing: Drawing, top: number, figure: Quantiles): number {
  const sides = [...figure.sides].sort((a, b) => Number(b.ours) - Number(a.ours));
  const scale = logScale(
    sides.flatMap(({ p50, max }) => [p50, max]),
    PLOT_FROM,
    PLOT_TO,
  );
  const paints = colours(sides);
  const rows = sides.map((side, i) => ({
    name: `${side.name} (${short(side.samples)} samples)`,
    words: [`p50 ${short(side.p50)}, p99 ${short(side.p99)}`, `p99.9 ${short(side.p999)}, max ${short(side.max)}`],
    side,
    colour: paints[i]!,
  }));
  const { y, middles } = frame(drawing, top, `${figure.what}, ${figure.unit}: p50, p99, p99.9, longest`, rows, scale);
  rows.forEach(({ side, colour }, i) => {
    const middle = middles[i]!;
    const places = [side.p50, side.p99, side.p999, side.max];
    if (!places.every(Number.isFinite)) return;
    drawing.line(scale.at(side.p50), middle, scale.at(side.max), middle, `style="stroke:${colour};stroke-width:2"`);
    places.forEach((value, k) => {
      drawing.dot(scale.at(value), middle, k === 0 ? 5 : 3.5, `style="fill:${colour}"`);
    });
  });
  return y;
}

/** The number, its range, and whether its limit is kept. */
function verdict({ min, max, limit, ok }: Ratio | Amount | Allocation, value: number): string[] {
  const number = `${short(value)}${min === max ? '' : ` (${short(min)} to ${short(max)})`}`;
  const bounds = [
    limit.atLeast === undefined ? '' : `at least ${short(limit.atLeast)}`,
    limit.atMost === undefined ? '' : `at most ${short(limit.atMost)}`,
  ].filter(Boolean);
  return bounds.length === 0 ? [number] : [number, `${bounds.join(', ')}: ${ok ? 'kept' : 'MISSED'}`];
}

function barPanel(
  drawing: Drawing,
  top: number,
  title: string,
  rows: readonly Row[],
  scale: Scale,
  base: number,
): number {
  const { y, middles } = frame(drawing, top, title, rows, scale);
  rows.forEach(({ value, min, max, limits, ok }, i) => {
    const middle = middles[i]!;
    const colour = ok ? OURS : BAD;
    if (Number.isFinite(value)) {
      const [from, to] = [scale.at(base), scale.at(value)].sort((a, b) => a - b) as [number, number];
      drawing.rect(from, middle - 5, to - from, 10, `style="fill:${colour};opacity:.35"`);
      const [low, high] = [scale.at(min), scale.at(max)];
      drawing.line(low, middle, high, middle, `style="stroke:${colour};stroke-width:1.5"`);
      for (const end of [low, high]) drawing.line(end, middle - 4, end, middle + 4, `style="stroke:${colour}"`);
      drawing.dot(scale.at(value), middle, 4, `style="fill:${colour}"`);
    }
    for (const limit of limits) {
      drawing.line(scale.at(limit), middle - 11, scale.at(limit), middle + 11, 'class="limit"');
    }
  });
  if (base > 0) drawing.line(scale.at(base), middles[0]! - 14, scale.at(base), y - 24, 'class="axis"');
  return y;
}

/** Title, grid, names and words. `middles`: where each row's bar goes. */
function frame(
  drawing: Drawing,
  top: number,
  title: string,
  rows: readonly { readonly name: string; readonly words: readonly string[] }[],
  scale: Scale,
): { y: number; middles: number[] } {
  let y = top;
  for (const line of wrap(title, WIDTH - 2 * MARGIN, TITLE_SIZE * BOLD)) {
    y += 18;
    drawing.text(MARGIN, y, line, { size: TITLE_SIZE, style: 'bold' });
  }
  y += 8;
  const begin = y;
  const laid = rows.map((row) => {
    const names = wrap(row.name, NAME_WIDTH, NAME_SIZE);
    const words = row.words.flatMap((line) => wrap(line, WORDS_WIDTH, WORDS_SIZE));
    const height = Math.max(names.length, words.length) * LINE_HEIGHT + ROW_PAD;
    const place = { names, words, top: y, height };
    y += height;
    return place;
  });
  grid(drawing, begin, y, scale);
  const middles = laid.map(({ names, words, top: rowTop, height }) => {
    const middle = rowTop + height / 2;
    const first = (lines: number) => middle - (lines * LINE_HEIGHT) / 2 + LINE_HEIGHT - 4;
    names.forEach((line, i) => {
      drawing.text(MARGIN + NAME_WIDTH, first(names.length) + i * LINE_HEIGHT, line, {
        size: NAME_SIZE,
        anchor: 'end',
      });
    });
    words.forEach((line, i) => {
      const style = line.includes('MISSED') ? 'bad' : i === 0 ? undefined : 'dim';
      const options = { size: WORDS_SIZE, ...(style !== undefined && { style }) };
      drawing.text(PLOT_TO + 14, first(words.length) + i * LINE_HEIGHT, line, options);
    });
    return middle;
  });
  return { y: y + 24, middles };
}

/** Lines at the round numbers, and these below; one that would touch its neighbour is left out. */
function grid(drawing: Drawing, top: number, bottom: number, scale: Scale): void {
  let free = Number.NEGATIVE_INFINITY;
  for (const tick of scale.ticks) {
    const x = scale.at(tick);
    drawing.line(x, top, x, bottom, 'class="grid"');
    const text = short(tick, true);
    const half = textWidth(text, WORDS_SIZE) / 2;
    if (x - half < free) continue;
    free = x + half + 4;
    drawing.text(x, bottom + 14, text, { size: WORDS_SIZE, anchor: 'middle', style: 'dim' });
  }
}
