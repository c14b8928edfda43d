/**
 * Curves for a terminal and for a file: the same series, as braille dots in lines of text or as SVG.
 *
 *     2 x 4 dots a character; both axes linear from 0; each series has a name and a colour
 */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface ChartOptions {
  readonly xLabel: string;
  readonly yLabel: string;
  /** Characters. */
  readonly width?: number;
  readonly height?: number;
}

/** Bit of each dot of a braille cell, by row and column. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const BRAILLE = 0x2800;

/** Colours of SVG series, told apart also without colour vision. */
const STROKES = ['#c1440e', '#8a6d00', '#0b6e99', '#5b2a86'];

/** Paints text in the colour of series `index`; a terminal without colours gives it back as it is. */
export type Paint = (index: number, text: string) => string;

/** Lines of text. Where two series share a cell, the later one gives it its colour. */
export function textChart(series: readonly Series[], options: ChartOptions, paint: Paint): string[] {
  const width = options.width ?? 64;
  const height = options.height ?? 16;
  const { xMax, yMax } = limits(series);
  const cells = new Uint8Array(width * height);
  const owner = new Int8Array(width * height).fill(-1);
  const dot = (x: number, y: number, index: number): void => {
    const column = Math.min(width * 2 - 1, Math.round((x / xMax) * (width * 2 - 1)));
    const row = Math.min(height * 4 - 1, Math.round((1 - y / yMax) * (height * 4 - 1)));
    const cell = (row >> 2) * width + (column >> 1);
    cells[cell]! |= DOTS[row & 3]![column & 1]!;
    owner[cell] = index;
  };
  series.forEach(({ points }, index) => {
    for (let i = 1; i < points.length; i++) {
      const [x0, y0] = points[i - 1]!;
      const [x1, y1] = points[i]!;
      const steps =
        Math.ceil(Math.max((Math.abs(x1 - x0) / xMax) * width * 2, (Math.abs(y1 - y0) / yMax) * height * 4)) || 1;
      for (let k = 0; k <= steps; k++) dot(x0 + ((x1 - x0) * k) / steps, y0 + ((y1 - y0) * k) / steps, index);
    }
  });
  const margin = short(yMax).length;
  const lines = [`${' '.repeat(margin)} ${options.yLabel}`];
  for (let row = 0; row < height; row++) {
    const label = row === 0 ? short(yMax) : row === height - 1 ? '0' : '';
    let line = `${label.padStart(margin)} \u2502`;
    for (let column = 0; column < width; column++) {
      const cell = row * width + column;
      const text = String.fromCharCode(BRAILLE + cells[cell]!);
      line += owner[cell]! < 0 ? ' ' : paint(owner[cell]!, text);
    }
    lines.push(line.trimEnd());
  }
  lines.push(`${' '.repeat(margin)} \u2514${'\u2500'.repeat(width)}`);
  lines.push(`${' '.repeat(margin)} 0${short(xMax).padStart(width)}  ${options.xLabel}`);
  lines.push(`${' '.repeat(margin)}  ${series.map(({ name }, i) => paint(i, `\u2501 ${name}`)).join('   ')}`);
  return lines;
}

/** A whole SVG document. */
export function svgChart(series: readonly Series[], options: ChartOptions & { readonly title: string }): string {
  const { xMax, yMax } = limits(series);
  const [left, top, right, bottom] = [70, 40, 620, 340];
  const at = (x: number, y: number): string =>
    `${(left + (x / xMax) * (right - left)).toFixed(1)},${(bottom - (y / yMax) * (bottom - top)).toFixed(1)}`;
  const text = (x: number, y: number, anchor: string, words: string): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeXml(words)}</text>`;
  const lines = series.map(({ name, points }, i) => {
    const stroke = STROKES[i % STROKES.length]!;
    const path = points.map(([x, y]) => at(x, y)).join(' ');
    const legendY = top + 18 * i + 12;
    return [
      `<polyline points="${path}" fill="none" stroke="${stroke}" stroke-width="2"/>`,
      `<line x1="${right + 12}" y1="${legendY - 4}" x2="${right + 32}" y2="${legendY - 4}" stroke="${stroke}" stroke-width="2"/>`,
      text(right + 38, legendY, 'start', name),
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 400" font-family="sans-serif" font-size="12">
<title>${escapeXml(options.title)}</title>
<rect width="760" height="400" fill="#fff"/>
${text(left, 22, 'start', options.title)}
<path d="M${left},${top}V${bottom}H${right}" fill="none" stroke="#444"/>
${text(left - 6, top + 6, 'end', short(yMax))}
${text(left - 6, bottom, 'end', '0')}
${text(right, bottom + 16, 'middle', short(xMax))}
${text((left + right) / 2, bottom + 34, 'middle', options.xLabel)}
${text(left + 6, top - 4, 'start', options.yLabel)}
${lines.join('\n')}
</svg>
`;
}

function limits(series: readonly Series[]): { xMax: number; yMax: number } {
  let xMax = 1;
  let yMax = 1;
  for (const { points } of series) {
    for (const [x, y] of points) {
      xMax = Math.max(xMax, x);
      yMax = Math.max(yMax, y);
    }
  }
  return { xMax, yMax };
}

/** 2400000 as 2.4M. */
export function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e3) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Math.round(value));
}

function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (each) => (each === '&' ? '&amp;' : each === '<' ? '&lt;' : '&gt;'));
}
