import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UdpBinding } from './udp.ts';
import { UdpTable } from './udp_table.ts';

/** Few ports, many of them in one slot. */
const port = fc.constantFrom(0, 1, 257, 513, 65281, 6666, 65535);

describe('udp table', () => {
  it('answers as a map of ports does, whatever was added and removed, with port 0 for the rest', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), port)), (steps) => {
        const table = new UdpTable();
        const model = new Map<number, UdpBinding>();
        for (const [add, at] of steps) {
          if (!add) {
            table.remove(at);
            model.delete(at);
          } else if (!model.has(at)) {
            const socket: UdpBinding = { receive: () => 0, scattered: false };
            table.add(at, socket);
            model.set(at, socket);
          }
          for (const each of [0, 1, 2, 257, 513, 65281, 6666, 65535]) {
            expect(table.get(each)).toBe(model.get(each) ?? null);
            expect(table.lookup(each)).toBe(model.get(each) ?? model.get(0) ?? null);
          }
        }
      }),
    );
  });
});
