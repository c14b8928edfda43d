import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exactU64, parseBasicLine, parseExtendedBody, parseExtendedHeader } from './netconsole_parse.ts';
import { decodeText } from './netconsole_text.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const header = (text: string) => parseExtendedHeader(bytes(text));
const body = (text: string) => parseExtendedBody(bytes(text), 0, text.length);

describe('extended header', () => {
  it('reads priority as level and facility', () => {
    expect(header('13,468,514729715,-;x\n')).toEqual({
      release: null,
      level: 5,
      facility: 1,
      seq: '468',
      usec: '514729715',
      flag: '-',
      extras: [],
      fragment: null,
      bodyStart: 19,
    });
  });

  it('reads release, continuation, caller and fragment', () => {
    const text = `6.13.0-04048-g4f561a87745a,13,468,1,c,caller=T7,ncfrag=967/1135;${'x'.repeat(168)}`;
    expect(header(text)).toMatchObject({
      release: '6.13.0-04048-g4f561a87745a',
      level: 5,
      flag: 'c',
      extras: [{ key: 'caller', value: 'T7' }],
      fragment: { offset: 967, total: 1135 },
    });
  });

  it('is exact for 64-bit values and drops leading zeros', () => {
    expect(header('6,18446744073709551615,018446744073709551615,-;x\n')).toMatchObject({
      seq: '18446744073709551615',
      usec: '18446744073709551615',
    });
    expect(exactU64('18446744073709551616')).toBeNull();
    expect(exactU64('000')).toBe('0');
    expect(exactU64('-1')).toBeNull();
  });

  it('keeps unknown fields', () => {
    expect(header('6,1,2,-,foo=bar,baz,caller=C0;x\n')?.extras).toEqual([
      { key: 'foo', value: 'bar' },
      { key: 'baz', value: '' },
      { key: 'caller', value: 'C0' },
    ]);
  });

  it.each([
    ['no semicolon', '6,1,2,-,x'],
    ['a newline first', '6,1,2,-\n;x'],
    ['three fields', '6,1,2;x'],
    ['no flag', '6,1,2,;x'],
    ['a flag of two letters', '6,1,2,cc;x'],
    ['no number', '6,1x,2,-;x'],
    ['a priority too large', '99999999999,1,2,-;x'],
    ['a sequence number above u64', '6,18446744073709551616,2,-;x'],
    ['a fragment behind its total', '6,1,2,-,ncfrag=10/9;x'],
    ['a fragment longer than its total', '6,1,2,-,ncfrag=0/1;xx'],
    ['a fragment without bytes', '6,1,2,-,ncfrag=0/5;'],
    ['two fragments', '6,1,2,-,ncfrag=0/5,ncfrag=0/5;x'],
    ['a fragment of an absurd whole', '6,1,2,-,ncfrag=0/9999999;x'],
    ['a basic line', '[    1.000000] 6,1,2,-;x'],
    ['nothing', ''],
    ['a header without an end', `6,1,2,-,${'a'.repeat(2000)};x`],
  ])('refuses %s', (_, text) => {
    expect(header(text)).toBeNull();
  });
});

describe('extended body', () => {
  it('splits text and dictionary and unescapes the kernel part', () => {
    expect(body('a\\x0ab \\xc3\\xa9\n SUBSYSTEM=p\\x5cci\n DEVICE=+pci:0000:00:03.0\n')).toEqual({
      text: 'a\nb é',
      dict: [
        { key: 'SUBSYSTEM', value: 'p\\ci' },
        { key: 'DEVICE', value: '+pci:0000:00:03.0' },
      ],
      terminated: true,
    });
  });

  it('takes userdata verbatim, with inner newlines, blanks and equals signs', () => {
    expect(body('t\n foo=multi\nline\nvalue\n a b=space key\n k=v=equals\n raw=\\x41\n').dict).toEqual([
      { key: 'foo', value: 'multi\nline\nvalue' },
      { key: 'a b', value: 'space key' },
      { key: 'k', value: 'v=equals' },
      { key: 'raw', value: '\\x41' },
    ]);
  });

  it('tells a missing newline, and takes the NUL that a sender bug puts there', () => {
    expect(body('cut')).toEqual({ text: 'cut', dict: [], terminated: false });
    expect(body('full\0')).toEqual({ text: 'full', dict: [], terminated: false });
    expect(body('')).toEqual({ text: '', dict: [], terminated: false });
    expect(body('\n')).toEqual({ text: '', dict: [], terminated: true });
  });
});

describe('basic line', () => {
  it.each([
    ['[    6.781455] netconsole: local port 6665', null, '6781455', null, 'netconsole: local port 6665'],
    ['<6>[    0.000000]  indented', 6, '0', null, ' indented'],
    ['<12>[12345.000001][   T17] x', 4, '12345000001', 'T17', 'x'],
    ['[    C0] y', null, null, 'C0', 'y'],
    ['<3>bare', 3, null, null, 'bare'],
    ['[99999999999.999999] far', null, '99999999999999999', null, 'far'],
  ])('reads %s', (line, level, usec, caller, text) => {
    expect(parseBasicLine(line)).toMatchObject({ level, usec, caller, text, recognised: true });
  });

  it('recognises the notes of the console itself', () => {
    expect(parseBasicLine('** 12 printk messages dropped **').recognised).toBe(true);
  });

  it.each(['hello', '', '[x] y', '<>z', '[1.2] short fraction', '<99999999999>q', ' lead'])(
    'keeps %j whole',
    (line) => {
      expect(parseBasicLine(line)).toMatchObject({ text: line, recognised: false, usec: null, level: null });
    },
  );
});

describe('any bytes at all', () => {
  const field = fc.constantFrom(
    '6',
    '13',
    '468',
    '5.1',
    '-',
    'c',
    '+',
    '',
    'ncfrag=0/9',
    'ncfrag=3/4',
    'caller=T1',
    'x',
  );
  const likely = fc
    .tuple(fc.array(field, { maxLength: 8 }), fc.uint8Array({ maxLength: 40 }))
    .map(([fields, tail]) => Uint8Array.from([...bytes(`${fields.join(',')};`), ...tail]));

  it('never throw, and every byte stays accounted for', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), likely), (raw) => {
        const head = parseExtendedHeader(raw);
        parseBasicLine(decodeText(raw));
        if (head === null) return;
        expect(head.bodyStart).toBeLessThanOrEqual(raw.length);
        const read = parseExtendedBody(raw, head.bodyStart, raw.length);
        const seen = [read.text, ...read.dict.flatMap((entry) => [entry.key, entry.value])].join('').length;
        expect(seen <= raw.length - head.bodyStart).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });
});
