/**
 * Printer of ICMP for IPv4.
 */
import { printIpv4 } from './address.ts';
import { fold, sum32 } from './checksum.ts';
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_HLEN,
  ICMP_PARAMETERPROB,
  ICMP_TIME_EXCEEDED,
} from './icmp.ts';
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, ipv4Dest, ipv4HeaderLen, ipv4Protocol } from './ipv4.ts';
import type { Sheet } from './print_sheet.ts';

const SOURCE_QUENCH = 4;
const REDIRECT = 5;
const ROUTER_ADVERTISEMENT = 9;
const TIMESTAMP = 13;
const TIMESTAMP_REPLY = 14;

/** Of messages without anything to say but their name. */
const NAMES: Readonly<Record<number, string>> = {
  4: 'source quench',
  10: 'router solicitation',
  15: 'information request',
  16: 'information reply',
  17: 'address mask request',
};

/** Of codes of "unreachable": what stands in front of the address, and behind. */
const UNREACHABLE: Readonly<Record<number, readonly [string, string]>> = {
  0: ['net ', ''],
  1: ['host ', ''],
  5: ['', ' - source route failed'],
  6: ['net ', ' - unknown'],
  7: ['host ', ' - unknown'],
  8: ['', ' - source host isolated'],
  9: ['net ', ' - admin prohibited'],
  10: ['host ', ' - admin prohibited'],
  11: ['net ', ' - tos prohibited'],
  12: ['host ', ' - tos prohibited'],
  13: ['host ', ' - admin prohibited filter'],
  14: ['host ', ' - host precedence violation'],
  15: ['host ', ' - precedence cutoff'],
};
const REDIRECTS: readonly string[] = ['to net', 'to host', 'to TOS and net', 'to TOS and host'];

/** `len` bytes from the ICMP header on; `whole`: it is no fragment. */
export function printIcmp(sheet: Sheet, o: number, len: number, whole: boolean): void {
  const { view } = sheet;
  if (!sheet.needs(o, ICMP_HLEN, 'icmp')) return;
  const type = view.getUint8(o);
  const code = view.getUint8(o + 1);
  const inner = o + ICMP_HLEN;
  const said = message(sheet, o, type, code, inner);
  if (said === null) {
    sheet.put(' [|icmp]');
    return;
  }
  sheet.put(`ICMP ${said}, length ${len}`);
  if (sheet.verbose === 0) return;
  if (whole && sheet.has(o, len)) {
    const check = view.getUint16(o + 2);
    const right = fold(sum32(view, o, len) + (~check & 0xffff));
    if (fold(sum32(view, o, len)) !== 0) {
      sheet.put(` (wrong icmp cksum ${check.toString(16)} (->${right.toString(16)})!)`);
    }
  }
  if (complains(type)) {
    const { end } = sheet;
    sheet.put('\n\t');
    sheet.ipv4(sheet, inner, len - ICMP_HLEN);
    sheet.end = end;
  }
}

/** Errors, which carry the packet that they are about. */
function complains(type: number): boolean {
  return [ICMP_DEST_UNREACH, SOURCE_QUENCH, REDIRECT, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB].includes(type);
}

/** What the message says; null: it is cut short. */
function message(sheet: Sheet, o: number, type: number, code: number, inner: number): string | null {
  const { view } = sheet;
  const first = view.getUint16(o + 4);
  const second = view.getUint16(o + 6);
  switch (type) {
    case ICMP_ECHO:
    case ICMP_ECHOREPLY:
      return `echo ${type === ICMP_ECHO ? 'request' : 'reply'}, id ${first}, seq ${second}`;
    case ICMP_DEST_UNREACH:
      return sheet.has(inner, IPV4_HLEN) ? unreachable(sheet, code, inner, second) : null;
    case REDIRECT: {
      if (!sheet.has(inner, IPV4_HLEN)) return null;
      const to = printIpv4(ipv4Dest(view, inner));
      const via = printIpv4(view.getUint32(o + 4));
      const how = REDIRECTS[code];
      return how === undefined ? `redirect-#${code} ${to} to ${via}` : `redirect ${to} ${how} ${via}`;
    }
    case ICMP_TIME_EXCEEDED:
      if (!sheet.has(inner, IPV4_HLEN)) return null;
      if (code === 0) return 'time exceeded in-transit';
      return code === 1 ? 'ip reassembly time exceeded' : `time exceeded-#${code}`;
    case ICMP_PARAMETERPROB:
      return code === 0 ? `parameter problem - octet ${view.getUint8(o + 4)}` : `parameter problem - code ${code}`;
    case ROUTER_ADVERTISEMENT:
      return routers(sheet, o);
    case TIMESTAMP:
      return `time stamp query id ${first} seq ${second}`;
    case TIMESTAMP_REPLY: {
      if (!sheet.has(inner, 12)) return null;
      const [org, recv, xmit] = [0, 4, 8].map((at) => timeOfDay(view.getUint32(inner + at)));
      return `time stamp reply id ${first} seq ${second}: org ${org}, recv ${recv}, xmit ${xmit}`;
    }
    default:
      return NAMES[type] ?? `type-#${type}`;
  }
}

function unreachable(sheet: Sheet, code: number, inner: number, mtu: number): string | null {
  const { view } = sheet;
  const dest = printIpv4(ipv4Dest(view, inner));
  const protocol = ipv4Protocol(view, inner);
  if (code === 2) return `${dest} protocol ${protocol} unreachable`;
  if (code === 3) {
    const ports = inner + ipv4HeaderLen(view, inner);
    if (!sheet.has(ports, 4)) return null;
    const port = view.getUint16(ports + 2);
    if (protocol === IPPROTO_TCP) return `${dest} tcp port ${port} unreachable`;
    if (protocol === IPPROTO_UDP) return `${dest} udp port ${port} unreachable`;
    return `${dest} protocol ${protocol} port ${port} unreachable`;
  }
  if (code === 4) return `${dest} unreachable - need to frag${mtu === 0 ? '' : ` (mtu ${mtu})`}`;
  const [front, back] = UNREACHABLE[code] ?? ['', ` - #${code}`];
  return `${front}${dest} unreachable${back}`;
}

function routers(sheet: Sheet, o: number): string | null {
  const { view } = sheet;
  const count = view.getUint8(o + 4);
  const words = view.getUint8(o + 5);
  const seconds = view.getUint16(o + 6);
  const life =
    seconds < 60
      ? `${seconds}`
      : seconds < 3600
        ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}`
        : `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  let out = `router advertisement lifetime ${life} ${count}:`;
  if (words !== 2) return `${out} [size ${words}]`;
  for (let i = 0; i < count; i++) {
    const at = o + ICMP_HLEN + 8 * i;
    if (!sheet.has(at, 8)) return null;
    out += ` {${printIpv4(view.getUint32(at))} ${view.getUint32(at + 4)}}`;
  }
  return out;
}

/** Milliseconds since midnight. */
function timeOfDay(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${clock}.${String(ms % 1000).padStart(3, '0')}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
