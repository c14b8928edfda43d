/** The streams against recordings of real kernels, and against what netconsd's receiver library made of the same. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { corporaDir, goldenDir, hasCorpora, readBytes } from '../../test/golden/netconsole/read_capture.ts';
import { decodeText, encodeText, unescapeBytes } from '../wire/netconsole_text.ts';
import type { Message } from './message.ts';
import { feedArrivals, feedCapture } from './streams.fixture.ts';

const NEWLINE = 0x0a;

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  if (start < bytes.length) lines.push(bytes.subarray(start));
  return lines;
}

/** The lines in which /proc/kmsg and `dmesg -r` show a record: `<prio>[secs.usecs] line`, one for each inner line. */
function kmsgLines(message: Message): Uint8Array[] {
  const usec = message.usec!.padStart(7, '0');
  const time = `${usec.slice(0, -6).padStart(5)}.${usec.slice(-6)}`;
  const prefix = encodeText(`<${message.facility! * 8 + message.level!}>[${time}] `);
  return message.text.split('\n').map((line) => Uint8Array.from([...prefix, ...encodeText(line)]));
}

/** Equal, or `ours` is the beginning of `theirs`, cut where a 7.x kernel cuts extended records (2,048 bytes). */
function sameOrCut(ours: string, theirs: string | undefined): 'same' | 'cut' | 'differs' {
  if (ours === theirs) return 'same';
  const whole = ours.replace(/[\udc80-\udcff]*(?:\\(?:x[0-9a-f]?)?)?$/, '');
  return whole.length > 160 && theirs?.startsWith(whole) === true ? 'cut' : 'differs';
}

/**
 * Goes along our lines and `theirs` in order. Each of theirs must stand among ours. What they lack may only be tails of
 * the records of 150 and 200 lines (`x88`, ...): text with time stamps is cut at 2,048 bytes too. Returns the counts.
 */
function compareLines(
  ours: readonly string[],
  theirs: readonly string[],
): { same: number; cut: number; left: string[] } {
  let at = 0;
  let cut = 0;
  const lacking: string[] = [];
  for (const line of ours) {
    const verdict = sameOrCut(line, theirs[at]);
    if (verdict === 'differs') lacking.push(line);
    else at++;
    if (verdict === 'cut') cut++;
    if (at === theirs.length) break;
  }
  expect(lacking.filter((line) => !/ x[0-9]{2,3}$/.test(line))).toEqual([]);
  return { same: at - cut, cut, left: theirs.slice(at) };
}

function expectWholeLog(messages: readonly Message[], first: number): void {
  expect(messages.map((message) => Number(message.seq))).toEqual(messages.map((_, i) => first + i));
}

describe('every record of a real kernel', () => {
  const path = join(goldenDir, 'kmsg-k72.pcap.gz');
  const fed = feedCapture(path);
  const extended = fed.messages.filter((message) => message.format === 'extended');

  it('comes out once, though it was sent to two extended targets, and no sequence number is missing', () => {
    expectWholeLog(extended, 0);
    expect(fed.counters.toJSON()).toMatchObject({ incomplete_records: 0, out_of_order: 0, unparsed: 0 });
    expect(fed.counters.get('duplicates')).toBe(extended.length);
  });

  it('has the level, time and text that the guest read from /proc/kmsg, line by line, byte for byte', () => {
    const account = splitLines(readBytes(join(goldenDir, 'kmsg-k72.proc-kmsg.txt.gz'))).map((line) => decodeText(line));
    const ours = extended.flatMap(kmsgLines).map((line) => decodeText(line));
    expect(compareLines(ours, account)).toEqual({ same: 857, cut: 3, left: [] });
  });

  it("has the level, time and text of each line in the guest's `dmesg -r`", () => {
    const account = splitLines(readBytes(join(goldenDir, 'kmsg-k72.dmesg-r.txt.gz')));
    const ours = new Set(extended.flatMap(kmsgLines).map((line) => decodeText(line)));
    const missing = account.slice(0, -1).filter((line) => line[0] === 0x3c && !ours.has(decodeText(line)));
    expect(missing.length).toBeLessThanOrEqual(2);
    expect(account.length).toBeGreaterThan(100);
  });

  it('has the same lines in the basic format, as far as the kernel formats them', () => {
    const basic = fed.messages.filter((message) => message.format === 'basic');
    const lines = extended.flatMap(({ usec, text }) => text.split('\n').map((line) => `${usec} ${line}`));
    expect(
      compareLines(
        lines,
        basic.map(({ usec, text }) => `${usec} ${text}`),
      ),
    ).toEqual({ same: 906, cut: 3, left: [] });
  });
});

describe('a panic', () => {
  it('comes out to its last line, as on the serial console', () => {
    const { messages } = feedCapture(join(goldenDir, 'oops_panic-k61.pcap.gz'), 6667);
    expectWholeLog(messages, 0);
    const serial = decodeText(readBytes(join(goldenDir, 'oops_panic-k61.serial.log.gz'))).split(/\r?\n/);
    const stamped = serial.filter((line) => /^\[ *[0-9]+\.[0-9]{6}\] /.test(line));
    const ours = messages.flatMap((message) =>
      kmsgLines(message).map((line) => decodeText(line).replace(/^<[0-9]+>/, '')),
    );
    const from = stamped.findIndex((line) => line.includes('netconsole: network logging started'));
    expect(stamped.length - from).toBeGreaterThan(60);
    expect(stamped.slice(from).filter((line) => !ours.includes(line))).toEqual([]);
    expect(messages.at(-1)!.text).toContain('Rebooting in 2 seconds');
  });
});

interface Recorded {
  readonly datagrams: [number, string][];
  readonly ncrx: {
    seq: number;
    usec: number;
    fac: number;
    lvl: number;
    text: string;
    dict?: unknown;
    error?: string;
  }[];
}

function recorded(path: string): Recorded {
  return JSON.parse(new TextDecoder().decode(readBytes(path))) as Recorded;
}

/** The same records as netconsd's library: sequence number, time, priority and (unescaped) text, in its order. */
function compareWithNcrx(path: string): void {
  const { datagrams, ncrx } = recorded(path);
  const { messages } = feedArrivals(datagrams);
  const theirs = ncrx.filter(({ error }) => error === undefined);
  const plain = (text: string): string => {
    const raw = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return decodeText(unescapeBytes(raw, 0, raw.length));
  };
  // The library takes a header whose priority has more than three digits for broken; the kernel writes up to 2047.
  const ours = messages.filter(({ format, facility }) => format === 'extended' && facility! * 8 < 1000);
  expect(ours.map(({ seq, usec, facility, level, text }) => ({ seq, usec, facility, level, text }))).toEqual(
    theirs.map(({ seq, usec, fac, lvl, text }) => ({
      seq: `${seq}`,
      usec: `${usec}`,
      facility: fac,
      level: lvl,
      text: plain(text),
    })),
  );
}

describe("netconsd's receiver library", () => {
  it.each(['dyn72-clean', 'kmsg612r-clean'])('finds the same records in %s', (name) => {
    compareWithNcrx(join(goldenDir, `${name}.json.gz`));
  });

  const dir = join(corporaDir, 'netconsole/streams');
  const same = ['kmsg72-dup5', 'kmsg72-dup30', 'kmsg612r-dup5', 'dyn72-interleave2', 'big61-interleave2'];
  it.skipIf(!hasCorpora).each(same)(
    'finds the same in %s (corpora; skipped where NETPOLL_CORPORA is absent)',
    (name) => {
      expect(existsSync(join(dir, `${name}.json.gz`))).toBe(true);
      compareWithNcrx(join(dir, `${name}.json.gz`));
    },
  );
});

/**
 * Where streams are disturbed we differ from the library on purpose, and only by giving more:
 *
 *   disturbance          netconsd's library                        here
 *   a priority >= 1000   the record is refused                     it is a record
 *   no valid header      the datagram is refused                   it is a message, `unparsed`
 *   fragments missing    NUL bytes in the holes                    `<N bytes lost>` in the holes
 *   reboot               what is late is lost until 19 of 32 were  every record comes out
 *   first one overtaken  what came before the first is lost        it comes out
 *   a fragment's header  joined by sequence number alone, time of  kept apart; both pieces come out, with holes marked
 *     is damaged         whichever came first
 */
describe.skipIf(!hasCorpora)('disturbed streams (corpora; skipped where NETPOLL_CORPORA is absent)', () => {
  const dir = join(corporaDir, 'netconsole/streams');
  const names = hasCorpora ? readdirSync(dir) : ['none'];
  it.each(names)('%s: nothing that the library finds is missing', (name) => {
    const { datagrams, ncrx } = recorded(join(dir, name));
    const { messages, counters } = feedArrivals(datagrams);
    const key = (seq: unknown, usec: unknown, text: string): string => `${seq} ${usec} ${text}`;
    const ours = new Set(messages.map(({ seq, usec, text }) => key(seq, usec, text)));
    const missing = ncrx.filter(({ error, text, seq, usec }) => {
      if (error !== undefined || text.includes('\0')) return false;
      const raw = Uint8Array.from(text, (char) => char.charCodeAt(0));
      const apart = messages.some((message) => message.seq === `${seq}` && message.text.includes(' bytes lost>'));
      return !apart && !ours.has(key(seq, usec, decodeText(unescapeBytes(raw, 0, raw.length))));
    });
    expect(missing).toEqual([]);
    const { datagrams: all, duplicates, fragments, late_fragments: late } = counters.toJSON();
    // Each datagram is a message, a copy, or one of a record's fragments.
    expect(messages.length + duplicates + fragments + late).toBeGreaterThanOrEqual(all);
  });
});

describe.skipIf(!hasCorpora)('every capture (corpora; skipped where NETPOLL_CORPORA is absent)', () => {
  const captures: [string, number][] = [
    ['kmsg-k61/nc.pcap', 6667],
    ['kmsg-k72/nc.pcap', 6667],
    ['kmsg-k72/nc.pcap', 6668],
    ['dyn-k61/nc.pcap', 6667],
    ['dyn-k72/nc.pcap', 6667],
    ['t0-k61/cor0.pcap', 6666],
    ['t0-k72/cor0.pcap', 6666],
  ];
  it.each(captures)('%s, port %i: each sequence number once, in order, none incomplete', (name, port) => {
    const { messages, counters } = feedCapture(join(corporaDir, 'netconsole/captures', name), port);
    const seqs = messages.map((message) => Number(message.seq));
    expect(seqs.length).toBeGreaterThan(40);
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    if (name.startsWith('kmsg')) expect(seqs.at(-1)! - seqs[0]!).toBe(seqs.length - 1);
    expect(counters.toJSON()).toMatchObject({ incomplete_records: 0, unparsed: 0, duplicates: 0, basic: 0 });
  });
});
