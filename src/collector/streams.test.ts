import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { feedArrivals, newStreams } from './streams.fixture.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const texts = (arrivals: [number, string][]): string[] =>
  feedArrivals(arrivals).messages.map((message) => message.text);

describe('one record a datagram', () => {
  it('gives the documented object, field by field', () => {
    const { streams, messages } = newStreams();
    const bytes = ascii('6.1.0,14,468,514729715,c,caller=T7;a\\x09b\n SUBSYSTEM=pci\n k=v\n');
    streams.datagram('10.0.0.7', 6665, 6666, bytes, 1_700_000_000_123_456);
    bytes.fill(0);
    expect(JSON.stringify(messages)).toBe(
      JSON.stringify([
        {
          host: '10.0.0.7',
          received: '2023-11-14T22:13:20.123456Z',
          seq: '468',
          level: 6,
          facility: 1,
          usec: '514729715',
          cont: true,
          release: '6.1.0',
          text: 'a\tb',
          dict: { caller: 'T7', SUBSYSTEM: 'pci', k: 'v' },
          format: 'extended',
        },
      ]),
    );
  });

  it("keeps both values of a key that comes twice, the kernel's under the name", () => {
    const { messages } = feedArrivals([[0, '6,1,2,-;x\n cpu=user\n cpu=3\n __proto__=p\n']]);
    expect(Object.entries(messages[0]!.dict)).toEqual([
      ['cpu', '3'],
      ['cpu~1', 'user'],
      ['__proto__', 'p'],
    ]);
  });

  it('keeps what it cannot parse', () => {
    const { messages, counters } = feedArrivals([
      [0, 'hello'],
      [1, '6,x,2,-;y\n\xff\n'],
      [2, ''],
    ]);
    expect(messages.map(({ text, format, level, seq }) => [text, format, level, seq])).toEqual([
      ['hello', 'unparsed', null, null],
      ['6,x,2,-;y', 'unparsed', null, null],
      ['\udcff', 'unparsed', null, null],
    ]);
    expect(counters.get('empty_datagrams')).toBe(1);
  });
});

describe('fragments', () => {
  const parts = ['6,7,8,-,ncfrag=0/12;hell', '6,7,8,-,ncfrag=4/12;o\n k=', '6,7,8,-,ncfrag=9/12;vw\n'];

  it.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 0, 0, 2, 1]]])('join in the order %j', (order) => {
    const { messages, counters } = feedArrivals(order.map((i, at): [number, string] => [at, parts[i]!]));
    expect(messages.map(({ text, dict, seq }) => [text, dict, seq])).toEqual([['hello', { k: 'vw' }, '7']]);
    expect(counters.get('incomplete_records')).toBe(0);
  });

  it('are given up after 30 s, with a mark in the hole, and late ones do not start the record again', () => {
    const { messages, counters } = feedArrivals([
      [0, parts[0]!],
      [1, parts[2]!],
      [30_001, '6,8,9,-;next\n'],
      [30_002, parts[1]!],
    ]);
    expect(messages.map((message) => message.text)).toEqual(['hell<5 bytes lost>vw', 'next']);
    expect(counters.toJSON()).toMatchObject({ incomplete_records: 1, lost_fragment_bytes: 5, late_fragments: 1 });
  });

  it('say when they are due', () => {
    const { streams, messages } = newStreams();
    expect(streams.nextTimeoutUs()).toBeNull();
    streams.datagram('h', 1, 2, ascii(parts[0]!), 1000);
    expect(streams.nextTimeoutUs()).toBe(30_001_000);
    streams.tick(30_001_000);
    expect(messages[0]!.text).toBe('hell<8 bytes lost>');
    expect(streams.nextTimeoutUs()).toBeNull();
  });

  it('cannot fill the memory: the oldest record is given up', () => {
    const { streams, messages, counters } = newStreams({ fragmentRecords: 4, reorderUs: 0 });
    for (let seq = 0; seq < 10; seq++) streams.datagram('h', 1, 2, ascii(`6,${seq},0,-,ncfrag=0/9;x`), seq);
    expect(messages.map((message) => message.seq)).toEqual(['0', '1', '2', '3', '4', '5']);
    expect(counters.get('fragments_over_bound')).toBe(6);
  });
});

describe('copies', () => {
  it('of a record are dropped and counted, also those to another target with a release', () => {
    const { messages, counters } = feedArrivals([
      [0, '6.1.0,6,5,6,-;x\n'],
      [1, '6,5,6,-;x\n'],
      [2, '6,5,6,-;x\n'],
    ]);
    expect(messages.length).toBe(1);
    expect(counters.get('duplicates')).toBe(2);
  });

  it('are no copies when anything differs, and after 5 s (a new boot repeats its first records)', () => {
    const lines = ['6,5,6,-;x\n', '6,5,6,-;y\n', '6,5,7,-;x\n', '5,5,6,-;x\n', '6,5,6,c;x\n', '6,5,6,-;x\n k=v\n'];
    const again: [number, string][] = lines.map((line, i) => [6000 + i, line]);
    expect(texts([...lines.map((line, i): [number, string] => [i, line]), ...again]).length).toBe(12);
  });
});

describe('order', () => {
  const record = (seq: number): string => `6,${seq},${seq},-;${seq}\n`;

  it('is that of the sequence numbers within the window', () => {
    expect(
      texts([
        [0, record(1)],
        [1, record(4)],
        [2, record(3)],
        [3, record(2)],
        [4, record(5)],
      ]),
    ).toEqual(['1', '2', '3', '4', '5']);
  });

  it('waits 200 ms for a gap, no longer', () => {
    const { streams, messages } = newStreams();
    streams.datagram('h', 1, 2, ascii(record(1)), 0);
    streams.datagram('h', 1, 2, ascii(record(3)), 1000);
    expect(messages.length).toBe(1);
    expect(streams.nextTimeoutUs()).toBe(201_000);
    streams.tick(201_000);
    expect(messages.map((message) => message.seq)).toEqual(['1', '3']);
  });

  it('lets a late record out at once, and counts it', () => {
    const { messages, counters } = feedArrivals([
      [0, record(5)],
      [1, record(6)],
      [2, record(2)],
      [3, record(7)],
    ]);
    expect(messages.map((message) => message.seq)).toEqual(['5', '6', '2', '7']);
    expect(counters.get('out_of_order')).toBe(1);
  });

  it('starts anew when the sender has booted again, losing nothing', () => {
    const boot = (ms: number): [number, string][] => Array.from({ length: 30 }, (_, i) => [ms + i, record(i)]);
    const { messages } = feedArrivals([[0, record(900)], ...boot(10), [100, record(35)], [101, record(34)]]);
    expect(messages.map((message) => Number(message.seq))).toEqual([
      900,
      ...Array.from({ length: 30 }, (_, i) => i),
      34,
      35,
    ]);
  });

  it('lets go of what waits when the clock is set back', () => {
    const { streams, messages, counters } = newStreams();
    streams.datagram('h', 1, 2, ascii(record(1)), 9e9);
    streams.datagram('h', 1, 2, ascii(record(3)), 9e9);
    streams.tick(5e9);
    expect(messages.length).toBe(2);
    expect(counters.get('clock_set_back')).toBe(1);
  });
});

describe('basic format', () => {
  it('gives one message a line', () => {
    const { messages } = feedArrivals([[0, '[    1.000000] two\n[    1.000000] lines\n\n']]);
    expect(messages.map(({ text, usec, format }) => [text, usec, format])).toEqual([
      ['two', '1000000', 'basic'],
      ['lines', '1000000', 'basic'],
    ]);
  });

  it('joins a line that was cut at 1,000 bytes, a pair of ports at a time', () => {
    const long = `[    1.000000] ${'a'.repeat(1990)}`;
    const { streams, messages } = newStreams();
    streams.datagram('h', 1, 6666, ascii(long.slice(0, 1000)), 0);
    streams.datagram('h', 1, 6667, ascii('[    2.000000] other\n'), 1);
    streams.datagram('h', 1, 6666, ascii(long.slice(1000, 2000)), 2);
    streams.datagram('h', 1, 6666, ascii(`${long.slice(2000)}\n[    3.000000] next\n`), 3);
    expect(messages.map((message) => message.text)).toEqual(['other', 'a'.repeat(1990), 'next']);
  });

  it('does not join over a lost slice, and closes a line whose rest does not come', () => {
    const full = `[    1.000000] ${'a'.repeat(985)}`;
    expect(
      texts([
        [0, full],
        [1, '[    2.000000] b\n'],
      ]),
    ).toEqual(['a'.repeat(985), 'b']);
    const { streams, messages } = newStreams();
    streams.datagram('h', 1, 2, ascii(full), 0);
    expect(streams.nextTimeoutUs()).toBe(300_000);
    streams.tick(300_000);
    expect(messages.length).toBe(1);
  });
});

describe('bounds', () => {
  it('forget the source that was silent for longest, after giving out what it had', () => {
    const { streams, messages, counters } = newStreams({ sources: 3 });
    streams.datagram('a', 1, 2, ascii('6,1,2,-,ncfrag=0/9;x'), 0);
    for (const host of ['b', 'c', 'd', 'e']) streams.datagram(host, 1, 2, ascii('x\n'), 10);
    expect(messages.map(({ host, text }) => [host, text])).toContainEqual(['a', 'x<8 bytes lost>']);
    expect(counters.toJSON()).toMatchObject({ sources: 3, sources_forgotten: 2 });
  });
});

describe('properties', () => {
  it('each record comes out exactly once, in order, whatever the fragments, copies and small shuffles', () => {
    const record = fc.record({
      text: fc.stringMatching(/^[a-z]{1,40}$/),
      cuts: fc.integer({ min: 1, max: 6 }),
      copies: fc.nat(2),
    });
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 20 }),
        fc.array(fc.nat(7), { minLength: 200, maxLength: 200 }),
        (records, noise) => {
          const sent: { at: number; text: string }[] = [];
          records.forEach(({ text, cuts, copies }, seq) => {
            const data = `${text}\n`;
            const step = Math.ceil(data.length / cuts);
            for (let copy = 0; copy <= copies; copy++) {
              for (let o = 0; o < data.length; o += step) {
                const frag = step >= data.length ? '' : `,ncfrag=${o}/${data.length}`;
                const jitter = noise[sent.length % noise.length]!;
                sent.push({ at: seq + 1 + jitter, text: `6,${seq + 10},5,-${frag};${data.slice(o, o + step)}` });
              }
            }
          });
          sent.sort((a, b) => a.at - b.at);
          const first: [number, string] = [0, '6,9,5,-;start\n'];
          const { messages } = feedArrivals([first, ...sent.map(({ at, text }): [number, string] => [at, text])]);
          expect(messages.slice(1).map((message) => message.text)).toEqual(records.map(({ text }) => text));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('no bytes make it throw, and lines that are no extended records come out whole', () => {
    const { streams, counters } = newStreams({ sources: 4 });
    const piece = fc.constantFrom(
      '6,1,2,-;',
      ',ncfrag=3/9;',
      ',ncfrag=0/4',
      '6.1,',
      '[    1.000000] ',
      '<6>',
      '\n',
      '\\x0a',
      ' k=v\n',
      'a',
    );
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 1200 }),
      fc.array(piece, { maxLength: 12 }).map((pieces) => ascii(pieces.join(''))),
    );
    let nowUs = 0;
    fc.assert(
      fc.property(payload, fc.nat(6), fc.nat(40_000_000), (bytes, host, stepUs) => {
        nowUs += stepUs;
        streams.datagram(`h${host}`, 1, host, bytes, nowUs);
        streams.tick(streams.nextTimeoutUs() ?? nowUs);
      }),
      { numRuns: 10_000 },
    );
    streams.flush(nowUs);
    expect(counters.get('datagrams')).toBeGreaterThanOrEqual(10_000);

    const line = fc.stringMatching(/^[ -:<-~]{1,80}$/);
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 10 }), (lines) => {
        const { messages } = feedArrivals([[0, `${lines.join('\n')}\n`]]);
        expect(messages.length).toBe(lines.length);
        messages.forEach((message, i) => {
          expect(lines[i]!.endsWith(message.text)).toBe(true);
          if (message.format === 'unparsed') expect(message.text).toBe(lines[i]);
        });
      }),
    );
  });
});
