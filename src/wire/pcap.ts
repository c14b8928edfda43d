/**
 * Capture files, read: pcap (both byte orders, microseconds and nanoseconds) and pcapng. No I/O: bytes are pushed in,
 * packets are pulled out.
 *
 *   1. `reader.push(chunk)` any number of times (or once with the whole file: then nothing is copied);
 *   2. `reader.next()` gives a packet, or null when it needs more bytes;
 *   3. `reader.finish()` after the last chunk tells what is wrong with the tail, if anything.
 *
 *   pcap     | magic 4 | version 2+2 | zone 4 | sigfigs 4 | snaplen 4 | linktype 4 | then (sec 4 | frac 4 | kept 4 | length 4 | bytes)*
 *   pcapng   blocks, see pcapng.ts
 *
 * A packet's bytes lie in the reader's memory and are valid until the next `push`. Only Ethernet (link type 1) is read.
 * Sources: the pcap and pcapng drafts of the IETF opsawg.
 */

import {
  type CapturedPacket,
  PACKET_MAX,
  PCAP_HEADER_LEN,
  PCAP_MAGIC_NS,
  PCAP_MAGIC_US,
  PCAP_RECORD_LEN,
  PcapError,
  requireEthernet,
} from './pcap_format.ts';
import { type BlockSink, readPcapngBlock } from './pcapng.ts';

export { type CapturedPacket, PcapError } from './pcap_format.ts';

const PCAPNG_MAGIC = 0x0a0d0d0a;

/** Reader of one capture file. The constructor never throws; `next` throws PcapError on a file that cannot be read. */
export class CaptureReader {
  readonly packet: CapturedPacket = { bytes: new Uint8Array(0), start: 0, length: 0, wireLength: 0, tsUs: 0, tsNs: 0 };
  #bytes = new Uint8Array(0) as Uint8Array;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** One behind the last byte. */
  #end = 0;
  #kind: 'unknown' | 'pcap' | 'pcapng' = 'unknown';
  #littleEndian = false;
  #nanoseconds = false;
  readonly #blocks: BlockSink = { littleEndian: true, interfaces: [], packet: this.packet };

  /** Adds bytes of the file. The chunk is kept (not copied) while nothing unread stands before it: do not change it. */
  push(chunk: Uint8Array): void {
    const rest = this.unread;
    if (rest === 0) {
      this.#bytes = chunk;
    } else {
      const joined = new Uint8Array(rest + chunk.length);
      joined.set(this.#bytes.subarray(this.#at, this.#end), 0);
      joined.set(chunk, rest);
      this.#bytes = joined;
    }
    this.#at = 0;
    this.#end = this.#bytes.length;
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
  }

  /** Forgets all: another file begins, or the same one again. */
  reset(): void {
    this.#at = 0;
    this.#end = 0;
    this.#kind = 'unknown';
    this.#blocks.interfaces.length = 0;
  }

  /** Bytes that were pushed and not read. */
  get unread(): number {
    return this.#end - this.#at;
  }

  /**
   * Instead of `push`, without making anything: moves what is unread to the front of `bytes` and has `read(offset)` put more behind it, which
   * gives how many. The same memory each time, or nothing unread. True: more came.
   */
  fill(bytes: Uint8Array, view: DataView, read: (offset: number) => number): boolean {
    const rest = this.unread;
    if (rest > 0) bytes.copyWithin(0, this.#at, this.#end);
    const got = read(rest);
    this.#bytes = bytes;
    this.#view = view;
    this.#at = 0;
    this.#end = rest + got;
    return got > 0;
  }

  /** The next packet, or null when more bytes are needed. Throws PcapError (see the codes). */
  next(): CapturedPacket | null {
    if (this.#kind === 'unknown' && !this.#readMagic()) return null;
    return this.#kind === 'pcap' ? this.#nextRecord() : this.#nextBlock();
  }

  /** To be called after the last push and pull: null for a whole file, else the reason why its tail was not read. */
  finish(): string | null {
    const rest = this.unread;
    if (this.#kind === 'unknown') {
      return rest === 0 ? 'the capture file is empty' : `the capture file has only ${rest} bytes: no header`;
    }
    return rest === 0 ? null : `the last ${rest} bytes are a packet cut short (capture interrupted?)`;
  }

  #available(): number {
    return this.#end - this.#at;
  }

  #readMagic(): boolean {
    if (this.#available() < 4) return false;
    const big = this.#view.getUint32(this.#at, false);
    const little = this.#view.getUint32(this.#at, true);
    if (big === PCAPNG_MAGIC) {
      this.#kind = 'pcapng';
      return true;
    }
    this.#littleEndian = little === PCAP_MAGIC_US || little === PCAP_MAGIC_NS;
    const magic = this.#littleEndian ? little : big;
    if (magic !== PCAP_MAGIC_US && magic !== PCAP_MAGIC_NS) {
      throw new PcapError(
        'PCAP_NOT_A_CAPTURE',
        `not a capture file: starts with 0x${big.toString(16).padStart(8, '0')}, expected pcap or pcapng${
          big >>> 16 === 0x1f8b ? ' (this is gzip: unpack it first)' : ''
        }`,
      );
    }
    if (this.#available() < PCAP_HEADER_LEN) return false;
    this.#nanoseconds = magic === PCAP_MAGIC_NS;
    // The upper bits of the field carry the frame check sequence's length.
    requireEthernet(this.#view.getUint32(this.#at + 20, this.#littleEndian) & 0x0fffffff);
    this.#kind = 'pcap';
    this.#at += PCAP_HEADER_LEN;
    return true;
  }

  #nextRecord(): CapturedPacket | null {
    if (this.#available() < PCAP_RECORD_LEN) return null;
    const little = this.#littleEndian;
    const at = this.#at;
    const length = this.#view.getUint32(at + 8, little);
    if (length > PACKET_MAX) {
      throw new PcapError('PCAP_BROKEN', `packet of ${length} bytes at a place where none can be: the file is damaged`);
    }
    if (this.#available() < PCAP_RECORD_LEN + length) return null;
    const fraction = this.#view.getUint32(at + 4, little);
    const packet = this.packet;
    packet.bytes = this.#bytes;
    packet.start = at + PCAP_RECORD_LEN;
    packet.length = length;
    packet.wireLength = this.#view.getUint32(at + 12, little);
    packet.tsUs = this.#view.getUint32(at, little) * 1e6 + (this.#nanoseconds ? Math.floor(fraction / 1000) : fraction);
    packet.tsNs = this.#nanoseconds ? fraction % 1000 : 0;
    this.#at = at + PCAP_RECORD_LEN + length;
    return packet;
  }

  #nextBlock(): CapturedPacket | null {
    // Bound: each round eats one block of at least 12 bytes.
    while (this.#available() >= 12) {
      const length = readPcapngBlock(this.#blocks, this.#bytes, this.#view, this.#at, this.#available());
      if (length === 0) return null;
      const found = length > 0;
      this.#at += Math.abs(length);
      if (found) return this.packet;
    }
    return null;
  }
}
