/**
 * One block of a pcapng file.
 *
 *   | type 4 | length 4 | body ... | length 4 |          length counts the whole block, a multiple of 4
 *
 *   section header  0x0a0d0d0a  byte-order magic 0x1a2b3c4d: sets the order, forgets the interfaces
 *   interface       1           link type, options (9 if_tsresol: the clock's unit, 14 if_tsoffset)
 *   enhanced packet 6           interface, time (upper, lower 32 bits), captured and original length, bytes
 *   simple packet   3           no time, no interface: the first one's
 *   packet          2           what enhanced packet was before: interface and drop count in 16 bits each
 *   others                      skipped by their length
 *
 * Packets of an interface that is not Ethernet raise PcapError when the first of them appears, not before: a file may
 * describe interfaces that never saw a packet.
 */

import { type CapturedPacket, PACKET_MAX, PcapError, requireEthernet } from './pcap_format.ts';

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const OLD_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;

/** What blocks before have said. */
export interface Interface {
  readonly linkType: number;
  /** Clock units in a second. */
  readonly unitsPerSecond: number;
  readonly offsetSeconds: number;
}

/** State of a pcapng reader, and the packet that it fills. */
export interface BlockSink {
  littleEndian: boolean;
  interfaces: Interface[];
  readonly packet: CapturedPacket;
}

/**
 * Reads the block at `at`, of which `available` bytes are there. Returns 0: more bytes are needed; n > 0: a packet was
 * filled in and the block has n bytes; n < 0: a block of -n bytes without a packet. Throws PcapError.
 */
export function readPcapngBlock(
  sink: BlockSink,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  available: number,
): number {
  const isSection = view.getUint32(at, false) === SECTION;
  if (isSection) readByteOrder(sink, view, at);
  const little = sink.littleEndian;
  const type = isSection ? SECTION : view.getUint32(at, little);
  const length = view.getUint32(at + 4, little);
  if (length < 12 || length % 4 !== 0 || length > PACKET_MAX * 4) {
    throw new PcapError('PCAP_BROKEN', `pcapng block of ${length} bytes: the file is damaged`);
  }
  if (available < length) return 0;
  const bodyEnd = at + length - 4;
  if (type === INTERFACE) sink.interfaces.push(readInterface(view, at + 8, bodyEnd, little));
  if (type === ENHANCED_PACKET || type === OLD_PACKET)
    return readEnhanced(sink, bytes, view, at, bodyEnd, type === OLD_PACKET) ? length : -length;
  if (type === SIMPLE_PACKET) return readSimple(sink, bytes, view, at, bodyEnd) ? length : -length;
  return -length;
}

function readByteOrder(sink: BlockSink, view: DataView, at: number): void {
  const little = view.getUint32(at + 8, true) === BYTE_ORDER;
  if (!little && view.getUint32(at + 8, false) !== BYTE_ORDER) {
    throw new PcapError('PCAP_BROKEN', 'pcapng section header without a byte-order mark: the file is damaged');
  }
  sink.littleEndian = little;
  sink.interfaces = [];
}

function readInterface(view: DataView, start: number, end: number, little: boolean): Interface {
  if (end - start < 8) throw new PcapError('PCAP_BROKEN', 'pcapng interface block is too short');
  const linkType = view.getUint16(start, little);
  let unitsPerSecond = 1e6;
  let offsetSeconds = 0;
  for (let at = start + 8; at + 4 <= end; ) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === 0 || at + 4 + length > end) break;
    if (code === OPTION_TSRESOL && length === 1) {
      const value = view.getUint8(at + 4);
      unitsPerSecond = value & 0x80 ? 2 ** (value & 0x7f) : 10 ** value;
    }
    if (code === OPTION_TSOFFSET && length === 8) {
      offsetSeconds = Number(view.getBigInt64(at + 4, little));
    }
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return { linkType, unitsPerSecond, offsetSeconds };
}

function readEnhanced(
  sink: BlockSink,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  old: boolean,
): boolean {
  const little = sink.littleEndian;
  if (end - at < 28) throw new PcapError('PCAP_BROKEN', 'pcapng packet block is too short');
  const from = sink.interfaces[old ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little)];
  if (from === undefined) throw new PcapError('PCAP_BROKEN', 'pcapng packet of an interface that was never described');
  requireEthernet(from.linkType);
  const length = view.getUint32(at + 20, little);
  if (at + 28 + length > end) throw new PcapError('PCAP_BROKEN', 'pcapng packet is longer than its block');
  fillTime(sink.packet, from, view.getUint32(at + 12, little), view.getUint32(at + 16, little));
  sink.packet.bytes = bytes;
  sink.packet.start = at + 28;
  sink.packet.length = length;
  sink.packet.wireLength = view.getUint32(at + 24, little);
  return true;
}

/** upper * 2^32 + lower clock units, exactly, as microseconds and nanoseconds. */
function fillTime(packet: CapturedPacket, from: Interface, upper: number, lower: number): void {
  const micros = upper * 2 ** 32 + lower;
  if (from.unitsPerSecond === 1e6 && micros <= Number.MAX_SAFE_INTEGER) {
    packet.tsUs = micros + from.offsetSeconds * 1e6;
    packet.tsNs = 0;
    return;
  }
  const units = (BigInt(upper) << 32n) | BigInt(lower);
  const perSecond = BigInt(Math.max(1, Math.min(from.unitsPerSecond, 2 ** 62)));
  const ns = (units * 1_000_000_000n) / perSecond + BigInt(from.offsetSeconds) * 1_000_000_000n;
  packet.tsUs = Number(ns / 1000n);
  packet.tsNs = Number(ns % 1000n);
}

function readSimple(sink: BlockSink, bytes: Uint8Array, view: DataView, at: number, end: number): boolean {
  const from = sink.interfaces[0];
  if (from === undefined) throw new PcapError('PCAP_BROKEN', 'pcapng packet of an interface that was never described');
  requireEthernet(from.linkType);
  const wireLength = view.getUint32(at + 8, sink.littleEndian);
  sink.packet.bytes = bytes;
  sink.packet.start = at + 12;
  sink.packet.length = Math.min(wireLength, end - at - 12);
  sink.packet.wireLength = wireLength;
  sink.packet.tsUs = 0;
  sink.packet.tsNs = 0;
  return true;
}
