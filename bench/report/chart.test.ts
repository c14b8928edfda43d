import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { amount, curve, type Figure, quantiles } from '../harness.ts';
import { chart } from './chart.ts';
import { linearScale, logScale, short } from './scale.ts';
import { BOLD, textWidth, wrap } from './svg.ts';

/** Any figure that a bench can come up with, numbers that are none included. */
const number = fc.oneof(fc.double({ min: -1e12, max: 1e12 }), fc.constantFrom(0, 1, Number.NaN, Infinity, -Infinity));
const words = fc.string({ unit: fc.constantFrom('a', 'M', 'i', ' ', '<', '&', '"', 'W', '7'), maxLength: 90 });
const limit = fc.record({ atLeast: fc.double({ min: 0, max: 100, noNaN: true }) }, { requiredKeys: [] });
const figure: fc.Arbitrary<Figure> = fc.oneof(
  fc.tuple(words, words, number, number, number, limit, fc.boolean()).map(
    ([what, unit, ratio, min, max, limited, ok]): Figure => ({
      kind: 'ratio',
      what,
      unit,
      a: { name: 'ours', median: ratio },
      b: { name: what, median: min },
      rounds: [],
      ratio,
      min,
      max,
      limit: limited,
      ok,
    }),
  ),
  fc.tuple(words, words, fc.array(number, { maxLength: 4 }), limit).map(([a, b, c, d]) => amount(a, b, c, d)),
  fc
    .tuple(words, fc.array(fc.tuple(words, fc.array(number, { maxLength: 20 }), fc.boolean()), { maxLength: 4 }))
    .map(([what, sides]) =>
      quantiles(
        what,
        'us',
        sides.map(([name, samples, ours]) => ({ name, samples, ours })),
      ),
    ),
  fc
    .tuple(
      words,
      fc.constantFrom('log', 'linear'),
      fc.constantFrom('log', 'linear'),
      fc.array(fc.array(fc.tuple(number, number), { maxLength: 9 }), { maxLength: 7 }),
    )
    .map(([what, xScale, yScale, all]) =>
      curve(
        what,
        { x: { name: what, unit: '1/s', scale: xScale }, y: { name: 'y', unit: 's', scale: yScale } },
        all.map((points, i) => ({ name: `${what} ${i}`, points, ours: i % 2 === 0 })),
      ),
    ),
);

describe('chart', () => {
  it('has no place that is not a number, and no text that leaves the picture, whatever was measured', () => {
    fc.assert(
      fc.property(words, fc.array(figure, { maxLength: 6 }), (question, figures) => {
        const svg = chart(question, figures);
        if (svg === null) return;
        expect(svg).not.toMatch(/="[^"]*(NaN|Infinity|undefined)/);
        const [, width = '', height = ''] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!;
        for (const [, x, y, size, anchor, how, text] of svg.matchAll(
          /<text x="([-\d.]+)" y="([-\d.]+)" font-size="(\d+)" text-anchor="(\w+)"([^>]*)>([^<]*)</g,
        )) {
          const wide = textWidth(text!.replace(/&#\d+;/g, '&'), Number(size)) * (how!.includes('bold') ? BOLD : 1);
          const left = Number(x) - wide * { start: 0, middle: 0.5, end: 1 }[anchor as 'start' | 'middle' | 'end'];
          expect(left, text).toBeGreaterThanOrEqual(0);
          expect(left + wide, text).toBeLessThanOrEqual(Number(width));
          expect(Number(y), text).toBeGreaterThan(8);
          expect(Number(y), text).toBeLessThanOrEqual(Number(height));
        }
        for (const [, cx, cy] of svg.matchAll(/<circle cx="([-\d.]+)" cy="([-\d.]+)"/g)) {
          expect(Number(cx)).toBeLessThanOrEqual(Number(width));
          expect(Number(cy)).toBeLessThanOrEqual(Number(height));
        }
        expect(svg.replace(/<\/?(svg|title|style|rect|text|line|path|circle)\b[^<>]*>/g, '')).not.toMatch(/[<>]/);
      }),
    );
  });

  it('draws nothing where nothing was measured', () => {
    expect(chart('why?', [{ kind: 'unanswered', what: 'all', reason: 'no root' }])).toBeNull();
    expect(chart('why?', [])).toBeNull();
  });
});

describe('scales', () => {
  it('put their ticks in order, inside of the domain, and no more than ten', () => {
    const values = fc.array(fc.double({ min: 1e-9, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(values, (found) => {
        for (const scale of [linearScale, logScale]) {
          const { ticks, low, high, at } = scale(found, 100, 500);
          expect(ticks.length).toBeLessThanOrEqual(10);
          expect([...ticks].sort((a, b) => a - b)).toEqual(ticks);
          for (const tick of ticks) expect(tick >= low * 0.999 && tick <= high * 1.001).toBe(true);
          for (const value of found) {
            expect(at(value)).toBeGreaterThanOrEqual(100);
            expect(at(value)).toBeLessThanOrEqual(500);
          }
        }
      }),
    );
  });

  it('write numbers in three figures', () => {
    expect([0, 0.95312, 12.34, 1234].map((n) => short(n))).toEqual(['0', '0.953', '12.3', '1,234']);
    expect([999, 1000, 1_234_567, 2e9].map((n) => short(n, true))).toEqual(['999', '1k', '1.235M', '2G']);
  });
});

it('wrap loses no letter and keeps to the width', () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 30, max: 300 }), (text, width) => {
      const lines = wrap(text, width, 12);
      expect(lines.join('').replace(/ /g, '')).toBe(text.replace(/ /g, ''));
      for (const line of lines) expect(textWidth(line, 12)).toBeLessThanOrEqual(width);
    }),
  );
});
