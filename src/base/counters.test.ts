import { describe, expect, it } from 'vitest';
import { Counters } from './counters.ts';

describe('Counters', () => {
  const counters = () => new Counters(['rx_packets', 'rx_bytes'] as const);

  it('counts by position and by name, into the same place', () => {
    const c = counters();
    c.add(0);
    c.count('rx_packets', 2);
    c.values[1]! += 60;
    c.set('rx_bytes', c.get('rx_bytes') + 4);
    expect(c.toJSON()).toEqual({ rx_packets: 3, rx_bytes: 64 });
  });

  it('stays exact up to 2^53', () => {
    const c = counters();
    c.set('rx_bytes', 2 ** 53 - 2);
    c.add(1);
    expect(c.get('rx_bytes')).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('gives 0 for a name it does not have, and does not grow', () => {
    const c = counters() as Counters<string>;
    c.count('nonsense');
    expect(c.get('nonsense')).toBe(0);
    expect(Object.keys(c.toJSON())).toEqual(['rx_packets', 'rx_bytes']);
  });
});
