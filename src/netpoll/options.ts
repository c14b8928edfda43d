/**
 * The option string of a netpoll client, both ways.
 *
 *     [src-port]@[src-ip]/[dev | dev-mac],[tgt-port]@<tgt-ip>/[tgt-mac]
 *
 * Read from left to right; a field is empty if its separator follows at once, and then has the client's default. Only
 * tgt-ip is mandatory. Strict, as today's kernels are: a port is a decimal number up to 65535, an address a whole address,
 * both addresses of one family. Stricter than they are in one place: nothing may follow the target's MAC.
 * Answers to netpoll_parse_options and netpoll_print_options.
 *
 * The device may carry a scheme with colons and slashes (`udp:0.0.0.0:6666`, `xdp:eth0/0`): it ends at the first comma.
 */
import { type IpAddress, parseIp, parseMac, printIp, printMac } from '../wire/address.ts';

export interface NetpollOptions {
  localPort: number;
  /** Null: taken from the device when the client is set up. */
  localIp: IpAddress | null;
  /** Interface name or scheme; empty if the device is named by its MAC. */
  devName: string;
  /** The device's hardware address, if it is named by that. */
  devMac: Uint8Array | null;
  remotePort: number;
  remoteIp: IpAddress;
  remoteMac: Uint8Array;
}

/** Why a string was refused, and where. */
export interface OptionError {
  /** Position of the field that is wrong, in characters. */
  readonly at: number;
  readonly field: 'src-port' | 'src-ip' | 'dev' | 'tgt-port' | 'tgt-ip' | 'tgt-mac';
  /** A sentence without the string itself. */
  readonly reason: string;
}

export const BROADCAST_MAC: Uint8Array = new Uint8Array(6).fill(0xff);

/** What fields have that the string leaves out. */
export const OPTION_DEFAULTS = {
  localPort: 6665,
  devName: 'eth0',
  remotePort: 6666,
  remoteMac: BROADCAST_MAC,
} as const;

/** Longest string that is looked at; the kernel's buffer has 256 bytes. */
const TEXT_MAX = 1024;

export type ParsedOptions = { ok: true; options: NetpollOptions } | { ok: false; error: OptionError };

/** Never throws. */
export function netpollParseOptions(text: string): ParsedOptions {
  const fail = (at: number, field: OptionError['field'], reason: string): ParsedOptions => ({
    ok: false,
    error: { at, field, reason },
  });
  if (text.length > TEXT_MAX) return fail(TEXT_MAX, 'tgt-mac', `the string is longer than ${TEXT_MAX} characters`);

  const at = text.indexOf('@');
  if (at < 0) return fail(0, 'src-port', 'no @ after the source port');
  const localPort = port(text.slice(0, at), OPTION_DEFAULTS.localPort);
  if (localPort === null) return fail(0, 'src-port', PORT_RULE);

  const slash = text.indexOf('/', at + 1);
  if (slash < 0) return fail(at + 1, 'src-ip', 'no / after the source address');
  const sourceText = text.slice(at + 1, slash);
  const localIp = sourceText === '' ? null : parseIp(sourceText);
  if (sourceText !== '' && localIp === null) return fail(at + 1, 'src-ip', ADDRESS_RULE);

  const comma = text.indexOf(',', slash + 1);
  if (comma < 0) return fail(slash + 1, 'dev', 'no comma after the device');
  const device = parseDevice(text.slice(slash + 1, comma));
  if (typeof device === 'string') return fail(slash + 1, 'dev', device);

  const at2 = text.indexOf('@', comma + 1);
  if (at2 < 0) return fail(comma + 1, 'tgt-port', 'no @ after the target port');
  const remotePort = port(text.slice(comma + 1, at2), OPTION_DEFAULTS.remotePort);
  if (remotePort === null) return fail(comma + 1, 'tgt-port', PORT_RULE);

  const slash2 = text.indexOf('/', at2 + 1);
  if (slash2 < 0) return fail(at2 + 1, 'tgt-ip', 'no / after the target address');
  const remoteIp = parseIp(text.slice(at2 + 1, slash2));
  if (remoteIp === null) return fail(at2 + 1, 'tgt-ip', ADDRESS_RULE);
  if (localIp !== null && localIp.family !== remoteIp.family) {
    return fail(at2 + 1, 'tgt-ip', 'source and target address are of different families');
  }

  const macText = text.slice(slash2 + 1);
  const remoteMac = macText === '' ? OPTION_DEFAULTS.remoteMac : parseMac(macText);
  if (remoteMac === null)
    return fail(slash2 + 1, 'tgt-mac', 'a MAC address is six hexadecimal bytes, xx:xx:xx:xx:xx:xx');
  return { ok: true, options: { localPort, localIp, ...device, remotePort, remoteIp, remoteMac } };
}

const PORT_RULE = 'a port is a decimal number from 0 to 65535';
const ADDRESS_RULE = 'not an IPv4 or IPv6 address';

function port(text: string, byDefault: number): number | null {
  if (text === '') return byDefault;
  if (!/^\+?\d{1,10}$/.test(text)) return null;
  const value = Number(text);
  return value <= 0xffff ? value : null;
}

const SCHEME = /^[a-z][a-z0-9]*:/;

/** A name, a MAC, or a scheme with what belongs to it; a string says what is wrong. */
function parseDevice(text: string): { devName: string; devMac: Uint8Array | null } | string {
  if (text === '') return { devName: OPTION_DEFAULTS.devName, devMac: null };
  const devMac = parseMac(text);
  if (devMac !== null) return { devName: '', devMac };
  if (SCHEME.test(text)) return { devName: text, devMac: null };
  if (text.includes(':')) return 'neither a MAC address nor a scheme like packet: or udp:';
  if (text.length > 15) return 'an interface name has at most 15 characters';
  if (/[/\s]/.test(text)) return 'an interface name has no slash and no white space';
  return { devName: text, devMac: null };
}

/** The option string that says the same. (the reverse of netpollParseOptions) */
export function netpollPrintOptions(options: NetpollOptions): string {
  const device = options.devMac === null ? options.devName : printMac(options.devMac);
  const source = `${options.localPort}@${options.localIp === null ? '' : printIp(options.localIp)}/${device}`;
  return `${source},${options.remotePort}@${printIp(options.remoteIp)}/${printMac(options.remoteMac)}`;
}

/** One line for people: the string, with a mark under the place where it is wrong. */
export function explainOptionError(text: string, error: OptionError): string {
  return `${error.field}: ${error.reason}\n  ${text.slice(0, 120)}\n  ${' '.repeat(Math.min(error.at, 120))}^`;
}
