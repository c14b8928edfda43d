// One picture a question: its panels, one below the other.
//
//   question
//   ratios | what has a limit | quantiles | curves          each where the question has such figures
import type { Allocation, Amount, Curve, Figure, Quantiles, Ratio } from '../figures.ts';
import { limitPanel, quantilePanel, ratioPanel, WIDTH } from './rows.ts';
import { linearScale, logScale, short } from './scale.ts';
import { BOLD, colours, Drawing, textWidth, wrap } from './svg.ts';

const MARGIN = 16;
const PLOT_LEFT = 78;
const PLOT_HEIGHT = 260;
const GAP = 14;
const SMALL = 11;

/** The SVG file of a question's figures; null where none of them can be drawn. */
export function chart(question: string, figures: readonly Figure[]): string | null {
  const of = <T extends Figure>(...kinds: T['kind'][]) =>
    figures.filter((figure): figure is T => (kinds as string[]).includes(figure.kind));
  const drawing = new Drawing();
  let y = MARGIN;
  for (const line of wrap(question, WIDTH - 2 * MARGIN, 14 * BOLD)) {
    y += 18;
    drawing.text(MARGIN, y - 4, line, { size: 14, style: 'bold' });
  }
  const begin = y;
  const ratios = of<Ratio>('ratio');
  if (ratios.length > 0) y = ratioPanel(drawing, y + GAP, ratios);
  const limited = limitPanel(drawing, y + GAP, of<Amount | Allocation>('amount', 'bytes'));
  if (limited > y + GAP) y = limited;
  for (const figure of of<Quantiles>('quantiles')) {
    if (figure.sides.length > 0) y = quantilePanel(drawing, y + GAP, figure);
  }
  for (const figure of of<Curve>('curve')) y = curvePanel(drawing, y + GAP, figure);
  return y === begin ? null : drawing.close(WIDTH, y + 8, question);
}

/** Lines over two axes, their names in a legend above. */
function curvePanel(drawing: Drawing, top: number, figure: Curve): number {
  let y = top;
  for (const line of wrap(figure.what, WIDTH - 2 * MARGIN, 13 * BOLD)) {
    y += 18;
    drawing.text(MARGIN, y, line, { size: 13, style: 'bold' });
  }
  const paints = colours(figure.lines);
  const lines = figure.lines.map((line, i) => ({ ...line, colour: paints[i]! }));
  y += 6;
  let x = MARGIN;
  let legend = y + 14;
  for (const { name, colour } of lines) {
    const words = wrap(name, WIDTH - 2 * MARGIN - 40, 12);
    const width = Math.max(...words.map((line) => textWidth(line, 12))) + 28;
    if (x > MARGIN && x + width > WIDTH - MARGIN) {
      x = MARGIN;
      legend += 17;
    }
    drawing.line(x, legend - 4, x + 20, legend - 4, stroke(colour, 3));
    words.forEach((line, i) => {
      drawing.text(x + 24, legend + i * 15, line);
    });
    legend += (words.length - 1) * 15;
    x += width + 12;
  }
  y = legend + 12;
  const named = (axis: Curve['x']) => (axis.unit === '' ? axis.name : `${axis.name}, ${axis.unit}`);
  drawing.text(MARGIN, y + 8, named(figure.y), { size: SMALL, style: 'dim' });
  y += 18;
  const [right, bottom] = [WIDTH - MARGIN - 14, y + PLOT_HEIGHT];
  const xs = scaleOf(figure.x)(
    lines.flatMap(({ points }) => points.map((point) => point[0])),
    PLOT_LEFT,
    right,
  );
  const ys = scaleOf(figure.y)(
    lines.flatMap(({ points }) => points.map((point) => point[1])),
    bottom,
    y,
  );
  for (const tick of ys.ticks) {
    drawing.line(PLOT_LEFT, ys.at(tick), right, ys.at(tick), 'class="grid"');
    const place = { size: SMALL, anchor: 'end', style: 'dim' } as const;
    drawing.text(PLOT_LEFT - 8, ys.at(tick) + 4, short(tick, true), place);
  }
  for (const tick of xs.ticks) {
    drawing.line(xs.at(tick), y, xs.at(tick), bottom, 'class="grid"');
    drawing.text(xs.at(tick), bottom + 16, short(tick, true), { size: SMALL, anchor: 'middle', style: 'dim' });
  }
  for (const { points, colour, ours } of lines) {
    const real = points.filter((point) => point.every(Number.isFinite));
    const places = real.map(([px, py]) => [xs.at(px), ys.at(py)] as const);
    drawing.path(places, stroke(colour, ours === true ? 3 : 1.75));
    for (const [px, py] of places) drawing.dot(px, py, ours === true ? 3.5 : 2.5, `style="fill:${colour}"`);
  }
  drawing.text(right, bottom + 34, named(figure.x), { size: SMALL, anchor: 'end', style: 'dim' });
  return bottom + 44;
}

function scaleOf(axis: Curve['x']): typeof linearScale {
  return axis.scale === 'log' ? logScale : linearScale;
}

function stroke(colour: string, width: number): string {
  return `style="stroke:${colour};stroke-width:${width}"`;
}
