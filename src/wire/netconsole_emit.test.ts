import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { corporaDir, goldenDir, hasCorpora, readCapture } from '../../test/golden/netconsole/read_capture.ts';
import {
  type ExtendedTarget,
  forEachBasicDatagram,
  forEachExtendedDatagram,
  formatBasic,
  formatExtended,
  MESSAGE_MAX,
  PRINTK_MESSAGE_MAX,
} from './netconsole_emit.ts';
import { parseBasicLine, parseExtendedBody, parseExtendedHeader } from './netconsole_parse.ts';
import type { KmsgRecord } from './netconsole_record.ts';
import { encodeText } from './netconsole_text.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const latin1 = (raw: Uint8Array): string => String.fromCharCode(...raw);
const record = (fields: Partial<KmsgRecord>): KmsgRecord => ({
  seq: 468,
  level: 5,
  facility: 1,
  tsUs: 514729715,
  cont: false,
  text: ascii('x'),
  ...fields,
});

function message(of: KmsgRecord, max = MESSAGE_MAX): Uint8Array {
  const out = new Uint8Array(max);
  return out.slice(0, formatExtended(of, out));
}

function datagrams(whole: Uint8Array, target: ExtendedTarget = {}): Uint8Array[] {
  const sent: Uint8Array[] = [];
  forEachExtendedDatagram(whole, whole.length, target, new Uint8Array(1000), (raw, at, n) =>
    sent.push(raw.slice(at, at + n)),
  );
  return sent;
}

describe('extended message', () => {
  it('has the documented bytes', () => {
    expect(latin1(message(record({})))).toBe('13,468,514729715,-;x\n');
    const dict = { subsystem: 'pci', device: '+pci:0000:00:03.0' };
    expect(
      latin1(message(record({ seq: 2n ** 64n - 1n, cont: true, caller: 'T7', text: ascii('a\tb\\c'), dict }))),
    ).toBe('13,18446744073709551615,514729715,c,caller=T7;a\\x09b\\x5cc\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:03.0\n');
    expect(latin1(message(record({ seq: 0, level: 0, facility: 0, tsUs: 0.9, text: ascii('') })))).toBe('0,0,0,-;\n');
  });

  it('cuts a text of escapes that does not fit, and ends in a newline all the same', () => {
    const out = new Uint8Array(300);
    const n = formatExtended(record({ text: new Uint8Array(500).fill(10) }), out);
    expect(n).toBeLessThanOrEqual(300);
    expect(latin1(out.subarray(0, n))).toMatch(/^13,468,514729715,-;(\\x0a)+\\?x?0?\n$/);
  });
});

describe('fragments', () => {
  const release = ascii('6.13.0-04048-g4f561a87745a');
  const cases: [string, number, number, ExtendedTarget, string[], number[]][] = [
    ['13,468,514729715,-', 958, 177, {}, ['0/1135', '967/1135'], [1000, 203]],
    ['13,468,514729715,-', 958, 177, { release }, ['0/1135', '940/1135'], [1000, 257]],
    ['13,468,514729715,-', 908, 177, {}, ['0/1085', '967/1085'], [1000, 153]],
    ['4,77,123456,-', 2501, 21, {}, ['0/2522', '972/2522', '1942/2522'], [1000, 1000, 611]],
  ];

  it.each(cases)('%s with body %i and %i appended', (head, bodyLen, userLen, target, places, sizes) => {
    const data = ascii(`${'b'.repeat(bodyLen - 1)}\n`);
    const userdata = ascii(` k=${'u'.repeat(userLen - 4)}\n`);
    const sent = datagrams(ascii(`${head};${latin1(data)}`), { ...target, userdata });
    const prefix = target.release === undefined ? '' : `${latin1(release)},`;
    expect(sent.map((raw) => raw.length)).toEqual(sizes);
    const headers = sent.map((raw) => latin1(raw).split(';')[0]);
    expect(headers).toEqual(places.map((place) => `${prefix}${head},ncfrag=${place}`));
    const joined = sent.map((raw) => latin1(raw).slice(latin1(raw).indexOf(';') + 1)).join('');
    expect(joined).toBe(latin1(data) + latin1(userdata));
  });

  it('sends 1,000 bytes whole and 1,001 bytes in two', () => {
    const fits = ascii(`6,1,2,-;${'x'.repeat(991)}\n`);
    expect(datagrams(fits)).toEqual([fits]);
    expect(datagrams(ascii(`6,1,2,-;${'x'.repeat(992)}\n`)).length).toBe(2);
    expect(datagrams(fits, { release: ascii('6.1') }).length).toBe(2);
    expect(datagrams(fits, { userdata: ascii(' ') }).length).toBe(2);
  });

  it('sends nothing behind a header that leaves no room', () => {
    expect(datagrams(ascii(`6,1,2,-,x=${'y'.repeat(990)};text\n`))).toEqual([]);
  });

  it('join to what was sent, for any record', () => {
    const any = fc.record({
      seq: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      level: fc.integer({ min: 0, max: 7 }),
      facility: fc.integer({ min: 0, max: 127 }),
      tsUs: fc.integer({ min: 0, max: 2 ** 50 }),
      cont: fc.boolean(),
      caller: fc.option(fc.constantFrom('T1', 'C12', 'T4194303'), { nil: undefined }),
      text: fc.uint8Array({ maxLength: 2000 }),
    });
    const extra = fc.record({
      release: fc.constantFrom(undefined, release),
      userdata: fc.option(
        fc.integer({ min: 1, max: 1500 }).map((n) => ascii(` k=${'v'.repeat(n)}\n`)),
        { nil: undefined },
      ),
    });
    fc.assert(
      fc.property(any, extra, (of, target) => {
        const parts: Uint8Array[] = [];
        for (const raw of datagrams(message(of), target)) {
          expect(raw.length).toBeLessThanOrEqual(1000);
          const head = parseExtendedHeader(raw)!;
          expect(head).toMatchObject({ seq: of.seq.toString(), level: of.level, facility: of.facility });
          expect(head.usec).toBe(of.tsUs.toString());
          expect(head.fragment?.offset ?? 0).toBe(parts.reduce((sum, part) => sum + part.length, 0));
          parts.push(raw.subarray(head.bodyStart));
        }
        const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
        const body = parseExtendedBody(whole, 0, whole.length);
        expect(encodeText(body.text)).toEqual(of.text);
        expect(body.dict.length).toBe(target.userdata === undefined ? 0 : 1);
      }),
      { numRuns: 300 },
    );
  });
});

describe('basic message', () => {
  const basic = (of: KmsgRecord, time: boolean, priority: boolean): string => {
    const out = new Uint8Array(4096);
    return latin1(out.subarray(0, formatBasic(of, out, { time, priority })));
  };

  it('prefixes each line', () => {
    const two = record({ text: ascii('two\nlines'), tsUs: 8474165, caller: 'T1' });
    expect(basic(two, true, false)).toBe('[    8.474165][    T1] two\n[    8.474165][    T1] lines\n');
    expect(basic(record({ tsUs: 123456789012, level: 6, facility: 0 }), true, true)).toBe('<6>[123456.789012] x\n');
    expect(basic(record({}), false, false)).toBe('x\n');
    expect(basic(record({ text: ascii(''), tsUs: 0 }), true, false)).toBe('[    0.000000] \n');
  });

  it('comes back from the parser', () => {
    const line = basic(record({ tsUs: 99999.5e6, text: ascii('end') }), true, true);
    expect(parseBasicLine(line.slice(0, -1))).toMatchObject({
      level: 5,
      facility: 1,
      usec: '99999500000',
      text: 'end',
    });
  });

  it('loses whole lines only where it does not fit, and as few as the kernel does', () => {
    const line = fc.stringMatching(/^[a-z]{0,90}$/);
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 256, max: 2048 }),
        (lines, max) => {
          const of = record({ text: ascii(lines.join('\n')), tsUs: 1e6 });
          const out = new Uint8Array(max);
          const n = formatBasic(of, out, { time: true, priority: true });
          expect(n).toBeLessThan(max);
          const whole = basic(of, true, true);
          const cut = latin1(out.subarray(0, n));
          expect(whole.startsWith(cut)).toBe(true);
          expect(cut === '' || cut.endsWith('\n')).toBe(true);
          // The next line would have had no room: its prefix, a newline, a terminator. (Of a text that is longer than the buffer, the
          // kernel copies the buffer's length only.)
          const left = whole.slice(n);
          const next = left.slice(0, left.indexOf('\n') + 1);
          if (left !== '' && lines.join('\n').length <= max) expect(n + next.length + 1).toBeGreaterThan(max - 1);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is sliced every 1,000 bytes', () => {
    const sizes: number[] = [];
    forEachBasicDatagram(new Uint8Array(2500), 2500, (_, at, n) => sizes.push(at, n));
    expect(sizes).toEqual([0, 1000, 1000, 1000, 2000, 500]);
  });
});

/**
 * A record that a 7.x kernel cut at 2,048 bytes ends in a piece of an escape. To make the kernel cut again, its text gets
 * a byte back whose escape begins with that piece.
 */
function uncut(text: string): Uint8Array {
  const piece = /\\(?:x([0-9a-f])?)?$/.exec(text);
  if (piece === null) return encodeText(text);
  return Uint8Array.from([...encodeText(text.slice(0, piece.index)), Number.parseInt(`${piece[1] ?? '0'}0`, 16)]);
}

/** Parses each record of a capture, joins its fragments and emits it again: the datagrams must be the same bytes. */
function reemit(path: string): number {
  const bySource = new Map<string, Uint8Array[]>();
  for (const { src, dstPort, payload } of readCapture(path)) {
    if (parseExtendedHeader(payload) === null) continue;
    const key = `${src} ${dstPort}`;
    bySource.set(key, [...(bySource.get(key) ?? []), payload]);
  }
  let checked = 0;
  for (const sent of bySource.values()) {
    for (let i = 0; i < sent.length; ) {
      const head = parseExtendedHeader(sent[i]!)!;
      const parts: number[] = [...sent[i]!.subarray(head.bodyStart)];
      let used = 1;
      while (head.fragment !== null && parts.length < head.fragment.total) {
        const next = sent[i + used++]!;
        parts.push(...next.subarray(parseExtendedHeader(next)!.bodyStart));
      }
      const whole = Uint8Array.from(parts);
      const body = parseExtendedBody(whole, 0, whole.length);
      const kernel = Object.fromEntries(body.dict.map((entry) => [entry.key, entry.value]));
      const userdata = body.dict.filter((entry) => entry.key !== 'SUBSYSTEM' && entry.key !== 'DEVICE');
      const textLen = whole.indexOf(10);
      const plainHeader = head.bodyStart - (head.release === null ? 0 : head.release.length + 1);
      const fragLen = head.fragment === null ? 0 : `,ncfrag=0/${head.fragment.total}`.length;
      const cut = plainHeader - fragLen + textLen + 1 === PRINTK_MESSAGE_MAX;
      const of: KmsgRecord = {
        seq: BigInt(head.seq),
        level: head.level,
        facility: head.facility,
        tsUs: Number(head.usec),
        cont: head.flag === 'c',
        caller: head.extras.find((entry) => entry.key === 'caller')?.value,
        text: cut ? uncut(body.text) : encodeText(body.text),
        dict: { subsystem: kernel.SUBSYSTEM, device: kernel.DEVICE },
      };
      const again = message(of, cut ? PRINTK_MESSAGE_MAX : MESSAGE_MAX);
      const target: ExtendedTarget = {
        release: head.release === null ? undefined : encodeText(head.release),
        userdata: encodeText(userdata.map((entry) => ` ${entry.key}=${entry.value}\n`).join('')),
      };
      expect(datagrams(again, target).map(latin1)).toEqual(sent.slice(i, i + used).map(latin1));
      i += used;
      checked += used;
    }
  }
  return checked;
}

describe('against real kernels', () => {
  it('emits the records of a recorded boot byte for byte (golden)', () => {
    expect(reemit(join(goldenDir, 'kmsg-k72.pcap.gz'))).toBe(1055);
  });

  it.skipIf(!hasCorpora).each([
    ['kmsg-k61', 493],
    ['kmsg-k72', 1055],
    ['dyn-k61', 45],
    ['dyn-k72', 167],
  ])(
    'emits the extended datagrams of %s byte for byte (corpora; skipped where NETPOLL_CORPORA is absent)',
    (name, count) => {
      expect(reemit(join(corporaDir, 'netconsole/captures', name, 'nc.pcap'))).toBe(count);
    },
  );
});
