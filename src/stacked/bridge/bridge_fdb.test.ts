// The forwarding database against a plain map.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BridgeFdb } from './bridge_fdb.ts';

it('knows what a map of addresses would know, whatever happens', () => {
  const ports = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
  const mac = fc.integer({ min: 0, max: 40 });
  const port = fc.integer({ min: 0, max: 2 });
  const step = fc.oneof(
    fc.record({ do: fc.constant('update' as const), mac, port }),
    fc.record({ do: fc.constant('local' as const), mac, port }),
    fc.record({ do: fc.constant('byPort' as const), mac, port }),
    fc.record({ do: fc.constant('age' as const), mac, port }),
    fc.record({ do: fc.constant('locals' as const), mac, port }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 30 }), (steps, max) => {
      const fdb = new BridgeFdb<{ name: string }>(max);
      const model = new Map<number, { port: number; local: boolean; at: number }>();
      const bytes = (n: number): Uint8Array => Uint8Array.of(2, 0, n & 1, 0, n >>> 3, n);
      let now = 0;
      for (const { do: what, mac: n, port: p } of steps) {
        now += 10;
        const has = model.get(n);
        const learned = [...model.values()].filter((each) => !each.local).length;
        const room = what === 'local' || learned < max || has !== undefined;
        if (what === 'update') {
          fdb.update(bytes(n), 0, ports[p]!, now);
          if (room && has?.local !== true) model.set(n, { port: p, local: false, at: now });
        } else if (what === 'local') {
          fdb.addLocal(bytes(n), ports[p]!);
          if (room && has?.local !== true) model.set(n, { port: p, local: true, at: now });
        } else if (what === 'byPort') {
          fdb.deleteByPort(ports[p]!);
          for (const [key, each] of model) if (!each.local && each.port === p) model.delete(key);
        } else if (what === 'locals') {
          fdb.deleteLocals();
          for (const [key, each] of model) if (each.local) model.delete(key);
        } else {
          const oldest = fdb.cleanup(now - 100);
          for (const [key, each] of model) if (!each.local && each.at <= now - 100) model.delete(key);
          const left = [...model.values()].filter((each) => !each.local).map((each) => each.at);
          expect(oldest).toBe(left.length === 0 ? -1 : Math.min(...left));
        }
        expect(fdb.size).toBe(model.size);
        for (let each = 0; each <= 40; each++) {
          const entry = fdb.find(bytes(each), 0);
          const wanted = model.get(each);
          const got = entry < 0 ? undefined : `${fdb.port(entry)?.name} ${fdb.isLocal(entry)}`;
          expect(got).toBe(wanted === undefined ? undefined : `${ports[wanted.port]!.name} ${wanted.local}`);
        }
      }
      expect(fdb.list()).toHaveLength(model.size);
    }),
    { numRuns: 200 },
  );
});

it('has room for addresses of ours however many made-up ones it has learned', () => {
  const fdb = new BridgeFdb<string>(4);
  for (let n = 0; n < 6; n++) fdb.update(Uint8Array.of(2, 0, 0, 0, 0, n), 0, 'attacker', n);
  expect([fdb.size, fdb.full]).toEqual([4, 2]);
  const ours = Uint8Array.of(2, 0, 0, 0, 1, 0);
  fdb.addLocal(ours, null);
  const entry = fdb.find(ours, 0);
  expect(entry).toBeGreaterThanOrEqual(0);
  expect(fdb.isLocal(entry)).toBe(true);
  // One of them turns out to be ours: that makes room for another one.
  fdb.addLocal(Uint8Array.of(2, 0, 0, 0, 0, 0), 'port');
  fdb.update(Uint8Array.of(2, 0, 0, 0, 0, 9), 0, 'port', 9);
  expect(fdb.size).toBe(6);
});
