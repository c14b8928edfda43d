/**
 * Printer of UDP, and of two payloads: netconsole records (asked for), and Rx on AFS's ports, which tcpdump names unasked.
 */
import { fold, sum32 } from './checksum.ts';
import { parseBasicLine, parseExtendedBody, parseExtendedHeader } from './netconsole_parse.ts';
import { decodeText, printableText } from './netconsole_text.ts';
import { hex, type Sheet } from './print_sheet.ts';
import { putEnds, type Upper } from './print_tcp.ts';
import { UDP_HLEN, udpChecksum, udpDestPort, udpLen, udpSourcePort } from './udp.ts';

const RX_FIRST = 7000;
const RX_LAST = 7009;
const RX_HLEN = 28;
const RX_TYPES: readonly string[] = [
  '',
  'data',
  'busy',
  'abort',
  'ack',
  'challenge',
  'response',
  'debug',
  'params',
  'params',
  'params',
  'params',
  'params',
  'version',
];
const RX_FLAGS: readonly (readonly [number, string])[] = [
  [1, 'client-init'],
  [2, 'req-ack'],
  [4, 'last-pckt'],
  [8, 'more-pckts'],
  [16, 'free-pckt'],
];

/** `len` bytes from the UDP header on. */
export function printUdp(sheet: Sheet, o: number, len: number, upper: Upper, version: 4 | 6): void {
  const { view } = sheet;
  if (!putEnds(sheet, upper, o, 'udp')) return;
  if (len < UDP_HLEN) {
    sheet.put(`truncated-udp ${len}`);
    return;
  }
  if (!sheet.needs(o, UDP_HLEN, 'udp')) return;
  const stated = udpLen(view, o);
  if (stated < UDP_HLEN) {
    sheet.put(`truncated-udplength ${stated}`);
    return;
  }
  const payload = Math.min(stated, len) - UDP_HLEN;
  if (sheet.quiet) {
    sheet.put(`UDP, length ${payload}`);
    return;
  }
  if (sheet.verbose > (version === 4 ? 1 : 0) && !upper.fragmented) putChecksum(sheet, o, stated, upper, version);
  if (isRx(udpSourcePort(view, o)) || isRx(udpDestPort(view, o))) printRx(sheet, o + UDP_HLEN, payload);
  else if (stated > len && !upper.fragmented) sheet.put(`UDP, bad length ${stated - UDP_HLEN} > ${len - UDP_HLEN}`);
  else sheet.put(`UDP, length ${stated - UDP_HLEN}`);
  if (sheet.netconsole) putNetconsole(sheet, o + UDP_HLEN, Math.min(payload, sheet.end - o - UDP_HLEN));
}

function putChecksum(sheet: Sheet, o: number, len: number, upper: Upper, version: 4 | 6): void {
  const check = udpChecksum(sheet.view, o);
  if (check === 0 && version === 4) sheet.put('[no cksum] ');
  else if (sheet.has(o, len)) {
    const sum = upper.pseudo(len) + sum32(sheet.view, o, len);
    const right = fold(sum + (~check & 0xffff));
    sheet.put(fold(sum) === 0 ? '[udp sum ok] ' : `[bad udp cksum ${hex(check, 4)} -> ${hex(right, 4)}!] `);
  }
}

function isRx(port: number): boolean {
  return port >= RX_FIRST && port <= RX_LAST;
}

function printRx(sheet: Sheet, o: number, len: number): void {
  const { view, verbose } = sheet;
  if (len < RX_HLEN || !sheet.has(o, RX_HLEN)) {
    sheet.put(` [|rx] (${len})`);
    return;
  }
  const type = view.getUint8(o + 20);
  sheet.put(` rx ${RX_TYPES[type] || `type ${type}`}`);
  if (verbose > 1) {
    sheet.put(
      ` cid ${view
        .getUint32(o + 4)
        .toString(16)
        .padStart(8, '0')} call# ${view.getUint32(o + 8)}`,
    );
  }
  if (verbose > 0) sheet.put(` seq ${view.getUint32(o + 12)} ser ${view.getUint32(o + 16)}`);
  if (verbose > 1) {
    const flags = view.getUint8(o + 21);
    const set = RX_FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => `<${name}>`);
    if (set.length > 0) sheet.put(` ${set.join(',')}`);
  }
  sheet.put(` (${len})`);
}

/** A record of the extended format with its header's fields; basic lines as they are. Nothing for what is neither. */
function putNetconsole(sheet: Sheet, o: number, len: number): void {
  if (len <= 0) return;
  const bytes = sheet.bytes.slice(o, o + len);
  const header = parseExtendedHeader(bytes);
  if (header !== null) {
    const { text, dict } = parseExtendedBody(bytes, header.bodyStart, len);
    const part = header.fragment === null ? '' : `, part at ${header.fragment.offset} of ${header.fragment.total}`;
    const release = header.release === null ? '' : `${header.release} `;
    sheet.put(`\n\tnetconsole ${release}level ${header.level}, seq ${header.seq}, usec ${header.usec}${part}: `);
    sheet.put(printableText(text));
    for (const { key, value } of dict) sheet.put(`\n\t  ${printableText(`${key}=${value}`)}`);
    return;
  }
  for (const line of decodeText(bytes).split('\n')) {
    const basic = parseBasicLine(line);
    if (basic.recognised) sheet.put(`\n\tnetconsole level ${basic.level ?? '-'}: ${printableText(basic.text)}`);
  }
}
