/**
 * What the printers of frames write on: the frame's bytes, how far they are there, and the text so far.
 *
 *     view   ... | frame as captured ........ end |            a printer may read [o, end) and asks `has` before it does
 *
 * What is longer than the captured part is printed as cut short: ` [|name]`.
 */

export interface PrintOptions {
  /** 0: a line a frame; 1 and above: header fields, as -v and -vv show them. */
  readonly verbose?: number;
  /** Less about each frame (-q). */
  readonly quiet?: boolean;
  /** The Ethernet header in front (-e). */
  readonly ethernet?: boolean;
  /** UDP payloads that are netconsole records are shown as such, on a line of their own. */
  readonly netconsole?: boolean;
}

/** Prints what stands at `o`; `len` bytes of it were on the wire. */
export type Printer = (sheet: Sheet, o: number, len: number) => void;

export class Sheet {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Behind the last captured byte. */
  end: number;
  text = '';
  readonly verbose: number;
  readonly quiet: boolean;
  readonly ethernet: boolean;
  readonly netconsole: boolean;
  /** Packets inside packets: set by who knows all protocols. */
  readonly ipv4: Printer;
  readonly ipv6: Printer;

  constructor(
    view: DataView,
    end: number,
    options: PrintOptions,
    inner: { readonly ipv4: Printer; readonly ipv6: Printer },
  ) {
    this.view = view;
    this.bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    this.end = end;
    this.verbose = options.verbose ?? 0;
    this.quiet = options.quiet ?? false;
    this.ethernet = options.ethernet ?? false;
    this.netconsole = options.netconsole ?? false;
    this.ipv4 = inner.ipv4;
    this.ipv6 = inner.ipv6;
  }

  put(text: string): void {
    this.text += text;
  }

  /** True if `n` bytes at `o` were captured. */
  has(o: number, n: number): boolean {
    return o + n <= this.end;
  }

  /** False, and a mark that the protocol's bytes end here, unless `n` bytes at `o` were captured. */
  needs(o: number, n: number, name: string): boolean {
    if (this.has(o, n)) return true;
    this.put(` [|${name}]`);
    return false;
  }
}

/** `0x` and at least `width` digits. */
export function hex(value: number, width = 1): string {
  return `0x${value.toString(16).padStart(width, '0')}`;
}

/** Names of the bits that are set, or `none`. */
export function bitNames(names: readonly (readonly [number, string])[], value: number): string {
  const set = names.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
  return set.length === 0 ? 'none' : set.join(', ');
}
