/**
 * From datagrams to records: the receiving direction of the netconsole format.
 *
 * 1. `parseExtendedHeader` decides: a valid header (then the datagram is extended), or null (then it is basic or noise).
 * 2. The caller joins fragments (the collector's streams do), so that the bytes behind the header are whole.
 * 3. `parseExtendedBody` splits them into text and dictionary.
 * 4. Basic datagrams are cut into lines by the caller and read one by one with `parseBasicLine`.
 *
 * Nothing here throws, whatever the bytes are, and no byte is lost: what is not understood stays in the text.
 */

import type { BasicLine, DictEntry, ExtendedBody, ExtendedHeader, Fragment } from './netconsole_record.ts';
import { FRAGMENT_TOTAL_MAX, HEADER_MAX, RELEASE_SCAN } from './netconsole_record.ts';
import { decodeText, unescapeBytes } from './netconsole_text.ts';

const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const DOT = 0x2e;
const EQUALS = 0x3d;

const U64_MAX = '18446744073709551615';
const PRIO_MAX = 0x7fffffff;
const DIGITS = /^[0-9]+$/;
const FLAG = /^[!-~]$/;
const FRAGMENT = /^([0-9]{1,7})\/([0-9]{1,7})$/;

/**
 * Reads the header of an extended datagram `bytes[0, length)`; null where it is not one. A `.` before the first `,`
 * within 64 bytes means that a kernel release stands in front. Unknown fields are kept in `extras`.
 * Documents: Documentation/ABI/testing/dev-kmsg, Documentation/networking/netconsole.rst.
 */
export function parseExtendedHeader(bytes: Uint8Array, length = bytes.length): ExtendedHeader | null {
  const limit = Math.min(length, HEADER_MAX);
  // A cheap look at the first byte refuses most basic lines: `[`, `<`, space.
  const first = bytes[0];
  if (first === undefined || first <= SPACE || first === 0x5b || first === 0x3c) return null;
  let end = 0;
  while (end < limit && bytes[end] !== SEMICOLON && bytes[end] !== NEWLINE) end++;
  if (end >= limit || bytes[end] !== SEMICOLON) return null;

  const fields = decodeText(bytes, 0, end).split(',');
  const release = hasRelease(bytes, end) ? (fields.shift() ?? null) : null;
  const [prioText, seqText, usecText, flag] = fields;
  if (prioText === undefined || seqText === undefined || usecText === undefined || flag === undefined) return null;
  const prio = DIGITS.test(prioText) && prioText.length <= 10 ? Number(prioText) : PRIO_MAX + 1;
  const seq = exactU64(seqText);
  const usec = exactU64(usecText);
  if (prio > PRIO_MAX || seq === null || usec === null) return null;
  // Kernels write `-`, `c` and, long ago, `+`; one unknown letter is no reason to refuse the record.
  if (!FLAG.test(flag)) return null;

  const extras: DictEntry[] = [];
  let fragment: Fragment | null = null;
  for (let i = 4; i < fields.length; i++) {
    const entry = splitEntry(fields[i]!);
    if (entry.key !== 'ncfrag') {
      extras.push(entry);
      continue;
    }
    const read = readFragment(entry.value, length - end - 1);
    // A second or an impossible place in the whole: the header cannot be believed.
    if (read === null || fragment !== null) return null;
    fragment = read;
  }
  return { release, level: prio & 7, facility: prio >>> 3, seq, usec, flag, extras, fragment, bodyStart: end + 1 };
}

function hasRelease(bytes: Uint8Array, end: number): boolean {
  for (let i = 0; i < end && i < RELEASE_SCAN; i++) {
    if (bytes[i] === DOT) return true;
    if (bytes[i] === COMMA) return false;
  }
  return false;
}

/** Decimal digits without leading zeros, if they are a u64; else null. */
export function exactU64(text: string): string | null {
  if (!DIGITS.test(text)) return null;
  let zeros = 0;
  while (zeros < text.length - 1 && text.charCodeAt(zeros) === 0x30) zeros++;
  const digits = zeros === 0 ? text : text.slice(zeros);
  if (digits.length > U64_MAX.length || (digits.length === U64_MAX.length && digits > U64_MAX)) return null;
  return digits;
}

function splitEntry(field: string): DictEntry {
  const equals = field.indexOf('=');
  return equals < 0 ? { key: field, value: '' } : { key: field.slice(0, equals), value: field.slice(equals + 1) };
}

/** `offset/total` of a fragment that carries `available` bytes; null where it cannot be (netconsd's rules). */
function readFragment(value: string, available: number): Fragment | null {
  const match = FRAGMENT.exec(value);
  if (match === null) return null;
  const offset = Number(match[1]);
  const total = Number(match[2]);
  if (total > FRAGMENT_TOTAL_MAX || offset >= total || available <= 0 || offset + available > total) return null;
  return { offset, total };
}

/**
 * Splits `bytes[start, end)`, everything behind the `;`, into text (up to the first newline) and dictionary. Text and
 * the kernel's own keys (SUBSYSTEM, DEVICE) are unescaped; userdata is verbatim, so a line that is no ` KEY=value`
 * continues the value before it. A missing last newline (a cut datagram, a sender's NUL in its place) is told, no loss.
 */
export function parseExtendedBody(bytes: Uint8Array, start: number, end: number): ExtendedBody {
  // Senders of 6.6 to 6.19 with a release put NUL over the last newline when the datagram is exactly full.
  const nulTail = end > start && bytes[end - 1] === 0;
  const terminated = end > start && bytes[end - 1] === NEWLINE;
  const stop = terminated || nulTail ? end - 1 : end;
  let textEnd = start;
  while (textEnd < stop && bytes[textEnd] !== NEWLINE) textEnd++;
  const raw = unescapeBytes(bytes, start, textEnd);
  const dict: DictEntry[] = [];
  for (let line = textEnd + 1; line <= stop && textEnd < stop; ) {
    let lineEnd = line;
    while (lineEnd < stop && bytes[lineEnd] !== NEWLINE) lineEnd++;
    readDictLine(bytes, line, lineEnd, dict);
    line = lineEnd + 1;
  }
  return { text: decodeText(raw), dict, terminated };
}

function readDictLine(bytes: Uint8Array, start: number, end: number, dict: DictEntry[]): void {
  let equals = start;
  while (equals < end && bytes[equals] !== EQUALS) equals++;
  const isEntry = bytes[start] === SPACE && start < end && equals < end;
  if (isEntry) {
    const key = decodeText(bytes, start + 1, equals);
    const kernelKey = key === 'SUBSYSTEM' || key === 'DEVICE';
    const value = kernelKey ? decodeText(unescapeBytes(bytes, equals + 1, end)) : decodeText(bytes, equals + 1, end);
    dict.push({ key, value });
    return;
  }
  const line = decodeText(bytes, start, end);
  const last = dict.pop();
  dict.push(last === undefined ? { key: '', value: line } : { key: last.key, value: `${last.value}\n${line}` });
}

const BASIC = /^(?:<([0-9]{1,10})>)?(?:\[ {0,11}([0-9]{1,12})\.([0-9]{6})\])?(?:\[ {0,5}([TC][0-9]{1,10})\])?( ?)/;
const CONSOLE_NOTE = /^\*\* (?:[0-9]+ printk messages dropped|replaying previous printk message) \*\*$/;

/**
 * Reads one line of the basic format (without its newline): optional `<prio>`, `[ secs.usecs]`, `[caller]`, one space,
 * text. A line without any of them keeps all its text and is not `recognised`. The kernel's own notes about dropped
 * messages carry no prefix and are recognised. Answers record_print_text() and console_msg_format.
 */
export function parseBasicLine(line: string): BasicLine {
  const match = BASIC.exec(line);
  const [whole = '', prioText, secs, micros, caller, space = ''] = match ?? [];
  const prio = prioText === undefined ? null : Number(prioText);
  const usec = secs === undefined || micros === undefined ? null : exactU64(secs + micros);
  const prefixed = prio !== null || usec !== null || caller !== undefined;
  if (!prefixed || (prio !== null && prio > PRIO_MAX)) {
    const recognised = CONSOLE_NOTE.test(line);
    return { level: null, facility: null, usec: null, caller: null, text: line, recognised };
  }
  // The one space belongs to time and caller; behind a bare `<prio>` it is the text's own.
  const taken = usec === null && caller === undefined ? whole.length - space.length : whole.length;
  return {
    level: prio === null ? null : prio & 7,
    facility: prio === null ? null : prio >>> 3,
    usec,
    caller: caller ?? null,
    text: line.slice(taken),
    recognised: true,
  };
}

/** Does a basic line begin here? Tells a new line from the rest of one that was cut at 1,000 bytes. */
export function startsBasicLine(bytes: Uint8Array, start: number, end: number): boolean {
  const line = parseBasicLine(decodeText(bytes, start, Math.min(end, start + 64)));
  return line.recognised && line.usec !== null;
}
