/**
 * Frames as text, in the look of `tcpdump -n`: one line a frame, more with -v. What is not known here (routing protocols, tunnels,
 * payloads but netconsole's) is named by its number and length, as tcpdump does with what it does not know.
 *
 *     FramePrinter.print(view, start, captured, wireLen)
 *       1. print.ts       Ethernet header (-e), VLAN tags, by EtherType to
 *       2. print_link.ts  ARP, LACP, loopback test       print_ip.ts  IPv4, IPv6
 *       3.                                               print_udp.ts, print_tcp.ts, print_icmp.ts, print_icmpv6.ts
 */
import { printMac } from './address.ts';
import { ETH_HLEN, ETH_P_802_3_MIN, ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { ETH_P_SLOW } from './lacp.ts';
import { printHex } from './print_hex.ts';
import { printIpv4Packet, printIpv6Packet } from './print_ip.ts';
import { printArp, printLoopbackTest, printSlow } from './print_link.ts';
import { hex, type PrintOptions, Sheet } from './print_sheet.ts';
import { TcpConversations } from './print_tcp.ts';
import { ETH_P_8021AD, VLAN_HLEN } from './vlan.ts';

export type { PrintOptions } from './print_sheet.ts';

const ETH_P_LOOPBACK = 0x9000;
const ETH_P_RARP = 0x8035;
/** Tags in front of one another that are followed. */
const TAGS_MAX = 8;

const ETHERTYPE_NAMES: Readonly<Record<number, string>> = {
  [ETH_P_IP]: 'IPv4',
  [ETH_P_ARP]: 'ARP',
  [ETH_P_RARP]: 'Reverse ARP',
  [ETH_P_8021Q]: '802.1Q',
  [ETH_P_8021AD]: '802.1Q-QinQ',
  [ETH_P_IPV6]: 'IPv6',
  [ETH_P_SLOW]: 'Slow Protocols',
  [ETH_P_LOOPBACK]: 'Loopback',
  34827: 'PPP',
  34887: 'MPLS unicast',
  34888: 'MPLS multicast',
  34915: 'PPPoE D',
  34916: 'PPPoE S',
  34958: 'EAPOL',
  35020: 'LLDP',
  35063: 'PTP',
  35078: 'CFM',
};

/** Printer of one capture: it remembers TCP's conversations between frames. */
export class FramePrinter {
  readonly #options: PrintOptions;
  readonly #numbers = new TcpConversations();

  constructor(options: PrintOptions = {}) {
    this.#options = options;
  }

  /**
   * The text of the frame at `start`, without time and newline. `captured` bytes of `wireLen` are there. Never throws, whatever the
   * bytes are.
   */
  print(view: DataView, start: number, captured: number, wireLen = captured): string {
    const numbers = this.#numbers;
    const sheet = new Sheet(view, start + captured, this.#options, {
      ipv4: (inner, o, len) => printIpv4Packet(inner, o, len, numbers),
      ipv6: (inner, o, len) => printIpv6Packet(inner, o, len, numbers),
    });
    printEthernet(sheet, start, wireLen);
    return sheet.text;
  }
}

function printEthernet(sheet: Sheet, start: number, wireLen: number): void {
  const { view, bytes } = sheet;
  if (!sheet.needs(start, ETH_HLEN, 'ether')) return;
  let type = view.getUint16(start + 12);
  const addresses = `${printMac(bytes, start + 6)} > ${printMac(bytes, start)}`;
  if (sheet.ethernet) sheet.put(`${addresses}, ${typeText(sheet, type)}, length ${wireLen}: `);
  let o = start + ETH_HLEN;
  let len = wireLen - ETH_HLEN;
  for (let n = 0; n < TAGS_MAX && (type === ETH_P_8021Q || type === ETH_P_8021AD); n++) {
    if (!sheet.needs(o, VLAN_HLEN, 'vlan')) return;
    const tci = view.getUint16(o);
    type = view.getUint16(o + 2);
    o += VLAN_HLEN;
    len -= VLAN_HLEN;
    if (!sheet.ethernet) continue;
    sheet.put(`vlan ${tci & 0xfff}, p ${tci >>> 13}${(tci & 0x1000) !== 0 ? ', DEI' : ''}, `);
    sheet.put(type < ETH_P_802_3_MIN ? '802.3' : `${sheet.quiet ? typeName(type) : typeText(sheet, type)}, `);
  }
  if (type === ETH_P_IP) sheet.ipv4(sheet, o, len);
  else if (type === ETH_P_IPV6) sheet.ipv6(sheet, o, len);
  else if (type === ETH_P_ARP || type === ETH_P_RARP) printArp(sheet, o, len);
  else if (type === ETH_P_SLOW) printSlow(sheet, o, len);
  else if (type === ETH_P_LOOPBACK) printLoopbackTest(sheet, o, len);
  else {
    if (!sheet.ethernet) sheet.put(`${addresses}, ${typeText(sheet, type)}, length ${wireLen}: `);
    if (type < ETH_P_802_3_MIN) putLlc(sheet, o);
    sheet.put(printHex(bytes, o, sheet.end, true));
  }
}

/** The three bytes of 802.2 that say who talks to whom. */
function putLlc(sheet: Sheet, o: number): void {
  if (!sheet.needs(o, 3, 'llc')) return;
  const [dsap, ssap, control] = [0, 1, 2].map((i) => hex(sheet.view.getUint8(o + i), 2));
  sheet.put(`LLC, dsap ${dsap}, ssap ${ssap}, ctrl ${control}`);
}

function typeName(type: number): string {
  return ETHERTYPE_NAMES[type] ?? `Unknown Ethertype (${hex(type, 4)})`;
}

function typeText(sheet: Sheet, type: number): string {
  if (type < ETH_P_802_3_MIN) return '802.3';
  if (sheet.quiet) return typeName(type);
  return `ethertype ${ETHERTYPE_NAMES[type] ?? 'Unknown'} (${hex(type, 4)})`;
}
