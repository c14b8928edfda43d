/**
 * Printers of what lies straight on Ethernet and is not IP: ARP, the slow protocols (LACP), the loopback test of Ethernet.
 */
import { printIpv4, printMac } from './address.ts';
import { ARP_LEN, arpIsEthernetIpv4, arpOp, arpSenderIp, arpTargetIp } from './arp.ts';
import { ETH_ALEN } from './eth.ts';
import { LACPDU_LEN, Lacpdu, type LacpParty, readLacpdu, SLOW_SUBTYPE_LACP, SLOW_SUBTYPE_MARKER } from './lacp.ts';
import { printHex } from './print_hex.ts';
import { bitNames, hex, type Sheet } from './print_sheet.ts';

const ARP_NAMES: Readonly<Record<number, string>> = {
  1: 'Request',
  2: 'Reply',
  3: 'Reverse Request',
  4: 'Reverse Reply',
  8: 'Inverse Request',
  9: 'Inverse Reply',
};
const SLOW_NAMES: Readonly<Record<number, string>> = { 1: 'LACP', 2: 'MARKER', 3: 'OAM' };
const SUBTYPE_OAM = 3;
const LACP_STATES: readonly (readonly [number, string])[] = [
  [0x01, 'Activity'],
  [0x02, 'Timeout'],
  [0x04, 'Aggregation'],
  [0x08, 'Synchronization'],
  [0x10, 'Collecting'],
  [0x20, 'Distributing'],
  [0x40, 'Default'],
  [0x80, 'Expired'],
];
const LOOP_REPLY = 1;
const LOOP_FORWARD = 2;

/** ARP of IPv4 over Ethernet; of anything else its types and lengths are printed. */
export function printArp(sheet: Sheet, o: number, len: number): void {
  const { view, bytes } = sheet;
  if (!sheet.needs(o, ARP_LEN, 'arp')) return;
  if (!sheet.ethernet) sheet.put('ARP, ');
  if (!arpIsEthernetIpv4(view, o)) {
    sheet.put(`hardware ${view.getUint16(o)} (len ${view.getUint8(o + 4)}), `);
    sheet.put(`protocol ${hex(view.getUint16(o + 2), 4)} (len ${view.getUint8(o + 5)}), length ${len}`);
    return;
  }
  if (sheet.verbose > 0) sheet.put('Ethernet (len 6), IPv4 (len 4), ');
  const op = arpOp(view, o);
  const senderMac = printMac(bytes, o + 8);
  const targetMac = printMac(bytes, o + 18);
  const sender = printIpv4(arpSenderIp(view, o));
  const target = printIpv4(arpTargetIp(view, o));
  sheet.put(`${ARP_NAMES[op] ?? `Unknown (${op})`} `);
  const asked = bytes.subarray(o + 18, o + 18 + ETH_ALEN).some((byte) => byte !== 0);
  if (op === 1) sheet.put(`who-has ${target}${asked ? ` (${targetMac})` : ''} tell ${sender}`);
  else if (op === 2) sheet.put(`${sender} is-at ${senderMac}`);
  else if (op === 3) sheet.put(`who-is ${targetMac} tell ${senderMac}`);
  else if (op === 4) sheet.put(`${targetMac} at ${target}`);
  else if (op === 8) sheet.put(`who-is ${targetMac} tell ${senderMac}`);
  else if (op === 9) sheet.put(`${senderMac} at ${sender}`);
  sheet.put(`, length ${len}`);
}

/** LACP in full with -v; the other slow protocols by name. */
export function printSlow(sheet: Sheet, o: number, len: number): void {
  const { view } = sheet;
  if (!sheet.needs(o, 2, 'slow')) return;
  const subtype = view.getUint8(o);
  const name = SLOW_NAMES[subtype];
  const versioned = subtype === SLOW_SUBTYPE_LACP || subtype === SLOW_SUBTYPE_MARKER;
  if (name === undefined) sheet.put(`unknown (${subtype}), length ${len}`);
  else sheet.put(`${name}${versioned ? `v${view.getUint8(o + 1)}` : ''}, length ${len}`);
  if (name === undefined) sheet.put(printHex(sheet.bytes, o, Math.min(o + len, sheet.end), false));
  if (sheet.verbose === 0 || subtype === SUBTYPE_OAM || subtype !== SLOW_SUBTYPE_LACP) return;
  if (!sheet.needs(o, LACPDU_LEN, 'slow')) return;
  const pdu = readLacpdu(view, o, new Lacpdu());
  putParty(sheet, 'Actor', 1, pdu.actor);
  putRaw(sheet, o + 4, o + 22);
  putParty(sheet, 'Partner', 2, pdu.partner);
  putRaw(sheet, o + 24, o + 42);
  sheet.put(`\n\tCollector Information TLV (0x03), length 16\n\t  Max Delay ${pdu.collectorMaxDelay}`);
  putRaw(sheet, o + 44, o + 58);
  sheet.put('\n\tTerminator TLV (0x00), length 0');
}

/** -vv shows the bytes behind the words. */
function putRaw(sheet: Sheet, from: number, to: number): void {
  if (sheet.verbose > 1) sheet.put(printHex(sheet.bytes, from, to, false, '\n\t  '));
}

function putParty(sheet: Sheet, who: string, type: number, party: LacpParty): void {
  sheet.put(`\n\t${who} Information TLV (${hex(type, 2)}), length 20`);
  sheet.put(`\n\t  System ${printMac(party.system)}, System Priority ${party.systemPriority}`);
  sheet.put(`, Key ${party.key}, Port ${party.port}, Port Priority ${party.portPriority}`);
  sheet.put(`\n\t  State Flags [${bitNames(LACP_STATES, party.state)}]`);
}

/** The configuration test protocol (EtherType 0x9000), whose numbers are little endian; bonds and switches probe with it. */
export function printLoopbackTest(sheet: Sheet, o: number, len: number): void {
  const { view } = sheet;
  sheet.put('Loopback');
  if (len < 2 || !sheet.has(o, 2)) {
    sheet.put(' [|loopback]');
    return;
  }
  const skip = view.getUint16(o, true);
  sheet.put(`, skipCount ${skip}`);
  if (skip % 8 !== 0) sheet.put(' (bogus)');
  const at = o + 2 + skip;
  if (skip > len - 2) {
    sheet.put(' (invalid)');
    return;
  }
  if (!sheet.needs(at, 4, 'loopback')) return;
  const call = view.getUint16(at, true);
  let rest = len - 2 - skip - 4;
  if (call === LOOP_REPLY) sheet.put(`, Reply, receipt number ${view.getUint16(at + 2, true)}`);
  else if (call === LOOP_FORWARD && sheet.has(at + 2, ETH_ALEN)) {
    sheet.put(`, Forward Data, forwarding address ${printMac(sheet.bytes, at + 2)}`);
    rest -= ETH_ALEN - 2;
  } else {
    sheet.put(`,  invalid (${call})`);
    return;
  }
  if (rest > 0) sheet.put(`, data (${rest} octets)`);
}
