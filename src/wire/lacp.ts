/**
 * Slow protocols (IEEE 802.3 annex 57A, EtherType 0x8809): LACP and its marker protocol (802.3ad, now 802.1AX), which keep
 * two ends of a bundle of links agreed on what belongs together. Every message has 110 bytes behind the Ethernet header.
 *
 *     LACPDU   0        2             22            42               58           60         110
 *              | 1 | 1  | 1 20 actor  | 2 20 partner | 3 16 collector | 0 0 end    | zero     |
 *
 *     a party, actor or partner, behind its type and length:
 *              0               2          8     10              12     14      15       18
 *              | system prio   | system   | key | port priority | port | state | zero   |
 *
 *     marker   0        2        4      6        12            16    18     20        110
 *              | 2 | 1  | t 22   | port | system | transaction | pad | 0 0  | zero     |      t: 1 information, 2 response
 *
 * Readers look at the fields only, as the kernel does: versions and lengths of other values are taken as they are.
 */
import { ETH_ALEN } from './eth.ts';

export const ETH_P_SLOW = 0x8809;
/** Bytes of any message of LACP. */
export const LACPDU_LEN = 110;
export const SLOW_SUBTYPE_LACP = 1;
export const SLOW_SUBTYPE_MARKER = 2;
/** Kinds of marker. */
export const MARKER_INFORMATION = 1;
export const MARKER_RESPONSE = 2;

/** Bits of a port's state. */
export const LACP_STATE_ACTIVITY = 0x01;
/** Wants to hear every second, and gives up after three; else 30 and 90. */
export const LACP_STATE_TIMEOUT = 0x02;
export const LACP_STATE_AGGREGATION = 0x04;
export const LACP_STATE_SYNCHRONIZATION = 0x08;
export const LACP_STATE_COLLECTING = 0x10;
export const LACP_STATE_DISTRIBUTING = 0x20;
export const LACP_STATE_DEFAULTED = 0x40;
export const LACP_STATE_EXPIRED = 0x80;

const ACTOR = 2;
const PARTNER = 22;
const COLLECTOR = 42;
const PARTY_LEN = 20;
const COLLECTOR_LEN = 16;
const MARKER_LEN = 22;

/** Where these messages go: the group that no bridge forwards. A copy each time, so that nobody changes it for others. */
export function slowMulticast(): Uint8Array {
  return Uint8Array.of(0x01, 0x80, 0xc2, 0x00, 0x00, 0x02);
}

/** What a system says of one port, its own or its partner's. */
export class LacpParty {
  systemPriority = 0;
  readonly system = new Uint8Array(ETH_ALEN);
  key = 0;
  portPriority = 0;
  port = 0;
  state = 0;

  copyFrom(other: LacpParty): void {
    this.systemPriority = other.systemPriority;
    this.system.set(other.system);
    this.key = other.key;
    this.portPriority = other.portPriority;
    this.port = other.port;
    this.state = other.state;
  }
}

/** A LACPDU's contents; filled again and again. */
export class Lacpdu {
  readonly actor = new LacpParty();
  readonly partner = new LacpParty();
  /** Tens of microseconds. */
  collectorMaxDelay = 0;
}

/** Which of the slow protocols: SLOW_SUBTYPE_LACP, SLOW_SUBTYPE_MARKER, or somebody else's. One byte must be there. */
export function slowSubtype(view: DataView, o: number): number {
  return view.getUint8(o);
}

/** Fills `out`; 110 bytes must be there. */
export function readLacpdu(view: DataView, o: number, out: Lacpdu): Lacpdu {
  readParty(view, o + ACTOR + 2, out.actor);
  readParty(view, o + PARTNER + 2, out.partner);
  out.collectorMaxDelay = view.getUint16(o + COLLECTOR + 2);
  return out;
}

/** Writes 110 bytes at `o`. */
export function writeLacpdu(view: DataView, o: number, pdu: Lacpdu): void {
  clear(view, o);
  view.setUint8(o, SLOW_SUBTYPE_LACP);
  view.setUint8(o + 1, 1);
  writeTlv(view, o + ACTOR, 1, PARTY_LEN);
  writeParty(view, o + ACTOR + 2, pdu.actor);
  writeTlv(view, o + PARTNER, 2, PARTY_LEN);
  writeParty(view, o + PARTNER + 2, pdu.partner);
  writeTlv(view, o + COLLECTOR, 3, COLLECTOR_LEN);
  view.setUint16(o + COLLECTOR + 2, pdu.collectorMaxDelay);
}

/** MARKER_INFORMATION, MARKER_RESPONSE, or something else. Three bytes must be there. */
export function markerType(view: DataView, o: number): number {
  return view.getUint8(o + 2);
}

/** Who asks, and what for: `transaction` and `port` come back in the response. */
export interface Marker {
  readonly type: number;
  readonly port: number;
  readonly system: Uint8Array;
  readonly transaction: number;
}

/** 110 bytes must be there. */
export function readMarker(view: DataView, o: number): Marker {
  const system = new Uint8Array(ETH_ALEN);
  for (let i = 0; i < ETH_ALEN; i++) system[i] = view.getUint8(o + 6 + i);
  return { type: markerType(view, o), port: view.getUint16(o + 4), system, transaction: view.getUint32(o + 12) };
}

/** Writes 110 bytes at `o`. */
export function writeMarker(view: DataView, o: number, marker: Marker): void {
  clear(view, o);
  view.setUint8(o, SLOW_SUBTYPE_MARKER);
  view.setUint8(o + 1, 1);
  writeTlv(view, o + 2, marker.type, MARKER_LEN);
  view.setUint16(o + 4, marker.port);
  for (let i = 0; i < ETH_ALEN; i++) view.setUint8(o + 6 + i, marker.system[i]!);
  view.setUint32(o + 12, marker.transaction);
}

/** The answer to the information at `from` is that message with another type. Writes 110 bytes at `o`. */
export function writeMarkerResponse(view: DataView, o: number, from: DataView, at: number): void {
  for (let i = 0; i < LACPDU_LEN; i++) view.setUint8(o + i, from.getUint8(at + i));
  view.setUint8(o + 2, MARKER_RESPONSE);
}

function readParty(view: DataView, o: number, out: LacpParty): void {
  out.systemPriority = view.getUint16(o);
  for (let i = 0; i < ETH_ALEN; i++) out.system[i] = view.getUint8(o + 2 + i);
  out.key = view.getUint16(o + 8);
  out.portPriority = view.getUint16(o + 10);
  out.port = view.getUint16(o + 12);
  out.state = view.getUint8(o + 14);
}

function writeParty(view: DataView, o: number, party: LacpParty): void {
  view.setUint16(o, party.systemPriority);
  for (let i = 0; i < ETH_ALEN; i++) view.setUint8(o + 2 + i, party.system[i]!);
  view.setUint16(o + 8, party.key);
  view.setUint16(o + 10, party.portPriority);
  view.setUint16(o + 12, party.port);
  view.setUint8(o + 14, party.state);
}

function writeTlv(view: DataView, o: number, type: number, len: number): void {
  view.setUint8(o, type);
  view.setUint8(o + 1, len);
}

function clear(view: DataView, o: number): void {
  for (let i = 0; i < LACPDU_LEN; i++) view.setUint8(o + i, 0);
}
