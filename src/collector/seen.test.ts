import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExtendedHeader } from '../wire/netconsole_record.ts';
import { SEEN_US, SeenRecords } from './seen.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

function header(fields: Partial<ExtendedHeader> = {}): ExtendedHeader {
  const plain = { release: null, level: 6, facility: 0, seq: '7', usec: '8', flag: '-', extras: [], fragment: null };
  return { ...plain, bodyStart: 0, ...fields };
}

/** The same in the plainest way: every record of the last 5 s, whole. */
class PlainRecords {
  readonly #max: number;
  readonly #all: { key: string; atUs: number }[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  isCopy({ seq, usec, facility, level, flag }: ExtendedHeader, body: string, nowUs: number): boolean {
    while (this.#all.length > 0 && nowUs - this.#all[0]!.atUs >= SEEN_US) this.#all.shift();
    const key = [seq, usec, facility, level, flag, body].join('\0');
    if (this.#all.some((one) => one.key === key)) return true;
    if (this.#all.length === this.#max) this.#all.shift();
    this.#all.push({ key, atUs: nowUs });
    return false;
  }
}

describe('records that were seen', () => {
  it('knows a copy for 5 s, and not longer', () => {
    const seen = new SeenRecords(8);
    const body = ascii('text\n');
    expect(seen.isCopy(header(), body, 0, 0)).toBe(false);
    expect(seen.isCopy(header(), body, 0, SEEN_US - 1)).toBe(true);
    expect(seen.isCopy(header(), body, 0, SEEN_US)).toBe(false);
  });

  it('leaves the release out, and what stands in front of the body', () => {
    const seen = new SeenRecords(8);
    expect(seen.isCopy(header(), ascii('6,7,8,-;text\n'), 8, 0)).toBe(false);
    expect(seen.isCopy(header({ release: '6.1.0' }), ascii('6.1.0,6,7,8,-;text\n'), 14, 0)).toBe(true);
  });

  it.each([
    ['sequence number', { seq: '9' }],
    ['sequence number above 2^32', { seq: '4294967303' }],
    ['sequence number near 2^64', { seq: '18446744073709551615' }],
    ['time', { usec: '9' }],
    ['time above 2^32', { usec: '4294967304' }],
    ['level', { level: 5 }],
    ['facility', { facility: 1 }],
    ['flag', { flag: 'c' }],
  ])('tells records of another %s apart', (_, other) => {
    const seen = new SeenRecords(8);
    const body = ascii('text\n');
    expect(seen.isCopy(header(), body, 0, 0)).toBe(false);
    expect(seen.isCopy(header(other), body, 0, 0)).toBe(false);
    expect(seen.isCopy(header(other), body, 0, 0)).toBe(true);
    expect(seen.isCopy(header(), body, 0, 0)).toBe(true);
  });

  it('tells the seven numbers apart that are alike modulo 2^32 and end in the same digits', () => {
    const seen = new SeenRecords(64);
    const numbers = [...Array(7).keys()].map((i) => String(2n ** 32n * 10n ** 9n * BigInt(i) + 1_000_000_007n));
    for (const seq of numbers) expect(seen.isCopy(header({ seq }), ascii('x'), 0, 0)).toBe(false);
    for (const seq of numbers) expect(seen.isCopy(header({ seq }), ascii('x'), 0, 0)).toBe(true);
  });

  it('forgets the oldest of more than its bound', () => {
    const seen = new SeenRecords(20);
    const body = ascii('text\n');
    for (let i = 0; i <= 20; i++) expect(seen.isCopy(header({ seq: String(i) }), body, 0, i)).toBe(false);
    for (let i = 1; i <= 20; i++) expect(seen.isCopy(header({ seq: String(i) }), body, 0, 30)).toBe(true);
    expect(seen.isCopy(header({ seq: '0' }), body, 0, 30)).toBe(false);
  });

  it('answers as the plainest way does, whatever comes and however time passes', () => {
    const step = fc.record({
      seq: fc.nat(60),
      usec: fc.constantFrom('1', '20000000000'),
      body: fc.constantFrom('a', 'b', 'ab'),
      passUs: fc.constantFrom(0, 1, 100_000, 2_500_000, SEEN_US),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.array(step, { maxLength: 300 }), (max, steps) => {
        const seen = new SeenRecords(max);
        const plain = new PlainRecords(max);
        let nowUs = 0;
        for (const { seq, usec, body, passUs } of steps) {
          nowUs += passUs;
          const head = header({ seq: String(seq), usec });
          expect(seen.isCopy(head, ascii(body), 0, nowUs)).toBe(plain.isCopy(head, body, nowUs));
        }
      }),
    );
  });
});
