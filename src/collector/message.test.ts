import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isoMicros } from './message.ts';

describe('a time in microseconds', () => {
  it('is written as ISO 8601, to the microsecond', () => {
    expect(isoMicros(1_763_726_400_123_456)).toBe('2025-11-21T12:00:00.123456Z');
    expect(isoMicros(-1)).toBe('1969-12-31T23:59:59.999999Z');
    expect(isoMicros(Number.NaN)).toBe('1970-01-01T00:00:00.000000Z');
  });

  it('has six digits of a second whatever the clock says', () => {
    fc.assert(
      fc.property(fc.double(), (us) => {
        expect(isoMicros(us)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      }),
    );
    expect(isoMicros(9_007_199_254_740_994_000)).toMatch(/\.\d{6}Z$/);
  });
});
