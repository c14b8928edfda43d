import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import { printIp, printMac } from '../wire/address.ts';
import { explainOptionError, netpollParseOptions, netpollPrintOptions } from './options.ts';

const GOOD = [
  '@/,@10.0.0.2/',
  '4444@10.0.0.1/eth1,9353@10.0.0.2/12:34:56:78:9a:bc',
  '@/02:00:00:00:00:01,@fd00:1:2:3::1/',
  '6665@fd00::2/udp:0.0.0.0:6666,6666@fd00::1/',
  '@10.0.0.1/xdp:eth0/0,@10.0.0.2/',
];
const piece = fc.constantFrom(
  '@',
  '/',
  ',',
  ':',
  '::',
  '.',
  '+',
  'r',
  ';',
  ' ',
  '%',
  '\0',
  '0',
  '1',
  '6665',
  '65535',
  '65536',
  '10.0.0.1',
  'fd00::1',
  'eth0',
  'packet:',
  'udp:',
  '02:00:00:00:00:01',
  'ü',
  '\u{1f4a5}',
  '-1',
  '0x10',
  'eth0.5',
  '',
);
const noise = fc.array(piece, { maxLength: 16 }).map((parts) => parts.join(''));
/** A good string with some of it cut out, doubled, or replaced. */
const mutated = fc
  .tuple(fc.constantFrom(...GOOD), fc.array(fc.tuple(fc.nat(60), fc.nat(6), piece), { maxLength: 4 }))
  .map(([text, edits]) => edits.reduce((t, [at, cut, put]) => t.slice(0, at) + put + t.slice(at + cut), text));
const anything = fc.oneof(noise, mutated, fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 2000 }));

describe('netpollParseOptions', () => {
  it('never throws; accepts with values in range, or refuses with a place inside the string and a reason', () => {
    let accepted = 0;
    fc.assert(
      fc.property(anything, (text) => {
        const parsed = netpollParseOptions(text);
        if (parsed.ok) {
          accepted++;
          const { localPort, remotePort, remoteMac, devName, devMac, localIp, remoteIp } = parsed.options;
          for (const port of [localPort, remotePort]) expect(port >= 0 && port <= 0xffff).toBe(true);
          expect(remoteMac).toHaveLength(6);
          expect(devMac === null ? devName.length > 0 : devMac.length === 6 && devName === '').toBe(true);
          if (localIp !== null) expect(localIp.family).toBe(remoteIp.family);
        } else {
          expect(parsed.error.at).toBeGreaterThanOrEqual(0);
          expect(parsed.error.at).toBeLessThanOrEqual(text.length);
          expect(parsed.error.reason).not.toBe('');
          expect(explainOptionError(text, parsed.error)).toContain(parsed.error.reason);
        }
      }),
      { numRuns: 10_000 },
    );
    expect(accepted).toBeGreaterThan(300);
  });

  it('print gives a string that means the same', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, noise), (text) => {
        const parsed = netpollParseOptions(text);
        if (parsed.ok) expect(netpollParseOptions(netpollPrintOptions(parsed.options))).toEqual(parsed);
      }),
      { numRuns: 5000 },
    );
  });

  it('fills in the defaults of netconsole', () => {
    const parsed = netpollParseOptions('@/,@10.0.0.2/');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    expect(netpollPrintOptions(parsed.options)).toBe('6665@/eth0,6666@10.0.0.2/ff:ff:ff:ff:ff:ff');
  });

  it.each([
    ['@/,@10.0.0.2', 'tgt-ip', '10.0.0.2'],
    ['6666@10.0.0.1/eth0', 'dev', 'eth0'],
    ['70000@/,@10.0.0.2/', 'src-port', '70000'],
    ['66x@/,@10.0.0.2/', 'src-port', '66x'],
    ['@/,@/', 'tgt-ip', '/'],
    ['@/,@10.0.0.2/12:34:56', 'tgt-mac', '12:34:56'],
    ['@10.0.0.1/,@fd00::1/', 'tgt-ip', 'fd00::1'],
    ['@/,70000@10.0.0.2/', 'tgt-port', '70000'],
    ['@300.0.0.1/,@10.0.0.2/', 'src-ip', '300'],
    ['no separator', 'src-port', 'no separator'],
    ['@/12:34,@10.0.0.2/', 'dev', '12:34'],
    ['@/a name,@10.0.0.2/', 'dev', 'a name'],
  ])('refuses %j at its %s', (text, field, rest) => {
    const parsed = netpollParseOptions(text);
    if (parsed.ok) throw new Error('accepted');
    expect(parsed.error.field).toBe(field);
    expect(text.slice(parsed.error.at).startsWith(rest)).toBe(true);
  });

  it.each([
    ['udp:0.0.0.0:6666', 'udp:0.0.0.0:6666', null],
    ['xdp:eth0/0', 'xdp:eth0/0', null],
    ['eth0.5', 'eth0.5', null],
    ['02:00:00:00:00:01', '', '02:00:00:00:00:01'],
  ])('takes %s as a device', (dev, name, mac) => {
    const parsed = netpollParseOptions(`@/${dev},@10.0.0.2/`);
    if (!parsed.ok) throw new Error(parsed.error.reason);
    expect(parsed.options.devName).toBe(name);
    expect(parsed.options.devMac === null ? null : printMac(parsed.options.devMac)).toBe(mac);
  });

  it('marks the place of an error under the string', () => {
    const text = '@/eth0,@10.0.0.256/';
    const parsed = netpollParseOptions(text);
    if (parsed.ok) throw new Error('accepted');
    const [, shown, mark] = explainOptionError(text, parsed.error).split('\n');
    expect(shown!.slice(mark!.indexOf('^'))).toBe('10.0.0.256/');
  });
});

describe('parseNetconsoleParam', () => {
  it('never throws, and gives targets or a reason', () => {
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 4 }), fc.constantFrom('', '+', 'r', '+r'), (parts, prefix) => {
        const parsed = parseNetconsoleParam(prefix + parts.join(';'));
        if (!parsed.ok) expect(parsed.reason).not.toBe('');
        else for (const { release, extended } of parsed.specs) expect(extended || !release).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('reads each target’s own prefixes', () => {
    const parsed = parseNetconsoleParam('+@/eth0,@10.0.0.1/;@/eth1,@10.0.0.2/;+r@/eth2,@10.0.0.3/');
    if (!parsed.ok) throw new Error(parsed.reason);
    expect(parsed.specs.map((each) => [each.extended, each.release, printIp(each.options.remoteIp)])).toEqual([
      [true, false, '10.0.0.1'],
      [false, false, '10.0.0.2'],
      [true, true, '10.0.0.3'],
    ]);
  });
});
