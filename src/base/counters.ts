/**
 * Named counters, kept as doubles in one typed array: exact to 2^53, no boxing, no string on the hot path.
 *
 *     const c = new Counters(['rx_packets', 'rx_bytes'] as const);
 *     c.values[RX_PACKETS]++            hot code indexes by position
 *     c.get('rx_packets')               everything else asks by name
 */
export class Counters<Name extends string = string> {
  readonly names: readonly Name[];
  readonly values: Float64Array;

  constructor(names: readonly Name[]) {
    this.names = names;
    this.values = new Float64Array(names.length);
  }

  /** Adds `n` to the counter at position `index` of `names`. */
  add(index: number, n = 1): void {
    this.values[index]! += n;
  }

  /** Adds `n` to the counter called `name`; for cold code. */
  count(name: Name, n = 1): void {
    this.values[this.names.indexOf(name)]! += n;
  }

  /** Sets the counter called `name`; for figures that somebody else counts (a kernel's drop counter). */
  set(name: Name, value: number): void {
    this.values[this.names.indexOf(name)] = value;
  }

  get(name: Name): number {
    return this.values[this.names.indexOf(name)] ?? 0;
  }

  /** A snapshot by name. */
  toJSON(): Record<Name, number> {
    const out = {} as Record<Name, number>;
    for (let i = 0; i < this.names.length; i++) out[this.names[i]!] = this.values[i]!;
    return out;
  }
}
