import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum } from './checksum.ts';
import { fromHex, hex } from './headers.fixture.ts';
import {
  IPPROTO_UDP,
  IPV4_HLEN,
  ipv4Dest,
  ipv4HeaderLen,
  ipv4IsFragment,
  ipv4PlainHeaderOk,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLen,
  ipv4Version,
  writeIpv4,
} from './ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader, ipv6PayloadLen, ipv6Version, writeIpv6 } from './ipv6.ts';
import { UDP_HLEN, udpChecksum, udpChecksumOk, udpDestPort, udpLen, udpSourcePort, writeUdp } from './udp.ts';

/** An IP packet with a UDP datagram, written by our writers at offset `o` of a larger memory. */
function packet(family: 4 | 6, ports: [number, number], payload: Uint8Array, o = 0, id = 1) {
  const hlen = family === 4 ? IPV4_HLEN : IPV6_HLEN;
  const bytes = new Uint8Array(o + hlen + UDP_HLEN + payload.length + 3);
  const view = new DataView(bytes.buffer);
  bytes.set(payload, o + hlen + UDP_HLEN);
  const source = fromHex('fc000000000000000000000000000001');
  const dest = fromHex('fc000000000000000000000000000002');
  if (family === 4) writeIpv4(view, o, id, IPPROTO_UDP, 0x0a000001, 0x0a000002, UDP_HLEN + payload.length);
  else writeIpv6(view, o, IPPROTO_UDP, 32, source, dest, UDP_HLEN + payload.length);
  writeUdp(view, o, family === 4 ? 4 : 16, o + hlen, ports[0], ports[1], payload.length);
  return { bytes, view, ip: o, udp: o + hlen, len: UDP_HLEN + payload.length, addressLen: family === 4 ? 4 : 16 };
}

const HELLO = new TextEncoder().encode('hello\n');

describe('IPv4, IPv6 and UDP headers', () => {
  it.each([
    ['IPv4, id 0', 4, 0, HELLO, '4500002200000000401166c90a0000010a000002 1a091a0a000e73e0 68656c6c6f0a'],
    ['IPv4, id 1', 4, 1, HELLO, '4500002200010000401166c80a0000010a000002 1a091a0a000e73e0 68656c6c6f0a'],
    [
      'IPv6',
      6,
      0,
      HELLO,
      '60000000000e1120 fc000000000000000000000000000001 fc000000000000000000000000000002 1a091a0a000e8fde 68656c6c6f0a',
    ],
    [
      'a checksum of 0 sent as ffff',
      4,
      0,
      fromHex('b7c4'),
      '4500001e00000000401166cd0a0000010a000002 1a091a0a000affff b7c4',
    ],
  ] as const)('are the golden bytes: %s', (_name, family, id, payload, golden) => {
    const { bytes, ip, udp, len } = packet(family, [6665, 6666], payload, 2, id);
    expect(hex(bytes, ip, udp - ip + len)).toBe(golden.replace(/ /g, ''));
  });

  it('finds any one bit that was changed in a plain IPv4 header', () => {
    const bit = fc.nat(IPV4_HLEN * 8 - 1);
    fc.assert(
      fc.property(bit, fc.nat(0xffff), fc.uint8Array({ maxLength: 40 }), (changed, id, payload) => {
        const { view, bytes, ip } = packet(4, [1, 2], payload, 6, id);
        const right = ipv4PlainHeaderOk(view, ip);
        bytes[ip + (changed >>> 3)]! ^= 1 << (changed & 7);
        return right && !ipv4PlainHeaderOk(view, ip) && checksum(view, ip, IPV4_HLEN) !== 0;
      }),
    );
  });

  it('read back what was written, with right checksums, for any ports and payload', () => {
    const port = fc.nat(0xffff);
    fc.assert(
      fc.property(fc.constantFrom(4, 6), port, port, fc.uint8Array({ maxLength: 100 }), (family, from, to, payload) => {
        const { view, ip, udp, len, addressLen } = packet(family as 4 | 6, [from, to], payload, 5);
        expect([udpSourcePort(view, udp), udpDestPort(view, udp), udpLen(view, udp)]).toEqual([from, to, len]);
        expect(udpChecksum(view, udp)).not.toBe(0);
        expect(udpChecksumOk(view, ip, addressLen, udp, len)).toBe(true);
        if (family === 4) {
          expect(checksum(view, ip, IPV4_HLEN)).toBe(0);
          expect([ipv4Version(view, ip), ipv4HeaderLen(view, ip), ipv4TotalLen(view, ip)]).toEqual([4, 20, 20 + len]);
          expect([ipv4Protocol(view, ip), ipv4IsFragment(view, ip)]).toEqual([IPPROTO_UDP, false]);
          expect([ipv4Source(view, ip), ipv4Dest(view, ip)]).toEqual([0x0a000001, 0x0a000002]);
        } else {
          expect([ipv6Version(view, ip), ipv6PayloadLen(view, ip), ipv6NextHeader(view, ip)]).toEqual([6, len, 17]);
        }
      }),
    );
  });

  it('find any single flipped bit in what the checksum covers', () => {
    fc.assert(
      fc.property(fc.constantFrom(4, 6), fc.uint8Array({ maxLength: 20 }), fc.nat(), (family, payload, where) => {
        const { bytes, view, ip, udp, len, addressLen } = packet(family as 4 | 6, [1, 2], payload);
        const at = udp + (where % len);
        // The length field is counted twice (header and pseudo-header), so it is read from the caller, not from here.
        bytes[at]! ^= 1 << (where % 8);
        if (udpChecksum(view, udp) !== 0) expect(udpChecksumOk(view, ip, addressLen, udp, len)).toBe(false);
      }),
    );
  });

  it('take an absent checksum on IPv4, not on IPv6', () => {
    for (const [family, ok] of [
      [4, true],
      [6, false],
    ] as const) {
      const { view, ip, udp, len, addressLen } = packet(family, [1, 2], HELLO);
      view.setUint16(udp + 6, 0);
      expect(udpChecksumOk(view, ip, addressLen, udp, len)).toBe(ok);
    }
  });

  it.each([
    ['first', 0x2000, true],
    ['later', 0x0001, true],
    ['last', 0x1fff, true],
    ['none: do not fragment', 0x4000, false],
    ['none: reserved bit', 0x8000, false],
  ])('know a fragment: %s', (_name, bits, is) => {
    const { view, ip } = packet(4, [1, 2], HELLO);
    view.setUint16(ip + 6, bits);
    expect(ipv4IsFragment(view, ip)).toBe(is);
  });
});
