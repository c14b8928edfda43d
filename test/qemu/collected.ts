/**
 * `netpoll collect --jsonl` as a test runs it, and what it must have printed: the oracle's records in the words of the
 * collector's output.
 *
 * Bytes that are no UTF-8 come out as lone surrogates, U+DC80 to U+DCFF, one each.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Child } from '../netns/child.ts';
import type { Namespace } from '../netns/rig.ts';
import { WIRE } from './guest.ts';
import type { ExpectedRecord } from './oracle.ts';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'netpoll.js');
const READY_MS = 20_000;
const LAST_WORD_MS = 5_000;

/** A line of --jsonl, without the time of its arrival. */
export interface Collected {
  readonly host: string;
  readonly seq: string | null;
  readonly level: number | null;
  readonly facility: number | null;
  readonly usec: string | null;
  readonly cont: boolean | null;
  readonly release: string | null;
  readonly text: string;
  readonly dict: Readonly<Record<string, string>>;
  readonly format: 'extended' | 'basic' | 'unparsed';
}

export class Collector {
  readonly scheme: 'udp' | 'packet';
  readonly #child: Child;

  private constructor(scheme: 'udp' | 'packet', child: Child) {
    this.scheme = scheme;
    this.#child = child;
  }

  /** Start one that listens for `port` on the host's side of the wire, and wait until it does. */
  static async listen(space: Namespace, scheme: 'udp' | 'packet', port: number): Promise<Collector> {
    const where = scheme === 'udp' ? `udp:0.0.0.0:${port}` : `packet:${WIRE.device}:${port}`;
    const child = await space.start([process.execPath, PROGRAM, 'collect', '--listen', where, '--jsonl', '--no-http']);
    await (scheme === 'udp' ? child.bindsUdp(port, READY_MS) : child.bindsPacket(1, READY_MS));
    return new Collector(scheme, child);
  }

  /** Wait until it has printed a message that holds `words`. */
  async prints(words: string): Promise<void> {
    await this.#child.until(`"${words}"`, () => this.#child.stdout.includes(words), READY_MS);
  }

  /** Wait until it has printed `messages` lines, or has had time enough, then end it and return what it printed. */
  async finish(messages: number): Promise<Collected[]> {
    const enough = () => this.#child.lines.length >= messages;
    await this.#child.until(`${messages} messages`, enough, LAST_WORD_MS).catch(() => undefined);
    const { code } = await this.#child.stop('SIGINT');
    const lines = this.#child.lines;
    if (code !== 0) throw new Error(`netpoll collect ended with ${code}: ${this.#child.stderr.toString('utf8')}`);
    return lines.map((line) => {
      const { received, ...message } = JSON.parse(line) as Collected & { received: string };
      if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$/.test(received)) throw new Error(`received is ${received}`);
      return message;
    });
  }
}

/** What the extended target must have given. A level which the guest could not tell is taken from `heard`. */
export function extendedOf(records: readonly ExpectedRecord[], heard: readonly Collected[]): Collected[] {
  return records.map((record, index) => {
    const untold = record.pri === undefined ? heard[index] : undefined;
    return {
      host: WIRE.guestAddress,
      seq: String(record.seq),
      level: untold === undefined ? (record.pri as number) & 7 : untold.level,
      facility: record.pri === undefined ? 0 : record.pri >> 3,
      usec: String(record.usec),
      cont: record.flags === 'c',
      release: null,
      text: decoded(record.text),
      dict: record.dict ?? {},
      format: 'extended',
    };
  });
}

/** What the basic target must have given: a message a line that the console shows. */
export function basicOf(records: readonly ExpectedRecord[]): Collected[] {
  return records.flatMap((record) =>
    record.shown.map((line) => ({
      host: WIRE.guestAddress,
      seq: null,
      level: line.pri === undefined ? null : line.pri & 7,
      facility: line.pri === undefined ? null : line.pri >> 3,
      usec: String(line.usec),
      cont: null,
      release: null,
      text: decoded(line.text),
      dict: {},
      format: 'basic' as const,
    })),
  );
}

/** UTF-8 out of a latin1 string; a byte that belongs to no character becomes U+DC00 plus its value. */
export function decoded(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] as number;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    try {
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += String.fromCharCode(0xdc00 + lead);
      at++;
    }
  }
  return text;
}
