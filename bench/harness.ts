// How this project measures: A against B in the same run, or against a limit. Never a figure of one machine alone.
//
//   compare         rounds in the order A B, B A, A B, ... so that a machine which warms up or is shared harms both
//                   alike. Each round gives one ratio A/B; the answer is their median, with the least and the greatest.
//   bytesPerFrame   exact bytes which V8 took from its heap, not a sample:
//
//      used |        /|   /|  end        The profiler of collections gives the used bytes before and after each one.
//           |   /|  / |  / | /           Allocated = the sum of all climbs; what was freed in between does not hide
//           |  / | /  | /  |/            anything. Two readings cost some 600 bytes themselves: measured with an
//           | /  |/   |/                 empty function, and taken off.
//           +--------------------> run
//
// A bench file answers one question: it exports `question` (one line) and `run()`, which gives figures. It is started
// by bench/run.mjs, compiled as the package is, in a process of its own.

import v8 from 'node:v8';
import vm from 'node:vm';
import { type Allocation, judge, type Limit, median, type Ratio } from './figures.ts';

export type {
  Allocation,
  Amount,
  Axis,
  Bench,
  Curve,
  Figure,
  Limit,
  Line,
  Quantiles,
  Ratio,
  Unanswered,
} from './figures.ts';
export { amount, curve, median, quantiles } from './figures.ts';

/** One of the two in a comparison. */
export interface Side {
  readonly name: string;
  /** One round: does the work and gives the figure, in the comparison's unit. */
  readonly measure: () => number | Promise<number>;
}

/**
 * Measures A against B, alternating.
 *
 * @param what what is compared, in a few words
 * @param unit of the figures, e.g. 'frames/s'
 * @param options rounds: 7 unless told, at least 5; warmUps: rounds thrown away first, 1 unless told; limit of the ratio
 * @throws RangeError for fewer than 5 rounds
 */
export async function compare(
  what: string,
  unit: string,
  a: Side,
  b: Side,
  options: { rounds?: number; warmUps?: number } & Limit = {},
): Promise<Ratio> {
  const { rounds = 7, warmUps = 1 } = options;
  if (rounds < 5) throw new RangeError('fewer than 5 rounds tell nothing on a shared machine');
  const pairs: [number, number][] = [];
  for (let i = -warmUps; i < rounds; i++) {
    const aFirst = i % 2 === 0;
    const first = await (aFirst ? a : b).measure();
    const second = await (aFirst ? b : a).measure();
    if (i >= 0) pairs.push(aFirst ? [first, second] : [second, first]);
  }
  const ratios = pairs.map(([x, y]) => x / y);
  const ratio = median(ratios);
  return {
    kind: 'ratio',
    what,
    unit,
    a: { name: a.name, median: median(pairs.map(([x]) => x)) },
    b: { name: b.name, median: median(pairs.map(([, y]) => y)) },
    rounds: pairs,
    ratio,
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    ...judge(ratio, options),
  };
}

/**
 * Times one run of synchronous work.
 *
 * @param work does `n` pieces in one call
 * @returns pieces a second
 */
export function rate(work: (n: number) => void, n: number): number {
  const started = process.hrtime.bigint();
  work(n);
  return (n * 1e9) / Number(process.hrtime.bigint() - started);
}

/**
 * Heap bytes allocated a frame, exact but for what the compiler allocates while it still optimizes (so: warm up, take
 * the median). The bytes behind an ArrayBuffer lie outside of the heap and do not count, its object (184 bytes) does:
 * zero means that nothing was made.
 *
 * @param work passes `frames` frames in one synchronous call
 * @param frames in a trial; 100,000 and more bring the noise below 0.01 bytes a frame
 * @param options trials: 7 unless told; warmUps: calls before, 5 unless told; limit of the bytes
 */
export function bytesPerFrame(
  what: string,
  work: (frames: number) => void,
  frames: number,
  options: { trials?: number; warmUps?: number } & Limit = {},
): Allocation {
  const { trials = 7, warmUps = 5 } = options;
  const nothing = () => {};
  for (let i = 0; i < warmUps; i++) work(frames);
  for (let i = 0; i < warmUps; i++) allocatedBy(nothing, 0);
  const found: number[] = [];
  let collections = 0;
  for (let i = 0; i < trials; i++) {
    const own = allocatedBy(nothing, 0).bytes;
    const all = allocatedBy(work, frames);
    found.push((all.bytes - own) / frames);
    collections += all.collections;
  }
  const bytes = median(found);
  const min = Math.min(...found);
  const max = Math.max(...found);
  return { kind: 'bytes', what, frames, bytes, min, max, collections, ...judge(bytes, options) };
}

function allocatedBy(work: (frames: number) => void, frames: number): { bytes: number; collections: number } {
  collectGarbage();
  const profiler = new v8.GCProfiler();
  profiler.start();
  let floor = v8.getHeapStatistics().used_heap_size;
  work(frames);
  const end = v8.getHeapStatistics().used_heap_size;
  const { statistics } = profiler.stop();
  let bytes = 0;
  for (const { beforeGC, afterGC } of statistics) {
    bytes += beforeGC.heapStatistics.usedHeapSize - floor;
    floor = afterGC.heapStatistics.usedHeapSize;
  }
  return { bytes: bytes + end - floor, collections: statistics.length };
}

let collector: (() => void) | undefined = globalThis.gc as (() => void) | undefined;

/** Works without --expose-gc too (in vitest): the flag counts for contexts made after it is set. */
function collectGarbage(): void {
  if (collector === undefined) {
    v8.setFlagsFromString('--expose-gc');
    collector = vm.runInNewContext('gc') as () => void;
  }
  collector();
}
