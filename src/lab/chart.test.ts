import { describe, expect, it } from 'vitest';
import { type Series, short, svgChart, textChart } from './chart.ts';

const LABELS = { xLabel: 'offered', yLabel: 'delivered' };
const plain = (_index: number, text: string): string => text;
/** A ramp, and what collapses. */
const series: readonly Series[] = [
  {
    name: 'NAPI',
    points: [
      [0, 0],
      [100, 100],
      [200, 100],
    ],
  },
  {
    name: 'interrupt',
    points: [
      [0, 0],
      [100, 100],
      [200, 0],
    ],
  },
];
/** Places of the braille cells of a line, behind the axis. */
const inked = (line: string): number[] =>
  [...line.slice(line.indexOf('│') + 1)].flatMap((cell, i) => (cell.charCodeAt(0) >= 0x2800 ? [i] : []));

describe('a chart in the terminal', () => {
  const lines = textChart(series, { ...LABELS, width: 20, height: 8 }, plain);

  it('has axes with figures and names, and a legend', () => {
    expect(lines.length).toBe(1 + 8 + 3);
    expect(lines[0]).toBe('    delivered');
    expect(lines[1]!.startsWith('100 │')).toBe(true);
    expect(lines[8]!.startsWith('  0 │')).toBe(true);
    expect(lines[9]).toBe(`    └${'─'.repeat(20)}`);
    expect(lines[10]).toBe(`    0${'200'.padStart(20)}  offered`);
    expect(lines[11]).toBe('     ━ NAPI   ━ interrupt');
  });

  it('draws a plateau at the top and a collapse down to the corner', () => {
    const top = inked(lines[1]!);
    expect(top.at(0)).toBeGreaterThan(7);
    expect(top.at(-1)).toBe(19);
    expect(inked(lines[8]!)).toContain(0);
    expect(inked(lines[8]!)).toContain(19);
    // Between them only the two flanks.
    expect(inked(lines[5]!).length).toBeLessThan(8);
  });

  it('paints each series with its own colour, and the later one where two meet', () => {
    const painted = textChart(series, { ...LABELS, width: 20, height: 8 }, (index, text) =>
      text === '' ? '' : `${index}`,
    );
    const body = painted.slice(1, 9).join('');
    expect([body.includes('0'), body.includes('1')]).toEqual([true, true]);
    // Up to the knee both are the same: the later one has it.
    expect(painted[8]!.slice(painted[8]!.indexOf('│') + 1)[0]).toBe('1');
    expect(painted[11]).toContain('0   1');
  });

  it('keeps every dot inside, whatever the points', () => {
    const wild = [
      {
        name: 'x',
        points: [
          [0, 0],
          [7, 3.3],
          [7.0001, 1e9],
          [1e9, 0],
        ] as const,
      },
    ];
    for (const line of textChart(wild, { ...LABELS, width: 10, height: 4 }, plain).slice(1, 5)) {
      expect(line.slice(line.indexOf('│') + 1).length).toBeLessThanOrEqual(10);
    }
    expect(textChart([], { ...LABELS, width: 10, height: 4 }, plain).length).toBe(8);
    expect(textChart([{ name: 'one', points: [[1, 1]] }], LABELS, plain).length).toBe(20);
  });
});

describe('a chart as SVG', () => {
  const svg = svgChart(series, { ...LABELS, title: 'Livelock <1996> & after' });

  it('is one document with a polyline and a legend for each series', () => {
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 400"')).toBe(true);
    expect(svg.trimEnd().endsWith('</svg>')).toBe(true);
    expect(svg.match(/<polyline /g)?.length).toBe(2);
    for (const name of ['NAPI', 'interrupt', 'offered', 'delivered']) expect(svg).toContain(`>${name}</text>`);
    expect(svg).toContain('<title>Livelock &lt;1996&gt; &amp; after</title>');
  });

  it('places points linearly between the axes', () => {
    const lines = [...svg.matchAll(/points="([^"]*)"/g)].map(([, points]) => points);
    expect(lines).toEqual(['70.0,340.0 345.0,40.0 620.0,40.0', '70.0,340.0 345.0,40.0 620.0,340.0']);
  });

  it('has every tag closed', () => {
    const open: string[] = [];
    for (const [, close, tag, self] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(tag);
      else if (self !== '/') open.push(tag!);
    }
    expect(open).toEqual([]);
  });
});

describe('short figures', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1k'],
    [12_345, '12.3k'],
    [2_400_000, '2.4M'],
    [0.4, '0'],
  ])('%d is %s', (value, text) => {
    expect(short(value)).toBe(text);
  });
});
