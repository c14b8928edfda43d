import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LOG_LINE_MAX, TextStore } from './text_store.ts';

/** What a record holds, the plain way. */
function plain(text: string | Uint8Array): number[] {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const length = bytes[bytes.length - 1] === 0x0a ? bytes.length - 1 : bytes.length;
  return [...bytes.slice(0, Math.min(length, LOG_LINE_MAX))];
}

const bytes = fc.uint8Array({ maxLength: 1100 });
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 1100 }),
  fc.string({ maxLength: 400 }).map((line) => `${line}\n`),
  fc.constantFrom('', '\n', 'a', 'é'.repeat(341), 'é'.repeat(512), '\ud800', `${'x'.repeat(1023)}\n`, 'x'.repeat(1024)),
);

describe('TextStore', () => {
  it('keeps what it was given, cut where a record ends, and never touches it again', () => {
    const store = new TextStore();
    const all: { kept: Uint8Array; wanted: number[] }[] = [];
    fc.assert(
      fc.property(fc.oneof(text, bytes), (given) => {
        const wanted = plain(given);
        const kept = store.keep(given);
        expect([...kept]).toEqual(wanted);
        if (typeof given !== 'string') given.fill(0);
        all.push({ kept, wanted });
      }),
      { numRuns: 1000 },
    );
    for (const { kept, wanted } of all) expect([...kept]).toEqual(wanted);
  });
});
