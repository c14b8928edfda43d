/**
 * The attributes of a target: what each shows, and what may be written to it.
 *
 *     read    text that ends in a newline
 *     write   bytes; 0, or the negative errno that the kernel answers, with the kernel's line in the log
 *
 * All but `enabled` and what is under userdata/ are locked while the target is enabled. Answers to the *_show and *_store
 * functions of netconsole, kstrtobool, kstrtou16 and mac_pton.
 */
import { Errno } from '../../base/status.ts';
import { BROADCAST_MAC } from '../../netpoll/options.ts';
import { type IpAddress, parseIp, parseMac, printIp, printMac } from '../../wire/address.ts';
import type { Netconsole } from './netconsole.ts';
import { type NetconsoleTarget, STATE_DEACTIVATED, STATE_DISABLED, UNSPECIFIED } from './target.ts';

export interface Attribute {
  readonly show: (target: NetconsoleTarget) => string;
  /** Absent: it cannot be written. */
  readonly store?: (target: NetconsoleTarget, text: string, netconsole: Netconsole) => number;
  /** May be written while the target is enabled. */
  readonly always?: boolean;
}

/** An interface name with its terminator. */
const IFNAMSIZ = 16;

/** By name, in the kernel's order. */
export const ATTRIBUTES: Readonly<Record<string, Attribute>> = {
  dev_name: {
    show: ({ np }) => np.devName,
    store: (target, text) => {
      const name = withoutNewline(text);
      if (new TextEncoder().encode(name).length >= IFNAMSIZ) return -Errno.ENAMETOOLONG;
      target.np.devName = name;
      return 0;
    },
  },
  enabled: { show: (target) => (target.enabled ? '1' : '0'), store: storeEnabled, always: true },
  extended: {
    show: (target) => (target.extended ? '1' : '0'),
    store: (target, text) => storeBool(text, (on) => (target.extended = on)),
  },
  local_ip: {
    show: ({ np }) => printIp(np.localIp ?? UNSPECIFIED[np.remoteIp.family]),
    store: ({ np }, text) =>
      storeIp(text, (address) => {
        np.localIp = isUnspecified(address) ? null : address;
        // The target has one family, that of the address written last; an address of the other is none.
        if (np.remoteIp.family !== address.family) np.remoteIp = UNSPECIFIED[address.family];
      }),
  },
  local_mac: { show: ({ np }) => printMac(np.dev?.devAddr ?? BROADCAST_MAC) },
  local_port: {
    show: ({ np }) => String(np.localPort),
    store: ({ np }, text) => storePort(text, (port) => (np.localPort = port)),
  },
  release: {
    show: (target) => (target.release ? '1' : '0'),
    store: (target, text) => storeBool(text, (on) => (target.release = on)),
  },
  remote_ip: {
    show: ({ np }) => printIp(np.remoteIp),
    store: ({ np }, text) =>
      storeIp(text, (address) => {
        np.remoteIp = address;
        if (np.localIp !== null && np.localIp.family !== address.family) np.localIp = null;
      }),
  },
  remote_mac: {
    show: ({ np }) => printMac(np.remoteMac),
    store: ({ np }, text) => {
      const mac = parseMac(withoutNewline(text));
      if (mac === null) return -Errno.EINVAL;
      np.remoteMac = mac;
      return 0;
    },
  },
  remote_port: {
    show: ({ np }) => String(np.remotePort),
    store: ({ np }, text) => storePort(text, (port) => (np.remotePort = port)),
  },
  transmit_errors: { show: (target) => String(target.transmitErrors) },
};

function storeEnabled(target: NetconsoleTarget, text: string, netconsole: Netconsole): number {
  const on = kstrtobool(text);
  if (on === null) return -Errno.EINVAL;
  // Whichever is written, a target that waited for its device waits no longer.
  if (target.state === STATE_DEACTIVATED) target.state = STATE_DISABLED;
  return on ? netconsole.enable(target) : netconsole.disable(target);
}

function storeBool(text: string, set: (on: boolean) => void): number {
  const on = kstrtobool(text);
  if (on === null) return -Errno.EINVAL;
  set(on);
  return 0;
}

function storePort(text: string, set: (port: number) => void): number {
  const port = kstrtou16(text);
  if (port < 0) return port;
  set(port);
  return 0;
}

function storeIp(text: string, set: (address: IpAddress) => void): number {
  const address = parseIp(withoutNewline(text));
  if (address === null) return -Errno.EINVAL;
  set(address);
  return 0;
}

function isUnspecified(address: IpAddress): boolean {
  return address.family === 4 ? address.v4 === 0 : address.v6.every((byte) => byte === 0);
}

function withoutNewline(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}

/** By the first letters alone: 1 y t on, 0 n f off, in either case. */
export function kstrtobool(text: string): boolean | null {
  const first = text.charAt(0).toLowerCase();
  if (first === '1' || first === 'y' || first === 't') return true;
  if (first === '0' || first === 'n' || first === 'f') return false;
  if (first !== 'o') return null;
  const second = text.charAt(1).toLowerCase();
  return second === 'n' ? true : second === 'f' ? false : null;
}

/** Decimal, a plus sign and one newline allowed: the number, -EINVAL, or -ERANGE above 65535. (`kstrtou16`, base 10) */
export function kstrtou16(text: string): number {
  const match = /^\+?(\d+)\n?$/.exec(text);
  if (match === null) return -Errno.EINVAL;
  const value = Number(match[1]);
  return value <= 0xffff ? value : -Errno.ERANGE;
}
