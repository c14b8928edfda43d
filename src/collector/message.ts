/**
 * One message as the collector gives it to everyone: the page, `--jsonl`, the store.
 *
 * The fields and their order are the format of `--jsonl`. 64-bit values are decimal strings (exact in every reader of
 * JSON); what is not known is null. `text` may hold lone surrogates U+DC80..U+DCFF, one for each byte that was no UTF-8.
 */

import type { BasicLine, DictEntry, ExtendedBody, ExtendedHeader } from '../wire/netconsole_record.ts';

export interface Message {
  /** Source IP address: the identity of a sender. */
  readonly host: string;
  /** When its first datagram arrived: ISO 8601, UTC, microseconds. */
  readonly received: string;
  /** printk sequence number; extended format only. */
  readonly seq: string | null;
  readonly level: number | null;
  readonly facility: number | null;
  /** Microseconds since the sender booted. */
  readonly usec: string | null;
  /** A fragment of a continuation line; null where the format does not say. */
  readonly cont: boolean | null;
  /** Kernel release, where the sender prepends it. */
  readonly release: string | null;
  readonly text: string;
  /** SUBSYSTEM, DEVICE, userdata, sysdata, and the header's own extras (`caller`). */
  readonly dict: Readonly<Record<string, string>>;
  readonly format: 'extended' | 'basic' | 'unparsed';
}

/** ISO 8601 with microseconds of `us` microseconds since 1970. Years outside 0..9999 give the epoch: never a throw. */
export function isoMicros(us: number): string {
  const whole = Number.isFinite(us) ? Math.floor(us) : 0;
  // Exact for every number, unlike a product.
  const micros = ((whole % 1000) + 1000) % 1000;
  const ms = Math.floor((whole - micros) / 1000);
  const inRange = ms > -62167219200000 && ms < 253402300800000;
  const text = new Date(inRange ? ms : 0).toISOString();
  return `${text.slice(0, -1)}${String(inRange ? micros : 0).padStart(3, '0')}Z`;
}

/** The message of a whole extended record. */
export function extendedMessage(host: string, receivedUs: number, head: ExtendedHeader, body: ExtendedBody): Message {
  return {
    host,
    received: isoMicros(receivedUs),
    seq: head.seq,
    level: head.level,
    facility: head.facility,
    usec: head.usec,
    cont: head.flag === 'c' || head.flag === '+',
    release: head.release,
    text: body.text,
    dict: dictObject(head.extras, body.dict),
    format: 'extended',
  };
}

/** The message of one line: basic, or unparsed where nothing of the basic format was in it. */
export function lineMessage(host: string, receivedUs: number, line: BasicLine): Message {
  return {
    host,
    received: isoMicros(receivedUs),
    seq: null,
    level: line.level,
    facility: line.facility,
    usec: line.usec,
    cont: null,
    release: null,
    text: line.text,
    dict: line.caller === null ? {} : { caller: line.caller },
    format: line.recognised ? 'basic' : 'unparsed',
  };
}

/**
 * Entries as an object. A key that comes twice (user's `cpu`, then the kernel's) keeps the last value under its name,
 * because that one is the kernel's own; earlier values move to `key~1`, `key~2`.
 */
function dictObject(...lists: readonly (readonly DictEntry[])[]): Record<string, string> {
  const entries = new Map<string, string>();
  for (const list of lists) {
    for (const { key, value } of list) {
      const before = entries.get(key);
      if (before !== undefined) {
        let n = 1;
        while (entries.has(`${key}~${n}`)) n++;
        entries.set(`${key}~${n}`, before);
      }
      entries.set(key, value);
    }
  }
  // fromEntries defines own properties, so a key named __proto__ is data too.
  return Object.fromEntries(entries);
}
