/**
 * A second, plain reader of what netconsole put on the wire, by which the harness proves itself: pcap file -> UDP
 * payloads -> records. Shares nothing with src/.
 */
import { readFileSync } from 'node:fs';
import { unescaped } from './serial.ts';

const PCAP_HEADER = 24;
const PCAP_RECORD = 16;
const ETHERNET = 14;
const UDP_HEADER = 8;

/** The payloads of all IPv4 UDP frames to `port`, in order, one character a byte. */
export function payloadsTo(file: string, port: number): string[] {
  const bytes = readFileSync(file);
  const payloads: string[] = [];
  for (let at = PCAP_HEADER; at + PCAP_RECORD <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    const frame = bytes.subarray(at + PCAP_RECORD, at + PCAP_RECORD + length);
    at += PCAP_RECORD + length;
    if (frame.length < ETHERNET + 20 || frame.readUInt16BE(12) !== 0x0800 || frame[ETHERNET + 9] !== 17) continue;
    const udp = ETHERNET + ((frame[ETHERNET] ?? 0) & 15) * 4;
    if (frame.readUInt16BE(udp + 2) !== port) continue;
    payloads.push(frame.toString('latin1', udp + UDP_HEADER, udp + frame.readUInt16BE(udp + 4)));
  }
  return payloads;
}

export interface WireRecord {
  readonly pri: number;
  readonly seq: number;
  readonly usec: number;
  readonly flags: string;
  readonly text: string;
  /** Datagrams that it took. */
  readonly pieces: number;
}

/** Records of the extended format; fragments must lie side by side, in order. Throws on anything else. */
export function extendedRecords(payloads: readonly string[]): WireRecord[] {
  const records: WireRecord[] = [];
  let body = '';
  let pieces = 0;
  for (const payload of payloads) {
    const at = payload.indexOf(';');
    const [pri, seq, usec, flags, ...extras] = payload.slice(0, at).split(',');
    const fragment = /^ncfrag=(\d+)\/(\d+)$/.exec(extras.at(-1) ?? '');
    if (at < 0 || flags === undefined) throw new Error(`not an extended record: ${JSON.stringify(payload)}`);
    if (fragment !== null && Number(fragment[1]) !== body.length) throw new Error(`a fragment is missing: ${payload}`);
    body += payload.slice(at + 1);
    pieces++;
    if (fragment !== null && body.length < Number(fragment[2])) continue;
    const text = unescaped(body.slice(0, body.indexOf('\n')));
    records.push({ pri: Number(pri), seq: Number(seq), usec: Number(usec), flags, text, pieces });
    body = '';
    pieces = 0;
  }
  return records;
}
