import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp, parseIpv4, parseIpv6, parseMac, printIp, printIpv4, printIpv6, printMac } from './address.ts';

const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** Many zero groups, so that `::` has something to do. */
const sparse = fc
  .array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 255])));
/** Strings that look like addresses, right and wrong ones. */
const nearly = fc
  .array(fc.constantFrom('0', '1', '255', '256', 'ff', 'FFFF', '12345', '.', ':', '::', '1.2.3.4', '%', ' ', '-'), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''));
/** The resolver's library refuses a leading zero in a decimal number; in4_pton reads it. */
const hasLeadingZero = (text: string) => /(^|[.:])0\d+\./.test(text) || /\.0\d/.test(text);

describe('IPv4 text', () => {
  it('comes back from print', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (v4) => {
        expect(parseIpv4(printIpv4(v4))).toBe(v4);
      }),
    );
    expect(printIpv4(0xfffffffe)).toBe('255.255.255.254');
  });

  it('is accepted exactly where node:net accepts it, but for leading zeros', () => {
    fc.assert(
      fc.property(fc.oneof(nearly, fc.ipV4(), fc.string()), (text) => {
        if (!hasLeadingZero(text)) expect(parseIpv4(text) !== null).toBe(isIPv4(text));
      }),
      { numRuns: 5000 },
    );
    expect(parseIpv4('010.001.000.002')).toBe(0x0a010002);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '0x1.2.3.4',
    '1.2.3.',
    '1.2.3.0004',
    '١.2.3.4',
  ])('refuses %j', (text) => expect(parseIpv4(text)).toBeNull());
});

describe('IPv6 text', () => {
  it('comes back from print, in a form that node:net accepts', () => {
    fc.assert(
      fc.property(fc.oneof(address, sparse), (v6) => {
        const text = printIpv6(v6);
        expect(isIPv6(text)).toBe(true);
        expect(parseIpv6(text)).toEqual(v6);
      }),
      { numRuns: 2000 },
    );
  });

  it('is accepted exactly where node:net accepts it, but for zones and leading zeros', () => {
    fc.assert(
      fc.property(fc.oneof(nearly, fc.ipV6(), fc.string()), (text) => {
        if (!text.includes('%') && !hasLeadingZero(text)) expect(parseIpv6(text) !== null).toBe(isIPv6(text));
      }),
      { numRuns: 5000 },
    );
    expect(parseIpv6('fe80::1%eth0')).toBeNull();
  });

  it.each([
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['fd00:77:0:0:0:0:0:1', 'fd00:77::1'],
    ['::ffff:10.77.0.1', '::ffff:10.77.0.1'],
    ['::10.77.0.1', '::a4d:1'],
    ['fe80::5efe:10.77.0.1', 'fe80::5efe:10.77.0.1'],
    ['fe80::200:5efe:10.77.0.1', 'fe80::200:5efe:10.77.0.1'],
  ])('%s is printed as the kernel prints it: %s', (text, printed) => {
    expect(printIpv6(parseIpv6(text)!)).toBe(printed);
  });

  it.each([
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3',
    '[::1]',
  ])('refuses %j', (text) => expect(parseIpv6(text)).toBeNull());
});

describe('MAC text', () => {
  it('comes back from print, in either case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        expect(parseMac(printMac(mac))).toEqual(mac);
        expect(parseMac(printMac(mac).toUpperCase())).toEqual(mac);
      }),
    );
  });

  it.each(['', '1:2:3:4:5:6', '12-34-56-78-9a-bc', '12:34:56:78:9a', '12:34:56:78:9a:bcX', '12:34:56:78:9a:bg'])(
    'refuses %j',
    (text) => expect(parseMac(text)).toBeNull(),
  );
});

describe('addresses of either family', () => {
  it('come back from print', () => {
    for (const text of ['10.0.0.1', 'fd00::1', '::ffff:1.2.3.4']) expect(printIp(parseIp(text)!)).toBe(text);
    expect(parseIp('10.0.0.1')).toEqual({ family: 4, v4: 0x0a000001 });
    expect(parseIp('eth0')).toBeNull();
  });
});
