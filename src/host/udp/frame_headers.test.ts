import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ipv4PlainHeaderOk } from '../../wire/ipv4.ts';
import { HEADERS_IPV4, isUnicast, macWords, writeIpv4Headers, writeIpv4Words } from './frame_headers.ts';

const address = fc.integer({ min: 0, max: 0xffffffff });
const port = fc.integer({ min: 0, max: 0xffff });

it('writes the same headers word by word as field by field', () => {
  const datagram = fc.record({
    len: fc.integer({ min: 0, max: 1900 }),
    source: address,
    dest: address,
    sourcePort: port,
    destPort: port,
    id: port,
    mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
  });
  fc.assert(
    fc.property(datagram, ({ len, source, dest, sourcePort, destPort, id, mac }) => {
      const ends = new DataView(new ArrayBuffer(12));
      ends.setUint32(0, source);
      ends.setUint32(4, dest);
      ends.setUint16(8, sourcePort);
      ends.setUint16(10, destPort);
      const word = (at: number) => ends.getInt32(at, true);
      fc.pre(isUnicast(word(4)));
      const [a, b] = [new ArrayBuffer(128), new ArrayBuffer(128)];
      const both = { source: ends, sourceAt: 0, sourcePort, dest: ends, destAt: 4, destPort };
      const eth = writeIpv4Headers(new DataView(a), 64, len, both, id, mac);
      const swapped = (id >>> 8) | ((id & 0xff) << 8);
      writeIpv4Words(new Int32Array(b), 16, len, word(0), word(4), word(8), swapped, macWords(mac));
      expect(eth).toBe(64 - HEADERS_IPV4);
      expect(new Uint8Array(b, eth, HEADERS_IPV4)).toEqual(new Uint8Array(a, eth, HEADERS_IPV4));
      expect(ipv4PlainHeaderOk(new DataView(b), 64 - 28)).toBe(true);
      // In front of them two bytes of headroom are used; nothing behind them.
      expect(new Uint8Array(b, 0, eth - 2).every((byte) => byte === 0)).toBe(true);
      expect(new Uint8Array(b, 64).every((byte) => byte === 0)).toBe(true);
    }),
  );
});

it('knows groups and broadcast, which have hardware addresses of their own', () => {
  const word = (...bytes: number[]) => new Int32Array(Uint8Array.from(bytes).buffer)[0]!;
  expect([word(224, 0, 0, 1), word(239, 255, 0, 1), word(255, 255, 255, 255)].map(isUnicast)).toEqual([
    false,
    false,
    false,
  ]);
  expect([word(10, 0, 0, 224), word(223, 255, 255, 255), word(127, 0, 0, 1)].every(isUnicast)).toBe(true);
});
