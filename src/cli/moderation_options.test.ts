import { describe, expect, it } from 'vitest';
import { SetupError } from '../base/status.ts';
import { parseCoalesce } from './moderation_options.ts';

describe('--coalesce', () => {
  it('takes off, adaptive, and ethtool\u2019s words', () => {
    expect(parseCoalesce(undefined)).toEqual({});
    expect(parseCoalesce('adaptive')).toEqual({});
    expect(parseCoalesce('off')).toEqual({ adaptiveRx: false, rxUsecs: 0 });
    expect(parseCoalesce('rx-usecs=50')).toEqual({ adaptiveRx: false, rxUsecs: 50 });
    expect(parseCoalesce('adaptive-rx=on,pkt-rate-high=50000,rx-usecs-high=1000')).toEqual({
      adaptiveRx: true,
      pktRateHigh: 50_000,
      rxUsecsHigh: 1000,
    });
  });

  it('names the words that there are where one is none', () => {
    for (const text of ['', 'fast', 'rx-usecs', 'rx-usecs=-1', 'adaptive-rx=maybe', 'rx-usecs=5;rx-frames=2']) {
      expect(() => parseCoalesce(text)).toThrow(SetupError);
      expect(() => parseCoalesce(text)).toThrow(/is none of off, adaptive, .*pkt-rate-high=N/);
    }
  });
});
