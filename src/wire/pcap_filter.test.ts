import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePcapFilter, FilterError } from './pcap_filter.ts';
import { FramePrinter } from './print.ts';

const words = [
  'udp',
  'tcp',
  'host 10.0.0.1',
  'port 80',
  'len > 60',
  'ip[0] & 0xf = 5',
  'vlan',
  'multicast',
  'icmp[0]=8',
];
const expression = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...words),
    fc.tuple(tie('any'), fc.constantFrom('and', 'or'), tie('any')).map(([a, op, b]) => `(${a}) ${op} (${b})`),
    tie('any').map((a) => `not (${a})`),
  ),
})).any;
const frames = fc.uint8Array({ maxLength: 120 });
const take = (text: string, bytes: Uint8Array) =>
  compilePcapFilter(text)(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, bytes.length);

describe('filter expressions', () => {
  it('compile or are refused with a place, and never fail on a frame', () => {
    fc.assert(
      fc.property(expression, frames, (text, bytes) => {
        expect(typeof take(text, bytes)).toBe('boolean');
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          compilePcapFilter(text);
        } catch (error) {
          expect(error).toBeInstanceOf(FilterError);
        }
      }),
    );
  });

  it('take exactly one of a frame and its opposite, when all bytes are there', () => {
    fc.assert(
      fc.property(expression, fc.uint8Array({ minLength: 400, maxLength: 400 }), (text, bytes) => {
        expect(take(`not (${text})`, bytes)).toBe(!take(text, bytes));
      }),
    );
  });

  it('give a value alone the qualifiers of the one before it', () => {
    fc.assert(
      fc.property(frames, (bytes) => {
        expect(take('port 80 or 443', bytes)).toBe(take('port 80 or port 443', bytes));
      }),
    );
  });

  it('refuse a name, a mask too long and an end too early, and say where', () => {
    for (const [text, at] of [
      ['host nobody', 5],
      ['net 10.0.0.0/33', 13],
      ['udp and', 7],
      ['port 70000', 5],
    ] as const) {
      expect(() => compilePcapFilter(text)).toThrow(FilterError);
      try {
        compilePcapFilter(text);
      } catch (error) {
        expect((error as FilterError).at).toBe(at);
      }
    }
  });
});

describe('FramePrinter', () => {
  it('prints any bytes, at any verbosity, without failing', () => {
    const types = fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8100, 0x8809, 0x9000, 0x88b5, 0x0026);
    fc.assert(
      fc.property(types, frames, fc.nat(2), fc.boolean(), fc.nat(2000), (type, bytes, verbose, netconsole, more) => {
        const frame = new Uint8Array(14 + bytes.length);
        frame[12] = type >> 8;
        frame[13] = type & 255;
        frame.set(bytes, 14);
        const printer = new FramePrinter({ verbose, netconsole });
        expect(printer.print(new DataView(frame.buffer), 0, frame.length, frame.length + more)).toMatch(/./);
      }),
      { numRuns: 2000 },
    );
  });
});
