// Axes: from values to places, and the round numbers that are written beside them.
//
//   linear   0 1 2 ...      steps of 1, 2 or 5 times a power of ten
//   log      1 2 5 10 ...   1, 2 and 5 of each power of ten, or whole powers where that would be too many

export interface Scale {
  /** Place of a value; what lies outside of the domain is put on its edge. */
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
  readonly low: number;
  readonly high: number;
}

const TICKS_MAX = 8;

/** `values` fall into `from`..`to` (places); 0 is always in the domain. Values that are no numbers do not count. */
export function linearScale(values: readonly number[], from: number, to: number): Scale {
  const real = values.filter(Number.isFinite);
  const most = Math.max(0, ...real);
  const least = Math.min(0, ...real);
  const span = most - least || 1;
  const step = [1, 2, 5, 10].map((n) => n * 10 ** Math.floor(Math.log10(span / 4))).find((s) => span / s <= TICKS_MAX)!;
  const low = Math.floor(least / step + 1e-9) * step;
  const high = Math.max(Math.ceil(most / step - 1e-9) * step, low + step);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  return { at: placed(low, high, from, to, (value) => value), ticks, low, high };
}

/** As linearScale, of the positive ones; a domain is at least from half to double of what is in it. */
export function logScale(values: readonly number[], from: number, to: number): Scale {
  const real = values.filter((value) => Number.isFinite(value) && value > 0);
  const least = real.length === 0 ? 1 : Math.min(...real);
  const most = real.length === 0 ? 1 : Math.max(...real);
  const low = least / (most / least < 4 ? 1.5 : 1.15);
  const high = most * (most / least < 4 ? 1.5 : 1.15);
  const powers = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, i) => Math.floor(Math.log10(low)) + i,
  );
  const inside = (all: readonly number[]) => all.filter((tick) => tick >= low && tick <= high);
  const choices = [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]].map((digits) =>
    inside(powers.flatMap((power) => digits.map((digit) => digit * 10 ** power))),
  );
  let ticks = choices.find((some) => some.length <= TICKS_MAX) ?? choices.at(-1)!;
  const every = Math.ceil(ticks.length / TICKS_MAX);
  ticks = ticks.filter((_, i) => i % every === 0);
  return { at: placed(low, high, from, to, Math.log), ticks, low, high };
}

function placed(low: number, high: number, from: number, to: number, of: (value: number) => number): Scale['at'] {
  const [first, last] = [of(low), of(high)];
  return (value) => {
    const inside = Math.min(high, Math.max(low, Number.isNaN(value) ? low : value));
    return from + ((of(inside) - first) / (last - first)) * (to - from);
  };
}

/** Three figures, thousands as k, M, G where `large`: 1.2M, 0.953, 12.5. */
export function short(value: number, large = false): string {
  if (!Number.isFinite(value)) return 'none';
  const size = Math.abs(value);
  if (large && size >= 1000) {
    const step = Math.min(3, Math.floor(Math.log10(size) / 3 + 1e-9));
    return `${short(value / 1000 ** step)}${['', 'k', 'M', 'G'][step]}`;
  }
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.01 || size === 0 ? 3 : 5;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
