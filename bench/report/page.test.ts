import { describe, expect, it } from 'vitest';
import { amount, curve, type Figure, quantiles } from '../harness.ts';
import { type Answer, aboutOf } from './answer.ts';
import { aboutMarkdown, page } from './page.ts';
import { lines, verdictWords } from './words.ts';

const broken = amount('longest pause', 'ms', [2, 3, 4], { atMost: 1 });
const kept = amount('share', '% of its peak', [80], { atLeast: 70 });
const figures: Figure[] = [
  broken,
  kept,
  quantiles('latency', 'us', [{ name: 'ours', ours: true, samples: [3, 1, 2] }]),
  curve('load', { x: { name: 'offered', unit: '1/s' }, y: { name: 'delivered', unit: '1/s' } }, [
    {
      name: 'ours',
      points: [
        [2000, 1],
        [1000, 900],
      ],
    },
  ]),
];

function answer(name: string, some: readonly Figure[]): Answer {
  const machine = {
    processor: 'P',
    processors: 2,
    memoryGiB: 4,
    virtual: true,
    system: 'S',
    kernel: '6',
    node: '20',
    v8: '11',
    koffi: '3',
    commit: 'abc',
  };
  const load = { seconds: 2, own: 0.5, others: 0.25, steal: 0 };
  return { name, question: 'how | fast?', about: 'About.', date: '2026-01-02T03:04:05Z', machine, load, figures: some };
}

describe('figures in words', () => {
  it('quantiles are samples that were seen, points stand in the order of x', () => {
    expect(figures.slice(2).flatMap(lines)).toEqual([
      'latency: ours: p50 2, p99 3, p99.9 3, max 3 us; 3 samples',
      'load: ours: 1k: 900, 2k: 1 (1/s at 1/s)',
    ]);
  });

  it('a missed limit is named with its number', () => {
    expect(lines(broken)[0]).toBe('longest pause: 3 ms (2 to 4); at most 1: MISSED');
    expect(verdictWords(figures)).toBe('**1 of 2 missed**: longest pause 3, at most 1');
    expect(verdictWords([kept])).toBe('kept');
    expect(verdictWords([{ kind: 'unanswered', what: 'x', reason: 'y' }])).toBe('not measured');
  });
});

describe('the page', () => {
  const text = page([answer('packet_rx', figures), answer('forward', [kept])], 'performance');

  it('has a section, a picture and a row of the overview for each question, in its chapter', () => {
    expect([...text.matchAll(/^##+ .*/gm)].map(([title]) => title)).toEqual(
      [
        '# Performance',
        '## The machine',
        '## How far to trust it',
        '## All questions',
        '## Forward',
        '### forward',
        '## Receive',
        '### packet_rx',
      ].slice(1),
    );
    expect(text).toContain('![how | fast?](performance/packet_rx.svg)');
    expect(text).toContain('| [forward](#forward): how \\| fast? | kept |');
    expect(text).toContain('longest pause | 3 (2 to 4) ms | at most 1: **missed** |');
  });

  it('names no machine but the one that was measured', () => {
    expect(text).toContain('2 x P, virtual');
    expect(text).not.toMatch(/NaN|undefined/);
  });
});

it('the words of a question are the comment that opens its file, pictures in their form', () => {
  const about = aboutOf('// One.\n// Two.\n//\n//   a --> b\n//\n// 1. x\n//    y\n\nimport z\n// not this\n');
  expect(about).toBe('One.\nTwo.\n\n  a --> b\n\n1. x\n   y');
  expect(aboutMarkdown(about)).toEqual(['One.\nTwo.', '', '```text\na --> b\n```', '', '1. x\n   y']);
});
