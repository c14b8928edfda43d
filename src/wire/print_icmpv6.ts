/**
 * Printer of ICMP for IPv6: errors, echoes, neighbour discovery with its options, multicast listeners.
 */
import { printIpv6, printMac } from './address.ts';
import { fold, sum32 } from './checksum.ts';
import { ICMPV6_HLEN, IPPROTO_ICMPV6, ipv6PseudoSum } from './icmpv6.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from './ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader } from './ipv6.ts';
import { printHex } from './print_hex.ts';
import { bitNames, hex, type Sheet } from './print_sheet.ts';

const NAMES: Readonly<Record<number, string>> = {
  1: 'destination unreachable',
  2: 'packet too big',
  3: 'time exceeded in-transit',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  130: 'multicast listener query',
  131: 'multicast listener report',
  132: 'multicast listener done',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbor solicitation',
  136: 'neighbor advertisement',
  137: 'redirect',
  138: 'router renumbering',
  139: 'node information query',
  140: 'node information reply',
  141: 'inverse neighbor solicitation',
  142: 'inverse neighbor advertisement',
  143: 'multicast listener report v2',
};
const PARAMETERS: readonly string[] = ['erroneous - octet', 'next header - octet', 'option - octet'];
const RA_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, 'managed'],
  [0x40, 'other stateful'],
  [0x20, 'home agent'],
];
const PREFERENCES: readonly string[] = ['medium', 'high', 'reserved', 'low'];
const NA_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, 'router'],
  [0x40, 'solicited'],
  [0x20, 'override'],
];
const PREFIX_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, 'onlink'],
  [0x40, 'auto'],
  [0x20, 'router'],
];
const GROUP_RECORDS: readonly string[] = ['', 'is_in', 'is_ex', 'to_in', 'to_ex', 'allow', 'block'];
/** How long the fixed part of the discovery messages is, by type from 133 on. */
const FIXED: readonly number[] = [8, 16, 24, 24, 40];

/** `len` bytes from the ICMPv6 header on, under the IPv6 header at `ip`. */
export function printIcmpv6(sheet: Sheet, ip: number, o: number, len: number): void {
  const { view } = sheet;
  if (sheet.verbose > 0 && sheet.has(o, len) && len >= ICMPV6_HLEN - 4) putChecksum(sheet, ip, o, len);
  if (!sheet.needs(o, ICMPV6_HLEN, 'icmp6')) return;
  const type = view.getUint8(o);
  const name = NAMES[type];
  sheet.put(`ICMP6, ${name ?? `unknown icmp6 type (${type})`}`);
  const discovery = type >= 133 && type <= 137;
  if (discovery && sheet.verbose > 0) sheet.put(`, length ${len}`);
  const done = discovery ? putDiscovery(sheet, o, len, type) : putMessage(sheet, o, len, type);
  if (done === 'cut') sheet.put(' [|icmp6]');
  if (done === 'said' && sheet.verbose === 0) sheet.put(`, length ${len}`);
  if (done === 'unknown') {
    sheet.put(`${type === 1 ? '' : `, length ${len}`}${printHex(sheet.bytes, o, Math.min(o + len, sheet.end), false)}`);
  }
}

function putChecksum(sheet: Sheet, ip: number, o: number, len: number): void {
  const check = sheet.view.getUint16(o + 2);
  const sum = ipv6PseudoSum(sheet.view, ip, IPPROTO_ICMPV6, len) + sum32(sheet.view, o, len);
  if (fold(sum) === 0) sheet.put('[icmp6 sum ok] ');
  else sheet.put(`[bad icmp6 cksum ${hex(check, 4)} -> ${hex(fold(sum + (~check & 0xffff)), 4)}!] `);
}

type Done = 'said' | 'cut' | 'unknown';

function putMessage(sheet: Sheet, o: number, len: number, type: number): Done {
  const { view, bytes } = sheet;
  const code = view.getUint8(o + 1);
  const inner = o + ICMPV6_HLEN;
  const word = view.getUint32(o + 4);
  switch (type) {
    case 1:
      return putUnreachable(sheet, code, inner);
    case 2:
      sheet.put(`, mtu ${word}`);
      return 'said';
    case 3:
      if (code > 1) sheet.put(`, unknown code (${code})`);
      else if (code === 1) sheet.put(' (reassembly)');
      else if (!sheet.has(inner, IPV6_HLEN)) return 'cut';
      else sheet.put(` for ${printIpv6(bytes, inner + 24)}`);
      return 'said';
    case 4:
      sheet.put(code > 2 ? `, code-#${code}` : `, ${PARAMETERS[code]} ${word}`);
      return 'said';
    case 128:
    case 129:
      sheet.put(`, id ${view.getUint16(o + 4)}, seq ${view.getUint16(o + 6)}`);
      return 'said';
    case 130:
      if (len >= 28) return putQuery(sheet, o);
      return putListener(sheet, o);
    case 131:
    case 132:
      return putListener(sheet, o);
    case 143:
      return putReport(sheet, o, len);
    default:
      return 'unknown';
  }
}

function putUnreachable(sheet: Sheet, code: number, inner: number): Done {
  const { view, bytes } = sheet;
  if (!sheet.has(inner, IPV6_HLEN)) return 'cut';
  const dest = printIpv6(bytes, inner + 24);
  if (code === 0) sheet.put(`, unreachable route ${dest}`);
  else if (code === 1) sheet.put(`,  unreachable prohibited ${dest}`);
  else if (code === 2) sheet.put(`, beyond scope ${dest}, source address ${printIpv6(bytes, inner + 8)}`);
  else if (code === 3) sheet.put(`, unreachable address ${dest}`);
  else if (code === 4) {
    const next = ipv6NextHeader(view, inner);
    if (!sheet.has(inner + IPV6_HLEN, 4)) return 'cut';
    const name = next === IPPROTO_TCP ? 'tcp' : next === IPPROTO_UDP ? 'udp' : null;
    const port = view.getUint16(inner + IPV6_HLEN + 2);
    sheet.put(`, unreachable port, ${dest} ${name === null ? `protocol ${next}` : name} port ${port}`);
  } else {
    sheet.put(`, unknown unreach code (${code})`);
    return 'unknown';
  }
  return 'said';
}

function putListener(sheet: Sheet, o: number): Done {
  if (!sheet.has(o, 24)) return 'cut';
  sheet.put(`max resp delay: ${sheet.view.getUint16(o + 4)} addr: ${printIpv6(sheet.bytes, o + 8)}`);
  return 'said';
}

function putQuery(sheet: Sheet, o: number): Done {
  const { view, bytes, verbose } = sheet;
  if (!sheet.has(o, 28)) return 'cut';
  sheet.put(' v2');
  const flags = view.getUint8(o + 24);
  if (verbose > 0) {
    const code = view.getUint16(o + 4);
    const ms = code < 32768 ? code : ((code & 0x0fff) | 0x1000) << (((code & 0x7000) >> 12) + 3);
    sheet.put(` [max resp delay=${ms}]`);
    if ((flags & 8) !== 0) sheet.put(' sflag');
  }
  sheet.put(` [gaddr ${printIpv6(bytes, o + 8)}`);
  if (verbose > 0) sheet.put(` robustness=${flags & 7} qqi=${view.getUint8(o + 25)}`);
  const sources = view.getUint16(o + 26);
  if (sources > 0) sheet.put(`, ${sources} source(s)`);
  sheet.put(']');
  return 'said';
}

function putReport(sheet: Sheet, o: number, len: number): Done {
  const { view, bytes } = sheet;
  const records = view.getUint16(o + 6);
  sheet.put(`, ${records} group record(s)`);
  if (sheet.verbose === 0) return 'said';
  let at = o + 8;
  for (let i = 0; i < records; i++) {
    if (!sheet.has(at, 20)) return 'cut';
    const sources = view.getUint16(at + 2);
    const type = view.getUint8(at);
    sheet.put(` [gaddr ${printIpv6(bytes, at + 4)} ${GROUP_RECORDS[type] || `[v2-report-#${type}]`}`);
    if (o + len < at + 20 + 16 * sources) {
      sheet.put(` [invalid number of sources ${sources}]]`);
      return 'said';
    }
    if (sheet.verbose === 1) sheet.put(`, ${sources} source(s)`);
    else {
      sheet.put(' {');
      for (let s = 0; s < sources; s++) {
        if (!sheet.has(at + 20 + 16 * s, 16)) return 'cut';
        sheet.put(` ${printIpv6(bytes, at + 20 + 16 * s)}`);
      }
      sheet.put(' }');
    }
    sheet.put(']');
    at += 20 + 16 * sources + 4 * view.getUint8(at + 1);
  }
  return 'said';
}

function putDiscovery(sheet: Sheet, o: number, len: number, type: number): Done {
  const { view, bytes, verbose } = sheet;
  const fixed = FIXED[type - 133]!;
  if (!sheet.has(o, Math.min(fixed, 24))) return 'cut';
  if (type === 134 && verbose > 0) {
    const flags = view.getUint8(o + 5);
    sheet.put(`\n\thop limit ${view.getUint8(o + 4)}, Flags [${bitNames(RA_FLAGS, flags)}]`);
    sheet.put(`, pref ${PREFERENCES[(flags >> 3) & 3]}, router lifetime ${view.getUint16(o + 6)}s`);
    sheet.put(`, reachable time ${view.getUint32(o + 8)}ms, retrans timer ${view.getUint32(o + 12)}ms`);
  } else if (type === 135) sheet.put(`, who has ${printIpv6(bytes, o + 8)}`);
  else if (type === 136) {
    sheet.put(`, tgt is ${printIpv6(bytes, o + 8)}`);
    if (verbose > 0) sheet.put(`, Flags [${bitNames(NA_FLAGS, view.getUint8(o + 4))}]`);
  } else if (type === 137) {
    if (!sheet.has(o, fixed)) return 'cut';
    sheet.put(`, ${printIpv6(bytes, o + 24)} to ${printIpv6(bytes, o + 8)}`);
  }
  return verbose === 0 ? 'said' : putOptions(sheet, o + fixed, o + len);
}

function putOptions(sheet: Sheet, o: number, end: number): Done {
  const { view } = sheet;
  for (let at = o; at < end; ) {
    if (!sheet.has(at, 2)) return 'cut';
    const units = view.getUint8(at + 1);
    if (units === 0 || at + 8 * units > end || !sheet.has(at, 8 * units)) return 'cut';
    putOption(sheet, at, view.getUint8(at), units);
    at += 8 * units;
  }
  return 'said';
}

function putOption(sheet: Sheet, at: number, type: number, units: number): void {
  const { view, bytes } = sheet;
  const title = (name: string) => `\n\t  ${name} option (${type}), length ${8 * units} (${units}): `;
  if (type === 1 || type === 2) {
    sheet.put(`${title(type === 1 ? 'source link-address' : 'destination link-address')}${printMac(bytes, at + 2)}`);
  } else if (type === 3 && units === 4) {
    const flags = bitNames(PREFIX_FLAGS, view.getUint8(at + 3));
    sheet.put(`${title('prefix info')}${printIpv6(bytes, at + 16)}/${view.getUint8(at + 2)}, Flags [${flags}]`);
    sheet.put(`, valid time ${lifetime(view.getUint32(at + 4))}, pref. time ${lifetime(view.getUint32(at + 8))}`);
  } else if (type === 5) sheet.put(`${title('mtu')} ${view.getUint32(at + 4)}`);
  else if (type === 25) {
    sheet.put(`${title('rdnss')} lifetime ${view.getUint32(at + 4)}s,`);
    for (let i = 8; i + 16 <= 8 * units; i += 16) sheet.put(` addr: ${printIpv6(bytes, at + i)}`);
  } else {
    sheet.put(title('unknown'));
    if (sheet.verbose === 1) sheet.put(printHex(bytes, at + 2, at + 8 * units, false, '\n\t  '));
  }
  if (sheet.verbose > 1) sheet.put(printHex(bytes, at + 2, at + 8 * units, false, '\n\t    '));
}

function lifetime(seconds: number): string {
  return seconds === 0xffffffff ? 'infinity' : `${seconds}s`;
}
