/**
 * What comes out of a guest's serial ports, and the two texts of the kernel that it carries.
 *
 *   ttyS0, the console:   [    2.128411] netconsole: network logging started
 *                         <6>[    2.128411] ...            with console_msg_format=syslog: facility and level too
 *   ttyS2, /dev/kmsg:     6,459,2128411,-;netconsole: network logging started
 *                          SUBSYSTEM=pci                   dictionary lines start with a space
 *
 * These readers are the tests' own and share nothing with src/: they are what the collector is judged by. Texts are kept
 * as bytes in a latin1 string, one character a byte, because a record may hold anything.
 */

/** Everything that arrived on one port, and when. */
export class SerialLog {
  readonly #chunks: Buffer[] = [];
  readonly #arrivals: { readonly end: number; readonly atMs: number }[] = [];
  #length = 0;
  #text = '';
  #joined = 0;

  /** Add what has arrived, `atMs` after the start of the guest. */
  append(chunk: Buffer, atMs: number): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    this.#arrivals.push({ end: this.#length, atMs });
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** All of it, one character a byte. */
  get text(): string {
    if (this.#joined < this.#chunks.length) {
      this.#text += Buffer.concat(this.#chunks.slice(this.#joined)).toString('latin1');
      this.#joined = this.#chunks.length;
    }
    return this.#text;
  }

  /** The complete lines, without `terminator`, each with the time at which its last byte arrived. */
  lines(terminator: '\n' | '\r\n'): SerialLine[] {
    const pieces = this.text.split(terminator).slice(0, -1);
    const lines: SerialLine[] = [];
    let end = 0;
    let arrival = 0;
    for (const text of pieces) {
      end += text.length + terminator.length;
      while ((this.#arrivals[arrival]?.end ?? end) < end) arrival++;
      lines.push({ text, atMs: this.#arrivals[arrival]?.atMs ?? 0 });
    }
    return lines;
  }

  /** For people: every line with its time of arrival. */
  transcript(): string {
    return this.lines('\n')
      .map((line) => `${(line.atMs / 1000).toFixed(3).padStart(8)} | ${line.text.replace(/\r$/, '')}`)
      .join('\n');
  }
}

export interface SerialLine {
  readonly text: string;
  readonly atMs: number;
}

/** One line as the console shows it; a record of several lines shows several of these with the same time. */
export interface ConsoleLine {
  /** facility << 3 | level; only where the guest was booted with console_msg_format=syslog. */
  readonly pri: number | undefined;
  readonly usec: number;
  readonly text: string;
  readonly atMs: number;
}

/** The kernel's lines among those of a console; the firmware's are left out. */
export function consoleLines(log: SerialLog): ConsoleLine[] {
  return log.lines('\r\n').flatMap((line) => {
    // The firmware leaves the cursor in mid-line, so that the very first prefix may not stand at the start.
    const found = /(?:^|\x1b\[2J)(?:<(\d+)>)?\[ *(\d+)\.(\d{6})\] (.*)$/s.exec(line.text);
    if (found === null) return [];
    const [, pri, seconds, micros, text] = found;
    const usec = Number(seconds) * 1e6 + Number(micros);
    return [{ pri: pri === undefined ? undefined : Number(pri), usec, text: text ?? '', atMs: line.atMs }];
  });
}

/** One record as /dev/kmsg tells it. */
export interface KmsgRecord {
  readonly pri: number;
  readonly seq: number;
  readonly usec: number;
  /** `-`, or `c` for a continuation. */
  readonly flags: string;
  readonly text: string;
  readonly dict: Readonly<Record<string, string>>;
}

/** The records in the copy of /dev/kmsg, as far as it came. Throws on a line that is none of its grammar. */
export function kmsgRecords(log: SerialLog): KmsgRecord[] {
  const records: KmsgRecord[] = [];
  for (const { text: line } of log.lines('\n')) {
    if (line.startsWith(' ')) {
      const { dict } = records.at(-1) ?? fail(line);
      const at = line.indexOf('=');
      (dict as Record<string, string>)[unescaped(line.slice(1, at))] = unescaped(line.slice(at + 1));
      continue;
    }
    const [, pri, seq, usec, flags, text] = /^(\d+),(\d+),(\d+),([^;,]+)[^;]*;(.*)$/s.exec(line) ?? fail(line);
    records.push({
      pri: Number(pri),
      seq: Number(seq),
      usec: Number(usec),
      flags: flags as string,
      text: unescaped(text as string),
      dict: {},
    });
  }
  return records;
}

/** `\xNN` back to the byte that it stands for. */
export function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function fail(line: string): never {
  throw new Error(`not a line of /dev/kmsg: ${JSON.stringify(line)}`);
}
