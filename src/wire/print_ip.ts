/**
 * Printers of IPv4, and of IPv6 with its extension headers; what is above them is printed by its own file.
 *
 *     IP (-v: fields)  addresses, or addresses and ports, :  what UDP, TCP, ICMP say of themselves
 */
import { printIpv4, printIpv6 } from './address.ts';
import { checksum, fold, sum32 } from './checksum.ts';
import { IPPROTO_ICMPV6, ipv6PseudoSum } from './icmpv6.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, ipv4Dest, ipv4HeaderLen, ipv4Source } from './ipv4.ts';
import { IPV6_HLEN } from './ipv6.ts';
import { printIcmp } from './print_icmp.ts';
import { printIcmpv6 } from './print_icmpv6.ts';
import { bitNames, hex, type Sheet } from './print_sheet.ts';
import { printTcp, type TcpConversations, type Upper } from './print_tcp.ts';
import { printUdp } from './print_udp.ts';

const IPPROTO_HOPOPTS = 0;
const IPPROTO_IPIP = 4;
const IPPROTO_IPV6 = 41;
const IPPROTO_FRAGMENT = 44;
const IPPROTO_NONE = 59;
const IPPROTO_DSTOPTS = 60;
/** Extension headers in front of one upper layer that are followed. */
const HEADERS_MAX = 16;

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  0: 'Options',
  1: 'ICMP',
  2: 'IGMP',
  4: 'IPIP',
  6: 'TCP',
  8: 'EGP',
  9: 'IGRP',
  17: 'UDP',
  33: 'DCCP',
  41: 'IPv6',
  43: 'Routing',
  44: 'Fragment',
  46: 'RSVP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  55: 'Mobile IP',
  58: 'ICMPv6',
  77: 'SUN-ND (obsolete)',
  88: 'EIGRP',
  89: 'OSPF',
  103: 'PIM',
  108: 'Compressed IP',
  112: 'VRRP',
  113: 'PGM',
  132: 'SCTP',
  135: 'Mobility',
};
const IP_FLAGS: readonly (readonly [number, string])[] = [
  [0x2000, '+'],
  [0x4000, 'DF'],
  [0x8000, 'rsvd'],
];
const TOS_ECN: readonly string[] = ['', ',ECT(1)', ',ECT(0)', ',CE'];
const OPTION_NAMES: Readonly<Record<number, string>> = { 0: 'EOL', 1: 'NOP', 148: 'RA' };

/** `len` bytes on the wire from the IPv4 header on, padding included. */
export function printIpv4Packet(sheet: Sheet, o: number, len: number, numbers: TcpConversations): void {
  const { view } = sheet;
  if (!sheet.ethernet) sheet.put('IP ');
  if (len < IPV4_HLEN && sheet.has(o, len) && len > 0 && view.getUint8(o) >>> 4 === 4) {
    sheet.put(sheet.has(o, IPV4_HLEN) ? `truncated-ip ${len}` : ' [|ip]');
    return;
  }
  const version = sheet.has(o, 1) ? view.getUint8(o) >>> 4 : 4;
  if (version !== 4) {
    sheet.text = sheet.ethernet ? sheet.text : sheet.text.slice(0, -3);
    sheet.put(version === 6 ? 'IP6, wrong link-layer encapsulation (invalid)' : `IP${version} (invalid)`);
    return;
  }
  if (!sheet.needs(o, IPV4_HLEN, 'ip')) return;
  const headerLen = ipv4HeaderLen(view, o);
  if (headerLen < IPV4_HLEN) {
    sheet.put(`bad-hlen ${headerLen}`);
    return;
  }
  let total = view.getUint16(o + 2);
  if (len < total) sheet.put(`truncated-ip - ${total - len} bytes missing! `);
  if (total < headerLen) {
    if (total !== 0) {
      sheet.put(`bad-len ${total}`);
      return;
    }
    total = len;
  }
  sheet.end = Math.min(sheet.end, o + total);
  const flags = view.getUint16(o + 6);
  const protocol = view.getUint8(o + 9);
  if (sheet.verbose > 0) putFields(sheet, o, headerLen, total, flags, protocol);
  const offset = (flags & 0x1fff) * 8;
  const source = printIpv4(ipv4Source(view, o));
  const dest = printIpv4(ipv4Dest(view, o));
  if (offset !== 0) {
    sheet.put(`${source} > ${dest}: ip-proto-${protocol}`);
    return;
  }
  const upper: Upper = {
    source,
    dest,
    addressed: true,
    fragmented: (flags & 0x2000) !== 0,
    pseudo: (n) => sum32(view, o + 12, 8) + protocol + n,
  };
  const at = o + headerLen;
  const rest = total - headerLen;
  if (protocol !== IPPROTO_UDP && protocol !== IPPROTO_TCP) sheet.put(`${source} > ${dest}: `);
  if (protocol === IPPROTO_UDP) printUdp(sheet, at, rest, upper, 4);
  else if (protocol === IPPROTO_TCP) printTcp(sheet, at, rest, upper, numbers);
  else if (protocol === IPPROTO_ICMP) printIcmp(sheet, at, rest, !upper.fragmented);
  else if (protocol === IPPROTO_IPIP) printIpv4Packet(sheet, at, rest, numbers);
  else if (protocol === IPPROTO_IPV6) printIpv6Packet(sheet, at, rest, numbers);
  else sheet.put(` ip-proto-${protocol} ${rest}`);
}

function putFields(sheet: Sheet, o: number, headerLen: number, total: number, flags: number, protocol: number): void {
  const { view } = sheet;
  const tos = view.getUint8(o + 1);
  const ttl = view.getUint8(o + 8);
  sheet.put(`(tos ${hex(tos)}${TOS_ECN[tos & 3]}${ttl === 0 ? '' : `, ttl ${ttl}`}, id ${view.getUint16(o + 4)}`);
  sheet.put(`, offset ${(flags & 0x1fff) * 8}, flags [${bitNames(IP_FLAGS, flags)}]`);
  sheet.put(`, proto ${PROTOCOL_NAMES[protocol] ?? 'unknown'} (${protocol}), length ${total}`);
  if (headerLen > IPV4_HLEN) sheet.put(`, options (${optionNames(sheet, o + IPV4_HLEN, o + headerLen)})`);
  if (sheet.has(o, headerLen) && checksum(view, o, headerLen) !== 0) {
    const check = view.getUint16(o + 10);
    const right = fold(sum32(view, o, headerLen) + (~check & 0xffff));
    sheet.put(`, bad cksum ${check.toString(16)} (->${right.toString(16)})!`);
  }
  sheet.put(')\n    ');
}

function optionNames(sheet: Sheet, o: number, end: number): string {
  const names: string[] = [];
  for (let at = o; at < end && sheet.has(at, 1); ) {
    const type = sheet.view.getUint8(at);
    names.push(OPTION_NAMES[type] ?? `unknown ${type}`);
    if (type === 0) break;
    const size = type === 1 ? 1 : at + 1 < end && sheet.has(at, 2) ? sheet.view.getUint8(at + 1) : 0;
    if (size === 0) break;
    at += size;
  }
  return names.join(',');
}

/** `len` bytes on the wire from the IPv6 header on, padding included. */
export function printIpv6Packet(sheet: Sheet, o: number, len: number, numbers: TcpConversations): void {
  const { view, bytes } = sheet;
  if (len < IPV6_HLEN && sheet.has(o, IPV6_HLEN)) {
    sheet.put(`truncated-ip6 ${len}`);
    return;
  }
  if (!sheet.needs(o, IPV6_HLEN, 'ip6')) return;
  if (!sheet.ethernet) sheet.put('IP6 ');
  const version = view.getUint8(o) >>> 4;
  if (version !== 6) {
    sheet.put(`version error: ${version} != 6`);
    return;
  }
  const payload = view.getUint16(o + 4);
  if (len < payload + IPV6_HLEN) sheet.put(`truncated-ip6 - ${payload + IPV6_HLEN - len} bytes missing!`);
  const next = view.getUint8(o + 6);
  if (sheet.verbose > 0) {
    const flow = view.getUint32(o);
    sheet.put('(');
    if ((flow & 0x0ff00000) !== 0) sheet.put(`class ${hex((flow >>> 20) & 0xff, 2)}, `);
    if ((flow & 0x000fffff) !== 0) sheet.put(`flowlabel ${hex(flow & 0x000fffff, 5)}, `);
    sheet.put(`hlim ${view.getUint8(o + 7)}, next-header ${PROTOCOL_NAMES[next] ?? 'unknown'} (${next})`);
    sheet.put(` payload length: ${payload}) `);
  }
  sheet.end = Math.min(sheet.end, o + IPV6_HLEN + payload);
  const source = printIpv6(bytes, o + 8);
  const dest = printIpv6(bytes, o + 24);
  const addressed = next === IPPROTO_UDP || next === IPPROTO_TCP;
  if (!addressed) sheet.put(`${source} > ${dest}: `);
  putUpper(sheet, o, o + IPV6_HLEN + payload, next, { source, dest, addressed }, numbers);
}

type Ends = Pick<Upper, 'source' | 'dest' | 'addressed'>;

/** Follows the extension headers to the upper layer. `stop` is where the packet ends on the wire. */
function putUpper(sheet: Sheet, ip: number, stop: number, first: number, ends: Ends, numbers: TcpConversations): void {
  const { view } = sheet;
  let at = ip + IPV6_HLEN;
  let next = first;
  let fragmented = false;
  for (
    let n = 0;
    n < HEADERS_MAX && (next === IPPROTO_HOPOPTS || next === IPPROTO_DSTOPTS || next === IPPROTO_FRAGMENT);
    n++
  ) {
    const name = next === IPPROTO_HOPOPTS ? 'HBH' : next === IPPROTO_DSTOPTS ? 'DSTOPT' : 'frag';
    if (next === IPPROTO_FRAGMENT) {
      if (!sheet.needs(at, 8, 'frag')) return;
      fragmented = true;
      const offset = view.getUint16(at + 2) & 0xfff8;
      const id = sheet.verbose > 0 ? `${hex(view.getUint32(at + 4), 8)}:` : '';
      sheet.put(`frag (${id}${offset}|${stop - at - 8})`);
      if (offset !== 0) return;
      sheet.put(' ');
      next = view.getUint8(at);
      at += 8;
      continue;
    }
    sheet.put(`${name} `);
    if (!sheet.has(at, 2) || !sheet.has(at, 8 * (view.getUint8(at + 1) + 1))) {
      sheet.put(` [|${name.toLowerCase()}]`);
      return;
    }
    const size = 8 * (view.getUint8(at + 1) + 1);
    if (sheet.verbose > 0) putOptions(sheet, at + 2, at + size);
    next = view.getUint8(at);
    at += size;
  }
  const upper: Upper = { ...ends, fragmented, pseudo: (len) => ipv6PseudoSum(view, ip, next, len) };
  const rest = stop - at;
  if (next === IPPROTO_UDP) printUdp(sheet, at, rest, upper, 6);
  else if (next === IPPROTO_TCP) printTcp(sheet, at, rest, upper, numbers);
  else if (next === IPPROTO_ICMPV6) printIcmpv6(sheet, ip, at, rest);
  else if (next === IPPROTO_IPIP) printIpv4Packet(sheet, at, rest, numbers);
  else if (next === IPPROTO_IPV6) printIpv6Packet(sheet, at, rest, numbers);
  else sheet.put(next === IPPROTO_NONE ? 'no next header' : ` ip-proto-${next} ${rest}`);
}

/** Hop-by-hop and destination options. */
function putOptions(sheet: Sheet, o: number, end: number): void {
  const { view } = sheet;
  for (let at = o; at < end; ) {
    const type = view.getUint8(at);
    if (type === 0) {
      sheet.put('(pad1) ');
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const size = view.getUint8(at + 1);
    if (at + 2 + size > end) {
      sheet.put('(invalid) ');
      return;
    }
    if (type === 1) sheet.put('(padn) ');
    else if (type === 5 && size === 2) sheet.put(`(rtalert: ${hex(view.getUint16(at + 2), 4)}) `);
    else if (type === 0xc2 && size === 4) sheet.put(`(jumbo: ${view.getUint32(at + 2)}) `);
    else sheet.put(`(opt_type ${hex(type, 2)}: len=${size}) `);
    at += 2 + size;
  }
}
