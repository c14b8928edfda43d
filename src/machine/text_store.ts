/**
 * Where the texts of log records lie: one behind the other in slabs, each text a view of its own. A memory for each text would
 * cost more than all the rest of a printk.
 *
 *     slab    | text | text | text | .... free |        full: the next one; it goes when no record refers to it any more
 *
 * A text is never changed once it is there.
 */

/** Longest text of a record in bytes (`PRINTKRB_RECORD_MAX` less a terminator); what is longer is cut. */
export const LOG_LINE_MAX = 1023;
const SLAB = 64 << 10;
const NEWLINE = 0x0a;
/** A UTF-16 unit takes at most so many bytes in UTF-8. */
const UTF8_MAX = 3;

export class TextStore {
  #slab = new Uint8Array(SLAB);
  #at = 0;
  readonly #encoder = new TextEncoder();

  /** A copy of the bytes of `text`, without a final newline, cut at LOG_LINE_MAX. */
  keep(text: string | Uint8Array): Uint8Array {
    if (typeof text !== 'string') return this.#keepBytes(text);
    // encodeInto would leave out a character that has no room, where the kernel cuts it in two.
    if (text.length * UTF8_MAX > LOG_LINE_MAX) return this.#keepBytes(this.#encoder.encode(text));
    this.#makeRoom();
    const { written } = this.#encoder.encodeInto(text, this.#slab.subarray(this.#at));
    return this.#take(written);
  }

  #keepBytes(bytes: Uint8Array): Uint8Array {
    const length = Math.min(bytes.length, LOG_LINE_MAX + 1);
    this.#makeRoom();
    this.#slab.set(length === bytes.length ? bytes : bytes.subarray(0, length), this.#at);
    return this.#take(length);
  }

  /** Any text fits behind `at` afterwards. */
  #makeRoom(): void {
    if (this.#at + LOG_LINE_MAX + 1 <= SLAB) return;
    this.#slab = new Uint8Array(SLAB);
    this.#at = 0;
  }

  /** The first `length` bytes of the free end, less what a record does not hold. */
  #take(length: number): Uint8Array {
    const start = this.#at;
    const whole = length > 0 && this.#slab[start + length - 1] === NEWLINE ? length - 1 : length;
    this.#at = start + Math.min(whole, LOG_LINE_MAX);
    return new Uint8Array(this.#slab.buffer, start, this.#at - start);
  }
}
