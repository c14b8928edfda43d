/**
 * From records to datagrams: the sending direction of the netconsole format.
 *
 * 1. `formatExtended` or `formatBasic` writes one whole message into a buffer of the caller and returns its length.
 * 2. `forEachExtendedDatagram` or `forEachBasicDatagram` cuts it and hands each datagram to `emit`.
 *
 *       H = [release,]prio,seq,usec,flag[,caller=..]      D = text\n[ KEY=value\n]* userdata
 *       whole    H ; D                                    when that fits into 1,000 bytes
 *       cut      H ,ncfrag=0/|D| ; D[0..a)      H ,ncfrag=a/|D| ; D[a..b)      ...   each filled up to 1,000 bytes
 *
 * The bytes passed to `emit` are valid only during the call. No function here allocates for a datagram: callers keep
 * the message buffer (MESSAGE_MAX) and the scratch datagram (DATAGRAM_MAX). Answers extended_msg: send_ext_msg_udp,
 * send_msg_fragmented, info_print_ext_header, msg_print_ext_body, record_print_text of the kernel.
 */

import type { KmsgRecord } from './netconsole_record.ts';
import { DATAGRAM_MAX } from './netconsole_record.ts';
import { mustEscape } from './netconsole_text.ts';

/** A message buffer of this size holds every record: 1,024 bytes of text escaped fourfold, header and dictionary. */
export const MESSAGE_MAX = 8192;
/** Kernels since 6.4 have a buffer of this size for either format, and cut longer messages. */
export const PRINTK_MESSAGE_MAX = 2048;
/** Kernels before had one of this size for the basic format, and MESSAGE_MAX for the extended one. */
export const CONSOLE_LOG_MAX = 1024;

/** Takes one datagram: `bytes[offset, offset + length)`, valid during the call only. */
export type EmitDatagram = (bytes: Uint8Array, offset: number, length: number) => void;

/** What a target adds to each extended message. Both are raw bytes, kept by the target. */
export interface ExtendedTarget {
  /** `uname -r` without the comma; absent or empty: not prepended. */
  readonly release?: Uint8Array | undefined;
  /** ` key=value\n` lines (userdata and sysdata), unescaped. */
  readonly userdata?: Uint8Array | undefined;
  /** How much of `userdata` counts; all of it if absent. */
  readonly userdataLen?: number | undefined;
}

/** What the basic format shows in front of each line (printk.time, console_msg_format=syslog). */
export interface BasicFormat {
  readonly time: boolean;
  readonly priority: boolean;
}

const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const HEX = '0123456789abcdef';
/** mustEscape of every byte. */
const ESCAPED = Uint8Array.from({ length: 256 }, (_, byte) => Number(mustEscape(byte)));

/**
 * Writes `prio,seq,usec,flag[,caller=..];text\n[ SUBSYSTEM=..\n][ DEVICE=..\n]` and returns its length. What does not fit is
 * lost as it is in the kernel: an escape is cut one byte before the end, and the last byte goes to whatever needs no escape,
 * mostly the newline. `out` has MESSAGE_MAX bytes (or PRINTK_MESSAGE_MAX, to cut where kernels cut), at least 256.
 */
export function formatExtended(record: KmsgRecord, out: Uint8Array): number {
  let n = putDecimal(out, 0, record.facility * 8 + record.level);
  out[n++] = COMMA;
  n = putSequence(out, n, record.seq);
  out[n++] = COMMA;
  n = putDecimal(out, n, Math.floor(record.tsUs));
  out[n++] = COMMA;
  out[n++] = record.cont ? 0x63 : 0x2d;
  if (record.caller !== undefined) {
    n = putAscii(out, n, ',caller=', out.length);
    n = putAscii(out, n, record.caller, Math.min(out.length, n + 16));
  }
  out[n++] = SEMICOLON;
  const { text } = record;
  let plain = 0;
  while (plain < text.length && ESCAPED[text[plain]!] === 0) plain++;
  if (plain === text.length && n + plain <= out.length) {
    out.set(text, n);
    n += plain;
  } else {
    for (let i = 0; i < text.length && n < out.length; i++) n = putEscaped(out, n, text[i]!);
  }
  n = putByte(out, n, NEWLINE);
  n = putDict(out, n, 'SUBSYSTEM=', record.dict?.subsystem);
  return putDict(out, n, 'DEVICE=', record.dict?.device);
}

/** One dictionary line, or nothing where it is absent. */
function putDict(out: Uint8Array, n: number, key: string, value: string | undefined): number {
  if (value === undefined || value === '') return n;
  n = putByte(out, n, SPACE);
  n = putAscii(out, n, key, out.length);
  for (let i = 0; i < value.length && n < out.length; i++) n = putEscaped(out, n, value.charCodeAt(i) & 0xff);
  return putByte(out, n, NEWLINE);
}

/** One byte of text, as `\xNN` where it must be; of that, what fits in front of the last byte of `out`. */
function putEscaped(out: Uint8Array, n: number, byte: number): number {
  if (!mustEscape(byte)) return putByte(out, n, byte);
  const limit = out.length - 1;
  if (n < limit) out[n++] = 0x5c;
  if (n < limit) out[n++] = 0x78;
  if (n < limit) out[n++] = HEX.charCodeAt(byte >> 4);
  if (n < limit) out[n++] = HEX.charCodeAt(byte & 15);
  return n;
}

function putByte(out: Uint8Array, n: number, byte: number): number {
  if (n < out.length) out[n++] = byte;
  return n;
}

/**
 * Writes the console form of a record, a prefix for each of its lines: `[<prio>][[%5lu.%06lu]][[%6s]] line\n`, and returns
 * the length. Where `out` is too small, lines are left out whole: the first that does not fit, and the rest. A last line that
 * would have to be cut is left out as well. `out` has at least 256 bytes.
 */
export function formatBasic(record: KmsgRecord, out: Uint8Array, format: BasicFormat): number {
  const { text } = record;
  // The kernel wants room for a newline and a terminator behind what it writes.
  const limit = out.length - 2;
  let end = Math.min(text.length, out.length);
  const prefixLen = putPrefix(out, 0, record, format);
  if (prefixLen + text.length <= limit && text.indexOf(NEWLINE) < 0) {
    out.set(text, prefixLen);
    return putByte(out, prefixLen + text.length, NEWLINE);
  }
  let cut = false;
  let n = 0;
  let line = 0;
  // As long as all the rest would fit, lines are copied while their end is looked for.
  while (n + prefixLen + end - line <= limit) {
    if (n > 0) for (let i = 0; i < prefixLen; i++) out[n + i] = out[i]!;
    n += prefixLen;
    let more = false;
    while (line < end && !more) {
      const byte = text[line++]!;
      if (byte === NEWLINE) more = true;
      else out[n++] = byte;
    }
    out[n++] = NEWLINE;
    if (!more) return n;
  }
  for (;;) {
    let lineEnd = line;
    while (lineEnd < end && text[lineEnd] !== NEWLINE) lineEnd++;
    if (cut && lineEnd === end) return n;
    const start = n + prefixLen;
    if (start + end - line > limit) {
      if (start + lineEnd - line > limit) return n;
      end = line + limit - start;
      cut = true;
    }
    n = putPrefix(out, n, record, format);
    for (let i = line; i < lineEnd; i++) out[n++] = text[i]!;
    out[n++] = NEWLINE;
    if (lineEnd === end) return n;
    line = lineEnd + 1;
  }
}

function putPrefix(out: Uint8Array, n: number, record: KmsgRecord, format: BasicFormat): number {
  if (format.priority) {
    out[n++] = 0x3c;
    n = putDecimal(out, n, record.facility * 8 + record.level);
    out[n++] = 0x3e;
  }
  if (format.time) n = putTime(out, n, record.tsUs);
  if (record.caller !== undefined) {
    out[n++] = 0x5b;
    for (let pad = record.caller.length; pad < 6; pad++) out[n++] = SPACE;
    n = putAscii(out, n, record.caller, n + 16);
    out[n++] = 0x5d;
  }
  if (format.time || record.caller !== undefined) out[n++] = SPACE;
  return n;
}

/** `[%5lu.%06lu]` */
function putTime(out: Uint8Array, n: number, tsUs: number): number {
  const secs = Math.floor(tsUs / 1e6);
  const micros = Math.floor(tsUs) - secs * 1e6;
  out[n++] = 0x5b;
  for (let pad = 10000; pad > 1 && secs < pad; pad /= 10) out[n++] = SPACE;
  n = putDecimal(out, n, secs);
  out[n++] = 0x2e;
  putDigits(out, n, micros, 6);
  n += 6;
  out[n++] = 0x5d;
  return n;
}

/** Cuts console text into slices of 1,000 bytes: no header, no mark. `emit` sees the message buffer itself. */
export function forEachBasicDatagram(message: Uint8Array, length: number, emit: EmitDatagram): void {
  for (let offset = 0; offset < length; offset += DATAGRAM_MAX) {
    emit(message, offset, Math.min(DATAGRAM_MAX, length - offset));
  }
}

/**
 * Sends `message[0, length)`, made by formatExtended, to one target: as one datagram where release, message and
 * userdata fit into 1,000 bytes, else as `ncfrag` fragments (always two or more). `scratch` has DATAGRAM_MAX bytes.
 * Returns the number of datagrams; 0 only for a header so long that no data fits behind it.
 */
export function forEachExtendedDatagram(
  message: Uint8Array,
  length: number,
  target: ExtendedTarget,
  scratch: Uint8Array,
  emit: EmitDatagram,
): number {
  const release = target.release;
  const userdata = target.userdata;
  const releaseLen = release === undefined || release.length === 0 ? 0 : release.length + 1;
  const userdataLen = userdata === undefined ? 0 : (target.userdataLen ?? userdata.length);
  if (releaseLen + length + userdataLen <= DATAGRAM_MAX) {
    if (releaseLen === 0 && userdataLen === 0) {
      emit(message, 0, length);
      return 1;
    }
    let n = putRelease(scratch, release);
    n = putBytes(scratch, n, message, 0, length);
    if (userdata !== undefined) n = putBytes(scratch, n, userdata, 0, userdataLen);
    emit(scratch, 0, n);
    return 1;
  }

  let headerEnd = 0;
  while (headerEnd < length && message[headerEnd] !== SEMICOLON) headerEnd++;
  const bodyLen = length - headerEnd - 1;
  const total = bodyLen + userdataLen;
  // The header and ",ncfrag=o/t;" must leave room; 32 bytes hold the longest such field.
  if (releaseLen + headerEnd + 32 >= DATAGRAM_MAX) return 0;
  let sent = 0;
  for (let offset = 0; offset < total; sent++) {
    let n = putRelease(scratch, release);
    n = putBytes(scratch, n, message, 0, headerEnd);
    n = putAscii(scratch, n, ',ncfrag=', DATAGRAM_MAX);
    n = putDecimal(scratch, n, offset);
    scratch[n++] = 0x2f;
    n = putDecimal(scratch, n, total);
    scratch[n++] = SEMICOLON;
    const take = Math.min(DATAGRAM_MAX - n, total - offset);
    const ofBody = Math.max(0, Math.min(take, bodyLen - offset));
    n = putBytes(scratch, n, message, headerEnd + 1 + offset, ofBody);
    if (userdata !== undefined && take > ofBody) {
      n = putBytes(scratch, n, userdata, offset + ofBody - bodyLen, take - ofBody);
    }
    emit(scratch, 0, n);
    offset += take;
  }
  return sent;
}

function putRelease(out: Uint8Array, release: Uint8Array | undefined): number {
  if (release === undefined || release.length === 0) return 0;
  const n = putBytes(out, 0, release, 0, release.length);
  out[n] = COMMA;
  return n + 1;
}

function putBytes(out: Uint8Array, n: number, from: Uint8Array, start: number, length: number): number {
  for (let i = 0; i < length; i++) out[n + i] = from[start + i]!;
  return n + length;
}

function putAscii(out: Uint8Array, n: number, text: string, limit: number): number {
  for (let i = 0; i < text.length && n < limit; i++) out[n++] = text.charCodeAt(i);
  return n;
}

/** The last `digits` digits of an integer below 2^31. */
function putDigits(out: Uint8Array, n: number, value: number, digits: number): void {
  let rest = value | 0;
  for (let at = n + digits - 1; at >= n; at--) {
    const tens = (rest / 10) | 0;
    out[at] = 0x30 + rest - tens * 10;
    rest = tens;
  }
}

/** A non-negative integer up to 2^53 in decimal. */
function putDecimal(out: Uint8Array, n: number, value: number): number {
  let digits = 1;
  if (value < 2 ** 31) {
    for (let rest = value | 0; rest >= 10; rest = (rest / 10) | 0) digits++;
    putDigits(out, n, value, digits);
    return n + digits;
  }
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  for (let at = n + digits - 1; at >= n; at--) {
    const rest = Math.floor(value / 10);
    out[at] = 0x30 + (value - rest * 10);
    value = rest;
  }
  return n + digits;
}

function putSequence(out: Uint8Array, n: number, seq: bigint | number): number {
  return typeof seq === 'number' ? putDecimal(out, n, seq) : putAscii(out, n, seq.toString(), out.length);
}
