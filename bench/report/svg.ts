// A drawing, as text: SVG of our own. Kept libraries were looked at and not taken: Vega and ECharts can draw without a browser, with 40
// packages or 50 megabytes, and paint colours into attributes, so that one file cannot be readable on light and on dark ground;
// Observable Plot wants a DOM. Three kinds of picture take less than what would adapt any of them.
//
// Colours are variables of a style sheet inside of the file; who looks at it in the dark gets the other set.

/** Of the letters, in parts of the font's size; wide enough for every usual sans-serif, so that measured text is never longer. */
const WIDTHS: readonly [letters: string, width: number][] = [
  ["iljI.,:;'|!()[] /", 0.36],
  ['frt-"', 0.44],
  ['mwMW%', 0.98],
  ['ABCDEFGHKLNOPQRSTUVXYZ&', 0.78],
];
const OTHER_WIDTH = 0.64;

export const STYLE = `
svg { --ground: #ffffff; --ink: #1b1f24; --dim: #57606a; --grid: #dde2e8; --ours: #0b6e99; --ours2: #0a8f6a; --ours3: #3f51c5; --bad: #b3261e;
  --a: #8a5a00; --b: #5b2a86; --c: #2d6a2d; --d: #8f1d5c; --e: #4b5563; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #12161b; --ink: #e6eaef; --dim: #9aa5b1; --grid: #2c343d; --ours: #58b4dd; --ours2: #4fd1a5; --ours3: #9aa8ff; --bad: #ff8a80;
    --a: #e0ad4a; --b: #c39be8; --c: #84c784; --d: #f08fc0; --e: #b3bdc8; }
}
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink); }
.dim { fill: var(--dim); } .bad { fill: var(--bad); } .bold { font-weight: 600; }
.ground { fill: var(--ground); } .grid { stroke: var(--grid); } .axis { stroke: var(--dim); }
.limit { stroke: var(--bad); stroke-dasharray: 4 3; stroke-width: 1.5; }
`;

const OUR_COLOURS = ['var(--ours)', 'var(--ours2)', 'var(--ours3)'] as const;
const PEER_COLOURS = ['var(--a)', 'var(--b)', 'var(--c)', 'var(--d)', 'var(--e)'] as const;

/** A colour for each, ours from one set, peers from the other, in their order. */
export function colours(which: readonly { readonly ours?: boolean }[]): string[] {
  let [ours, peers] = [0, 0];
  return which.map((each) =>
    each.ours === true ? OUR_COLOURS[ours++ % OUR_COLOURS.length]! : PEER_COLOURS[peers++ % PEER_COLOURS.length]!,
  );
}

export interface TextOptions {
  readonly size?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly style?: string;
  readonly fill?: string;
}

/** How much wider bold letters are. */
export const BOLD = 1.12;

/** Upper bound of a text's width in pixels. */
export function textWidth(text: string, size: number): number {
  let sum = 0;
  for (const letter of text) sum += WIDTHS.find(([letters]) => letters.includes(letter))?.[1] ?? OTHER_WIDTH;
  return sum * size;
}

/** Lines of words that fit into `width`; a word that does not is cut, and nothing is lost. */
export function wrap(text: string, width: number, size: number): string[] {
  const lines: string[] = [];
  let line = '';
  const push = () => {
    if (line !== '') lines.push(line);
    line = '';
  };
  for (let word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && textWidth(`${line} ${word}`, size) <= width) {
      line += ` ${word}`;
      continue;
    }
    push();
    while (textWidth(word, size) > width && word.length > 1) {
      let fits = word.length - 1;
      while (fits > 1 && textWidth(word.slice(0, fits), size) > width) fits--;
      lines.push(word.slice(0, fits));
      word = word.slice(fits);
    }
    line = word;
  }
  push();
  return lines;
}

/** Elements, in the order in which they are painted. Places are pixels. */
export class Drawing {
  readonly #parts: string[] = [];

  text(x: number, y: number, text: string, { size = 12, anchor = 'start', style, fill }: TextOptions = {}): void {
    const extra = `${style === undefined ? '' : ` class="${style}"`}${fill === undefined ? '' : ` style="fill:${fill}"`}`;
    this.#parts.push(
      `<text x="${at(x)}" y="${at(y)}" font-size="${size}" text-anchor="${anchor}"${extra}>${escaped(text)}</text>`,
    );
  }

  line(x1: number, y1: number, x2: number, y2: number, how: string): void {
    this.#parts.push(`<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" ${how}/>`);
  }

  rect(x: number, y: number, width: number, height: number, how: string): void {
    this.#parts.push(`<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" ${how}/>`);
  }

  dot(x: number, y: number, radius: number, how: string): void {
    this.#parts.push(`<circle cx="${at(x)}" cy="${at(y)}" r="${radius}" ${how}/>`);
  }

  path(points: readonly (readonly [x: number, y: number])[], how: string): void {
    const d = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${at(x)} ${at(y)}`).join('');
    if (d !== '') this.#parts.push(`<path d="${d}" fill="none" ${how}/>`);
  }

  /** The whole file. `title` is read out where the picture is not seen. */
  close(width: number, height: number, title: string): string {
    const [w, h] = [Math.ceil(width), Math.ceil(height)];
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img">`,
      `<title>${escaped(title)}</title>`,
      `<style>${STYLE}</style>`,
      `<rect class="ground" width="${w}" height="${h}" rx="6"/>`,
      ...this.#parts,
      '</svg>',
      '',
    ].join('\n');
  }
}

function at(place: number): string {
  return String(Math.round(place * 10) / 10);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
