/**
 * The main job, end to end: a Debian kernel panics in QEMU, and its last words come out of `netpoll collect --jsonl`.
 *
 *   guest --eth0--> tap0 --+--> udp:0.0.0.0:6666  packet:tap0:6666    extended target
 *                          +--> udp:0.0.0.0:6667  packet:tap0:6667    basic target
 *
 * Judged by the guest itself (oracle.ts). The plain boot is what every machine does; the other boot lets the console
 * show levels, so that the levels of the panic, which /dev/kmsg can no longer tell, are compared as well.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from '../netns/needs.ts';
import { Namespace } from '../netns/rig.ts';
import { basicOf, type Collected, Collector, extendedOf } from './collected.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest } from './guest.ts';
import { fetchKernel } from './kernel.ts';
import { type LastWords, lastWords } from './oracle.ts';
import {
  ALL_WRITTEN,
  BASIC_PORT,
  EXTENDED_PORT,
  FAREWELL,
  lastWordsSteps,
  NETWORK_UP,
  recordsToWrite,
} from './scenario.ts';

const lacking = lacks({ root: true, tools: GUEST_TOOLS, paths: GUEST_PATHS });
const SCHEMES = ['udp', 'packet'] as const;

describe.skipIf(lacking !== undefined).each([
  { console: 'plain', commandLine: '' },
  { console: 'with levels', commandLine: 'console_msg_format=syslog' },
])(titled('the last words of a Debian kernel, console $console', lacking), ({ commandLine }) => {
  const heard = { extended: new Map<string, Collected[]>(), basic: new Map<string, Collected[]>() };
  let space: Namespace;
  let guest: Guest;
  let words: LastWords;

  beforeAll(async () => {
    const kernel = await fetchKernel();
    space = await Namespace.make('collect');
    guest = await bootGuest({ kernel, space, steps: lastWordsSteps(kernel), commandLine });
    const extended = await Promise.all(SCHEMES.map((scheme) => Collector.listen(space, scheme, EXTENDED_PORT)));
    const basic = await Promise.all(SCHEMES.map((scheme) => Collector.listen(space, scheme, BASIC_PORT)));
    await guest.hears(NETWORK_UP);
    guest.tell('go');
    await guest.hears(ALL_WRITTEN);
    await guest.recorded(FAREWELL);
    // netpoll puts frames off while the NIC's ring is full (the replay of a whole log fills it), and a crash loses those.
    for (const each of [...extended, ...basic]) await each.prints(FAREWELL);
    guest.tell('go');
    await guest.ended();
    words = lastWords(guest.console, guest.kmsg);
    const lines = words.all.flatMap((record) => record.shown).length;
    for (const each of extended) heard.extended.set(each.scheme, await each.finish(words.all.length));
    for (const each of basic) heard.basic.set(each.scheme, await each.finish(lines));
  });
  afterAll(async () => {
    await guest?.remove();
    await space?.remove();
  });

  it('is a panic, after lines of every level and facility', () => {
    expect(words.tail.map((record) => record.text)).toContain('Kernel panic - not syncing: sysrq triggered crash');
    const levels = new Set(words.sinceStart.map((record) => (record.pri ?? 0) & 7));
    expect([...levels].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const told = words.sinceStart.length - words.tail.length;
    expect(told).toBeGreaterThanOrEqual(recordsToWrite().length);
    expect(words.tail.length).toBeGreaterThan(10);
  });

  it.each(SCHEMES)(
    '%s: every record of the extended target arrives, in order, with level, seq, time and text',
    (scheme) => {
      const messages = heard.extended.get(scheme) ?? [];
      expect(messages).toEqual(extendedOf(words.all, messages));
      expect(messages.every((message) => message.level !== null && message.level >= 0 && message.level <= 7)).toBe(
        true,
      );
    },
  );

  it.each(SCHEMES)(
    '%s: every line of the basic target arrives, in order, with the time and text of the console',
    (scheme) => {
      expect(heard.basic.get(scheme)).toEqual(basicOf(words.all));
    },
  );

  it('udp and packet tell the same', () => {
    expect(heard.extended.get('packet')).toEqual(heard.extended.get('udp'));
    expect(heard.basic.get('packet')).toEqual(heard.basic.get('udp'));
  });
});
