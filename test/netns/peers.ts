/**
 * Real programs at the other end of the wire: receivers (socat, nc), a recorder (tcpdump), judges (tcpdump -vv, tshark).
 *
 * A receiver is ready when the kernel shows its socket bound; a recorder when it says that it listens. The judges read
 * a finished pcap file and give plain verdicts that a test can compare.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Child } from './child.ts';
import type { Namespace } from './rig.ts';

export interface Scratch {
  /** Made at the first look, so that a skipped suite leaves nothing behind. */
  readonly path: string;
  discard(): void;
}

/** A folder of its own for the files of one test; the caller removes it with `discard`. */
export function scratch(label: string): Scratch {
  let made: string | undefined;
  return {
    get path() {
      made ??= mkdtempSync(join(tmpdir(), `netpoll-${label}-`));
      return made;
    },
    discard: () => {
      if (made !== undefined) rmSync(made, { recursive: true, force: true });
    },
  };
}

/** socat writing every datagram for `port` to its stdout, with the kernel's default socket buffer. */
export async function socatReceiver(space: Namespace, port: number): Promise<Child> {
  const child = await space.start(['socat', '-u', `UDP4-RECV:${port}`, 'STDOUT']);
  await child.bindsUdp(port);
  return child;
}

/** OpenBSD's netcat listening for datagrams on `port`. It keeps to the first sender that it hears. */
export async function netcatReceiver(space: Namespace, port: number): Promise<Child> {
  const child = await space.start(['nc.openbsd', '-u', '-l', '-n', '-d', '0.0.0.0', String(port)]);
  await child.bindsUdp(port);
  return child;
}

export interface Recorder {
  readonly file: string;
  /** Wait until a frame with `words` in it has been written. */
  holds(words: string): Promise<void>;
  /** Wait for `frames` frames in the file, stop, and say how many there are and how many the kernel had to drop. */
  finish(frames: number): Promise<{ captured: number; dropped: number }>;
}

/** tcpdump writing what passes `device` and matches `filter` to `file`. Only one direction where `direction` is given. */
export async function record(
  space: Namespace,
  device: string,
  file: string,
  filter: string,
  direction: 'in' | 'out' | 'inout' = 'inout',
): Promise<Recorder> {
  // Immediate mode: without it, frames of the last, unfinished block of the kernel's ring are lost at the end.
  const argv = ['tcpdump', '-i', device, '-n', '-U', '--immediate-mode', '-B', '16384', '-Q', direction, '-Z', 'root'];
  const child = await space.start([...argv, '-w', file, filter]);
  await child.says(/listening on/);
  return {
    file,
    holds: async (words) => {
      await child.until(`"${words}" in ${file}`, () => readFileSync(file).includes(words));
    },
    finish: async (frames) => {
      await child.until(`${frames} frames in ${file}`, () => framesIn(file) >= frames);
      await child.stop('SIGINT');
      const summary = child.stderr.toString('latin1');
      return {
        captured: countIn(summary, /(\d+) packets? captured/),
        dropped: countIn(summary, /(\d+) packets? dropped by kernel/),
      };
    },
  };
}

export interface ChecksumVerdict {
  readonly frames: number;
  readonly udpGood: number;
  /** Lines of tcpdump which complain of a checksum, of IP or of UDP, or which it could not decode. */
  readonly complaints: readonly string[];
}

/** What `tcpdump -vv` thinks of the checksums in a file of UDP frames. */
export async function tcpdumpVerdict(space: Namespace, file: string): Promise<ChecksumVerdict> {
  const { stdout } = await space.run(['tcpdump', '-vv', '-n', '-r', file]);
  const lines = stdout.split('\n');
  return {
    frames: lines.filter((line) => /^\S+ IP6? /.test(line)).length,
    udpGood: lines.filter((line) => line.includes('[udp sum ok]')).length,
    complaints: lines.filter((line) => /bad (udp )?cksum|bad checksum|\[\|.*\]|truncated|invalid/i.test(line)),
  };
}

export interface FrameVerdict {
  readonly frames: number;
  /** Frames in which tshark checked the sums of IP and UDP itself and found both good. */
  readonly sumsGood: number;
  /** Descriptions of the frames that it finds malformed or that raise an error-level remark. */
  readonly complaints: readonly string[];
}

/** What tshark thinks of a file of UDP frames, with its own check of both checksums switched on. */
export async function tsharkVerdict(space: Namespace, file: string): Promise<FrameVerdict> {
  const checks = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE'];
  const fields = ['frame.number', 'ip.checksum.status', 'udp.checksum.status', '_ws.malformed', '_ws.expert.severity'];
  const columns = fields.flatMap((field) => ['-e', field]);
  const { stdout } = await space.run(['tshark', '-n', '-r', file, ...checks, '-T', 'fields', ...columns]);
  const rows = stdout
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => row.split('\t'));
  return {
    frames: rows.length,
    sumsGood: rows.filter((row) => row[1] === '1' && row[2] === '1').length,
    complaints: rows
      .filter((row) => row[3] !== '' || row[4]?.split(',').some((level) => Number(level) >= EXPERT_ERROR))
      .map((row) => row.join(' ')),
  };
}

/** How many whole frames a (little-endian, microsecond) pcap file holds by now. */
export function framesIn(file: string): number {
  const bytes = readFileSync(file);
  let frames = 0;
  for (let at = PCAP_HEADER; at + PCAP_RECORD <= bytes.length; frames++) {
    at += PCAP_RECORD + bytes.readUInt32LE(at + 8);
    if (at > bytes.length) break;
  }
  return frames;
}

const PCAP_HEADER = 24;
const PCAP_RECORD = 16;

/** tshark's severity levels: 0x200000 chat, 0x400000 note, 0x600000 warning, 0x800000 error. */
const EXPERT_ERROR = 0x800000;

function countIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`tcpdump's summary does not say ${pattern}: ${text}`);
  return Number(found);
}
