// What a question can be answered with. Every figure names its limit, if it has one, and whether that is kept.
//
//   ratio        A / B, round by round in one alternating run: compare() in harness.ts
//   bytes        heap bytes a frame: bytesPerFrame() in harness.ts
//   amount       one number of ours: what is kept at five times the load, the longest pause, a share of a processor
//   quantiles    how long things took: p50, p99, p99.9 and the longest, one row a receiver
//   curve        y over x, one line a receiver: delivered over offered
//   unanswered   this machine cannot say, and why
//
// bench/run.mjs prints them, bench/chart.mjs draws them, docs/performance.md shows both.

/** Limits that a figure is held to; bench/run.mjs ends with 1 where one is broken. */
export interface Limit {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Ratio {
  readonly kind: 'ratio';
  readonly what: string;
  readonly unit: string;
  readonly a: { readonly name: string; readonly median: number };
  readonly b: { readonly name: string; readonly median: number };
  readonly rounds: readonly (readonly [a: number, b: number])[];
  /** Median, least and greatest of A/B, round by round. */
  readonly ratio: number;
  readonly min: number;
  readonly max: number;
  readonly limit: Limit;
  readonly ok: boolean;
}

export interface Allocation {
  readonly kind: 'bytes';
  readonly what: string;
  readonly frames: number;
  /** Median, least and greatest of the trials: heap bytes allocated a frame. */
  readonly bytes: number;
  readonly min: number;
  readonly max: number;
  /** Garbage collections during all trials. */
  readonly collections: number;
  readonly limit: Limit;
  readonly ok: boolean;
}

/** One number. Not a ratio: it must be one that another machine would find, too (a share, a count), or be held to a limit that is absolute. */
export interface Amount {
  readonly kind: 'amount';
  readonly what: string;
  readonly unit: string;
  /** Median, least and greatest of the trials. */
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly trials: number;
  readonly limit: Limit;
  readonly ok: boolean;
}

/** One row of a Quantiles figure. */
export interface QuantileSide {
  readonly name: string;
  /** Drawn before the others. */
  readonly ours: boolean;
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Quantiles {
  readonly kind: 'quantiles';
  readonly what: string;
  readonly unit: string;
  readonly sides: readonly QuantileSide[];
}

export interface Axis {
  readonly name: string;
  readonly unit: string;
  /** 'linear' if absent. Nothing that is not positive can be drawn on 'log'. */
  readonly scale?: 'linear' | 'log';
}

export interface Line {
  readonly name: string;
  /** Drawn thicker than the others. */
  readonly ours?: boolean;
  /** In rising order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Curve {
  readonly kind: 'curve';
  readonly what: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

/** A question that this machine cannot answer, and why (not root, no tcpdump). */
export interface Unanswered {
  readonly kind: 'unanswered';
  readonly what: string;
  readonly reason: string;
}

export type Figure = Ratio | Allocation | Amount | Quantiles | Curve | Unanswered;

/** What a bench file exports. */
export interface Bench {
  readonly question: string;
  readonly run: () => Figure[] | Promise<Figure[]>;
}

/** The trials' median, held to a limit. `unit` comes after the number: 'ms', '% of its peak', 'interrupts a frame'. */
export function amount(what: string, unit: string, trials: readonly number[], limit: Limit = {}): Amount {
  const value = median(trials);
  const [min, max] = [Math.min(...trials), Math.max(...trials)];
  return { kind: 'amount', what, unit, value, min, max, trials: trials.length, ...judge(value, limit) };
}

/** `samples` in any order; nearest rank, so that p99 is a sample that was seen. A side without samples has NaN. */
export function quantiles(
  what: string,
  unit: string,
  sides: readonly { readonly name: string; readonly samples: ArrayLike<number>; readonly ours?: boolean }[],
): Quantiles {
  return {
    kind: 'quantiles',
    what,
    unit,
    sides: sides.map(({ name, samples, ours = false }) => {
      const sorted = Float64Array.from(samples).sort();
      const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
      return { name, ours, samples: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
    }),
  };
}

/** Points may come in any order. */
export function curve(what: string, axes: { x: Axis; y: Axis }, lines: readonly Line[]): Curve {
  const rising = (line: Line): Line => ({ ...line, points: [...line.points].sort(([a], [b]) => a - b) });
  return { kind: 'curve', what, ...axes, lines: lines.map(rising) };
}

/** @returns the middle one of an odd number, the mean of the middle two of an even one, NaN of none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const half = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** What is not a number keeps no limit. */
export function judge(figure: number, { atLeast, atMost }: Limit): { limit: Limit; ok: boolean } {
  const ok = !(atLeast !== undefined && !(figure >= atLeast)) && !(atMost !== undefined && !(figure <= atMost));
  return { limit: { ...(atLeast !== undefined && { atLeast }), ...(atMost !== undefined && { atMost }) }, ok };
}
