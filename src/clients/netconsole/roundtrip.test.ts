/** What netconsole sends, the collector reads: any record, any userdata, every format, through the whole of both. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newStreams } from '../../collector/streams.fixture.ts';
import { decodeText } from '../../wire/netconsole_text.ts';
import { RELEASE, recordingRig } from './netconsole.fixture.ts';

const bytes = (maxLength: number) =>
  fc.oneof(
    fc.uint8Array({ maxLength }),
    fc.string({ unit: 'grapheme', maxLength: maxLength / 8 }).map((text) => new TextEncoder().encode(text)),
    fc.integer({ min: 900, max: maxLength }).map((length) => new Uint8Array(length).fill(0x41)),
  );

const record = fc.record({
  level: fc.integer({ min: 0, max: 7 }),
  facility: fc.integer({ min: 0, max: 255 }),
  cont: fc.boolean(),
  caller: fc.option(fc.constantFrom('T1', 'C0', 'T4194303'), { nil: undefined }),
  dict: fc.constantFrom({}, { subsystem: 'pci', device: '+pci:0000:00:03.0' }, { device: 'n2' }),
  text: bytes(1000),
});
/** A name, and a value without the characters that would make it two lines. */
const userdata = fc.tuple(
  fc.stringMatching(/^[a-z]{1,20}$/),
  fc.uint8Array({ min: 0x20, max: 0x7e, minLength: 1, maxLength: 199 }),
);
const setup = fc.record({
  release: fc.boolean(),
  sysdata: fc.subarray(['cpu_nr', 'taskname', 'release', 'msgid']),
  userdata: fc.uniqueArray(userdata, { maxLength: 12, selector: ([key]) => key }),
  disorder: fc.boolean(),
});

describe('what netconsole sends', () => {
  it('comes out of the collector as it was printed: extended', () => {
    fc.assert(
      fc.property(setup, fc.array(record, { minLength: 1, maxLength: 8 }), (how, records) => {
        const { netconsole, machine, payloads, executive } = recordingRig(
          `+${how.release ? 'r' : ''}@10.0.0.1/eth0,@10.0.0.2/`,
        );
        const { configfs } = netconsole;
        for (const each of how.sysdata) configfs.write(`cmdline0/userdata/${each}_enabled`, '1');
        for (const [key, value] of how.userdata) {
          configfs.mkdir(`cmdline0/userdata/${key}`);
          configfs.write(`cmdline0/userdata/${key}/value`, value);
        }
        payloads.length = 0;
        const first = machine.printk.nextSeq;
        machine.printk.consoleLoglevel = 8;
        for (const { level, text, caller, ...options } of records) {
          executive.nowNs += 1_234_567_891;
          machine.printk.printk(level, Uint8Array.from([...text, 10]), {
            ...options,
            ...(caller === undefined ? {} : { caller }),
          });
        }
        for (const payload of payloads) expect(payload.length).toBeLessThanOrEqual(1000);
        const { streams, messages, counters } = newStreams();
        const order = how.disorder ? payloads.toReversed() : payloads;
        order.forEach((payload, i) => void streams.datagram('10.0.0.1', 6665, 6666, payload, i));
        streams.flush(order.length);
        // A stream that is heard backwards from its end comes out backwards; nothing is lost or joined wrongly.
        messages.sort((a, b) => Number(a.seq) - Number(b.seq));
        const system: Record<string, string> = {
          cpu_nr: 'cpu',
          taskname: 'taskname',
          release: 'release',
          msgid: 'msgid',
        };
        expect(
          messages.map(({ seq, level, facility, cont, text, release, format }) => ({
            seq,
            level,
            facility,
            cont,
            text,
            release,
            format,
          })),
        ).toEqual(
          records.map(({ level, facility, cont, text }, i) => ({
            seq: String(first + i),
            level,
            facility,
            cont,
            text: decodeText(text),
            release: how.release ? RELEASE : null,
            format: 'extended',
          })),
        );
        messages.forEach((message, i) => {
          for (const [key, value] of how.userdata) {
            if (!Object.values(system).includes(key) && key !== 'caller')
              expect(message.dict[key]).toBe(decodeText(value));
          }
          if (how.sysdata.includes('msgid')) expect(message.dict.msgid).toBe(String(i + 1));
          if (how.sysdata.includes('release')) expect(message.dict.release).toBe(RELEASE);
          if (how.sysdata.includes('taskname')) expect(message.dict.taskname).toBe('swapper/0');
          expect(message.dict.SUBSYSTEM).toBe((records[i]!.dict as { subsystem?: string }).subsystem);
          expect(message.dict.DEVICE).toBe((records[i]!.dict as { device?: string }).device);
        });
        expect(counters.get('incomplete_records')).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('comes out of the collector line by line: basic', () => {
    const line = fc.stringMatching(/^[ -~]{0,300}$/);
    fc.assert(
      fc.property(
        fc.array(fc.array(line, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 8 }),
        (records) => {
          const { machine, payloads, executive } = recordingRig('@10.0.0.1/eth0,@10.0.0.2/');
          payloads.length = 0;
          for (const lines of records) {
            executive.nowNs += 1_000_000;
            machine.printk.info(`${lines.join('\n')}\n`);
          }
          const { streams, messages } = newStreams();
          payloads.forEach((payload, i) => void streams.datagram('10.0.0.1', 6665, 6666, payload, i));
          streams.flush(payloads.length);
          expect(messages.map(({ usec, text }) => `${usec} ${text}`)).toEqual(
            records.flatMap((lines, i) => lines.map((text) => `${(i + 1) * 1000} ${text}`)),
          );
        },
      ),
      { numRuns: 100 },
    );
  });
});
