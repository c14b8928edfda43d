import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIpv6, parseMac, printIpv6, printMac } from './address.ts';
import { checksum } from './checksum.ts';
import { icmpCode, icmpRest, icmpType, writeIcmp } from './icmp.ts';
import { icmpv6ChecksumOk, writeIcmpv6 } from './icmpv6.ts';
import { writeIpv6 } from './ipv6.ts';
import {
  ipv4MulticastMac,
  ipv6MulticastMac,
  linkLocalAddress,
  ndiscOption,
  solicitedNode,
  writeLinkLayerOption,
} from './ndisc.ts';

describe('ndisc', () => {
  it('maps an address to its group, and groups to hardware addresses', () => {
    const group = solicitedNode(parseIpv6('2001:db8::a:b:c0de')!, 0, new Uint8Array(16));
    expect(printIpv6(group)).toBe('ff02::1:ff0b:c0de');
    expect(printMac(ipv6MulticastMac(group, new Uint8Array(6)))).toBe('33:33:ff:0b:c0:de');
    expect(printMac(ipv4MulticastMac(0xe18000fb, new Uint8Array(6)))).toBe('01:00:5e:00:00:fb');
  });

  it('makes the link-local address of a hardware address', () => {
    expect(printIpv6(linkLocalAddress(parseMac('52:54:00:12:34:56')!))).toBe('fe80::5054:ff:fe12:3456');
  });

  it('finds an option behind others, and tells broken options from absent ones', () => {
    const bytes = new Uint8Array(32);
    bytes.set([14, 1], 0);
    writeLinkLayerOption(bytes, 8, 2, Uint8Array.of(1, 2, 3, 4, 5, 6));
    bytes.set([3, 2], 16);
    const view = new DataView(bytes.buffer);
    expect([2, 14, 3, 1].map((type) => ndiscOption(view, 0, 32, type))).toEqual([8, 0, 16, -1]);
    expect(ndiscOption(view, 0, 31, 2)).toBe(-2);
    bytes[17] = 0;
    expect(ndiscOption(view, 0, 32, 2)).toBe(-2);
  });

  it('never reads beyond the end, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(255), (bytes, type) => {
        const at = ndiscOption(new DataView(bytes.buffer, 0, bytes.length), 0, bytes.length, type);
        expect(at).toBeGreaterThanOrEqual(-2);
        if (at >= 0) expect(at + 8).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

describe('icmp', () => {
  it('writes a header whose checksum covers the data, and reads it back', () => {
    const view = new DataView(new ArrayBuffer(21));
    view.setUint8(20, 0xab);
    writeIcmp(view, 4, 8, 0, 0x00070001, 9);
    expect([icmpType(view, 4), icmpCode(view, 4), icmpRest(view, 4), checksum(view, 4, 17)]).toEqual([
      8, 0, 0x70001, 0,
    ]);
  });

  it('covers the addresses over IPv6', () => {
    const view = new DataView(new ArrayBuffer(56));
    writeIpv6(view, 0, 58, 255, parseIpv6('fe80::1')!, parseIpv6('fe80::2')!, 16);
    writeIcmpv6(view, 0, 40, 128, 0, 1, 8);
    expect(icmpv6ChecksumOk(view, 0, 40, 16)).toBe(true);
    view.setUint8(23, 9);
    expect(icmpv6ChecksumOk(view, 0, 40, 16)).toBe(false);
  });
});
