/**
 * Frames identical to Linux: the records that a real kernel sent, sent again by our netconsole from a simulated machine with
 * that kernel's card, addresses and targets. Every datagram is compared whole, Ethernet, IP and UDP headers included.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Printk } from '../../machine/printk.ts';
import { CONSOLE_LOG_MAX, MESSAGE_MAX, PRINTK_MESSAGE_MAX } from '../../wire/netconsole_emit.ts';
import { decodeText } from '../../wire/netconsole_text.ts';
import { createNetconsole, parseNetconsoleParam } from './netconsole.ts';
import {
  compareFrames,
  type Equality,
  goldenDir,
  type Replay,
  type ReplayRecord,
  readBytes,
  recordedFrames,
  recordsOf,
  recordsOfDmesg,
  replayMachine,
} from './replay.fixture.ts';

const KERNEL_6_1 = { extended: MESSAGE_MAX, basic: CONSOLE_LOG_MAX };
const KERNEL_7_2 = { extended: PRINTK_MESSAGE_MAX, basic: PRINTK_MESSAGE_MAX };

/** A log of `records`, their numbers and times included, which `replay`'s netconsole with `param` then sends. */
function send(
  replay: Replay,
  param: string,
  records: readonly ReplayRecord[],
  messageMax: { extended: number; basic: number },
): void {
  const { machine, net, world } = replay;
  const parsed = parseNetconsoleParam(param);
  if (!parsed.ok) throw new Error(parsed.reason);
  // What this machine has to say itself is not shown: the log that is sent is the recorded one.
  machine.printk.consoleLoglevel = 0;
  const netconsole = createNetconsole(net, parsed.specs, { messageMax });
  const log = new Printk(machine);
  log.consoleLoglevel = 8;
  for (const console of netconsole.consoles) log.registerConsole(console);
  let tsUs = 0;
  machine.executive.now = () => tsUs * 1000;
  for (const { level, text, ...record } of records) {
    expect(log.nextSeq).toBe(record.seq);
    tsUs = record.tsUs;
    const { facility, cont, caller, dict } = record;
    // As it was printed: with the newline that the log drops.
    log.printk(level, Uint8Array.from([...text, 0x0a]), {
      facility,
      cont,
      dict,
      ...(caller === undefined ? {} : { caller }),
    });
    world.runFor(1e6);
  }
  expect(netconsole.targets.map((target) => target.transmitErrors)).toEqual(netconsole.targets.map(() => 0));
}

const all = (of: number): Equality => ({ equal: of, of, sameId: expect.any(Number) as number, differences: [] });

describe('our netconsole and the real one, given the same records', () => {
  it('send the same datagrams: 6.1, basic and extended', () => {
    const theirs = recordedFrames('kmsg-k61');
    const replay = replayMachine('52:54:00:77:00:c8', ['10.77.0.200']);
    const target = (port: number): string => `6665@10.77.0.200/eth0,${port}@10.77.0.1/52:54:00:00:00:77`;
    send(replay, `${target(6666)};+${target(6667)}`, recordsOf(theirs, 6667), KERNEL_6_1);
    expect(compareFrames(replay.sent, theirs, 6667)).toEqual(all(493));
    expect(compareFrames(replay.sent, theirs, 6666)).toEqual(all(480));
  });

  it('send the same datagrams: 7.2, basic, extended, and extended with release', () => {
    const theirs = recordedFrames('kmsg-k72');
    const account = recordsOfDmesg(readBytes(join(goldenDir, 'kmsg-k72.proc-kmsg.txt.gz')));
    const replay = replayMachine('52:54:00:77:00:c8', ['10.77.0.200']);
    const target = (port: number): string => `6665@10.77.0.200/eth0,${port}@10.77.0.1/52:54:00:00:00:77`;
    const whole = (prio: number, tsUs: number): Uint8Array | null => {
      const found = account.find((record) => record.prio === prio && record.tsUs === tsUs);
      return found !== undefined && found.text.length > 480 && !found.text.includes(0x0a) ? found.text : null;
    };
    const records = recordsOf(theirs, 6667, whole);
    send(replay, `${target(6666)};+${target(6667)};+r${target(6668)}`, records, KERNEL_7_2);
    expect(compareFrames(replay.sent, theirs, 6667)).toEqual(all(523));
    expect(compareFrames(replay.sent, theirs, 6668)).toEqual(all(532));
    expect(compareFrames(replay.sent, theirs, 6666)).toEqual(all(514));
  });

  it.each([
    ['t0-k61', 373, KERNEL_6_1],
    ['t0-k72', 381, KERNEL_7_2],
  ] as const)(
    'send the same datagrams to the broadcast address, identification included: %s',
    (name, count, limits) => {
      const theirs = recordedFrames(name);
      const replay = replayMachine('52:54:00:77:01:00', ['10.77.0.2']);
      send(replay, '+@10.77.0.2/eth0,@10.77.0.1/', recordsOf(theirs, 6666), limits);
      expect(compareFrames(replay.sent, theirs, 6666)).toEqual({ ...all(count), sameId: count });
    },
  );

  it('send the same payloads: 6.12, with its release in front', () => {
    const { datagrams } = JSON.parse(decodeText(readBytes(join(goldenDir, 'kmsg612r-clean.json.gz')))) as {
      datagrams: [number, string][];
    };
    const payloads = datagrams.map(([, text]) => Uint8Array.from(text, (char) => char.charCodeAt(0)));
    const theirs = payloads.map((payload) => ({ bytes: payload, port: 6666, payload }));
    const records = recordsOf(theirs, 6666).map((record) => ({ ...record, text: uncut(record.text) }));
    const replay = replayMachine('52:54:00:77:01:00', ['10.77.0.2'], '6.12.117+deb12-amd64');
    send(replay, '+r@10.77.0.2/eth0,@10.77.0.1/', records, KERNEL_7_2);
    const ours = replay.sent.map(({ payload }) => ({ bytes: payload, port: 6666, payload }));
    expect(compareFrames(ours, theirs, 6666)).toEqual({ ...all(529), sameId: expect.any(Number) as number });
  });
});

/** A text that the kernel cut inside of an escape gets a byte whose escape begins with what is left of it. */
function uncut(text: Uint8Array): Uint8Array {
  const piece = text.length < 480 ? null : /\\(?:x([0-9a-f])?)?$/.exec(decodeText(text));
  if (piece === null) return text;
  return Uint8Array.from([
    ...text.subarray(0, text.length - piece[0].length),
    Number.parseInt(`${piece[1] ?? '0'}0`, 16),
  ]);
}
