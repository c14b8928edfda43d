/**
 * What a receiver must have got from a guest: one list of records, told by the guest itself.
 *
 *   /dev/kmsg   |--- level, seq, time, text, dictionary ---|            (its reader dies with the machine)
 *   console     |--- time, text -------------------------------------|  (to the very last line)
 *   expected    |--- from /dev/kmsg -----------------------|-- tail -|
 *
 * 1. Every record of /dev/kmsg is found on the console, line by line, in order; the guest shows all levels.
 * 2. The console's lines after them are the tail: one record each, numbered on from the last known one, with the level
 *    that the console shows where it was told to show any.
 */
import { type ConsoleLine, consoleLines, type KmsgRecord, kmsgRecords, type SerialLog } from './serial.ts';

/** The kernel cuts a record for a console at this many bytes, prefixes included; /dev/kmsg has it whole. */
const CONSOLE_RECORD_MAX = 1024;
const STARTED = 'netconsole: network logging started';

export interface ExpectedRecord {
  readonly seq: number;
  readonly usec: number;
  readonly text: string;
  /** facility << 3 | level; undefined for the tail of a console that shows no levels. */
  readonly pri: number | undefined;
  /** Flags and dictionary are known from /dev/kmsg only. */
  readonly flags: string | undefined;
  readonly dict: Readonly<Record<string, string>> | undefined;
  /** The lines which the console showed of it: fewer than the text has where the kernel cut it. */
  readonly shown: readonly ConsoleLine[];
}

export interface LastWords {
  /** From the first record of the machine's life. */
  readonly all: readonly ExpectedRecord[];
  /** From `network logging started` on. */
  readonly sinceStart: readonly ExpectedRecord[];
  /** What only the console could still tell. */
  readonly tail: readonly ExpectedRecord[];
}

/** Join both accounts; throws with the place where they contradict each other. */
export function lastWords(consoleLog: SerialLog, kmsgLog: SerialLog): LastWords {
  const lines = consoleLines(consoleLog);
  const all: ExpectedRecord[] = [];
  let next = 0;
  for (const record of kmsgRecords(kmsgLog)) {
    const shown = shownOf(record, lines, next);
    next += shown.length;
    all.push({ ...record, shown });
  }
  const known = all.length;
  let seq = (all.at(-1)?.seq ?? -1) + 1;
  for (const line of lines.slice(next)) {
    const { usec, text, pri } = line;
    all.push({ seq: seq++, usec, text, pri, flags: undefined, dict: undefined, shown: [line] });
  }
  const start = all.findIndex((record) => record.text === STARTED);
  if (start < 0) throw new Error(`the guest never said "${STARTED}"`);
  return { all, sinceStart: all.slice(start), tail: all.slice(known) };
}

function shownOf(record: KmsgRecord, lines: readonly ConsoleLine[], from: number): ConsoleLine[] {
  const shown: ConsoleLine[] = [];
  let room = CONSOLE_RECORD_MAX;
  for (const text of record.text.split('\n')) {
    const line = lines[from + shown.length];
    const prefix = `${line?.pri === undefined ? '' : `<${line.pri}>`}[${secondsOf(record.usec)}] `.length;
    room -= prefix + text.length + 1;
    const whole = line?.text === text;
    // What no longer fits is cut in mid-line or left out, depending on the release.
    const cut = room < 0 && (line === undefined || line.usec !== record.usec || text.startsWith(line.text));
    if (line !== undefined && line.usec === record.usec && (whole || cut)) shown.push(line);
    else if (cut) break;
    else throw contradiction(record, text, lines.slice(Math.max(0, from - 2), from + shown.length + 3));
    if (line.pri !== undefined && line.pri !== record.pri) throw contradiction(record, `pri ${record.pri}`, [line]);
  }
  return shown;
}

/** Seconds and microseconds as printk writes them, for lengths and for comparison. */
export function secondsOf(usec: number): string {
  return `${String(Math.floor(usec / 1e6)).padStart(5)}.${String(usec % 1e6).padStart(6, '0')}`;
}

function contradiction(record: KmsgRecord, wanted: string, near: readonly ConsoleLine[]): Error {
  const seen = near.map((line) => `  [${secondsOf(line.usec)}] ${JSON.stringify(line.text)}`).join('\n');
  return new Error(
    `seq ${record.seq}, [${secondsOf(record.usec)}] ${JSON.stringify(wanted)} is not on the console:\n${seen}`,
  );
}
