/**
 * Values behind qualifiers: `src host` 10.0.0.1, `net` 10.0.0.0/8, `tcp dst port` 80, `ether host` 02:00:00:00:00:01.
 */
import { parseIpv4, parseIpv6, parseMac } from './address.ts';
import { ETHER_NAMES, IP_NAMES, SERVICES } from './filter_names.ts';
import {
  anyOf,
  etherHost,
  etherType,
  type FilterDir,
  type FilterTest,
  ip4Net,
  ip4NetAnywhere,
  ip6Net,
  ip6Protocol,
  ipProtocol,
  PORT_PROTOCOLS,
  ports,
} from './filter_tests.ts';
import { FilterError, type FilterToken } from './filter_tokens.ts';

export interface Qualifiers {
  readonly proto: string | null;
  readonly dir: FilterDir;
  readonly type: 'host' | 'net' | 'port' | 'portrange' | 'proto' | null;
}

/** What asks for `token` (and, of a net, the mask behind it) under the qualifiers. Throws FilterError. */
export function valueTest(net: number, q: Qualifiers, token: FilterToken, mask: FilterToken | null): FilterTest {
  const { type } = q;
  if (type === 'port' || type === 'portrange') return portTest(net, q, token, type);
  if (type === 'proto') return protoTest(net, q, token);
  return addressTest(net, q, token, mask);
}

function portTest(net: number, q: Qualifiers, token: FilterToken, type: 'port' | 'portrange'): FilterTest {
  const parts = type === 'portrange' && token.text.includes('-') ? token.text.split('-') : [token.text, token.text];
  const [low, high] = parts.map((text) => SERVICES.get(text) ?? number(text)) as [number | null, number | null];
  if (parts.length !== 2 || low === null || high === null || low > 0xffff || high > 0xffff) {
    throw new FilterError(`"${token.text}" is no ${type === 'port' ? 'port' : 'range of ports'}`, token.at);
  }
  const protocol = q.proto === null ? null : IP_NAMES.get(q.proto)?.[0];
  if (protocol !== null && (protocol === undefined || !PORT_PROTOCOLS.includes(protocol))) {
    throw new FilterError(`${q.proto} has no ports`, token.at);
  }
  return ports(net, q.dir, Math.min(low, high), Math.max(low, high), protocol === null ? PORT_PROTOCOLS : [protocol]);
}

function protoTest(net: number, q: Qualifiers, token: FilterToken): FilterTest {
  const name = token.text.replace(/^\\/, '');
  if (q.proto === 'ether') {
    const type = ETHER_NAMES.get(name) ?? number(name);
    if (type === null || type < 0x600 || type > 0xffff) throw new FilterError(`"${name}" is no EtherType`, token.at);
    return etherType(net, type);
  }
  const protocol = IP_NAMES.get(name)?.[0] ?? number(name);
  if (protocol === null || protocol > 255) throw new FilterError(`"${name}" is no protocol of IP`, token.at);
  if (q.proto === 'ip') return ipProtocol(net, protocol);
  if (q.proto === 'ip6') return ip6Protocol(net, protocol);
  if (q.proto === null) return anyOf(ipProtocol(net, protocol), ip6Protocol(net, protocol));
  throw new FilterError(`${q.proto} proto: give ether, ip or ip6`, token.at);
}

function addressTest(net: number, q: Qualifiers, token: FilterToken, mask: FilterToken | null): FilterTest {
  const { text, at } = token;
  const mac = parseMac(text.replaceAll('-', ':'));
  if (mac !== null) {
    if (q.proto !== 'ether') throw new FilterError('a hardware address wants "ether" in front', at);
    return etherHost(q.dir, mac);
  }
  if (q.proto === 'ether') throw new FilterError(`"${text}" is no hardware address`, at);
  const six = text.includes(':') ? parseIpv6(text) : null;
  if (six !== null) {
    if (q.proto !== null && q.proto !== 'ip6') throw new FilterError(`${q.proto} has no IPv6 addresses`, at);
    if (mask !== null && q.type !== 'net') throw new FilterError('only a net has a mask', mask.at);
    return ip6Net(net, q.dir, six, prefixMask(mask, 16));
  }
  const parts = text.split('.');
  const whole = /^\d{1,3}(\.\d{1,3}){0,3}$/.test(text) ? parseIpv4([...parts, 0, 0, 0].slice(0, 4).join('.')) : null;
  if (whole === null) throw new FilterError(`"${text}" is no address (names are not looked up)`, at);
  const asNet = q.type === 'net' || (q.type === null && parts.length < 4);
  if (!asNet && parts.length < 4) throw new FilterError(`"${text}" is no address`, at);
  if (!asNet && mask !== null) throw new FilterError('only a net has a mask', mask.at);
  const bits = asNet ? mask4(mask, parts.length) : 0xffffffff;
  if ((whole & ~bits) !== 0) throw new FilterError(`"${text}" has bits outside its mask`, at);
  if (q.proto === null) return ip4NetAnywhere(net, q.dir, whole, bits);
  const type = ETHER_NAMES.get(q.proto);
  if (q.proto === 'ip6' || type === undefined || q.proto === 'slow') {
    throw new FilterError(`${q.proto} has no IPv4 addresses`, at);
  }
  return ip4Net(net, type, q.dir, whole, bits);
}

/** `/8`, `mask 255.0.0.0`, or as many bytes as the net was given. */
function mask4(mask: FilterToken | null, parts: number): number {
  if (mask === null) return parts >= 4 ? 0xffffffff : -1 << (32 - 8 * parts);
  const dotted = parseIpv4(mask.text);
  if (dotted !== null) return dotted;
  const length = number(mask.text);
  if (length === null || length > 32) throw new FilterError(`"${mask.text}" is no mask`, mask.at);
  return length === 0 ? 0 : -1 << (32 - length);
}

function prefixMask(mask: FilterToken | null, size: number): Uint8Array {
  const length = mask === null ? 8 * size : number(mask.text);
  if (length === null || length > 8 * size)
    throw new FilterError(`"${mask?.text}" is no length of a prefix`, mask?.at ?? 0);
  return Uint8Array.from({ length: size }, (_, i) => (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff);
}

/** Decimal, hexadecimal or octal; null for anything else. */
export function number(text: string): number | null {
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  const value = /^(?:0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  return value <= 0xffffffff ? value : null;
}
