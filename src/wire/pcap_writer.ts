/**
 * Capture files, written: pcap with Ethernet frames, little endian, microseconds or nanoseconds. No I/O: each function
 * fills bytes of the caller, who writes them where he likes.
 *
 *   header once (`writePcapHeader`), then for each frame 16 bytes (`writePcapRecord`) and the frame itself.
 */

import { LINKTYPE_ETHERNET, PCAP_HEADER_LEN, PCAP_MAGIC_NS, PCAP_MAGIC_US, PCAP_RECORD_LEN } from './pcap_format.ts';

/** Writes the file header to `view` at `at`; returns the position behind it (24 bytes). */
export function writePcapHeader(
  view: DataView,
  at: number,
  options: { snapLen?: number; nanoseconds?: boolean },
): number {
  view.setUint32(at, options.nanoseconds === true ? PCAP_MAGIC_NS : PCAP_MAGIC_US, true);
  view.setUint16(at + 4, 2, true);
  view.setUint16(at + 6, 4, true);
  view.setUint32(at + 8, 0, true);
  view.setUint32(at + 12, 0, true);
  view.setUint32(at + 16, options.snapLen ?? 262144, true);
  view.setUint32(at + 20, LINKTYPE_ETHERNET, true);
  return at + PCAP_HEADER_LEN;
}

/**
 * Writes the 16 bytes in front of a frame; returns the position where the frame's `length` bytes belong. `tsUs` is
 * microseconds since 1970; a file of nanoseconds passes `tsNs` (0..999), one of microseconds leaves it out.
 */
export function writePcapRecord(
  view: DataView,
  at: number,
  tsUs: number,
  length: number,
  wireLength = length,
  tsNs = -1,
): number {
  const secs = Math.floor(tsUs / 1e6);
  const micros = Math.floor(tsUs - secs * 1e6);
  view.setUint32(at, secs, true);
  view.setUint32(at + 4, tsNs < 0 ? micros : micros * 1000 + tsNs, true);
  view.setUint32(at + 8, length, true);
  view.setUint32(at + 12, wireLength, true);
  return at + PCAP_RECORD_LEN;
}

/** A whole file in memory: for tests and small captures. */
export function pcapFile(frames: Iterable<{ tsUs: number; bytes: Uint8Array }>): Uint8Array {
  const all = [...frames];
  const size = all.reduce((sum, frame) => sum + PCAP_RECORD_LEN + frame.bytes.length, PCAP_HEADER_LEN);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = writePcapHeader(view, 0, {});
  for (const frame of all) {
    at = writePcapRecord(view, at, frame.tsUs, frame.bytes.length);
    out.set(frame.bytes, at);
    at += frame.bytes.length;
  }
  return out;
}
