/**
 * What becomes of a frame that the filter takes: a line with its time, a JSON object, or a packet of a capture file.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { SetupError } from '../base/status.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { PCAP_RECORD_LEN } from '../wire/pcap_format.ts';
import { writePcapHeader, writePcapRecord } from '../wire/pcap_writer.ts';
import { FramePrinter, type PrintOptions } from '../wire/print.ts';
import { printCharacters, printHex } from '../wire/print_hex.ts';

export interface DumpFrame {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
  readonly wireLength: number;
  readonly tsUs: number;
}

export interface DumpLook extends PrintOptions {
  /** Times -t was given. */
  readonly time: number;
  readonly show: 'nothing' | 'hex' | 'both' | 'characters';
  readonly json: boolean;
}

export interface DumpOutput {
  put(frame: DumpFrame): void;
  close(): void;
}

const FLUSH_BYTES = 1 << 16;

/** Lines or JSON objects on stdout. */
export function textOutput(look: DumpLook): DumpOutput {
  const printer = new FramePrinter(look);
  let previousUs: number | null = null;
  return {
    put(frame) {
      const { view, bytes, start, length, wireLength, tsUs } = frame;
      const text = printer.print(view, start, length, wireLength);
      if (look.json) {
        const hex = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('hex');
        process.stdout.write(
          `${JSON.stringify({ time: tsUs / 1e6, length: wireLength, captured: length, text, hex })}\n`,
        );
        return;
      }
      const time = timeText(look.time, tsUs, previousUs ?? tsUs);
      previousUs = tsUs;
      process.stdout.write(`${time}${text}${body(look, frame)}\n`);
    },
    close() {},
  };
}

/** A capture file; `-` is stdout. Throws SetupError. */
export function fileOutput(path: string, snapLen: number): DumpOutput {
  let fd: number;
  try {
    fd = path === '-' ? 1 : openSync(path, 'w');
  } catch (cause) {
    throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
  const buffer = new Uint8Array(FLUSH_BYTES + PCAP_RECORD_LEN + snapLen);
  const view = new DataView(buffer.buffer);
  let at = writePcapHeader(view, 0, { snapLen });
  const flush = (): void => {
    for (let from = 0; from < at; ) from += writeSync(fd, buffer, from, at - from);
    at = 0;
  };
  return {
    put({ bytes, start, length, wireLength, tsUs }) {
      at = writePcapRecord(view, at, tsUs, length, wireLength);
      buffer.set(bytes.subarray(start, start + length), at);
      at += length;
      if (at >= FLUSH_BYTES) flush();
    },
    close() {
      flush();
      if (fd !== 1) closeSync(fd);
    },
  };
}

function body(look: DumpLook, { bytes, start, length }: DumpFrame): string {
  const from = Math.min(start + ETH_HLEN, start + length);
  if (look.show === 'nothing') return '';
  if (look.show === 'characters') return printCharacters(bytes, from, start + length);
  return printHex(bytes, from, start + length, look.show === 'both');
}

/** In local time, as tcpdump has it; nothing for one t, seconds since 1970 for two, since the last frame for three, with the date for four. */
function timeText(times: number, tsUs: number, previousUs: number): string {
  const micros = (us: number) => String(Math.floor(us % 1e6)).padStart(6, '0');
  if (times === 1) return '';
  if (times === 2) return `${Math.floor(tsUs / 1e6)}.${micros(tsUs)} `;
  if (times === 3) {
    const passed = Math.max(0, tsUs - previousUs);
    return ` ${clock(new Date(Math.floor(passed / 1000)), true)}.${micros(passed)} `;
  }
  const date = new Date(Math.floor(tsUs / 1000));
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} `;
  return `${times >= 4 ? day : ''}${clock(date, false)}.${micros(tsUs)} `;
}

function clock(date: Date, utc: boolean): string {
  const parts = utc
    ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    : [date.getHours(), date.getMinutes(), date.getSeconds()];
  return parts.map(two).join(':');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
