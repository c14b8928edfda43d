/**
 * Printer of TCP. Sequence numbers are shown from the start of the conversation on, once one has been seen with ACK:
 * `TcpConversations` remembers where each direction began.
 */
import { fold, sum32 } from './checksum.ts';
import { bitNames, hex, type Sheet } from './print_sheet.ts';
import {
  TCP_CHECK_OFFSET,
  TCP_FLAG_ACK,
  TCP_FLAG_FIN,
  TCP_FLAG_RST,
  TCP_FLAG_SYN,
  TCP_FLAG_URG,
  TCP_HLEN,
  tcpAckSeq,
  tcpDestPort,
  tcpFlags,
  tcpHeaderLen,
  tcpSeq,
  tcpSourcePort,
} from './tcp.ts';

/** Conversations remembered; when there are more, all are forgotten. */
const CONVERSATIONS_MAX = 65536;
/** Ports whose payload is announced by name. */
const HTTP_PORTS: readonly number[] = [80, 8080, 3128];
const FLAGS: readonly (readonly [number, string])[] = [
  [0x01, 'F'],
  [0x02, 'S'],
  [0x04, 'R'],
  [0x08, 'P'],
  [0x10, '.'],
  [0x20, 'U'],
  [0x40, 'E'],
  [0x80, 'W'],
];

/** Where the numbers of both directions begin: `low` is that of the end whose name sorts first. */
interface Origin {
  low: number;
  high: number;
}

export class TcpConversations {
  readonly #origins = new Map<string, Origin>();

  /** Remembers a segment with ACK from `from` to `to`. Null: it is the conversation's first, or opens it anew. */
  origin(from: string, to: string, seq: number, ack: number, opens: boolean): { own: number; other: number } | null {
    const forward = from <= to;
    const key = forward ? `${from} ${to}` : `${to} ${from}`;
    const known = this.#origins.get(key);
    if (known !== undefined && !opens) {
      return forward ? { own: known.low, other: known.high } : { own: known.high, other: known.low };
    }
    if (this.#origins.size >= CONVERSATIONS_MAX) this.#origins.clear();
    const other = (ack - 1) >>> 0;
    this.#origins.set(key, forward ? { low: seq, high: other } : { low: other, high: seq });
    return null;
  }
}

/** What the IP header says to the printer above it. */
export interface Upper {
  readonly source: string;
  readonly dest: string;
  /** Addresses stand in front of ports; false behind an extension header. */
  readonly addressed: boolean;
  readonly fragmented: boolean;
  /** Sum of the pseudo-header for `len` bytes. */
  readonly pseudo: (len: number) => number;
}

/** `a.port > b.port: `; false: the ports are not there. */
export function putEnds(sheet: Sheet, upper: Upper, o: number, name: string): boolean {
  if (!sheet.has(o, 4)) {
    sheet.put(`${upper.source} > ${upper.dest}:  [|${name}]`);
    return false;
  }
  const from = sheet.view.getUint16(o);
  const to = sheet.view.getUint16(o + 2);
  sheet.put(upper.addressed ? `${upper.source}.${from} > ${upper.dest}.${to}: ` : `${from} > ${to}: `);
  return true;
}

export function printTcp(sheet: Sheet, o: number, len: number, upper: Upper, numbers: TcpConversations): void {
  const { view } = sheet;
  if (!putEnds(sheet, upper, o, 'tcp') || !sheet.needs(o, TCP_HLEN, 'tcp')) return;
  const headerLen = tcpHeaderLen(view, o);
  if (headerLen < TCP_HLEN) {
    sheet.put(` tcp ${len - headerLen} [bad hdr length ${headerLen} - too short, < ${TCP_HLEN}]`);
    return;
  }
  const dataLen = len - headerLen;
  if (sheet.quiet) {
    sheet.put(`tcp ${dataLen}`);
    if (dataLen < 0) sheet.put(` [bad hdr length ${headerLen} - too long, > ${len}]`);
    return;
  }
  const flags = tcpFlags(view, o);
  let seq = tcpSeq(view, o);
  let ack = tcpAckSeq(view, o);
  let acked = 0;
  if ((flags & TCP_FLAG_ACK) !== 0) {
    const from = `${upper.source}.${tcpSourcePort(view, o)}`;
    const to = `${upper.dest}.${tcpDestPort(view, o)}`;
    const origin = numbers.origin(from, to, seq, ack, (flags & TCP_FLAG_SYN) !== 0);
    if (origin !== null) {
      seq = (seq - origin.own) >>> 0;
      ack = (ack - origin.other) >>> 0;
      acked = origin.other;
    }
  }
  if (dataLen < 0) {
    sheet.put(` [bad hdr length ${headerLen} - too long, > ${len}]`);
    return;
  }
  sheet.put(`Flags [${bitNames(FLAGS, flags).replaceAll(', ', '')}]`);
  if (sheet.verbose > 0 && !upper.fragmented && sheet.has(o, len)) putChecksum(sheet, o, len, upper);
  const moves = (flags & (TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST)) !== 0;
  if (sheet.verbose > 1 || dataLen > 0 || moves) {
    sheet.put(`, seq ${seq}${dataLen > 0 ? `:${(seq + dataLen) >>> 0}` : ''}`);
  }
  if ((flags & TCP_FLAG_ACK) !== 0) sheet.put(`, ack ${ack}`);
  sheet.put(`, win ${view.getUint16(o + 14)}`);
  if ((flags & TCP_FLAG_URG) !== 0) sheet.put(`, urg ${view.getUint16(o + 18)}`);
  if (headerLen > TCP_HLEN && !putOptions(sheet, o + TCP_HLEN, o + headerLen, acked)) return;
  sheet.put(`, length ${dataLen}`);
  if (dataLen === 0) return;
  if ((flags & TCP_FLAG_RST) !== 0 && sheet.verbose > 0) {
    const stop = Math.min(o + len, sheet.end);
    sheet.put(` [RST ${String.fromCharCode(...sheet.bytes.slice(o + headerLen, stop))}]`);
    return;
  }
  if (HTTP_PORTS.includes(tcpSourcePort(view, o)) || HTTP_PORTS.includes(tcpDestPort(view, o))) sheet.put(': HTTP');
}

function putChecksum(sheet: Sheet, o: number, len: number, upper: Upper): void {
  const check = sheet.view.getUint16(o + TCP_CHECK_OFFSET);
  const sum = upper.pseudo(len) + sum32(sheet.view, o, len);
  sheet.put(`, cksum ${hex(check, 4)} `);
  sheet.put(fold(sum) === 0 ? '(correct)' : `(incorrect -> ${hex(fold(sum + (~check & 0xffff)), 4)})`);
}

function putOptions(sheet: Sheet, o: number, end: number, acked: number): boolean {
  const names: string[] = [];
  let cut = false;
  for (let at = o; at < end; ) {
    if (!sheet.has(at, 1)) {
      cut = true;
      break;
    }
    const kind = sheet.view.getUint8(at);
    if (kind <= 1) {
      names.push(kind === 0 ? 'eol' : 'nop');
      if (kind === 0) break;
      at++;
      continue;
    }
    const size = sheet.has(at, 2) ? sheet.view.getUint8(at + 1) : 0;
    if (size < 2 || at + size > end || !sheet.has(at, size)) {
      cut = true;
      break;
    }
    names.push(optionName(sheet, at, kind, size, acked));
    at += size;
  }
  sheet.put(`, options [${names.join(',')}${cut ? '[|tcp]' : ''}]`);
  return !cut || sheet.has(end, 0);
}

function optionName(sheet: Sheet, at: number, kind: number, size: number, acked: number): string {
  const { view } = sheet;
  if (kind === 2 && size === 4) return `mss ${view.getUint16(at + 2)}`;
  if (kind === 3 && size === 3) return `wscale ${view.getUint8(at + 2)}`;
  if (kind === 4 && size === 2) return 'sackOK';
  if (kind === 5 && size > 2 && (size - 2) % 8 === 0) {
    let out = `sack ${(size - 2) / 8} `;
    for (let i = 2; i < size; i += 8) {
      const from = (view.getUint32(at + i) - acked) >>> 0;
      out += `{${from}:${(view.getUint32(at + i + 4) - acked) >>> 0}}`;
    }
    return out;
  }
  if (kind === 8 && size === 10) return `TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`;
  if ((kind === 253 || kind === 254) && size >= 4)
    return `exp-${view
      .getUint16(at + 2)
      .toString(16)
      .padStart(4, '0')}`;
  return `unknown-${kind}`;
}
