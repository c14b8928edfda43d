/** The harness proves itself with plain programs: what the guest put on the wire is what its console showed. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from '../netns/needs.ts';
import { type Recorder, record, scratch } from '../netns/peers.ts';
import { Namespace } from '../netns/rig.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest, WIRE } from './guest.ts';
import { fetchKernel } from './kernel.ts';
import { type ExpectedRecord, type LastWords, lastWords, secondsOf } from './oracle.ts';
import { ALL_WRITTEN, BASIC_PORT, EXTENDED_PORT, FAREWELL, lastWordsSteps, NETWORK_UP } from './scenario.ts';
import { extendedRecords, payloadsTo } from './wire.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS, 'tcpdump'], paths: GUEST_PATHS });

describe.skipIf(lacking !== undefined)(titled('a Debian kernel in QEMU, with levels on its console', lacking), () => {
  const folder = scratch('harness');
  let pcap: string;
  let space: Namespace;
  let guest: Guest;
  let tap: Recorder;
  let words: LastWords;

  beforeAll(async () => {
    pcap = join(folder.path, 'nc.pcap');
    const kernel = await fetchKernel();
    space = await Namespace.make('harness');
    const steps = lastWordsSteps(kernel);
    guest = await bootGuest({ kernel, space, steps, pcap, commandLine: 'console_msg_format=syslog' });
    tap = await record(space, WIRE.device, join(folder.path, 'tap.pcap'), `udp port ${BASIC_PORT}`);
    await guest.hears(NETWORK_UP);
    guest.tell('go');
    await guest.hears(ALL_WRITTEN);
    await guest.recorded(FAREWELL);
    // netpoll puts frames off while the NIC's ring is full (the replay of a whole log fills it), and a crash loses those.
    await tap.holds(FAREWELL);
    guest.tell('go');
    await guest.ended();
    words = lastWords(guest.console, guest.kmsg);
    await tap.finish(payloadsTo(pcap, BASIC_PORT).length);
  });
  afterAll(async () => {
    await guest?.remove();
    await space?.remove();
    folder.discard();
  });

  it('ends with the panic that was asked for, every line of which the console shows with its level', () => {
    const tail = words.tail.map((record) => record.text);
    expect(tail[0]).toBe('sysrq: Trigger a crash');
    expect(tail.some((text) => text.startsWith('Kernel panic - not syncing: sysrq triggered crash'))).toBe(true);
    expect(tail.length).toBeGreaterThan(10);
    expect(words.tail.every((record) => record.pri !== undefined)).toBe(true);
  });

  it('sends on the extended target exactly the records of its life, fragments and panic included', () => {
    const sent = extendedRecords(payloadsTo(pcap, EXTENDED_PORT));
    const plain = ({ seq, pri, usec, text }: { seq: number; pri: number | undefined; usec: number; text: string }) => ({
      ...{ seq, pri, usec, text },
    });
    expect(sent.map(plain)).toEqual(words.all.map(plain));
    expect(sent.filter((record) => record.pieces > 1).length).toBeGreaterThan(3);
  });

  it('sends on the basic target exactly the lines which the console shows', () => {
    expect(payloadsTo(pcap, BASIC_PORT).join('')).toBe(linesOf(words.all).join(''));
  });

  it('is seen by tcpdump on the TAP device, byte for byte', () => {
    expect(payloadsTo(tap.file, BASIC_PORT)).toEqual(payloadsTo(pcap, BASIC_PORT));
  });
});

/** What a console shows of `records`, with levels. */
function linesOf(records: readonly ExpectedRecord[]): string[] {
  const shown = records.flatMap((record) => record.shown);
  return shown.map((line) => `<${line.pri}>[${secondsOf(line.usec)}] ${line.text}\n`);
}
