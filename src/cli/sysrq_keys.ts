/**
 * The file with the keys of SysRq: which host has which.
 *
 *     # HOST   KEY (at least 32 hexadecimal digits)   [ADDRESS]
 *     web-1    0f1e2d...                               10.0.0.11
 *     *        445566...                               any other host
 *
 * HOST is what the machine calls itself; a command for it is void on every other. A line with a key alone means any host. Only its
 * owner may be able to read the file: whoever has a key can reset the machine.
 */
import { readFileSync, statSync } from 'node:fs';
import { SetupError } from '../base/status.ts';
import { SYSRQ_KEY_MIN, sysrqHostId } from '../wire/sysrq_command.ts';

export interface SysrqKeyEntry {
  /** Null: any host. */
  readonly hostId: string | null;
  readonly key: Uint8Array;
  /** Where the host can be reached, if the file says so. */
  readonly address: string | null;
}

/** Reads a key file. Throws SetupError: it cannot be read, others can read it too, or a line is wrong (with its number). */
export function readSysrqKeys(path: string): SysrqKeyEntry[] {
  const refuse = (why: string): SetupError => new SetupError('ERR_NETPOLL_OPTIONS', `${path}: ${why}`);
  let text: string;
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
      throw refuse('others can read this key file; chmod 600 it');
    }
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw refuse((error as Error).message);
  }
  const entries: SysrqKeyEntry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    if (words[0] === '') continue;
    const entry = parseEntry(words);
    if (typeof entry === 'string') throw refuse(`line ${index + 1}: ${entry}`);
    entries.push(entry);
  }
  if (entries.length === 0) throw refuse('no key in it; make one with: netpoll sysrq --new-key');
  return entries;
}

/** The line for a host, known by its name or its address; else the one for any host. Throws SetupError where there is none. */
export function sysrqKeyOf(entries: readonly SysrqKeyEntry[], host: string, path: string): SysrqKeyEntry {
  const found =
    entries.find((each) => each.hostId === host || each.address === host) ??
    entries.find((each) => each.hostId === null);
  if (found === undefined)
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${path}: no key for ${host}, and none for any host (*)`);
  return found;
}

function parseEntry(words: readonly string[]): SysrqKeyEntry | string {
  const [name, hex, address] = words.length === 1 ? ['*', words[0]!] : words;
  if (words.length > 3) return 'HOST KEY [ADDRESS], and no more';
  if (hex === undefined || !/^([0-9a-fA-F]{2})+$/.test(hex)) return 'the key is an even number of hexadecimal digits';
  const key = Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  if (key.length < SYSRQ_KEY_MIN) return `the key has ${key.length} bytes, it needs ${SYSRQ_KEY_MIN}`;
  if (name !== '*' && sysrqHostId(name!) === null) return 'a host has a name of 1 to 32 bytes';
  return { hostId: name === '*' ? null : name!, key, address: address ?? null };
}
